package import CheckpointFormat

/// Everything of a file that is known before its first chunk, checked against the limits.
package struct FileBlueprint {
  package let header: CheckpointHeader
  package let tensors: TensorTable
  /// The bytes in front of the first chunk.
  package let head: [UInt8]
  package let tensorTable: [UInt8]
  package let nameOrder: [UInt8]
  package let metadata: [UInt8]
  package let headerChecksum: UInt32
  package let frontTableChecksum: UInt32
  /// The most bytes the file can have: as long as if no chunk were encoded.
  package let byteCountMax: UInt64

  /// Lays out a file; throws ``CheckpointError/Code/overLimit`` for what readers would refuse.
  package init(
    _ plan: SavePlan, header: CheckpointHeader, limits: Limits
  ) throws(CheckpointError) {
    self.header = header
    do {
      try limits.check(
        header.chunkByteCount, \.chunkByteCountMax, "chunk size in bytes", at: 0)
      tensors = try Self.table(
        of: plan, grid: ChunkGrid(chunkByteCount: header.chunkByteCount), limits: limits)
      tensorTable = tensors.encoded
      nameOrder = try NameOrder(of: tensors).encoded
      metadata = try plan.metadata.encoded(limits: limits)
    } catch {
      throw CheckpointError(.overLimit, "The state cannot be saved: \(error.description)")
    }
    let headerBytes = header.encoded
    headerChecksum = header.formatVersion.checksum(
      headerBytes.rawSpan.extracting(0..<CheckpointHeader.checksumOffset))
    let front = FrontTable.encoded(tensorTable, in: header)
    frontTableChecksum = front.checksum
    head = headerBytes + front.bytes

    let chunkTableByteCount = tensors.chunkCount * ChunkTable.entryByteCount
    let parts = [tensorTable.count, nameOrder.count, chunkTableByteCount, metadata.count]
    let indexByteCount = parts.reduce(0) { Int(Layout.aligned(UInt64($0))) + $1 }
    let limit = limits[\.indexByteCountMax]
    guard UInt64(indexByteCount) <= limit else {
      throw CheckpointError(
        .overLimit,
        "The state cannot be saved: its index would have \(indexByteCount) bytes, more than the "
          + "\(limit) that readers accept. Use larger chunks, or fewer tensors.")
    }
    let chunks = Self.chunkRegionByteCountMax(tensors)
    let end = chunks.addingReportingOverflow(UInt64(head.count + indexByteCount))
    guard !end.overflow, end.partialValue < 1 << 62 else {
      throw CheckpointError(.overLimit, "The state cannot be saved: it is larger than any file.")
    }
    byteCountMax = Layout.fileByteCount(sectionsEnd: end.partialValue)
  }

  private static func table(
    of plan: SavePlan, grid: ChunkGrid, limits: Limits
  ) throws(FormatError) -> TensorTable {
    var table = TensorTable(grid: grid)
    for entry in plan.entries {
      try table.append(entry.descriptor, aliasOf: entry.aliasOf, limits: limits)
    }
    return table
  }

  private static func chunkRegionByteCountMax(_ tensors: TensorTable) -> UInt64 {
    var total: UInt64 = 0
    for entry in tensors.entries where entry.aliasOf == nil && entry.chunkCount > 0 {
      let grid = tensors.grid
      let full = UInt64(entry.chunkCount - 1)
      let last = grid.rawByteCount(chunk: entry.chunkCount - 1, of: entry.byteCount)
      let strides =
        full * Layout.frameStride(storedByteCount: grid.chunkByteCount)
        + Layout.frameStride(storedByteCount: last)
      let (next, overflowed) = total.addingReportingOverflow(strides)
      total = overflowed ? .max : next
    }
    return total
  }
}
