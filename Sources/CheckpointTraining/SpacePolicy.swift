internal import CheckpointEngine

/// What is done about too little room on the disk.
public struct SpacePolicy: Hashable, Sendable {
  /// What a resume does if what the run will keep may not fit.
  public enum Preflight: Hashable, Sendable {
    /// Nothing is looked at.
    case off
    /// The result says so, and an event.
    case warn
    /// It throws `.outOfSpace`, before anything is restored or begun.
    case refuse
  }

  /// What a save does that meets a full disk.
  public enum WhenFull: Hashable, Sendable {
    /// It fails at once.
    case fail
    /// It is tried again after an interval, until so much time has passed; an event tells of each wait.
    ///
    /// Training waits with it, unless the save is made in the background. A request to stop ends the
    /// wait.
    case wait(every: Duration, atMost: Duration)
  }

  /// What a resume does.
  public var preflight: Preflight
  /// What a save does.
  ///
  /// If it fails in the end, the ``SaveFailurePolicy`` of the manager says what follows.
  public var whenFull: WhenFull

  /// Makes a policy; give only what differs from the defaults.
  public init(preflight: Preflight = .warn, whenFull: WhenFull = .fail) {
    self.preflight = preflight
    self.whenFull = whenFull
  }
}

/// How much room a run needs for its checkpoints, and how much there is.
public struct SpaceEstimate: Hashable, Sendable {
  /// The most bytes that one checkpoint can have; compression may make it smaller.
  public let checkpointByteCount: UInt64
  /// How many checkpoints the policy keeps; nil where that has no end.
  public let keptCount: Int?
  /// The most bytes that are needed besides what the store's checkpoints have already: for what is kept,
  /// as far as that has an end, and for one that is being saved.
  public let neededByteCount: UInt64
  /// The bytes that this process may still write.
  public let availableByteCount: UInt64

  /// Whether it fits, even if nothing can be compressed.
  public var fits: Bool { neededByteCount <= availableByteCount }

  /// What to tell a person if it does not fit.
  var warning: String {
    "The checkpoints of this run may need \(neededByteCount) bytes more than they have now: up to "
      + "\(checkpointByteCount) each, \(keptCount.map { "\($0) of them kept" } ?? "without an end")"
      + " and one being saved. \(availableByteCount) are free. Free some, keep fewer, or give the store "
      + "a budget."
  }
}

extension CheckpointManager {
  /// How much room this run needs for its checkpoints.
  ///
  /// - Parameter state: A state of the size that will be saved.
  /// - Returns: What is needed, and what is there.
  /// - Throws: What the state's `save(to:)` throws; ``CheckpointError``: `.unreadable` if the system does
  ///   not tell, `.overLimit` if such a state cannot be saved.
  public func estimateSpace(for state: some Checkpointable) throws -> SpaceEstimate {
    settle()
    return try estimateSpace(for: StatePlanning.plan(state))
  }

  private func estimateSpace(for plan: SavePlan) throws(CheckpointError) -> SpaceEstimate {
    let size = try store.byteCountMax(of: plan)
    let kept = keeping.boundedCount
    var total = size.multipliedReportingOverflow(by: UInt64(kept ?? keeping.countAtLeast))
    if total.overflow { total.partialValue = .max }
    // Without an end there is only the budget to go by.
    let limit = max(keeping.byteBudget ?? .max, size)
    let isOpen = kept == nil && keeping.byteBudget != nil
    let keptByteCount = isOpen ? limit : min(total.partialValue, limit)
    let whole = [keptByteCount, size].saturatingSum
    let existing = try store.replaceableByteCount()
    return SpaceEstimate(
      checkpointByteCount: size, keptCount: kept,
      neededByteCount: max(size, whole > existing ? whole - existing : 0),
      availableByteCount: try store.availableByteCount())
  }

  /// Whether room is looked for before anything is restored or begun.
  var looksForSpace: Bool { space.preflight != .off && store.isWritable }

  /// Looks for room; throws if there is too little and that was asked for.
  ///
  /// - Returns: What is needed; nil if that cannot be told.
  func requireSpace(for plan: SavePlan) throws(CheckpointError) -> SpaceEstimate? {
    let estimate: SpaceEstimate
    do {
      estimate = try estimateSpace(for: plan)
    } catch {
      guard error.code == .unreadable else { throw error }
      events.emit(.warning("How much room there is cannot be told. \(error.message)"))
      return nil
    }
    guard !estimate.fits else { return estimate }
    if space.preflight == .refuse {
      throw CheckpointError(
        .outOfSpace, estimate.warning, at: CheckpointError.Location(path: store.path))
    }
    events.emit(.warning(estimate.warning))
    return estimate
  }
}
