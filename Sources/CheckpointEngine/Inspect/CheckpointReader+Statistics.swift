internal import CheckpointFormat
internal import CheckpointStorage

extension CheckpointReader {
  /// Reads tensors once and tells what their elements come to.
  ///
  /// - Parameters:
  ///   - numbers: Places in ``tensors``; the bytes of tied tensors are read once.
  ///   - progress: Is told now and then how many bytes of how many are done, on the calling thread.
  /// - Returns: The statistics of each, in the order of `numbers`.
  /// - Throws: ``CheckpointError``: `.corrupted` or `.unreadable`, of the first chunk in the file.
  /// - Complexity: A few chunks of memory per thread.
  package func statistics(
    of numbers: [Int], progress: ((_ done: UInt64, _ of: UInt64) -> Void)? = nil
  ) throws(CheckpointError) -> [TensorStatistics] {
    let entries = index.tensors.entries
    let roots = Set(numbers.map { entries[$0].aliasOf ?? $0 }).sorted()
    let chunks = roots.flatMap { root in
      (0..<entries[root].chunkCount).map { (root: root, number: entries[root].firstChunk + $0) }
    }
    let total = roots.reduce(UInt64(0)) { $0 + entries[$1].byteCount }
    var sums: [Int: StatisticsAccumulator] = [:]
    for root in roots { sums[root] = StatisticsAccumulator() }
    var done: UInt64 = 0
    // Rounds give progress a place on this thread, and bound what waits to be added.
    let roundCount = max(16, pool.threadCount * 8)
    for start in stride(from: 0, to: chunks.count, by: roundCount) {
      let round = chunks[start..<min(start + roundCount, chunks.count)]
      let parts = pool.map(round.count) { place -> Result<StatisticsAccumulator, CheckpointError> in
        let chunk = round[round.startIndex + place]
        return Result { () throws(CheckpointError) in
          try accumulate(chunk.number, entries[chunk.root].dtype)
        }
      }
      for (chunk, part) in zip(round, parts) {
        do throws(CheckpointError) {
          sums[chunk.root]?.add(try part.get())
        } catch {
          throw advising(error)
        }
        done += UInt64(index.chunks.entries[chunk.number].rawByteCount)
      }
      progress?(done, total)
    }
    return numbers.map { number in
      (sums[entries[number].aliasOf ?? number] ?? StatisticsAccumulator()).statistics
    }
  }

  private func accumulate(
    _ number: Int, _ dtype: DType
  ) throws(CheckpointError) -> StatisticsAccumulator {
    try workspaces.withTool { (workspace) throws(CheckpointError) in
      let memory = unsafe workspace.rawBytes(Int(index.chunks.entries[number].rawByteCount))
      unsafe try loader.load(number, into: memory, by: workspace)
      // SAFETY: the memory is this thread's until the end of this call.
      let bytes = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(memory))
      var sum = StatisticsAccumulator()
      sum.add(bytes, dtype)
      return sum
    }
  }
}

extension StatisticsAccumulator {
  /// Adds the little-endian elements of a dtype.
  mutating func add(_ bytes: RawSpan, _ dtype: DType) {
    let count = bytes.byteCount / dtype.byteCount
    switch dtype {
    case .bool: add(integers: count) { (bytes.integer(at: $0) as UInt8) == 0 ? UInt8(0) : 1 }
    case .int8: add(integers: count) { bytes.integer(at: $0) as Int8 }
    case .int16: add(integers: count) { bytes.integer(at: $0 * 2) as Int16 }
    case .int32: add(integers: count) { bytes.integer(at: $0 * 4) as Int32 }
    case .int64: add(integers: count) { bytes.integer(at: $0 * 8) as Int64 }
    case .uint8: add(integers: count) { bytes.integer(at: $0) as UInt8 }
    case .uint16: add(integers: count) { bytes.integer(at: $0 * 2) as UInt16 }
    case .uint32: add(integers: count) { bytes.integer(at: $0 * 4) as UInt32 }
    case .uint64: add(integers: count) { bytes.integer(at: $0 * 8) as UInt64 }
    case .float8e4m3fn: addSmall(bytes, .float8e4m3fn, UInt8.self)
    case .float8e5m2: addSmall(bytes, .float8e5m2, UInt8.self)
    case .float16: addSmall(bytes, .float16, UInt16.self)
    case .bfloat16: addSmall(bytes, .bfloat16, UInt16.self)
    case .float32: add(reals: count) { Double(Float(bitPattern: bytes.integer(at: $0 * 4))) }
    case .complex64:
      add(reals: count * 2) { Double(Float(bitPattern: bytes.integer(at: $0 * 4))) }
    case .float64:
      add(reals: count, wide: true) { Double(bitPattern: bytes.integer(at: $0 * 8)) }
    }
  }

  private mutating func addSmall<Bits: FixedWidthInteger & UnsignedInteger & BitwiseCopyable>(
    _ bytes: RawSpan, _ format: SmallFloat, _ type: Bits.Type
  ) {
    let width = MemoryLayout<Bits>.size
    add(reals: bytes.byteCount / width) { index in
      Double(format.value(UInt32(bytes.integer(at: index * width) as Bits)))
    }
  }
}
