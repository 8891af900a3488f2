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

  /// The most saves of the better kind before the other is tried again: other programs may have let go of the
  /// processors or of the disk.
  package static let patienceMax = 32
  private static let patienceMin = 2
  /// So much slower an encoded save may be, for the room that it saves.
  private static let tolerance = 0.95
  /// The fastest of so many counts: what is slow now and then is not the way of saving.
  private static let rememberedCount = 3

  // Of the last saves of each kind, for a byte of the state.
  private var encoded: [Double] = []
  private var stored: [Double] = []
  /// Of the last save, for a byte of the file.
  private var writing = 0.0
  private var prefersEncoding = true
  private var wasEncoded = true
  /// Saves of one kind in a row, and after how many of the better kind the other is tried.
  private var repeatCount = 0
  private var patience = patienceMin

  package init() {}

  /// Learns from a save that was large enough to say something.
  package mutating func note(_ sample: Sample) {
    let pace = Double(sample.nanoseconds) / Double(sample.stateByteCount)
    writing = Double(sample.writingNanoseconds) / Double(sample.fileByteCount)
    if sample.isEncoded {
      encoded = [pace] + encoded.prefix(Self.rememberedCount - 1)
    } else {
      stored = [pace] + stored.prefix(Self.rememberedCount - 1)
    }
    repeatCount = sample.isEncoded == wasEncoded ? repeatCount + 1 : 1
    wasEncoded = sample.isEncoded

    let before = prefersEncoding
    if let encoded = encoded.min(), let stored = stored.min() {
      prefersEncoding = Self.tolerance * encoded <= stored
    }
    if prefersEncoding != before {
      patience = Self.patienceMin
    } else if wasEncoded != prefersEncoding {
      patience = min(2 * patience, Self.patienceMax)  // a trial that changed nothing
    }
  }

  /// Whether the next save is to be encoded; so it is where nothing is known yet.
  package var encodes: Bool {
    guard let encoded = encoded.min() else { return true }
    // A disk that by itself would take as long for all bytes need not be tried.
    let mayPayToStore = writing < Self.tolerance * encoded
    guard !stored.isEmpty else { return !mayPayToStore }
    guard wasEncoded == prefersEncoding, repeatCount >= patience else { return prefersEncoding }
    return !prefersEncoding || !mayPayToStore
  }
}
