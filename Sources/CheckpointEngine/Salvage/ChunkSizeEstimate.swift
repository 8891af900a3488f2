internal import CheckpointFormat

/// The size of chunks, of a file whose header is lost.
///
/// The numbers of chunks in a tensor table leave a range; frames or the chunk table tell which of it, if any
/// chunk of a tensor with several is there at all. If none is, any size of the range does.
enum ChunkSizeEstimate {
  /// - Parameters:
  ///   - table: The encoded tensor table.
  ///   - hints: Sizes that other parts speak for, best first.
  /// - Returns: A valid size; nil if the table is none.
  static func chunkByteCount(of table: [UInt8], hints: [Int]) -> Int? {
    guard let range = range(of: table) else { return nil }
    let alignment = UInt64(Layout.alignment)
    let isPossible = { (size: Int) in
      ChunkGrid.isValidChunkByteCount(size) && range.contains(UInt64(size))
    }
    if let hint = hints.first(where: isPossible) { return hint }
    let lowest = Int(clamping: (range.lowerBound + alignment - 1) / alignment * alignment)
    return isPossible(lowest) ? lowest : nil
  }

  /// The sizes with which every tensor has the chunks that it says it has.
  private static func range(of table: [UInt8]) -> ClosedRange<UInt64>? {
    var range = UInt64(Layout.alignment)...UInt64(Limits.default.chunkByteCountMax)
    var reader = ByteReader(table.rawSpan, at: 0)
    guard let count = try? reader.read(UInt32.self), (try? reader.skipZeros(4)) != nil else {
      return nil
    }
    for _ in 0..<count {
      guard let record = record(&reader) else { return nil }
      guard record.chunkCount > 0, record.byteCount > 0 else { continue }
      let chunks = UInt64(record.chunkCount)
      // With n chunks of c bytes: (n - 1) c < size <= n c.
      let lowest = (record.byteCount - 1) / chunks + 1
      let highest = chunks == 1 ? UInt64.max : (record.byteCount - 1) / (chunks - 1)
      let (lower, upper) = (max(range.lowerBound, lowest), min(range.upperBound, highest))
      guard lower <= upper else { return nil }
      range = lower...upper
    }
    return range
  }

  private static func record(
    _ reader: inout ByteReader
  ) -> (byteCount: UInt64, chunkCount: UInt32)? {
    do {
      guard let dtype = DType(rawValue: try reader.read(UInt8.self)) else { return nil }
      let rank = Int(try reader.read(UInt8.self))
      let nameByteCount = Int(try reader.read(UInt16.self))
      _ = try reader.read(UInt64.self)  // alias and first chunk
      let chunkCount = try reader.read(UInt32.self)
      var shape: [Int] = []
      for _ in 0..<rank {
        guard let dimension = Int(exactly: try reader.read(UInt64.self)) else { return nil }
        shape.append(dimension)
      }
      _ = try reader.readBytes(nameByteCount)
      let descriptor = TensorDescriptor(name: "", dtype: dtype, shape: shape)
      return descriptor.checkedByteCount.map { ($0, chunkCount) }
    } catch {
      return nil
    }
  }
}
