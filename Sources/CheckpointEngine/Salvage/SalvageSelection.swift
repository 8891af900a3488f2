internal import CheckpointFormat
internal import CheckpointStorage

/// Which tensors go into the new file, and what is to be said of all of them.
struct SalvageSelection {
  private static let rangeCountMax = 1000

  var plan = SavePlan()
  /// The chunks of the planned tensors, in their order.
  private(set) var chunks: [ChunkEntry] = []
  private(set) var tensors: [SalvageReport.Tensor] = []

  init(_ index: SalvageIndex) {
    for tensor in index.tensors {
      if let original = tensor.aliasOf {
        add(tensor.descriptor, aliasOf: original)
      } else {
        add(tensor)
      }
    }
  }

  private mutating func add(_ tensor: SalvageIndex.Tensor) {
    var isRecovered = tensor.isPossible && !tensor.chunks.contains(nil)
    // Names that differ in nothing but their normal form are legal to read and not to write.
    if isRecovered { isRecovered = (try? plan.append(tensor.descriptor)) != nil }
    if isRecovered { chunks += tensor.chunks.compactMap { $0 } }
    tensors.append(
      SalvageReport.Tensor(
        descriptor: tensor.descriptor, chunkCount: tensor.chunks.count,
        lostChunkCount: tensor.chunks.count { $0 == nil }, lostRanges: Self.lostRanges(of: tensor),
        isRecovered: isRecovered))
  }

  private mutating func add(_ descriptor: TensorDescriptor, aliasOf number: Int) {
    let original = tensors[number]
    let isRecovered =
      original.isRecovered
      && (try? plan.appendAlias(descriptor.name, of: original.descriptor.name)) != nil
    tensors.append(
      SalvageReport.Tensor(
        descriptor: descriptor, original: original.descriptor.name, chunkCount: original.chunkCount,
        lostChunkCount: original.lostChunkCount, lostRanges: original.lostRanges,
        isRecovered: isRecovered))
  }

  /// The bytes of lost chunks, neighbours put together.
  private static func lostRanges(of tensor: SalvageIndex.Tensor) -> [Range<UInt64>] {
    let byteCount = tensor.descriptor.checkedByteCount ?? 0
    // What a made-up tensor lacks has no place in it.
    guard let size = tensor.gridByteCount else { return [] }
    var ranges: [Range<UInt64>] = []
    for (number, entry) in tensor.chunks.enumerated() where entry == nil {
      let start = min(UInt64(number) * size, byteCount)
      let end = min(start + size, byteCount)
      if let last = ranges.last, last.upperBound == start {
        ranges[ranges.count - 1] = last.lowerBound..<end
      } else if ranges.count < rangeCountMax {
        ranges.append(start..<end)
      }
    }
    return ranges
  }
}
