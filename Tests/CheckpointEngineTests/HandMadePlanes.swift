import CheckpointCodecs
import CheckpointFormat

/// Takes a chunk apart into planes by hand, also where the library would store it: small chunks with every
/// method, for files that are damaged byte by byte.
enum HandMadePlanes {
  /// - Parameters:
  ///   - raw: Whole elements.
  ///   - width: Bytes of an element.
  ///   - streamCount: Pieces of a plane that becomes smaller by DEFLATE.
  /// - Returns: The chunk as codec 2 has it: of each plane one byte if it is constant, streams if they are
  ///   shorter, or its bytes.
  static func encoded(_ raw: [UInt8], width: Int, streamCount: Int) -> [UInt8] {
    var head: [UInt8] = [UInt8(width), 0, 0, 0]
    var contents: [UInt8] = []
    for byte in 0..<width {
      let plane = stride(from: byte, to: raw.count, by: width).map { raw[$0] }
      let streams = streams(plane, streamCount)
      if Set(plane).count == 1 {
        head += [1, 0, 0, 0]
        contents.append(plane[0])
      } else if let streams, streams.count < plane.count {
        head += [2, UInt8(streamCount), 0, 0]
        contents += streams
      } else {
        head += [0, 0, 0, 0]
        contents += plane
      }
    }
    return head + contents
  }

  private static func streams(_ plane: [UInt8], _ count: Int) -> [UInt8]? {
    let pieceByteCount = (plane.count + count - 1) / count
    var lengths: [UInt8] = []
    var streams: [UInt8] = []
    for start in stride(from: 0, to: plane.count, by: pieceByteCount) {
      let piece = Array(plane[start..<min(plane.count, start + pieceByteCount)])
      let room = UnsafeMutableRawBufferPointer.allocate(byteCount: piece.count, alignment: 64)
      defer { unsafe room.deallocate() }
      // SAFETY: the memory lives until the end of this round.
      guard let byteCount = unsafe Deflater().encode(piece.rawSpan, into: room) else { return nil }
      lengths += [UInt8(byteCount & 0xFF), UInt8(byteCount >> 8), 0, 0]
      unsafe streams += room[..<byteCount]
    }
    return lengths + streams
  }
}
