import CheckpointEngine
import Foundation
import Testing

// Goal: docs/format.md alone suffices to read a checkpoint and to check every byte of it.
// Method: a reader in Python, written from the document without a look at the library, reads what
// the library wrote. It also keeps the document honest: a change of the format that the document
// does not tell fails here.

@Suite("A reader written from docs/format.md alone")
struct StrangerReaderTests {
  private static let tests = URL(filePath: #filePath).deletingLastPathComponent()
    .deletingLastPathComponent()

  @Test(arguments: Version.allCases)
  func aReaderWrittenFromTheDocumentAloneAgrees(_ version: Version) throws {
    let data = try Data(contentsOf: Self.fixture("manifest.json", version))
    let manifest = try JSONDecoder().decode(Manifest.self, from: data)
    #expect(manifest.files.count == (version == .v1 ? 8 : 9))
    for file in manifest.files {
      guard let result = try read(Self.fixture(file.name, version)) else { return }
      #expect(result.status == 0, "\(file.name): \(result.output)\(result.errors)")
      let answer = try answer(of: result)
      #expect(answer.header.version == version.rawValue, "\(file.name)")
      #expect(answer.header.holds(file), "\(file.name): \(answer.header)")
      #expect(answer.tensors.map(Tensor.init) == file.tensors.map(Tensor.init), "\(file.name)")
      #expect(answer.metadata.map(\.asInManifest) == file.metadata, "\(file.name)")
    }
  }

  @Test(arguments: Version.allCases)
  func itTellsAnAliasFromATensorOfTheSameBytes(_ version: Version) throws {
    guard let result = try read(Self.fixture("smallest.ckpt", version)) else { return }
    let tensors = try answer(of: result).tensors
    #expect(tensors.map(\.alias) == [nil, nil, nil, nil, "w"])
  }

  @Test func itReadsWhatTheTrainingProgramSaves() throws {
    let program = try TrainingProgram()
    defer { program.remove() }
    #expect(try program.train(["--max_steps", "2", "--save_steps", "1"]).status == 0)
    #expect(program.checkpoints().count == 2)
    for name in program.checkpoints() {
      let path = program.path(name)
      guard let result = try read(URL(filePath: path)) else { return }
      #expect(result.status == 0, "\(name): \(result.output)\(result.errors)")
      let answer = try answer(of: result)
      let reader = try CheckpointReader.open(path: path)
      #expect(answer.header.step == reader.header.step)
      #expect(answer.tensors.count == reader.tensors.count)
      for (found, expected) in zip(answer.tensors, reader.tensors) {
        #expect(Array(found.name.utf8) == Array(expected.name.utf8))
        #expect(found.dtype == expected.dtype.name && found.shape == expected.shape)
      }
      #expect(answer.metadata.count == reader.metadata.values.count)
    }
  }

  @Test func itReadsTheVectorsOfTheDocument() throws {
    let document = Self.tests.deletingLastPathComponent().appending(path: "docs/format.md").path
    for (name, version, tensors) in [("empty", 1, 0), ("tiny", 1, 5), ("tiny2", 2, 5)] {
      guard let result = try python("read_checkpoint.py", ["--vector", name, document]) else {
        return
      }
      #expect(result.status == 0, "\(name): \(result.output)\(result.errors)")
      let answer = try answer(of: result)
      #expect(answer.header.version == version && answer.tensors.count == tensors, "\(name)")
    }
  }

  @Test(arguments: Version.allCases)
  func itRefusesAFlipOfEveryByteAndEveryCut(_ version: Version) throws {
    let smallest = Self.fixture("smallest.ckpt", version).path
    guard let result = try python("flip_every_byte.py", [smallest]) else { return }
    #expect(result.status == 0, "\(result.output)\(result.errors)")
  }

  @Test(arguments: Version.allCases)
  func itSaysDamagedAndNewerApart(_ version: Version) throws {
    let program = try TrainingProgram()
    defer { program.remove() }
    let copy = program.directory.appending(path: "copy.ckpt")
    let bytes = [UInt8](try Data(contentsOf: Self.fixture("chunks.ckpt", version)))
    // A later version, without and with a checksum that fits; the other version, whose checksums
    // are not those of this file; a chunk.
    var later = bytes
    later[12] = 3
    let newer = Self.withChecksumOfTheFileStart(later)
    var other = bytes
    other[12] = version == .v1 ? 2 : 1
    other = Self.withChecksumOfTheFileStart(other)
    var chunk = bytes
    chunk[bytes.count / 2] ^= 4
    let cut = Array(bytes.dropLast())
    for (changed, status) in [(later, 1), (newer, 3), (other, 1), (chunk, 1), (cut, 1)] {
      try Data(changed).write(to: copy)
      guard let result = try read(copy) else { return }
      #expect(result.status == Int32(status), "\(result.output)\(result.errors)")
      #expect(result.output.contains("offset"))
      #expect(result.errors.isEmpty)
    }
  }

  // MARK: The reader

  /// A version of the format, and the folder of its fixtures.
  enum Version: Int, CaseIterable {
    case v1 = 1
    case v2 = 2
  }

  private static func fixture(_ name: String, _ version: Version) -> URL {
    tests.appending(path: "Fixtures/\(version)/\(name)")
  }

  private func read(_ file: URL) throws -> TrainingProgram.Result? {
    try python("read_checkpoint.py", [file.path])
  }

  /// Runs one of the scripts; nil, with an issue, where there is no Python.
  private func python(_ script: String, _ arguments: [String]) throws -> TrainingProgram.Result? {
    let path = Self.tests.appending(path: "StrangerReader/" + script).path
    // -B: no compiled copies beside the sources.
    let result = try TrainingProgram.runPath(
      "/usr/bin/env", ["python3", "-B", path] + arguments, timeout: 30)
    if result.status == 127 {
      Issue.record("python3 is missing: run .ci/install")
      return nil
    }
    return result
  }

  private func answer(of result: TrainingProgram.Result) throws -> Answer {
    try JSONDecoder().decode(Answer.self, from: Data(result.output.utf8))
  }

  private static func withChecksumOfTheFileStart(_ bytes: [UInt8]) -> [UInt8] {
    bytes[0..<60] + checksum(of: bytes[0..<60]) + bytes[64...]
  }

  /// The CRC-32 of section 3, bit by bit: the library's own is not asked.
  private static func checksum(of bytes: ArraySlice<UInt8>) -> [UInt8] {
    var crc = UInt32.max
    for byte in bytes {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc >> 1 ^ (crc & 1 == 1 ? 0xEDB8_8320 : 0) }
    }
    return (0..<4).map { UInt8(truncatingIfNeeded: ~crc >> (8 * $0)) }
  }
}

