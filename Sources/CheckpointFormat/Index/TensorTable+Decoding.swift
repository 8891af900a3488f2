extension TensorTable {
  /// Reads a table and checks everything that it says, in one pass.
  ///
  /// - Parameters:
  ///   - section: The bytes, which the table keeps.
  ///   - base: Where they lie in the file.
  ///   - grid: How tensors are cut into chunks.
  ///   - limits: The largest numbers accepted.
  /// - Throws: ``FormatError``.
  /// - Complexity: O(bytes) time; 32 bytes of memory for each tensor.
  package init(
    decoding section: [UInt8], at base: UInt64, grid: ChunkGrid, limits: Limits
  ) throws(FormatError) {
    self.init(grid: grid)
    // Before the first record, so that this is the only reference from here on.
    encoded = section
    var reader = ByteReader(section.rawSpan, at: base)
    let count = Int(try reader.read(UInt32.self))
    try reader.skipZeros(4)
    let bounds = Bounds(limits)
    guard count <= bounds.tensorCountMax else {
      throw bounds.excess("number of tensors", count, bounds.tensorCountMax, at: base)
    }
    // Each record takes at least one byte more than its fixed part.
    guard count <= reader.remainingByteCount / (Self.recordByteCount + 1) else {
      throw FormatError(.truncated(needed: UInt64(count * (Self.recordByteCount + 1))), at: base)
    }
    records.reserveCapacity(count)
    for _ in 0..<count {
      let record = try decodeRecord(&reader, section.rawSpan, from: base, within: bounds)
      admit(record)
    }
    guard reader.remainingByteCount == 0 else {
      throw FormatError(.inconsistent("bytes after the last tensor record"), at: reader.fileOffset)
    }
  }

  package init(
    decoding bytes: RawSpan, at base: UInt64, grid: ChunkGrid, limits: Limits
  ) throws(FormatError) {
    try self.init(decoding: bytes.copied(), at: base, grid: grid, limits: limits)
  }

  /// Reads the next record and checks it.
  private func decodeRecord(
    _ reader: inout ByteReader, _ section: RawSpan, from base: UInt64, within bounds: Bounds
  ) throws(FormatError) -> Record {
    let offset = reader.fileOffset
    guard let dtype = DType(rawValue: try reader.read(UInt8.self)) else {
      throw FormatError(.inconsistent("unknown dtype"), at: offset)
    }
    let rank = try reader.read(UInt8.self)
    let nameByteCount = try reader.read(UInt16.self)
    let alias = try reader.read(UInt32.self)
    let firstChunk = try reader.read(UInt32.self)
    let chunkCount = try reader.read(UInt32.self)
    guard rank <= bounds.rankMax else {
      throw bounds.excess("rank of a tensor", Int(rank), bounds.rankMax, at: offset)
    }
    let byteCount = try Self.decodeShape(&reader, rank: Int(rank), of: dtype, at: offset)
    let nameOffset = reader.fileOffset
    let name = try reader.readBytes(Int(nameByteCount))
    let quality = name.nameQuality()
    guard quality != .invalidUTF8 else { throw FormatError(.invalidUTF8, at: nameOffset) }
    try bounds.check(
      number: records.count, rank: Int(rank), nameByteCount: Int(nameByteCount), at: offset)
    guard nameByteCount > 0, quality == .clean else {
      throw FormatError(.inconsistent("a tensor's name is empty or unprintable"), at: offset)
    }
    guard let byteCount else {
      throw FormatError(.inconsistent("a tensor's shape is impossible"), at: offset)
    }
    var record = Record(
      byteCount: byteCount, offset: Int(offset - base), nameByteCount: nameByteCount, dtype: dtype,
      rank: rank)
    let shape = section.extracting(record.dimensions)
    try place(&record, alias: alias, chunkCountMax: bounds.chunkCountMax, at: offset) { number in
      let original = records[number]
      return original.dtype == dtype
        && section.extracting(original.dimensions).elementsEqual(shape)
    }
    guard record.firstChunk == firstChunk, record.chunkCount == chunkCount else {
      throw FormatError(.inconsistent("a tensor's chunks do not follow from its shape"), at: offset)
    }
    return record
  }

  /// Reads the dimensions; what they come to, or nil if they are not possible together.
  private static func decodeShape(
    _ reader: inout ByteReader, rank: Int, of dtype: DType, at offset: UInt64
  ) throws(FormatError) -> UInt64? {
    var measure = ShapeMeasure(dtype)
    for _ in 0..<rank {
      let dimension = try reader.read(UInt64.self)
      // As a number it must be one of Swift's, whatever comes behind.
      guard dimension <= UInt64(Int.max) else {
        throw FormatError(.inconsistent("a tensor's shape is impossible"), at: offset)
      }
      measure.multiply(by: dimension)
    }
    return measure.byteCount
  }
}

/// The bytes of a tensor, dimension by dimension.
///
/// - SeeAlso: docs/format.md, section 6.2.
struct ShapeMeasure {
  private var product: UInt64
  private var isEmpty = false
  private var isPossible = true

  init(_ dtype: DType) { product = UInt64(dtype.byteCount) }

  mutating func multiply(by size: UInt64) {
    guard size > 0 else { return isEmpty = true }
    let (next, overflowed) = product.multipliedReportingOverflow(by: size)
    guard size <= Limits.dimensionMax, !overflowed, next <= Limits.tensorByteCountMax else {
      return isPossible = false
    }
    product = next
  }

  /// Nil if a dimension, or the product of those that are not 0, is too large.
  var byteCount: UInt64? { isPossible ? (isEmpty ? 0 : product) : nil }
}
