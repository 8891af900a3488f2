public import CheckpointFormat

// What was found wrong with a state when it was saved stands with it, in the environment.

extension Metadata {
  private static let unhealthyName = "unhealthy"

  /// What the health check of the run found wrong with the state when it was saved; nil if nothing was
  /// found, or there was no check.
  public var unhealthyReason: String? {
    guard case .string(let reason)? = self[.environment, Self.unhealthyName] else { return nil }
    return reason
  }

  /// Marks a state as unhealthy; nil marks it as nothing special.
  package mutating func markUnhealthy(_ reason: String?) {
    self[.environment, Self.unhealthyName] = reason.map { .string($0) }
  }

  private static let emergencyName = "emergency"

  /// The error that made a run fail, if this is what it left.
  public var emergencyReason: String? {
    guard case .string(let reason)? = self[.environment, Self.emergencyName] else { return nil }
    return reason
  }

  /// Notes the error that made a run fail.
  package mutating func markEmergency(_ reason: String) {
    self[.environment, Self.emergencyName] = .string(reason)
  }
}
