import CheckpointEngine
import CheckpointFormat
import Foundation

/// The checkpoint that is damaged, and what each of its bytes belongs to.
final class SoakFile {
  /// What one finding can speak of.
  enum Piece: Hashable {
    case frame(chunk: Int)
    case stored(chunk: Int)
    case padding(chunk: Int)
    /// Behind the head: the copy of the tensor table, and zeros.
    case frontTable
    /// Zeros behind a section.
    case zeros(Int)
    /// What opening reads: the file cannot be opened without it.
    case header, frontHead, section(Int), trailer

    var isOpening: Bool {
      switch self {
      case .header, .frontHead, .section, .trailer: true
      default: false
      }
    }

    var isStored: Bool { if case .stored = self { true } else { false } }
  }

  static let chunkByteCount = 64 << 10

  let path: String
  let state: SoakState
  let index: FileIndex
  let byteCount: Int
  /// The whole file, piece by piece.
  let pieces: [(piece: Piece, range: Range<Int>)]
  private let handle: FileHandle

  init(directory: String, mebibytes: Int, seed: UInt64) throws {
    state = SoakState(mebibytes: mebibytes, seed: seed)
    let store = try CheckpointStore(
      directory, for: .writing, options: StoreOptions(chunkByteCount: Self.chunkByteCount))
    path = try state.save(to: store).path
    let reader = try CheckpointReader.open(path: path)
    index = reader.index
    byteCount = Int(reader.byteCount)
    pieces = Self.pieces(index, byteCount: byteCount)
    handle = try FileHandle(forUpdating: URL(fileURLWithPath: path))
  }

  deinit { try? handle.close() }

  var summary: String {
    let chunks = index.chunks.entries
    let stored = chunks.count { $0.codec == .stored }
    return "file: \(byteCount) bytes, \(index.tensors.entries.count) tensors, \(chunks.count) "
      + "chunks (\(stored) stored, \(chunks.count - stored) encoded)"
  }

  private static func pieces(
    _ index: FileIndex, byteCount: Int
  ) -> [(piece: Piece, range: Range<Int>)] {
    var pieces: [(piece: Piece, range: Range<Int>)] = []
    func add(_ piece: Piece, to end: UInt64) {
      let start = pieces.last?.range.upperBound ?? 0
      if start < Int(end) { pieces.append((piece, start..<Int(end))) }
    }
    add(.header, to: Layout.frontTableOffset)
    add(.frontHead, to: Layout.frontTableOffset + UInt64(FrontTable.headByteCount))
    add(.frontTable, to: index.chunkRegion.lowerBound)
    for (number, chunk) in index.chunks.entries.enumerated() {
      add(.frame(chunk: number), to: chunk.storedOffset)
      add(.stored(chunk: number), to: chunk.storedOffset + UInt64(chunk.storedByteCount))
      add(.padding(chunk: number), to: chunk.endOffset)
    }
    for (number, section) in index.trailer.sections.enumerated() {
      add(.zeros(number), to: section.offset)
      add(.section(number), to: section.endOffset)
    }
    add(.zeros(index.trailer.sections.count), to: UInt64(byteCount - Trailer.byteCount))
    add(.trailer, to: UInt64(byteCount))
    return pieces
  }

  /// The number of the piece that a byte belongs to.
  func pieceNumber(at offset: Int) -> Int {
    var low = 0
    var high = pieces.count - 1
    while low < high {
      let middle = (low + high + 1) / 2
      if pieces[middle].range.lowerBound <= offset { low = middle } else { high = middle - 1 }
    }
    return low
  }

  func flip(bit: Int) throws {
    let offset = UInt64(bit / 8)
    try handle.seek(toOffset: offset)
    guard let byte = try handle.read(upToCount: 1)?.first else {
      throw CocoaError(.fileReadUnknown)
    }
    try handle.seek(toOffset: offset)
    try handle.write(contentsOf: Data([byte ^ 1 << (bit % 8)]))
  }
}