// MARK: What the reader prints, and what the manifest of the fixtures says

/// What `read_checkpoint.py` prints.
private struct Answer: Decodable {
  struct Header: Decodable {
    var version: Int
    var generation, step, supersededGeneration: UInt64
    var savedAt: Int64
    var checkpoint, run, parent, writer: String
    var chunkByteCount: Int
    var branchPoints: [BranchPoint]

    func holds(_ file: Manifest.File) -> Bool {
      generation == file.generation && step == file.step && savedAt == file.savedAt
        && supersededGeneration == file.supersededGeneration && checkpoint == file.checkpoint
        && run == file.run && parent == file.parent ?? String(repeating: "0", count: 32)
        && Array(writer.utf8) == Array(file.writer.utf8) && chunkByteCount == file.chunkByteCount
        && branchPoints.map(\.asInManifest) == file.branchPoints
    }
  }

  struct BranchPoint: Decodable {
    var generation, step: UInt64
    var checkpoint: String

    var asInManifest: String { "\(generation) \(step) \(checkpoint)" }
  }

  struct Tensor: Decodable {
    var name, dtype, sha256: String
    var alias: String?
    var shape: [Int]
  }

  /// A value, turned back into the bytes of the file.
  struct Value: Decodable {
    private enum Key: String, CodingKey { case domain, key, type, value }

    var asInManifest: Manifest.Value

    init(from decoder: any Decoder) throws {
      let fields = try decoder.container(keyedBy: Key.self)
      let domains = ["state", "metric", "environment", "stateVersion"]
      let types = ["bool", "int64", "uint64", "float64", "string", "bytes", "json"]
      let type = try fields.decode(String.self, forKey: .type)
      let bytes: String
      switch type {
      case "bool": bytes = try fields.decode(Bool.self, forKey: .value) ? "01" : "00"
      case "int64":
        bytes = hexadecimal(
          littleEndian: UInt64(bitPattern: try fields.decode(Int64.self, forKey: .value)))
      case "uint64":
        bytes = hexadecimal(littleEndian: try fields.decode(UInt64.self, forKey: .value))
      case "float64":
        let bits = UInt64(try fields.decode(String.self, forKey: .value), radix: 16)
        bytes = hexadecimal(littleEndian: bits ?? 0)
      case "bytes": bytes = try fields.decode(String.self, forKey: .value)
      default: bytes = hexadecimal(try fields.decode(String.self, forKey: .value).utf8)
      }
      asInManifest = Manifest.Value(
        domain: domains.firstIndex(of: try fields.decode(String.self, forKey: .domain)),
        nameBytes: hexadecimal(try fields.decode(String.self, forKey: .key).utf8),
        type: types.firstIndex(of: type).map { $0 + 1 }, bytes: bytes)
    }
  }

  var header: Header
  var tensors: [Tensor]
  var metadata: [Value]
}

/// What `manifest.json` says of the fixtures.
private struct Manifest: Decodable {
  struct File: Decodable {
    var name, checkpoint, run, writer: String
    var parent: String?
    var generation, step, supersededGeneration: UInt64
    var savedAt: Int64
    var chunkByteCount: Int
    var branchPoints: [String]
    var tensors: [Tensor]
    var metadata: [Value]
  }

  struct Tensor: Decodable {
    var nameBytes, dtype, sha256: String
    var shape: [Int]
  }

  struct Value: Decodable, Equatable {
    var domain: Int?
    var nameBytes: String
    var type: Int?
    var bytes: String
  }

  var files: [File]
}

/// What both say of a tensor.
private struct Tensor: Equatable {
  var nameBytes, dtype, sha256: String
  var shape: [Int]

  init(_ tensor: Answer.Tensor) {
    nameBytes = hexadecimal(tensor.name.utf8)
    (dtype, sha256, shape) = (tensor.dtype, tensor.sha256, tensor.shape)
  }

  init(_ tensor: Manifest.Tensor) {
    nameBytes = tensor.nameBytes
    (dtype, sha256, shape) = (tensor.dtype, tensor.sha256, tensor.shape)
  }
}

private func hexadecimal(_ bytes: some Sequence<UInt8>) -> String {
  bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }.joined()
}

private func hexadecimal(littleEndian value: UInt64) -> String {
  hexadecimal((0..<8).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) })
}
