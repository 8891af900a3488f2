/// The largest numbers a reader accepts from a file, checked before memory is asked for.
///
/// The writer refuses to save what a reader with the default limits would refuse to open. The
/// defaults are also the most there is: a larger number has the effect of the default, a negative
/// one that of 0.
///
/// - SeeAlso: docs/format.md, section 11.
public struct Limits: Hashable, Sendable {
  /// Tensors in one file.
  public var tensorCountMax: Int
  /// Chunks in one file.
  public var chunkCountMax: Int
  /// Bytes of one chunk before encoding.
  public var chunkByteCountMax: Int
  /// Bytes of all sections together, of which the chunk table is usually the largest.
  public var indexByteCountMax: Int
  /// Bytes of the metadata section.
  public var metadataByteCountMax: Int
  /// Bytes of one metadata value.
  public var metadataValueByteCountMax: Int
  /// Metadata values in one file.
  public var metadataCountMax: Int
  /// Bytes of a tensor name or metadata key, in UTF-8.
  public var nameByteCountMax: Int
  /// Dimensions of one tensor.
  public var rankMax: Int
  /// Nesting of a JSON value.
  public var jsonDepthMax: Int

  /// What every file of this library stays within.
  public static let `default` = Limits(
    tensorCountMax: 1_048_576, chunkCountMax: 4_194_304, chunkByteCountMax: 64 << 20,
    indexByteCountMax: 256 << 20, metadataByteCountMax: 16 << 20,
    metadataValueByteCountMax: 4 << 20, metadataCountMax: 1_048_576, nameByteCountMax: 4096,
    rankMax: 32, jsonDepthMax: 32)

  /// For files from people you do not trust.
  public static let strict = Limits(
    tensorCountMax: 65_536, chunkCountMax: 4_194_304, chunkByteCountMax: 4 << 20,
    indexByteCountMax: 16 << 20, metadataByteCountMax: 1 << 20,
    metadataValueByteCountMax: 256 << 10, metadataCountMax: 4096, nameByteCountMax: 512,
    rankMax: 16, jsonDepthMax: 32)

  /// The largest single dimension, in elements; not adjustable.
  package static let dimensionMax: UInt64 = 1 << 48
  /// The largest tensor, in bytes; not adjustable.
  package static let tensorByteCountMax: UInt64 = 1 << 62
  /// The largest generation and training step, so that counting on cannot overflow.
  package static let counterMax = UInt64(Int64.max)

  /// The limit in effect: the fields on disk are no wider than the defaults need.
  package subscript(_ limit: KeyPath<Limits, Int>) -> UInt64 {
    UInt64(max(0, min(self[keyPath: limit], Limits.default[keyPath: limit])))
  }

  package func check(
    _ value: Int, _ limit: KeyPath<Limits, Int>, _ what: StaticText, at offset: UInt64
  ) throws(FormatError) {
    try check(UInt64(value), limit, what, at: offset)
  }

  package func check(
    _ value: UInt64, _ limit: KeyPath<Limits, Int>, _ what: StaticText, at offset: UInt64
  ) throws(FormatError) {
    let limit = self[limit]
    guard value <= limit else {
      throw FormatError(.overLimit(what, value: value, limit: limit), at: offset)
    }
  }
}
