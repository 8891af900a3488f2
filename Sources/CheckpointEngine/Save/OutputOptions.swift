/// In what portions a file is written; the bytes are the same for any.
package struct OutputOptions: Hashable, Sendable {
  /// Files that may get this long are written past the page cache where the file system lets us, by
  /// a thread of their own; others are not worth either.
  package var largeFileByteCount: UInt64 = 1 << 20
  /// The most that is written at once of a large file: whole blocks.
  package var portionByteCountMax = 4 << 20
  /// What is written first of a large file, so that the disk begins soon; each time twice as much, up to the most.
  package var firstPortionByteCount = 1 << 20
  /// What is written at once of any other file: whole blocks.
  package var smallPortionByteCount = 64 << 10

  /// States that are smaller say nothing of how fast the disk is: they end in its cache.
  package var pacedStateByteCount: UInt64 = 64 << 20

  package init() {}
}
