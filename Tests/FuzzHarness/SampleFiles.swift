internal import CheckpointEngine
internal import CheckpointFormat
internal import CheckpointTesting

// Fuzzing needs intact files to begin with. They are made on the way, so that there are no seeds to
// keep: a mutator that is given nothing of use, and now and then any, begins with one of these.

extension MutationSource {
  /// An intact file, saved by the library.
  mutating func savedFile() -> [UInt8]? {
    let noise = (0..<120).map { _ in UInt8.random(in: 0...255, using: &generator) }
    var source = ByteSource(noise)
    let disk = SimulatedDisk(seed: UInt64(below(1 << 20)))
    let options = StoreOptions(
      device: disk.device, compression: pick([.always, .always, .none]),
      formatVersion: pick(FormatVersion.allCases),
      chunkByteCount: pick([64, 128, 4096]), threads: 1, writer: pick(["", "fuzz", "a.ckpt"]))
    guard let state = try? FuzzState(&source),
      let store = try? CheckpointStore("/r", for: .writing, options: options)
    else { return nil }
    var receipt: SaveReceipt?
    for step in 0...below(3) {
      receipt = try? store.save(state.plan, step: UInt64(step)) {
        try state.write(to: $0, pieceByteCount: 0)
      }
      if let receipt,
        let reader = try? CheckpointReader.open(
          path: receipt.path, on: disk.device, threads: 1)
      {
        store.continueRun(from: reader, choice: .deliberate)
      }
    }
    return receipt.flatMap { disk.contents(ofFileAt: $0.path) }
  }
}

extension IndexParts {
  /// The index of an intact file.
  init?(ofFile bytes: [UInt8]) {
    let file = EditableFile(bytes)
    guard let grid = Self.chunkByteCounts.firstIndex(of: Int(file.load(136, 4))) else { return nil }
    formatVersion = file.formatVersion
    gridNumber = grid
    let front = CheckpointHeader.byteCount..<CheckpointHeader.byteCount + FrontTable.headByteCount
    let places =
      [front] + (0..<4).compactMap { file.section($0) }
      + [file.trailerOffset..<bytes.count]
    guard places.count == Part.allCases.count else { return nil }
    contents = places.map { Array(bytes[$0]) }
  }
}
