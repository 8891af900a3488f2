import CheckpointEngine
import CheckpointFormat
import CheckpointTesting
import FuzzHarness

/// What the fixtures are made from, those of version 1 by release 0.1.0.
enum FixtureStates {
  /// Makes every fixture's bytes, by name.
  static func files() throws -> [(name: String, bytes: [UInt8])] {
    [
      ("smallest.ckpt", try file(smallest, chunkByteCount: 64)),
      ("empty.ckpt", try file(SampleState(), chunkByteCount: 1 << 20)),
      ("dtypes.ckpt", try file(.everyDType, chunkByteCount: 1 << 20)),
      ("chunks.ckpt", try file(chunks, chunkByteCount: 4096)),
      ("names.ckpt", try file(names, chunkByteCount: 64)),
      ("values.ckpt", try file(values, chunkByteCount: 64)),
      ("equivalent-names.ckpt", try equivalentNames()),
      ("lineage.ckpt", try lineage()),
      ("planes.ckpt", try file(planes, chunkByteCount: 32_768)),
    ]
  }

  private static func file(_ state: SampleState, chunkByteCount: Int) throws -> [UInt8] {
    let disk = SimulatedDisk()
    try disk.writer(chunkByteCount).save(state, step: 500)
    return try disk.contents(checkpointName(500, 1))
  }

  /// As short as the format allows, with every kind of record: stored and deflated chunks, a tensor
  /// of several chunks, a scalar, one without elements, an alias, and every type of value.
  static let smallest: SampleState = {
    var state = SampleState()
    state.add("w", .float32, [3, 8], (0..<96).map { UInt8(truncatingIfNeeded: $0 * $0 * 29 + 7) })
    state.add("zeros", .float16, [40], [UInt8](repeating: 0, count: 80))
    state.add("step", .int64, [], [1, 2, 3, 4, 5, 6, 7, 8])
    state.add("none", .bool, [0, 2], [])
    state.alias("tied", of: "w")
    state.metadata[.state, "a"] = .bool(true)
    state.metadata[.state, "b"] = .int64(-2)
    state.metadata[.state, "c"] = .uint64(3)
    state.metadata[.metric, "loss"] = .float64(bits: 0x7ff8_0000_dead_beef)
    state.metadata[.environment, "host"] = .string("né")
    state.metadata[.state, "d"] = .bytes([0, 1])
    state.metadata[.state, "e"] = .json("{}")
    state.metadata[.stateVersion, ""] = .int64(1)
    return state
  }()

  private static let chunks: SampleState = {
    var generator = SeededGenerator(4)
    var state = SampleState()
    let noise = (0..<9000).map { _ in generator.byte() }
    state.add("noise", .uint8, [9, 1000], noise)
    state.add("exactly two chunks", .int16, [4096], [UInt8](repeating: 7, count: 8192))
    let text = Array(String(repeating: "the quick brown fox ", count: 500).utf8)
    state.add("text", .uint8, [text.count], text)
    state.add(
      "half noise", .uint8, [6000], Array(noise[..<3000]) + [UInt8](repeating: 0, count: 3000))
    return state
  }()

  /// Planes of every sort: noise, constant, coded by themselves, with matches; in one stream and in four.
  private static let planes: SampleState = {
    var generator = SeededGenerator(6)
    var state = SampleState()
    func normal() -> Float {
      (0..<12).reduce(-6 as Float) { sum, _ in sum + Float(generator.below(1 << 20)) * 0x1p-20 }
        / 50
    }
    let weights = (0..<9000).map { _ in normal().bitPattern }
    state.add("weights", .float32, [90, 100], weights.flatMap { littleEndian($0) })
    let halves = (0..<20_000).map { _ in UInt16(normal().bitPattern >> 16) }
    state.add("halves", .bfloat16, [20_000], halves.flatMap { littleEndian($0) })
    // What was a bfloat16 has noise in two planes, and nothing in another.
    state.add(
      "widened", .float32, [8192], halves[..<8192].flatMap { littleEndian(UInt32($0) << 16) })
    state.add("moments", .float64, [64, 128], [UInt8](repeating: 0, count: 65_536))
    state.add("tokens", .int64, [5000], (0..<5000).flatMap { littleEndian(UInt64($0 % 1000)) })
    let text = Array(String(repeating: "it was the best of times, ", count: 700).utf8)
    state.add("text", .uint8, [text.count], text)
    state.add("mask", .bool, [16_384], (0..<16_384).map { _ in generator.byte() & 1 })
    state.add("noise", .float16, [3000], (0..<6000).map { _ in generator.byte() })
    return state
  }()

  private static let names: SampleState = {
    var state = SampleState()
    for (number, name) in SampleState.namePrefixes.enumerated() where name != "cafe\u{301}" {
      state.add(name, .uint8, [1], [UInt8(number)])
    }
    state.add(String(repeating: "é", count: 2048), .uint8, [2], [1, 2])
    state.alias("alias of the first", of: "w")
    state.alias("alias of an alias", of: "alias of the first")
    return state
  }()

  private static let values: SampleState = {
    var state = SampleState()
    for (number, text) in SampleState.namePrefixes.enumerated() {
      state.metadata[.environment, "text \(number)"] = .string(text)
    }
    let patterns: [UInt64] = [0, 1 << 63, 0x7ff0 << 48, 0x7ff0 << 48 | 1, 1, .max]
    for (number, bits) in patterns.enumerated() {
      state.metadata[.metric, "bits \(number)"] = .float64(bits: bits)
      state.metadata[.state, "unsigned \(number)"] = .uint64(bits)
      state.metadata[.state, "signed \(number)"] = .int64(Int64(bitPattern: bits))
    }
    state.metadata[.state, "no bytes"] = .bytes([])
    state.metadata[.state, "every byte"] = .bytes((0...255).map { UInt8($0) })
    state.metadata[.state, "deep"] = .json(
      String(repeating: "[", count: 32) + String(repeating: "]", count: 32))
    state.metadata[.state, "true"] = .bool(true)
    state.metadata[.state, "false"] = .bool(false)
    state.metadata[.stateVersion, "model/optimizer"] = .int64(2)
    return state
  }()

  /// Readable, though never written by the library: two names that are canonically equivalent.
  private static func equivalentNames() throws -> [UInt8] {
    var state = SampleState()
    state.add("e##x", .int8, [3], [1, 2, 3])
    state.add("z##", .int8, [2], [4, 5])
    var file = EditableFile(try file(state, chunkByteCount: 64))
    file.replaceEverywhere(Array("e##x".utf8), with: Array("e\u{301}x".utf8))
    file.replaceEverywhere(Array("z##".utf8), with: Array("\u{e9}x".utf8))
    file.reseal()
    return file.bytes
  }

  /// The 70th of a run's checkpoints: resumed after each, so that its oldest branch points are gone.
  private static func lineage() throws -> [UInt8] {
    let disk = SimulatedDisk()
    for number in UInt64(1)...70 {
      let store = try disk.writer()
      if let recovery = try store.recover() {
        store.continueRun(from: recovery.reader, choice: .deliberate)
      }
      try store.save(SampleState(number), step: number * 10)
    }
    return try disk.contents(checkpointName(700, 70))
  }
}
