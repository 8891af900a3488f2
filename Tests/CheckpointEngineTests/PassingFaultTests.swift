import CheckpointEngine
import CheckpointTesting
import Testing

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Goal: a fault that is over the next moment changes nothing, or is reported as what it is.
@Suite struct PassingFaultTests {
  /// Everything a training run does to a store: makes it, saves, retains, resumes and removes, and
  /// what is read of it afterwards.
  private func session(on disk: SimulatedDisk) throws -> [String] {
    var story: [String] = []
    for step in UInt64(1)...3 {
      let store = try disk.writer()
      if let recovery = try store.recover() {
        story.append("resumed \(recovery.generation), skipped \(recovery.skipped.count)")
        store.continueRun(from: recovery.reader, choice: .automatic)
      }
      let receipt = try store.save(SampleState(step), step: step)
      let report = store.retain(last: 1)
      story.append("saved \(receipt.generation), removed \(report.removed)")
      story += report.warnings
    }
    let verifier = Verifier(on: disk.device, threads: 1)
    for path in try verifier.files(at: "/run") {
      story.append("\(path): \(verifier.verify(path).findings.count) findings")
    }
    return story
  }

  @Test func anInterruptOfAnyCallChangesNothing() throws {
    let undisturbed = SimulatedDisk()
    let story = try session(on: undisturbed)
    #expect(story.contains("saved 3, removed [\"/run/\(checkpointName(2, 2))\"]"))
    let operations = undisturbed.operations
    #expect(Set(operations.map(\.kind)).isSuperset(of: [.status, .lock, .unlink, .read, .list]))
    for (index, operation) in operations.enumerated() {
      let disk = SimulatedDisk()
      disk.faultPlan = FaultPlan([.init(occurrence: index, .error(EINTR))])
      let told = try? session(on: disk)
      #expect(told == story, "\(index): \(operation)")
      #expect(disk.openDescriptorCount == 0, "\(index): \(operation)")
    }
  }

  /// A directory in a file's place counts as damage, so that it must not be taken for one.
  @Test(arguments: [EIO, EMFILE, EACCES, EINTR])
  func aStoreThatCouldNotBeOpenedIsNotCalledDamaged(errno: Int32) throws {
    let disk = SimulatedDisk()
    try disk.saveRun(1)
    let verifier = Verifier(on: disk.device, threads: 1)
    disk.faultPlan = FaultPlan([.init(.open, .error(errno))])
    var files: [String] = []
    let code = errorCode { files = try verifier.files(at: "/run") }
    #expect(code == (errno == EINTR ? nil : .unreadable))
    #expect(files.count == (errno == EINTR ? 1 : 0))
  }
}
