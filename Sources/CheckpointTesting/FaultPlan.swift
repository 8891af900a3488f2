/// Which calls of a ``SimulatedDisk`` go wrong, and how.
///
/// ```swift
/// disk.faultPlan = FaultPlan([.init(.write, occurrence: 2, .error(ENOSPC), .always)])
/// ```
public struct FaultPlan: Hashable, Sendable {
  /// What happens instead of the call.
  public enum Effect: Hashable, Sendable {
    /// The call fails with this errno and changes nothing; a failed close still closes.
    case error(Int32)
    /// The call takes effect and then reports this errno, as a network file system can.
    case errorAfterEffect(Int32)
    /// A transfer moves at most this many bytes; other calls are unharmed.
    case shortTransfer(byteCount: Int)
    /// A sync fails with this errno and forgets the unsynced changes while the file still shows
    /// them, so that a later sync succeeds without making them durable. Other calls just fail.
    case errorLosingChanges(Int32)
    /// The call reports success and does nothing. Calls that must return something are unharmed.
    case ignored
  }

  /// How often a fault happens, from its first occurrence.
  public enum Repetition: Hashable, Sendable {
    /// One time.
    case once
    /// For this many matching calls in a row.
    case times(Int)
    /// For every matching call from then on.
    case always
  }

  /// One thing that goes wrong.
  public struct Fault: Hashable, Sendable {
    /// The calls that are counted, or nil for every call.
    public var kind: DiskOperation.Kind?
    /// The first of the matching calls that is hit, counted from 0 when the plan is set.
    public var occurrence: Int
    /// What happens to it.
    public var effect: Effect
    /// How many are hit.
    public var repetition: Repetition

    /// A fault that hits the given occurrence of a kind of call.
    ///
    /// - Parameters:
    ///   - kind: the calls that are counted; nil counts every call.
    ///   - occurrence: the first call to hit, counted from 0.
    ///   - effect: what happens to it.
    ///   - repetition: how many calls are hit.
    public init(
      _ kind: DiskOperation.Kind? = nil, occurrence: Int = 0, _ effect: Effect,
      _ repetition: Repetition = .once
    ) {
      self.kind = kind
      self.occurrence = occurrence
      self.effect = effect
      self.repetition = repetition
    }

    func hits(_ ordinal: Int) -> Bool {
      switch repetition {
      case .once: ordinal == occurrence
      case .times(let count): ordinal >= occurrence && ordinal - occurrence < count
      case .always: ordinal >= occurrence
      }
    }
  }

  /// The faults; where several hit one call, the first in this list decides.
  public var faults: [Fault]

  /// A plan with these faults, none by default.
  public init(_ faults: [Fault] = []) { self.faults = faults }
}

/// A plan with the count of calls that each of its faults has seen.
struct FaultCounter: Sendable {
  let plan: FaultPlan
  private var counts: [Int]

  init(_ plan: FaultPlan) {
    self.plan = plan
    counts = plan.faults.map { _ in 0 }
  }

  /// Counts a call and tells what goes wrong with it.
  mutating func effect(on kind: DiskOperation.Kind) -> FaultPlan.Effect? {
    var effect: FaultPlan.Effect?
    for (index, fault) in plan.faults.enumerated() where (fault.kind ?? kind) == kind {
      if effect == nil, fault.hits(counts[index]) { effect = fault.effect }
      counts[index] += 1
    }
    return effect
  }
}
