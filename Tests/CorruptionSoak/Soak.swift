import CheckpointEngine
import CheckpointFormat
import CheckpointTesting
import Foundation

/// Damages one copy after another, and counts what was found.
struct Soak {
  struct TooManyFlips: Error {}

  private struct Flip {
    var bit: Int
    var piece: SoakFile.Piece
    var range: Range<Int>
  }

  private let file: SoakFile
  private let start = ContinuousClock.now
  private var generator: SplitMix64
  private var copyCount = 0
  private var flipCount = 0
  private var detectedCount = 0
  /// Findings that no flip explains.
  private var wrongPlaceCount = 0
  private var refusedChunkCount = 0
  private var loadedChunkCount = 0
  private var loadedTensorCount = 0
  private var wrongLoadCount = 0
  private(set) var complaints: [String] = []

  init(_ file: SoakFile, seed: UInt64) {
    self.file = file
    generator = SplitMix64(state: ~seed)
  }

  var isGreen: Bool {
    detectedCount == flipCount && wrongPlaceCount == 0 && wrongLoadCount == 0 && complaints.isEmpty
  }

  var summary: String {
    let seconds = (ContinuousClock.now - start) / .seconds(1)
    return "flips \(flipCount), detected \(detectedCount), wrong place \(wrongPlaceCount), "
      + "damaged chunks refused \(refusedChunkCount), other chunks loaded \(loadedChunkCount), "
      + "other tensors loaded \(loadedTensorCount), wrong loads \(wrongLoadCount), "
      + "seconds \(Int(seconds.rounded(.up)))"
  }

  private mutating func complain(_ text: String) {
    if complaints.count < 100 { complaints.append(text) }
  }

  // MARK: Damage

  /// Bits in as many pieces of the file.
  private mutating func draw(_ count: Int) throws -> [Flip] {
    var flips: [Flip] = []
    var hit: Set<SoakFile.Piece> = []
    let others = Dictionary(
      grouping: file.pieces.indices.filter { !file.pieces[$0].piece.isStored }
    ) { Self.kind(file.pieces[$0].piece) }
    let kinds = others.keys.sorted()
    for _ in 0..<count * 100 where flips.count < count {
      let offset: Int
      if flips.count % 10 == 9 {
        // Of the small pieces each kind is as likely as any other.
        let kind = kinds[Int.random(in: 0..<kinds.count, using: &generator)]
        guard let number = others[kind]?.randomElement(using: &generator) else { continue }
        offset = Int.random(in: file.pieces[number].range, using: &generator)
      } else {
        offset = Int.random(in: 0..<file.byteCount, using: &generator)
      }
      let (piece, range) = file.pieces[file.pieceNumber(at: offset)]
      guard hit.insert(piece).inserted else { continue }
      let bit = offset * 8 + Int.random(in: 0..<8, using: &generator)
      flips.append(Flip(bit: bit, piece: piece, range: range))
    }
    guard flips.count == count else { throw TooManyFlips() }
    return flips
  }

  private static func kind(_ piece: SoakFile.Piece) -> String {
    String("\(piece)".prefix { $0 != "(" })
  }

  /// Flips bits of the file, checks everything, and flips them back.
  mutating func damageCopy(flips count: Int) throws {
    let flips = try draw(count)
    copyCount += 1
    flipCount += count
    for flip in flips where flip.piece.isOpening { try checkOpening(flip) }
    let rest = flips.filter { !$0.piece.isOpening }
    for flip in rest { try file.flip(bit: flip.bit) }
    checkFindings(rest)
    try checkLoads(rest)
    for flip in rest { try file.flip(bit: flip.bit) }
  }

  /// At the end the file must be as it was, or the flips were not what they seemed.
  mutating func finish() throws {
    let findings = Verifier().verify(file.path).findings
    if !findings.isEmpty { complain("the file is not as it was: \(findings[0])") }
  }

  // MARK: Checks

  /// One flip at a time, since the file cannot be opened.
  private mutating func checkOpening(_ flip: Flip) throws {
    try file.flip(bit: flip.bit)
    let findings = Verifier().verify(file.path).findings
    try file.flip(bit: flip.bit)
    // Header, front table and trailer that contradict each other are reported at 0.
    let places = flip.piece == .frontHead ? [flip.range, 0..<1] : [flip.range]
    if findings.count == 1, findings[0].code == .corrupted,
      let offset = findings[0].location?.offset,
      places.contains(where: { $0.contains(Int(offset)) })
    {
      detectedCount += 1
    } else {
      wrongPlaceCount += findings.count
      complain("bit \(flip.bit) of \(flip.piece): \(findings)")
    }
  }

