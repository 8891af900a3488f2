import CheckpointEngine
import Foundation

/// A store of two checkpoints whose contents are known to the byte.
struct InspectFixture {
  let directory: String
  let first: String
  let second: String

  /// The numbers of `model/weight` in the first.
  static let weight: [Float] = [1, -.infinity, .nan, 0, -0.0, 2.5]

  /// Lends the store; the second checkpoint is like the first but for what `change` makes of it.
  static func with(
    _ change: (inout InspectState) -> Void = { _ in }, _ body: (InspectFixture) throws -> Void
  ) throws {
    try withTemporaryDirectory { directory in
      let path = directory + "/store"
      var state = InspectState()
      let paths: [String]
      do {
        let store = try CheckpointStore(path, for: .writing, options: StoreOptions(threads: 1))
        let first = try state.save(to: store)
        change(&state)
        paths = [first, try state.save(to: store)]
      }
      try body(InspectFixture(directory: path, first: paths[0], second: paths[1]))
    }
  }
}

struct InspectState {
  struct Tensor {
    var name: String
    var dtype: DType
    var shape: [Int]
    var bytes: [UInt8]
    var aliasOf: String?
  }

  var step: UInt64 = 7
  var metadata = Metadata()
  var tensors: [Tensor] = [
    Tensor(
      name: "model/weight", dtype: .float32, shape: [2, 3],
      bytes: InspectFixture.weight.flatMap { bytes(of: $0.bitPattern) }),
    Tensor(name: "model/tied", dtype: .float32, shape: [2, 3], bytes: [], aliasOf: "model/weight"),
    Tensor(name: "empty", dtype: .int64, shape: [3, 0], bytes: []),
    Tensor(name: "scalar", dtype: .uint64, shape: [], bytes: bytes(of: UInt64.max)),
    Tensor(name: "half", dtype: .bfloat16, shape: [2], bytes: [0x80, 0x3f, 0xcd, 0x3d]),
    Tensor(name: "spoof\u{202E}gnp", dtype: .bool, shape: [2], bytes: [1, 0]),
  ]

  init() {
    metadata[.state, "count"] = .int64(41)
    metadata[.state, "payload"] = .bytes([0, 255])
    metadata[.stateVersion, ""] = .int64(3)
    metadata[.metric, "loss"] = .float64(0.25)
    metadata[.environment, "contract/seed"] = .string("5")
    metadata.markUnhealthy("nan in 'loss'")
  }

  func save(to store: CheckpointStore) throws -> String {
    var plan = SavePlan()
    plan.metadata = metadata
    for tensor in tensors {
      if let original = tensor.aliasOf {
        try plan.appendAlias(tensor.name, of: original)
      } else {
        try plan.append(
          TensorDescriptor(name: tensor.name, dtype: tensor.dtype, shape: tensor.shape))
      }
    }
    return try store.save(plan, step: step) { sink in
      for tensor in tensors where tensor.aliasOf == nil {
        // SAFETY: bytes have no padding that could be uninitialised.
        try unsafe sink.append(tensor.bytes.span.bytes)
      }
    }.path
  }

  mutating func change(_ name: String, _ body: (inout Tensor) -> Void) {
    for index in tensors.indices where tensors[index].name == name { body(&tensors[index]) }
  }
}

/// Little-endian.
func bytes<Integer: FixedWidthInteger>(of value: Integer) -> [UInt8] {
  (0..<Integer.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> Integer($0 * 8)) }
}
