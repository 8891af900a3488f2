extension TensorTable {
  /// A tensor of a table; what takes memory is made when it is asked for.
  package struct Entry: Hashable, Sendable {
    private let table: [UInt8]
    private let record: Record

    init(table: [UInt8], record: Record) {
      self.table = table
      self.record = record
    }

    /// - Complexity: Makes a text and a list.
    package var descriptor: TensorDescriptor {
      TensorDescriptor(name: name, dtype: record.dtype, shape: shape)
    }
    package var name: String {
      // Decoding and appending have seen to it that these are UTF-8.
      String(decoding: table[record.name], as: UTF8.self)
    }
    package var shape: [Int] {
      let dimensions = table.rawSpan.extracting(record.dimensions)
      // Each is at most 2^48.
      return (0..<Int(record.rank)).map { Int(dimensions.littleEndianWord(at: $0 * 8)) }
    }
    package var dtype: DType { record.dtype }
    /// The earlier tensor whose bytes this name shares.
    package var aliasOf: Int? { record.alias == TensorTable.notAnAlias ? nil : Int(record.alias) }
    package var firstChunk: Int { Int(record.firstChunk) }
    package var chunkCount: Int { Int(record.chunkCount) }
    /// Bytes of the whole tensor before encoding.
    package var byteCount: UInt64 { record.byteCount }

    /// Whether it has a name, compared by its bytes.
    package func isNamed(_ name: String) -> Bool {
      let own = table.rawSpan.extracting(record.name)
      return name.withNameBytes { $0.elementsEqual(own) }
    }

    /// Whether it has a shape.
    package func hasShape(_ shape: [Int]) -> Bool {
      guard shape.count == Int(record.rank) else { return false }
      let dimensions = table.rawSpan.extracting(record.dimensions)
      return shape.indices.allSatisfy {
        UInt64(exactly: shape[$0]) == dimensions.littleEndianWord(at: $0 * 8)
      }
    }

    /// Compares what the table says of two tensors, wherever they stand in it.
    package static func == (left: Entry, right: Entry) -> Bool {
      // The whole record, which is between the fields in front and the name.
      let ranges = (left.wholeRecord, right.wholeRecord)
      return left.table.rawSpan.extracting(ranges.0)
        .elementsEqual(right.table.rawSpan.extracting(ranges.1))
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(table[wholeRecord]) }

    private var wholeRecord: Range<Int> { record.offset..<record.name.upperBound }
  }

  /// The tensors in the order of saving.
  package struct Entries: RandomAccessCollection, Sendable {
    private let table: [UInt8]
    private let records: [Record]

    init(_ table: TensorTable) {
      self.table = table.encoded
      records = table.records
    }

    package var startIndex: Int { 0 }
    package var endIndex: Int { records.count }
    package subscript(number: Int) -> Entry { Entry(table: table, record: records[number]) }
  }

  package var entries: Entries { Entries(self) }
}
