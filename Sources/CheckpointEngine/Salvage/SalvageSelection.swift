internal import CheckpointFormat
internal import CheckpointStorage

/// Which tensors go into the new file, and what is to be said of all of them.
struct SalvageSelection {
  private static let rangeCountMax = 1000

  var plan = SavePlan()
  /// The chunks of the planned tensors, in their order.
  private(set) var chunks: [ChunkEntry] = []
  private(set) var tensors: [SalvageReport.Tensor] = []
  /// The numbers in the plan, by the numbers of the damaged file.
  private var numbers: [Int: Int] = [:]
  /// What stands in the plan: a table that somebody made up may have a name twice.
  private var names: Set<StateName> = []

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
    if isRecovered { isRecovered = plan(tensor.descriptor, aliasOf: nil) }
    if isRecovered { chunks += tensor.chunks.compactMap { $0 } }
    tensors.append(
      SalvageReport.Tensor(
        descriptor: tensor.descriptor, chunkCount: tensor.chunks.count,
        lostChunkCount: tensor.chunks.count { $0 == nil }, lostRanges: Self.lostRanges(of: tensor),
        isRecovered: isRecovered))
  }

  private mutating func add(_ descriptor: TensorDescriptor, aliasOf number: Int) {
    let original = tensors[number]
    let isRecovered = original.isRecovered && plan(descriptor, aliasOf: numbers[number])
    tensors.append(
      SalvageReport.Tensor(
        descriptor: descriptor, original: original.descriptor.name, chunkCount: original.chunkCount,
        lostChunkCount: original.lostChunkCount, lostRanges: original.lostRanges,
        isRecovered: isRecovered))
  }

  /// Takes a tensor or a second name of one into the plan, if its name is free.
  private mutating func plan(_ descriptor: TensorDescriptor, aliasOf number: Int?) -> Bool {
    let entry = SavePlan.Entry(descriptor: descriptor, aliasOf: number)
    guard !names.contains(StateName(descriptor.name)),
      (try? plan.append(keepingName: entry)) != nil
    else { return false }
    names.insert(StateName(descriptor.name))
    numbers[tensors.count] = plan.entries.count - 1
    return true
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
