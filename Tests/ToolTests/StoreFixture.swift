import CheckpointEngine
import Foundation

/// Bytes that do not compress, the same for the same count.
func noise(_ count: Int) -> [UInt8] {
  var state: UInt64 = 0x9E37_79B9_7F4A_7C15
  return unsafe [UInt8](unsafeUninitializedCapacity: count) { buffer, initializedCount in
    for index in 0..<count {
      // xorshift64 of Marsaglia.
      state ^= state << 13
      state ^= state >> 7
      state ^= state << 17
      // SAFETY: the buffer holds `count` bytes or more.
      unsafe buffer.initializeElement(at: index, to: UInt8(truncatingIfNeeded: state >> 32))
    }
    initializedCount = count
  }
}

/// A store with checkpoints that the library itself has written.
struct StoreFixture {
  let directory: String
  /// Oldest first.
  let paths: [String]

  /// Calls `body` with a store of `count` checkpoints, which is gone afterwards.
  static func with(_ count: Int = 1, _ body: (StoreFixture) throws -> Void) throws {
    try withTemporaryDirectory { directory in
      let path = directory + "/store"
      var paths: [String] = []
      do {
        let store = try CheckpointStore(
          path, for: .writing, options: StoreOptions(chunkByteCount: 1 << 16, threads: 1))
        for number in 1...count {
          paths.append(try save(to: store, step: UInt64(number) * 100))
        }
      }
      try body(StoreFixture(directory: path, paths: paths))
    }
  }

  /// Noise that does not compress, so that chunks are stored; and a name to fool the eye with.
  private static func save(to store: CheckpointStore, step: UInt64) throws -> String {
    let tensors = [
      TensorDescriptor(name: "bias", dtype: .float32, shape: [16]),
      TensorDescriptor(name: "wte.weight", dtype: .float32, shape: [40, 1024]),
      TensorDescriptor(name: "spoof\u{202E}gnp", dtype: .uint8, shape: [10]),
    ]
    var plan = SavePlan()
    for tensor in tensors { try plan.append(tensor) }
    return try store.save(plan, step: step) { sink in
      let bytes = noise(Int(plan.byteCount))
      // SAFETY: bytes have no padding that could be uninitialised.
      try unsafe sink.append(bytes.span.bytes)
    }.path
  }

  /// The first checkpoint.
  var path: String { paths[0] }

  /// The offset of the stored bytes of chunk 1 of `wte.weight`.
  func chunkOffset() throws -> UInt64 {
    let chunks = try CheckpointReader.open(path: path).index.chunks.entries
    // Tensor 0 is one chunk; then come the three of tensor 1.
    return chunks[2].storedOffset
  }

  /// Flips one bit.
  func flip(_ offset: UInt64, of path: String? = nil) throws {
    try edit(path ?? self.path) { $0[Int(offset)] ^= 1 }
  }

  /// Makes a file from the future of the first checkpoint: its first 64 bytes are sound.
  func makeFuture(version: UInt32 = FormatVersion.current.rawValue, feature: UInt64 = 0) throws {
    let identifier = try CheckpointReader.open(path: path).header.saveIdentifier
    let start = FileStart(
      formatVersion: version, readFeatures: FeatureSet(rawValue: feature), generation: 1,
      saveIdentifier: identifier)
    try edit(path) { $0.replaceSubrange(0..<FileStart.byteCount, with: start.encoded) }
  }

  func edit(_ path: String, _ change: (inout [UInt8]) -> Void) throws {
    let url = URL(fileURLWithPath: path)
    var bytes = [UInt8](try Data(contentsOf: url))
    change(&bytes)
    try Data(bytes).write(to: url)
  }
}
