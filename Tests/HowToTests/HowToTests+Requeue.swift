import CheckpointTraining
import Foundation
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

// Goal: a job that is started again and again ends as one that was not stopped, and of processes that
// train together one saves and all resume what it resumed, damage in the newest checkpoint included.
// Method: the page's functions on real files, the first in a child that a signal stops; the processes
// that train together are managers of this one, in turn.
extension HowToTests {
  @Test func aJobIsStoppedAndStartedAgainUntilItIsComplete() async {
    // In a process of its own: signals belong to the process.
    await #expect(processExitsWith: .success) {
      try HowToTests().withDirectory { directory in
        Thread.detachNewThread {
          // The handlers are there before the lock is.
          while !FileManager.default.fileExists(atPath: directory + "/.lock") { usleep(1000) }
          kill(getpid(), SIGTERM)
        }
        var trainer = Trainer()
        let first = try train(&trainer, in: directory, toStep: .max)
        let lastStep = trainer.step + 700
        trainer = Trainer()
        let second = try train(&trainer, in: directory, toStep: lastStep)
        #expect(first == 75 && second == 0)
        var whole = Trainer()
        while whole.step < lastStep { _ = whole.trainStep() }
        #expect(try stateDigest(of: trainer) == stateDigest(of: whole))
      }
    }
  }

  @Test func allProcessesResumeWhatTheFirstOneDid() throws {
    try withDirectory { directory in
      // A fresh start: there is nothing to open before the first one has made it.
      let (first, others) = try together(in: directory)
      for member in [first] + others {
        #expect(member.trainer.step == 0)
        let isSaved = try advance(member, by: 500)
        #expect(isSaved == (member === first))
      }
      #expect(try advance(first, by: 500))
    }
  }

  @Test func theOthersTakeNeitherADamagedOneNorANewerOne() throws {
    try withDirectory { directory in
      let names = { try FileManager.default.contentsOfDirectory(atPath: directory).sorted() }
      do {
        let (first, _) = try together(in: directory)
        for _ in 1...2 { _ = try advance(first, by: 500) }
      }
      let newest = directory + "/" + (try #require(try names().last))
      let bytes = try Data(contentsOf: URL(fileURLWithPath: newest)).dropLast(100)
      try bytes.write(to: URL(fileURLWithPath: newest))
      var digest = ""
      let (first, others) = try together(in: directory) { first in
        digest = try stateDigest(of: first.trainer)
        #expect(first.trainer.step == 500)
        // It need not wait for the others.
        #expect(try advance(first, by: 1000))
      }
      let before = try names()
      for other in others {
        #expect(try stateDigest(of: other.trainer) == digest)
        // The end of the others leaves the store as it is.
        try other.manager.finish(saving: other.trainer, step: 700)
        #expect(throws: CheckpointError.self) { try other.manager.save(other.trainer, step: 700) }
      }
      #expect(try names() == before)
      #expect(try advance(first, by: 500))
    }
  }

  /// A process of a job.
  private final class Member {
    var trainer = Trainer()
    let manager: CheckpointManager

    init(isFirst: Bool, in directory: String, share: (UInt64?) throws -> UInt64?) throws {
      var trainer = Trainer()
      manager = try join(&trainer, isFirst: isFirst, in: directory, share: share)
      self.trainer = trainer
    }
  }

  /// Starts three processes, one after the other.
  private func together(
    in directory: String, meanwhile body: (Member) throws -> Void = { _ in }
  ) throws -> (first: Member, others: [Member]) {
    var shared: UInt64?
    let first = try Member(isFirst: true, in: directory) { generation in
      shared = generation
      return generation
    }
    try body(first)
    let others = try (1...2).map { _ in
      try Member(isFirst: false, in: directory) { _ in shared }
    }
    return (first, others)
  }

  /// Trains and reports; tells whether the last step was saved.
  private func advance(_ member: Member, by count: Int) throws -> Bool {
    var isSaved = false
    for _ in 0..<count {
      _ = member.trainer.trainStep()
      let outcome = try member.manager.stepCompleted(member.trainer.step, state: member.trainer)
      if case .saved = outcome { isSaved = true } else { isSaved = false }
    }
    return isSaved
  }
}