  /// The pieces that full verification names must be those that were hit, each once.
  private mutating func checkFindings(_ flips: [Flip]) {
    let report = Verifier().verify(file.path)
    var found: [SoakFile.Piece: Int] = [:]
    for finding in report.findings {
      guard finding.code == .corrupted, let piece = piece(of: finding) else {
        wrongPlaceCount += 1
        complain("copy \(copyCount): a finding in no place: \(finding)")
        continue
      }
      found[piece, default: 0] += 1
    }
    for flip in flips {
      if found.removeValue(forKey: flip.piece) == 1 {
        detectedCount += 1
      } else {
        complain("copy \(copyCount): bit \(flip.bit) of \(flip.piece) was not found")
      }
    }
    for (piece, count) in found {
      wrongPlaceCount += count
      complain("copy \(copyCount): nothing was changed in \(piece)")
    }
  }

  /// The piece that a finding names, by tensor and chunk and by offset, if these agree.
  private func piece(of finding: CheckpointError) -> SoakFile.Piece? {
    guard let location = finding.location, let offset = location.offset,
      offset < file.byteCount
    else { return nil }
    let piece = file.pieces[file.pieceNumber(at: Int(offset))].piece
    switch piece {
    case .frame(let number), .stored(let number), .padding(let number):
      let entry = file.index.chunks.entries[number]
      let tensor = file.state.tensors[Int(entry.tensor)].descriptor.name
      return location.tensor == tensor && location.chunk == Int(entry.chunk) ? piece : nil
    default:
      return location.tensor == nil ? piece : nil
    }
  }

  /// Chunks that were hit are refused, and everything else loads.
  private mutating func checkLoads(_ flips: [Flip]) throws {
    let reader = try CheckpointReader.open(path: file.path)
    let hit = Set(flips.map(\.piece))
    var hitTensors: Set<Int> = []
    for (number, entry) in file.index.chunks.entries.enumerated() {
      let tensor = file.state.tensors[Int(entry.tensor)]
      let isHit = hit.contains(.stored(chunk: number))
      do {
        let (bytes, place) = try load(entry, tensor.descriptor, reader)
        let isRight = !isHit && bytes[...] == tensor.bytes[place]
        if isRight { loadedChunkCount += 1 } else { wrongLoad(number, "other bytes") }
      } catch {
        let isRight =
          isHit && error.code == .corrupted && error.location?.chunk == Int(entry.chunk)
          && error.location?.tensor == tensor.descriptor.name
        if isRight { refusedChunkCount += 1 } else { wrongLoad(number, "\(error)") }
      }
      if isHit { hitTensors.insert(Int(entry.tensor)) }
    }
    guard copyCount % 10 == 1 else { return }
    for (number, entry) in file.index.tensors.entries.enumerated() {
      let original = entry.aliasOf ?? number
      if hitTensors.contains(original) { continue }
      let isRight = (try? reader.read(entry.descriptor.name)) == file.state.tensors[original].bytes
      if isRight { loadedTensorCount += 1 } else { wrongLoad(number, "the whole tensor") }
    }
  }

  private mutating func wrongLoad(_ number: Int, _ what: String) {
    wrongLoadCount += 1
    complain("copy \(copyCount), number \(number): \(what)")
  }

  /// Loads the rows of one chunk, and tells where they are in the tensor.
  private func load(
    _ entry: ChunkEntry, _ descriptor: TensorDescriptor, _ reader: CheckpointReader
  ) throws(CheckpointError) -> ([UInt8], Range<Int>) {
    let start = Int(entry.chunk) * SoakFile.chunkByteCount
    let place = start..<start + Int(entry.rawByteCount)
    guard let rowCount = descriptor.shape.first else {
      return (try reader.read(descriptor.name), place)
    }
    let rowByteCount = descriptor.shape.reduce(descriptor.dtype.byteCount, *) / rowCount
    let rows = place.lowerBound / rowByteCount..<place.upperBound / rowByteCount
    return (try reader.read(rows: rows, of: descriptor.name), place)
  }
}
