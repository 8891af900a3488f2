/// What a restore did.
public struct RestoreReport: Hashable, Sendable {
  /// Tensors and values that come from the checkpoint.
  public var restored: [String] = []
  /// What was asked for and is not in the checkpoint, or has another dtype, shape or type there: it is as
  /// the program had it.
  public var missing: [String] = []
  /// What was asked for, is in the checkpoint and not in the program, or differs in it.
  public var unexpected: [String] = []
  /// What was not asked for: it is as the program had it.
  public var left: [String] = []
}
