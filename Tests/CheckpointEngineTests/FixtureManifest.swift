import CheckpointEngine
import CheckpointFormat
import CheckpointTraining
import Foundation

/// What each fixture must decode to, as `manifest.json` has it.
struct FixtureManifest: Codable, Equatable {
  struct File: Codable, Equatable {
    var name: String
    var byteCount: Int
    var sha256: String
    var step: UInt64
    var generation: UInt64
    var checkpoint: String
    var run: String
    var parent: String?
    var savedAt: Int64
    var supersededGeneration: UInt64
    var chunkByteCount: Int
    var writer: String
    /// Generation, step and identifier, oldest first.
    var branchPoints: [String]
    /// The codes of all chunks in file order: 0 stored, 1 DEFLATE, 2 planes.
    var codecs: [UInt32]
    var tensors: [Tensor]
    var metadata: [Value]
  }

  struct Tensor: Codable, Equatable {
    var name: String
    /// The name's UTF-8, since editors and JSON tools may change its normal form.
    var nameBytes: String
    var dtype: String
    var shape: [Int]
    var sha256: String
    /// All bytes, of small tensors.
    var bytes: String?
  }

  struct Value: Codable, Equatable {
    var domain: UInt8
    var nameBytes: String
    var type: UInt8
    /// The value as it stands in the file.
    var bytes: String
  }

  var files: [File]
}

extension FixtureManifest.File {
  /// What `reader` finds in a file of these bytes.
  init(_ name: String, _ bytes: [UInt8], _ reader: CheckpointReader) throws {
    let header = reader.header
    self.name = name
    byteCount = bytes.count
    sha256 = SHA256.hexadecimal(of: bytes)
    step = header.step
    generation = header.generation
    checkpoint = "\(header.checkpointIdentifier)"
    run = "\(header.runIdentifier)"
    parent = header.parentIdentifier.map { "\($0)" }
    savedAt = header.savedAt
    supersededGeneration = header.supersededGeneration
    chunkByteCount = header.chunkByteCount
    writer = header.writer
    branchPoints = header.branchPoints.map { "\($0.generation) \($0.step) \($0.identifier)" }
    codecs = reader.index.chunks.entries.map(\.codec.rawValue)
    tensors = try reader.tensors.map { descriptor in
      let bytes = try reader.read(descriptor.name)
      return FixtureManifest.Tensor(
        name: descriptor.name, nameBytes: hexadecimalDigits(descriptor.name.utf8),
        dtype: descriptor.dtype.name, shape: descriptor.shape,
        sha256: SHA256.hexadecimal(of: bytes),
        bytes: bytes.count <= 64 ? hexadecimalDigits(bytes) : nil
      )
    }
    metadata = Metadata.Domain.allCases.flatMap { domain in
      reader.metadata.entries(of: domain).map { name, value in
        FixtureManifest.Value(
          domain: domain.rawValue, nameBytes: hexadecimalDigits(name.utf8), type: value.code,
          bytes: hexadecimalDigits(value.encoded))
      }
    }
  }
}

func hexadecimalDigits(_ bytes: some Sequence<UInt8>) -> String {
  bytes.map { String($0 >> 4, radix: 16) + String($0 & 15, radix: 16) }.joined()
}
