/// The tensors of a file in the order of saving.
///
/// The encoding stands twice in a file: behind the header, for salvage, and as a section. It is kept as
/// it is, with the place of each tensor in it and what follows from its record: a table of a hundred
/// thousand tensors is read without making a text or a list for any of them.
///
/// - SeeAlso: docs/format.md, section 6.2.
package struct TensorTable: Hashable, Sendable {
  /// A record without dimensions and name.
  package static let recordByteCount = 16
  package static let notAnAlias = UInt32.max
  /// The number of tensors, and four zeros.
  static let headByteCount = 8

  /// Where a tensor's record lies, and what it says.
  struct Record: Sendable {
    /// Bytes of the whole tensor before encoding.
    var byteCount: UInt64 = 0
    /// From the start of the table.
    var offset: Int
    var alias = TensorTable.notAnAlias
    var firstChunk: UInt32 = 0
    var chunkCount: UInt32 = 0
    var nameByteCount: UInt16
    var dtype: DType
    var rank: UInt8

    var dimensions: Range<Int> {
      let start = offset + TensorTable.recordByteCount
      return start..<start + Int(rank) * 8
    }
    var name: Range<Int> {
      let start = dimensions.upperBound
      return start..<start + Int(nameByteCount)
    }
  }

  /// The numbers that a table must stay within, looked up once.
  package struct Bounds: Sendable {
    let tensorCountMax: UInt64
    let rankMax: UInt64
    let nameByteCountMax: UInt64
    let chunkCountMax: UInt64

    package init(_ limits: Limits) {
      tensorCountMax = limits[\.tensorCountMax]
      rankMax = limits[\.rankMax]
      nameByteCountMax = limits[\.nameByteCountMax]
      chunkCountMax = limits[\.chunkCountMax]
    }
  }

  /// The bytes of the section.
  package internal(set) var encoded: [UInt8]
  var records: [Record] = []
  /// Chunks of all tensors together.
  package internal(set) var chunkCount = 0
  package let grid: ChunkGrid

  package init(grid: ChunkGrid) {
    self.grid = grid
    encoded = [UInt8](repeating: 0, count: Self.headByteCount)
  }

  // Everything else follows from these.

  package static func == (left: TensorTable, right: TensorTable) -> Bool {
    left.grid == right.grid && left.encoded == right.encoded
  }

  package func hash(into hasher: inout Hasher) {
    hasher.combine(grid)
    hasher.combine(encoded)
  }

  /// Appends a tensor and assigns its chunks.
  ///
  /// Offsets in errors are 0.
  package mutating func append(
    _ descriptor: TensorDescriptor, aliasOf: Int? = nil, limits: Limits = .default
  ) throws(FormatError) {
    try append(descriptor, aliasOf: aliasOf, within: Bounds(limits))
  }

  /// Appends one of many tensors.
  package mutating func append(
    _ descriptor: TensorDescriptor, aliasOf: Int? = nil, within bounds: Bounds
  ) throws(FormatError) {
    let (rank, nameByteCount) = (descriptor.shape.count, descriptor.name.utf8.count)
    try bounds.check(number: records.count, rank: rank, nameByteCount: nameByteCount, at: 0)
    guard nameByteCount > 0, TensorDescriptor.isPrintable(descriptor.name) else {
      throw FormatError(.inconsistent("a tensor's name is empty or unprintable"), at: 0)
    }
    guard let byteCount = descriptor.checkedByteCount else {
      throw FormatError(.inconsistent("a tensor's shape is impossible"), at: 0)
    }
    var record = Record(
      byteCount: byteCount, offset: encoded.count, nameByteCount: UInt16(nameByteCount),
      dtype: descriptor.dtype, rank: UInt8(rank))
    // What is no number of the table stays none, and is refused.
    let alias = aliasOf.map { records.indices.contains($0) ? UInt32($0) : Self.notAnAlias - 1 }
    try place(&record, alias: alias ?? Self.notAnAlias, chunkCountMax: bounds.chunkCountMax, at: 0)
    {
      entries[$0].dtype == descriptor.dtype && entries[$0].hasShape(descriptor.shape)
    }
    encode(record, descriptor)
    admit(record)
  }

  private mutating func encode(_ record: Record, _ descriptor: TensorDescriptor) {
    let byteCount = record.name.upperBound - record.offset
    let number = UInt32(records.count + 1)
    encoded.append(contentsOf: repeatElement(0, count: byteCount))
    unsafe encoded.withUnsafeMutableBytes { buffer in
      // SAFETY: the buffer is the array's own and holds the whole record; each store is checked against
      // its length.
      unsafe buffer.store(number, at: 0)
      unsafe buffer.store(record.dtype.rawValue, at: record.offset)
      unsafe buffer.store(record.rank, at: record.offset + 1)
      unsafe buffer.store(record.nameByteCount, at: record.offset + 2)
      unsafe buffer.store(record.alias, at: record.offset + 4)
      unsafe buffer.store(record.firstChunk, at: record.offset + 8)
      unsafe buffer.store(record.chunkCount, at: record.offset + 12)
      for (number, dimension) in descriptor.shape.enumerated() {
        unsafe buffer.store(UInt64(dimension), at: record.dimensions.lowerBound + number * 8)
      }
      descriptor.name.withNameBytes { name in
        unsafe name.withUnsafeBytes {
          unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[record.name]).copyMemory(from: $0)
        }
      }
    }
  }

  /// Adds a record whose bytes are in place.
  mutating func admit(_ record: Record) {
    if record.alias == Self.notAnAlias { chunkCount += Int(record.chunkCount) }
    records.append(record)
  }

  /// Assigns the chunks of the next tensor, or those of the tensor whose other name it is.
  ///
  /// - Parameters:
  ///   - record: Gets its alias and its chunks.
  ///   - alias: The number of its tensor, ``notAnAlias`` if it is one itself.
  ///   - chunkCountMax: The most chunks of all tensors.
  ///   - offset: Where errors are said to be.
  ///   - isLike: Whether it has dtype and shape of the tensor of a number.
  /// - Throws: ``FormatError``, if the alias is none or there are too many chunks.
  func place(
    _ record: inout Record, alias: UInt32, chunkCountMax: UInt64, at offset: UInt64,
    where isLike: (Int) -> Bool
  ) throws(FormatError) {
    record.alias = alias
    guard alias == Self.notAnAlias else {
      let number = Int(alias)
      guard number < records.count, records[number].alias == Self.notAnAlias, isLike(number) else {
        throw FormatError(.inconsistent("an alias differs from its tensor"), at: offset)
      }
      record.byteCount = records[number].byteCount
      record.firstChunk = records[number].firstChunk
      record.chunkCount = records[number].chunkCount
      return
    }
    let count = grid.chunkCount(of: record.byteCount)
    guard count <= chunkCountMax - min(chunkCountMax, UInt64(chunkCount)) else {
      throw FormatError(
        .overLimit("number of chunks", value: count, limit: chunkCountMax), at: offset)
    }
    // Limits are at most the defaults, which fit.
    record.firstChunk = UInt32(chunkCount)
    record.chunkCount = UInt32(count)
  }
}

extension TensorTable.Bounds {
  /// Refuses the tensor of a number if it is one too many, or has too many dimensions or bytes of name.
  @inline(__always)
  func check(
    number: Int, rank: Int, nameByteCount: Int, at offset: UInt64
  ) throws(FormatError) {
    guard number < tensorCountMax else {
      throw excess("number of tensors", number + 1, tensorCountMax, at: offset)
    }
    guard rank <= rankMax else {
      throw excess("rank of a tensor", rank, rankMax, at: offset)
    }
    guard nameByteCount <= nameByteCountMax else {
      throw excess("length of a tensor's name", nameByteCount, nameByteCountMax, at: offset)
    }
  }

  func excess(
    _ what: StaticText, _ value: Int, _ limit: UInt64, at offset: UInt64
  ) -> FormatError {
    FormatError(.overLimit(what, value: UInt64(value), limit: limit), at: offset)
  }
}
