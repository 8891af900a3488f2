public import CheckpointStorage

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// Runs a training program of yours through every power cut and every failing system call.
///
/// The program is a closure: it opens its store on the device that it is given, resumes, trains to
/// its end, and returns something that tells its final state, such as `stateDigest(of:)`. It is
/// played again and again, each time on a new simulated disk, and must always end with the value
/// of a run that nothing disturbed. So it needs to be deterministic, and short: a few saves of a
/// small model.
///
/// ```swift
/// let test = FaultTest { run in
///   let manager = try CheckpointManager(
///     directory: "/run", saving: .every(steps: 2), options: StoreOptions(device: run.device))
///   // … resume, train to the end, and call run.acknowledged(step) after each save …
///   return try stateDigest(of: trainer)
/// }
/// let report = try test.crashes()
/// ```
public struct FaultTest {
  /// One life of the program, from its start to its end or to the fault that ends it.
  public final class Run {
    /// The disk, for programs that want to look at it or to set a fault of their own.
    public let disk: SimulatedDisk
    /// The highest step that was acknowledged; nil before the first.
    public private(set) var acknowledgedStep: Int?
    /// The step that the program went on from, if it said so.
    public private(set) var resumedStep: Int?

    init(_ disk: SimulatedDisk) { self.disk = disk }

    /// What the program opens its store on.
    public var device: StorageDevice { disk.device }

    /// Tells that a save was acknowledged: from here on no fault may lose it.
    ///
    /// - Parameter step: the training step it was taken after.
    public func acknowledged(_ step: Int) {
      acknowledgedStep = max(acknowledgedStep ?? step, step)
    }

    /// Tells where the program went on from; 0 for a fresh run.
    ///
    /// - Parameter step: the training step of the checkpoint that was restored.
    public func resumed(from step: Int) { resumedStep = step }
  }

  /// What was tried, and what went wrong.
  public struct Report: Hashable, Sendable {
    /// Runs that were disturbed, each in a way of its own.
    public var disturbedRunCount = 0
    /// Disks on which the program was started again.
    public var diskCount = 0
    /// What went wrong and where, for a person; empty if the program and its store did well.
    public var violations: [String] = []
  }

  private let program: (Run) throws -> String

  /// Makes a test of a program.
  ///
  /// - Parameter program: opens, resumes, trains to the end, and returns what tells the final
  ///   state. What it throws ends that run, as an error ends a process.
  public init(_ program: @escaping (Run) throws -> String) { self.program = program }

  /// Cuts the power before each call that an undisturbed run makes, and starts the program again on
  /// the disks that the cut may have left.
  ///
  /// - Parameters:
  ///   - statesPerCall: how many disks are tried at each call; all of them if there are fewer.
  ///   - seed: decides which, if there are more.
  /// - Returns: what was found.
  /// - Throws: what the program throws if nothing disturbs it.
  public func crashes(statesPerCall: Int = 16, seed: UInt64 = 0) throws -> Report {
    let (expected, callCount) = try undisturbed()
    var report = Report()
    for index in 0...callCount {
      let run = Run(SimulatedDisk())
      run.disk.crash(beforeOperation: index)
      _ = try? program(run)  // whatever it says, its machine is off
      run.disk.crash()
      report.disturbedRunCount += 1
      let survivors = run.disk.postCrashStates(limit: statesPerCall, seed: seed)
      for (number, survivor) in survivors.enumerated() {
        report.check(
          restart(on: survivor, after: run, expecting: expected),
          "power cut before call \(index) of \(callCount), disk \(number)")
      }
    }
    return report
  }

  /// Lets each call of an undisturbed run fail, once and from then on, and starts the program again
  /// when the fault is over.
  ///
  /// A disturbed run may throw, or end as if nothing had been; it must not end otherwise.
  ///
  /// - Parameter errnos: what the calls fail with, as errno(3); EIO, ENOSPC and EINTR if nil.
  /// - Returns: what was found.
  /// - Throws: what the program throws if nothing disturbs it.
  public func failures(errnos: [Int32]? = nil) throws -> Report {
    let (expected, callCount) = try undisturbed()
    var report = Report()
    for index in 0..<callCount {
      for errno in errnos ?? [EIO, ENOSPC, EINTR] {
        for repetition in [FaultPlan.Repetition.once, .always] {
          let fault = FaultPlan.Fault(occurrence: index, .error(errno), repetition)
          let place = "call \(index) of \(callCount) fails with errno \(errno), \(repetition)"
          let run = Run(SimulatedDisk())
          run.disk.faultPlan = FaultPlan([fault])
          if let result = try? program(run), result != expected {
            report.violations.append("\(place): it ended with '\(result)', not '\(expected)'")
          }
          report.disturbedRunCount += 1
          report.check(
            restart(on: run.disk.copy(), after: run, expecting: expected), place)
        }
      }
    }
    return report
  }

  /// Runs the program without faults.
  private func undisturbed() throws -> (result: String, callCount: Int) {
    let run = Run(SimulatedDisk())
    let result = try program(run)
    return (result, run.disk.operationCount)
  }

  /// Starts the program again.
  ///
  /// - Returns: what is wrong with how that went; nil if nothing is.
  private func restart(
    on disk: SimulatedDisk, after dead: Run, expecting expected: String
  ) -> String? {
    let run = Run(disk)
    do {
      let result = try program(run)
      if let acknowledged = dead.acknowledgedStep, let resumed = run.resumedStep,
        resumed < acknowledged
      {
        return "step \(acknowledged) was acknowledged, and it resumed from \(resumed)"
      }
      return result == expected ? nil : "it ended with '\(result)', not '\(expected)'"
    } catch {
      return "started again, it fails: \(error)"
    }
  }
}

extension FaultTest.Report {
  fileprivate mutating func check(_ problem: String?, _ place: String) {
    diskCount += 1
    if let problem { violations.append("\(place): \(problem)") }
  }
}
