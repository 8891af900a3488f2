/// The tensors of a file in the order of saving.
///
/// The encoding stands twice in a file: behind the header, for salvage, and as a section.
///
/// - SeeAlso: docs/format.md, section 6.2.
package struct TensorTable: Hashable, Sendable {
  /// A record without dimensions and name.
  package static let recordByteCount = 16
  package static let notAnAlias = UInt32.max

  package struct Entry: Hashable, Sendable {
    package var descriptor: TensorDescriptor
    /// The earlier tensor whose bytes this name shares.
    package var aliasOf: Int?
    package var firstChunk: Int
    package var chunkCount: Int
    /// Bytes of the whole tensor before encoding.
    package var byteCount: UInt64
  }

  package private(set) var entries: [Entry] = []
  /// Chunks of all tensors together.
  package private(set) var chunkCount = 0
  package let grid: ChunkGrid

  package init(grid: ChunkGrid) { self.grid = grid }

  /// Appends a tensor and assigns its chunks.
  ///
  /// Offsets in errors are 0; the decoder adds its own.
  package mutating func append(
    _ descriptor: TensorDescriptor, aliasOf: Int? = nil, limits: Limits = .default,
    at offset: UInt64 = 0
  ) throws(FormatError) {
    try limits.check(entries.count + 1, \.tensorCountMax, "number of tensors", at: offset)
    try limits.check(descriptor.shape.count, \.rankMax, "rank of a tensor", at: offset)
    try limits.check(
      descriptor.name.utf8.count, \.nameByteCountMax, "length of a tensor's name", at: offset)
    guard !descriptor.name.isEmpty, TensorDescriptor.isPrintable(descriptor.name) else {
      throw FormatError(.inconsistent("a tensor's name is empty or unprintable"), at: offset)
    }
    guard let byteCount = descriptor.checkedByteCount else {
      throw FormatError(.inconsistent("a tensor's shape is impossible"), at: offset)
    }
    if let aliasOf {
      guard entries.indices.contains(aliasOf), entries[aliasOf].aliasOf == nil,
        entries[aliasOf].descriptor.dtype == descriptor.dtype,
        entries[aliasOf].descriptor.shape == descriptor.shape
      else { throw FormatError(.inconsistent("an alias differs from its tensor"), at: offset) }
      var entry = entries[aliasOf]
      entry.descriptor = descriptor
      entry.aliasOf = aliasOf
      entries.append(entry)
      return
    }
    let count = grid.chunkCount(of: byteCount)
    let limit = limits[\.chunkCountMax]
    guard count <= limit - min(limit, UInt64(chunkCount)) else {
      throw FormatError(.overLimit("number of chunks", value: count, limit: limit), at: offset)
    }
    entries.append(
      Entry(
        descriptor: descriptor, aliasOf: nil, firstChunk: chunkCount, chunkCount: Int(count),
        byteCount: byteCount))
    chunkCount += Int(count)
  }

  package var encoded: [UInt8] {
    var bytes = ByteWriter(reservingCapacity: 8 + entries.count * 64)
    bytes.append(UInt32(entries.count))
    bytes.append(UInt32(0))
    for entry in entries {
      bytes.append(entry.descriptor.dtype.rawValue)
      bytes.append(UInt8(entry.descriptor.shape.count))
      bytes.append(UInt16(entry.descriptor.name.utf8.count))
      bytes.append(entry.aliasOf.map { UInt32($0) } ?? Self.notAnAlias)
      bytes.append(UInt32(entry.firstChunk))
      bytes.append(UInt32(entry.chunkCount))
      for dimension in entry.descriptor.shape { bytes.append(UInt64(dimension)) }
      bytes.append(contentsOf: entry.descriptor.name.utf8)
    }
    return bytes.bytes
  }

  package init(
    decoding bytes: RawSpan, at base: UInt64, grid: ChunkGrid, limits: Limits
  ) throws(FormatError) {
    self.init(grid: grid)
    var reader = ByteReader(bytes, at: base)
    let count = Int(try reader.read(UInt32.self))
    try reader.skipZeros(4)
    try limits.check(count, \.tensorCountMax, "number of tensors", at: base)
    // Each record takes at least one byte more than its fixed part.
    guard count <= reader.remainingByteCount / (Self.recordByteCount + 1) else {
      throw FormatError(.truncated(needed: UInt64(count * (Self.recordByteCount + 1))), at: base)
    }
    entries.reserveCapacity(count)
    for _ in 0..<count { try decodeRecord(&reader, limits: limits) }
    guard reader.remainingByteCount == 0 else {
      throw FormatError(.inconsistent("bytes after the last tensor record"), at: reader.fileOffset)
    }
  }

  private mutating func decodeRecord(
    _ reader: inout ByteReader, limits: Limits
  ) throws(FormatError) {
    let offset = reader.fileOffset
    guard let dtype = DType(rawValue: try reader.read(UInt8.self)) else {
      throw FormatError(.inconsistent("unknown dtype"), at: offset)
    }
    let rank = Int(try reader.read(UInt8.self))
    let nameByteCount = Int(try reader.read(UInt16.self))
    let alias = try reader.read(UInt32.self)
    let firstChunk = try reader.read(UInt32.self)
    let chunkCount = try reader.read(UInt32.self)
    try limits.check(rank, \.rankMax, "rank of a tensor", at: offset)
    var shape: [Int] = []
    for _ in 0..<rank {
      guard let dimension = Int(exactly: try reader.read(UInt64.self)) else {
        throw FormatError(.inconsistent("a tensor's shape is impossible"), at: offset)
      }
      shape.append(dimension)
    }
    let name = try reader.readString(nameByteCount)
    try append(
      TensorDescriptor(name: name, dtype: dtype, shape: shape),
      aliasOf: alias == Self.notAnAlias ? nil : Int(alias), limits: limits, at: offset)
    let entry = entries[entries.count - 1]
    guard entry.firstChunk == Int(firstChunk), entry.chunkCount == Int(chunkCount) else {
      throw FormatError(.inconsistent("a tensor's chunks do not follow from its shape"), at: offset)
    }
  }
}
