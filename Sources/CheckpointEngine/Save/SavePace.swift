/// How long the large saves of a store took, encoded and stored: where the disk is faster than the coder, encoding
/// would only keep it waiting.
///
/// Coder, copies and disk share the processors, so that nothing but a save tells how long one takes.
package struct SavePace {
  /// What one save took.
  package struct Sample {
    package var stateByteCount: UInt64
    /// Whether chunks were encoded, or stored as they are.
    package var isEncoded: Bool
    /// How long the whole file took.
    package var nanoseconds: UInt64
    /// Bytes of the file, and how long the disk was at them, the sync with it.
    package var fileByteCount: UInt64
    package var writingNanoseconds: UInt64

    package init(
      stateByteCount: UInt64, isEncoded: Bool, nanoseconds: UInt64, fileByteCount: UInt64,
      writingNanoseconds: UInt64
    ) {
      self.stateByteCount = stateByteCount
      self.isEncoded = isEncoded
      self.nanoseconds = nanoseconds
      self.fileByteCount = fileByteCount
      self.writingNanoseconds = writingNanoseconds
    }
  }

  /// After so many saves of one kind the other is tried again: other programs may have let go of the processors
  /// or of the disk.
  package static let repeatCountMax = 32
  /// So much slower an encoded save may be, for the room that it saves.
  private static let tolerance = 0.95

  // Of the last save of each kind, for a byte of the state.
  private var encoded: Double?
  private var stored: Double?
  /// Of the last save, for a byte of the file.
  private var writing = 0.0
  private var wasEncoded = true
  private var repeatCount = 0

  package init() {}

  /// Learns from a save that was large enough to say something.
  package mutating func note(_ sample: Sample) {
    let pace = Double(sample.nanoseconds) / Double(sample.stateByteCount)
    if sample.isEncoded { encoded = pace } else { stored = pace }
    writing = Double(sample.writingNanoseconds) / Double(sample.fileByteCount)
    repeatCount = sample.isEncoded == wasEncoded ? repeatCount + 1 : 1
    wasEncoded = sample.isEncoded
  }

  /// Whether the next save is to be encoded; so it is where nothing is known yet.
  package var encodes: Bool {
    guard let encoded else { return true }
    // A disk that by itself would be as slow need not be tried.
    let mayPayToStore = writing < Self.tolerance * encoded
    if wasEncoded, !mayPayToStore { return true }
    guard let stored, repeatCount < Self.repeatCountMax else { return !wasEncoded }
    return Self.tolerance * encoded <= stored
  }
}
