/// How fast this machine encodes and how fast its disk takes what is written, from the large saves of a
/// store: where the disk is faster, encoding would only keep it waiting.
package struct SavePace {
  /// What one save took.
  package struct Sample {
    /// Bytes of the state, and how long threads were at encoding them, added up; nil if they were stored.
    package var stateByteCount: UInt64
    package var encodingNanoseconds: UInt64?
    /// Bytes of the file, and how long the disk was at them, the sync with it.
    package var fileByteCount: UInt64
    package var writingNanoseconds: UInt64

    package init(
      stateByteCount: UInt64, encodingNanoseconds: UInt64?, fileByteCount: UInt64,
      writingNanoseconds: UInt64
    ) {
      self.stateByteCount = stateByteCount
      self.encodingNanoseconds = encodingNanoseconds
      self.fileByteCount = fileByteCount
      self.writingNanoseconds = writingNanoseconds
    }
  }

  /// After so many saves without, the coder is measured again: other programs may have let go of the
  /// processors.
  package static let storedCountMax = 32

  private var encoding: Double?
  private var writing: Double?
  private var storedCount = 0

  package init() {}

  /// Learns from a save that was large enough to say something.
  package mutating func note(_ sample: Sample) {
    writing = Double(sample.writingNanoseconds) / Double(sample.fileByteCount)
    storedCount += 1
    if let nanoseconds = sample.encodingNanoseconds {
      encoding = Double(nanoseconds) / Double(sample.stateByteCount)
      storedCount = 0
    }
  }

  /// Tells whether encoding makes the next save no slower.
  ///
  /// - Parameter threadCount: How many threads encode, 1 or more.
  /// - Returns: True also where nothing is known yet.
  package func encodingPays(threadCount: Int) -> Bool {
    guard let encoding, let writing, storedCount < Self.storedCountMax else { return true }
    return encoding / Double(threadCount) <= writing
  }
}
