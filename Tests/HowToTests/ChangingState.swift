// snippet: change-what-is-saved
import CheckpointTraining

/// An attention layer. What older versions of it saved:
/// 1: `qkv` of `[3 * width, width]` and `proj` of `[width * width]`, both float64, and a `mask`
/// 2: as now, but for `scale` and `dropout`
struct AttentionLayer: Checkpointable {
  static let width = 4
  var q = [Float](repeating: 0, count: width * width)
  var k = [Float](repeating: 0, count: width * width)
  var v = [Float](repeating: 0, count: width * width)
  var output = [Float](repeating: 0, count: width * width)
  var scale = [Float](repeating: 0, count: width)
  var dropout = 0.0

  static let stateVersion = 3
  static let stateMigrations = [
    StateMigration(
      from: 1,
      .cast("qkv", to: .float32),
      .make("q", dtype: .float32, shape: [width, width], of: ["qkv"]) { third(0, of: $0[0]) },
      .make("k", dtype: .float32, shape: [width, width], of: ["qkv"]) { third(1, of: $0[0]) },
      .make("v", dtype: .float32, shape: [width, width], of: ["qkv"]) { third(2, of: $0[0]) },
      .drop("qkv"),
      .rename("proj", to: "output"),
      .cast("output", to: .float32), .reshape("output", to: [width, width]),
      .drop("mask")),
    StateMigration(
      from: 2,
      .add("scale", dtype: .float32, shape: [width], filledWith: [0, 0, 0x80, 0x3f]),  // 1.0
      .add("dropout", value: .float64(0.1))),
  ]

  /// The rows of q, k or v, which lie one after the other.
  private static func third(_ number: Int, of bytes: [UInt8]) -> [UInt8] {
    let count = bytes.count / 3
    return Array(bytes[number * count..<(number + 1) * count])
  }

  func save(to state: inout StateWriter) throws {
    for (name, values) in [("q", q), ("k", k), ("v", v), ("output", output)] {
      try state.tensor(name, values, shape: [Self.width, Self.width])
    }
    try state.tensor("scale", scale)
    try state.value("dropout", dropout)
  }

  mutating func restore(from state: StateReader) throws {
    try state.tensor("q", into: &q)
    try state.tensor("k", into: &k)
    try state.tensor("v", into: &v)
    try state.tensor("output", into: &output)
    try state.tensor("scale", into: &scale)
    dropout = try state.value("dropout")
  }
}
// end of snippet

// snippet: change-what-is-saved
/// Compares, loads no tensor, and changes nothing; may be done while the older program trains.
func fits(_ trainer: some Checkpointable, _ directory: String) throws -> Bool {
  let manager = try CheckpointManager(directory: directory, for: .reading, saving: .manual)
  let preview = try manager.previewResume(of: trainer, from: .latest)
  if let misfit = preview.misfit { print(misfit.message) }
  return preview.misfit == nil
}

/// Runs every step as well, on a trainer that is made for it; changes nothing on disk.
func rehearse(_ trainer: inout some Checkpointable, _ directory: String) throws {
  let manager = try CheckpointManager(directory: directory, for: .reading, saving: .manual)
  try manager.resume(&trainer, from: .latest)
}
// end of snippet
