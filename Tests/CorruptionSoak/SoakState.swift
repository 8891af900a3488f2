import CheckpointEngine
import CheckpointFormat
import CheckpointTesting

/// The state that is saved: weights of noise, which are stored, masks of few values, which are
/// encoded, and small tensors between them.
struct SoakState {
  struct Tensor {
    var descriptor: TensorDescriptor
    var bytes: [UInt8]
  }

  private static let rowByteCount = 4096

  private(set) var tensors: [Tensor] = []

  /// A state that takes up about `mebibytes` on disk.
  init(mebibytes: Int, seed: UInt64) {
    var generator = SplitMix64(state: seed)
    // Masks shrink to a half, and are a half of all bytes.
    var rest = mebibytes << 20
    var block = 0
    while rest > 0 {
      let rows = [0, 1].map { _ in Int.random(in: 1...600, using: &generator) }
      rest -= (rows[0] + rows[1] / 2) * Self.rowByteCount
      add("block.\(block)/weight", .float32, [rows[0], 1024], &generator)
      add("block.\(block)/bias", .float32, [1024], &generator)
      add("block.\(block)/mask", .uint8, [rows[1], 4096], &generator, mask: 0x0f0f_0f0f_0f0f_0f0f)
      add("block.\(block)/scale", .float64, [], &generator)
      block += 1
    }
  }

  private mutating func add(
    _ name: String, _ dtype: DType, _ shape: [Int], _ generator: inout SplitMix64,
    mask: UInt64 = .max
  ) {
    let byteCount = shape.reduce(dtype.byteCount, *)
    let words = (0..<byteCount / 8).map { _ in generator.next() & mask }
    // SAFETY: integers have no padding.
    let bytes = unsafe words.withUnsafeBytes { unsafe [UInt8]($0) }
    tensors.append(
      Tensor(descriptor: TensorDescriptor(name: name, dtype: dtype, shape: shape), bytes: bytes))
  }

  func save(to store: CheckpointStore) throws -> SaveReceipt {
    var plan = SavePlan()
    for tensor in tensors { try plan.append(tensor.descriptor) }
    plan.metadata[.state, "step"] = .uint64(1)
    try plan.appendAlias("tied", of: tensors[0].descriptor.name)
    return try store.save(plan, step: 1) { sink in
      for tensor in tensors { try sink.append(tensor.bytes.rawSpan) }
    }
  }
}
