import CheckpointEngine
import CheckpointFormat
import CheckpointTesting
import FuzzHarness

/// The file that is damaged in every way: short, and with every kind of record that there is.
///
/// The library writes what it can write; the rest, which it only reads, is edited in. That nothing
/// is missing is a test of its own, which goes by the document.
enum ReferenceFile {
  static let chunkByteCount = 256

  /// Every dtype, and every form of tensor and value.
  ///
  /// - Parameter content: Decides the bytes, and nothing of the shape.
  /// - Returns: What the reference file holds.
  static func state(content: UInt8 = 1) -> SampleState {
    var generator = SeededGenerator(UInt64(content))
    var state = SampleState()
    // Noise is stored; three chunks, the last a short one.
    state.add("noise", .float32, [8, 17], (0..<544).map { _ in generator.byte() })
    // Few symbols become a DEFLATE stream with codes of its own, equal bytes one with fixed codes, or
    // planes that are constant.
    state.add("symbols", .int8, [2, 200], (0..<400).map { _ in content &+ generator.byte() & 3 })
    state.add("equal", .float16, [300], [UInt8](repeating: content, count: 600))
    // One plane of noise, and one of few symbols.
    state.add("mixed", .uint16, [150], (0..<300).map { generator.byte() & ($0 & 1 == 0 ? 255 : 3) })
    state.alias("tied", of: "noise")
    state.add("none", .bool, [0, 2], [])
    for dtype in DType.allCases {
      state.add(
        "\(dtype.name)", dtype, [], (0..<dtype.byteCount).map { _ in generator.byte() })
    }
    state.alias("tied to none", of: "none")
    state.metadata[.state, "a"] = .bool(true)
    state.metadata[.state, "b"] = .int64(-Int64(content))
    state.metadata[.state, "c"] = .uint64(UInt64(content))
    state.metadata[.state, "d"] = .bytes([0, content])
    state.metadata[.state, "e"] = .json("{}")
    state.metadata[.state, "f"] = .float64(bits: 0xfff0_dead_beef_0000)
    state.metadata[.state, "g"] = .string("né")
    state.metadata[.metric, "loss"] = .float64(bits: 0x7ff8_0000_dead_beef)
    state.metadata[.environment, "host"] = .string("")
    state.metadata[.stateVersion, ""] = .int64(1)
    return state
  }

  /// The bytes of two saves, of these contents, into one store.
  static func saves(_ version: FormatVersion, contents: UInt8...) throws -> [[UInt8]] {
    let disk = SimulatedDisk()
    let store = try disk.writer(chunkByteCount, formatVersion: version)
    return try contents.enumerated().map { number, content in
      try store.save(state(content: content), step: 500)
      let written = try disk.contents(checkpointName(500, UInt64(number) + 1))
      return try completed(version == .v1 ? written : encodingMore(written))
    }
  }

  static func bytes(_ version: FormatVersion) throws -> [UInt8] {
    try saves(version, contents: 1)[0]
  }

  /// Takes chunks apart into planes that the library stores because they are small.
  private static func encodingMore(_ written: [UInt8]) throws -> [UInt8] {
    let reader = try FileInMemory(written).open()
    let (header, index) = (reader.header, reader.index)
    var chunks = ChunkTable()
    var contents: [UInt64: [UInt8]] = [:]
    var offset = index.chunkRegion.lowerBound
    for var entry in index.chunks.entries {
      let start = Int(entry.storedOffset)
      var stored = Array(written[start..<start + Int(entry.storedByteCount)])
      let name = index.tensors.entries[Int(entry.tensor)].descriptor.name
      let (width, streamCount) = name == "mixed" ? (2, 2) : (1, 1)
      let encoded = HandMadePlanes.encoded(stored, width: width, streamCount: streamCount)
      if name == "symbols" || name == "mixed", encoded.count < stored.count {
        stored = encoded
        entry.codec = .planes
        entry.storedByteCount = UInt32(stored.count)
        entry.storedChecksum = entry.identity(in: header).checksum(of: stored.rawSpan)
      }
      entry.frameOffset = offset
      offset = entry.endOffset
      contents[entry.frameOffset] = stored
      chunks.append(entry)
    }
    let assembly = FileAssembly(
      header: header, tensors: index.tensors, chunks: chunks, metadata: index.metadata)
    return try assembly.bytes { contents[$0.frameOffset] ?? [] }
  }

  /// Adds what the library reads and does not write: lineage, a preserve feature, sections of kinds
  /// to come.
  private static func completed(_ written: [UInt8]) throws -> [UInt8] {
    let index = try FileInMemory(written).open().index
    var header = index.header
    header.readFeatures = .known
    header.preserveFeatures = FeatureSet(rawValue: 1 << 40)
    header.parentIdentifier = Identifier(high: 1, low: 2)
    header.supersededGeneration = 3
    header.branchPoints = (1...2).map {
      .init(generation: $0, step: $0 * 100, identifier: Identifier(high: 3, low: $0))
    }
    var bytes = written
    bytes.replaceSubrange(0..<CheckpointHeader.byteCount, with: header.encoded)

    var trailer = index.trailer
    bytes.removeLast(bytes.count - Int(trailer.sections[trailer.sections.count - 1].endOffset))
    for (kind, content) in [(1000, Array("later".utf8)), (1001, []), (1000, [1])] {
      bytes += padding(to: Int(Layout.aligned(UInt64(bytes.count))), after: bytes)
      trailer.sections.append(
        Section(
          kind: SectionKind(rawValue: UInt32(kind)), flags: 0x8000_0001,
          offset: UInt64(bytes.count), byteCount: UInt64(content.count), checksum: 0))
      bytes += content
    }
    trailer.fileByteCount = Layout.fileByteCount(sectionsEnd: UInt64(bytes.count))
    bytes += padding(to: Int(trailer.fileByteCount) - Trailer.byteCount, after: bytes)
    bytes += trailer.encoded
    var file = EditableFile(bytes)
    file.reseal()
    return file.bytes
  }

  private static func padding(to byteCount: Int, after bytes: [UInt8]) -> [UInt8] {
    [UInt8](repeating: 0, count: byteCount - bytes.count)
  }
}
