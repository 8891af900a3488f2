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
  /// Bytes of all tensors before encoding; aliases count once.
  let stateByteCount: UInt64

  /// Lays out a file; throws ``CheckpointError/Code/overLimit`` for what readers would refuse.
  package init(
    _ plan: SavePlan, header: CheckpointHeader, limits: Limits
  ) throws(CheckpointError) {
    self.header = header
    let parts = try Parts(plan, chunkByteCount: header.chunkByteCount, limits)
    tensors = parts.tensors
    metadata = parts.metadata
    byteCountMax = try parts.byteCountMax(limits)
    stateByteCount = plan.byteCount
    tensorTable = tensors.encoded
    do {
      nameOrder = try NameOrder(of: tensors).encoded
    } catch {
      throw Parts.refusal(error)
    }
    headerChecksum = header.checksum
    let front = FrontTable.encoded(tensorTable, in: header)
    frontTableChecksum = front.checksum
    head = header.encoded + front.bytes
  }

  /// The most bytes that a file can have, for which nothing needs to be sorted or checksummed.
  package static func byteCountMax(
    _ plan: SavePlan, chunkByteCount: Int, limits: Limits
  ) throws(CheckpointError) -> UInt64 {
    try Parts(plan, chunkByteCount: chunkByteCount, limits).byteCountMax(limits)
  }
}

/// What decides how long a file is.
private struct Parts {
  let tensors: TensorTable
  let metadata: [UInt8]

  init(_ plan: SavePlan, chunkByteCount: Int, _ limits: Limits) throws(CheckpointError) {
    do {
      try limits.check(chunkByteCount, \.chunkByteCountMax, "chunk size in bytes", at: 0)
      tensors = try Self.table(
        of: plan, grid: ChunkGrid(chunkByteCount: chunkByteCount), limits: limits)
      metadata = try plan.metadata.encoded(limits: limits)
    } catch {
      throw Self.refusal(error)
    }
  }

  static func refusal(_ error: FormatError) -> CheckpointError {
    CheckpointError(.overLimit, "The state cannot be saved: \(error.description)")
  }

  /// As long as if no chunk were encoded; throws if that is more than readers accept.
  func byteCountMax(_ limits: Limits) throws(CheckpointError) -> UInt64 {
    let parts = [
      tensors.encoded.count, tensors.entries.count * NameOrder.entryByteCount,
      tensors.chunkCount * ChunkTable.entryByteCount, metadata.count,
    ]
    let indexByteCount = parts.reduce(0) { Int(Layout.aligned(UInt64($0))) + $1 }
    let limit = limits[\.indexByteCountMax]
    guard UInt64(indexByteCount) <= limit else {
      throw CheckpointError(
        .overLimit,
        "The state cannot be saved: its index would have \(indexByteCount) bytes, more than the "
          + "\(limit) that readers accept. Use larger chunks, or fewer tensors.")
    }
    let start = FrontTable.endOffset(tableByteCount: UInt64(tensors.encoded.count))
    let end = chunkRegionByteCountMax.addingReportingOverflow(start + UInt64(indexByteCount))
    guard !end.overflow, end.partialValue < 1 << 62 else {
      throw CheckpointError(.overLimit, "The state cannot be saved: it is larger than any file.")
    }
    return Layout.fileByteCount(sectionsEnd: end.partialValue)
  }

  private static func table(
    of plan: SavePlan, grid: ChunkGrid, limits: Limits
  ) throws(FormatError) -> TensorTable {
    var table = TensorTable(grid: grid)
    let bounds = TensorTable.Bounds(limits)
    for entry in plan.entries {
      try table.append(entry.descriptor, aliasOf: entry.aliasOf, within: bounds)
    }
    return table
  }

  private var chunkRegionByteCountMax: UInt64 {
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
