internal import CheckpointFormat

/// Decodes chunks that were taken apart into planes.
///
/// One instance serves one thread at a time.
@safe
final class PlaneDecoder {
  private let literals = LiteralDecoder()
  private let scratch = Scratch()
  private let usesZlibAlone: Bool
  /// Streams that were left to zlib, for tests that want to know whose decoder they tested.
  private(set) var zlibStreamCount = 0

  init(usesZlibAlone: Bool) { self.usesZlibAlone = usesZlibAlone }

  /// Decodes `stored` into all of `output`; false if it is not what decodes to exactly so many bytes.
  func decode(
    _ stored: UnsafeBufferPointer<UInt8>, into output: UnsafeMutableRawBufferPointer
  ) -> Bool {
    guard let head = unsafe PlaneHead(stored), output.count % head.width == 0, output.count > 0,
      let raw = output.baseAddress
    else { return false }
    let count = output.count / head.width
    guard let parts = unsafe Self.parts(stored, head, count) else { return false }
    // One plane is the chunk itself.
    let target =
      unsafe head.width == 1
      ? UnsafeMutableBufferPointer(start: raw.assumingMemoryBound(to: UInt8.self), count: count)
      : scratch.bytes(Self.decodedCount(head) * count)
    var planes: [BytePlanes.ConstantPlane] = unsafe []
    var used = 0
    for (index, method) in head.methods.enumerated() {
      let part = unsafe parts[index]
      if method == .stored, head.width > 1 {
        guard let start = part.baseAddress else { return false }
        unsafe planes.append(start)
        continue
      }
      let plane = unsafe UnsafeMutableBufferPointer(rebasing: target[used..<used + count])
      used += count
      guard unsafe decode(method, part, into: plane), let start = plane.baseAddress else {
        return false
      }
      unsafe planes.append(UnsafePointer(start))
    }
    unsafe Self.merge(planes, head, count, into: raw)
    return true
  }

  /// Planes that need memory to be decoded into.
  private static func decodedCount(_ head: PlaneHead) -> Int {
    head.methods.count { $0 != .stored }
  }

  /// What is stored of each plane: one behind the other up to the very end, or it is no such chunk.
  private static func parts(
    _ stored: UnsafeBufferPointer<UInt8>, _ head: PlaneHead, _ count: Int
  ) -> [UnsafeBufferPointer<UInt8>]? {
    var rest = unsafe stored[PlaneHead.byteCount(width: head.width)...]
    var parts: [UnsafeBufferPointer<UInt8>] = unsafe []
    for method in head.methods {
      let byteCount: Int
      switch method {
      case .stored: byteCount = count
      case .constant: byteCount = 1
      case .streams(let streamCount):
        guard unsafe rest.count >= 4 * streamCount else { return nil }
        byteCount = (0..<streamCount).reduce(4 * streamCount) {
          unsafe $0 + length(rest, $1)
        }
      }
      guard unsafe byteCount <= rest.count else { return nil }
      unsafe parts.append(UnsafeBufferPointer(rebasing: rest.prefix(byteCount)))
      unsafe rest = rest.dropFirst(byteCount)
    }
    return unsafe rest.isEmpty ? parts : nil
  }

  /// The length of a stream; the caller has seen that the lengths are there.
  @unsafe private static func length(
    _ bytes: Slice<UnsafeBufferPointer<UInt8>>, _ stream: Int
  ) -> Int {
    let place = unsafe UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: bytes))
    let length = unsafe place.loadUnaligned(fromByteOffset: 4 * stream, as: UInt32.self)
    return Int(UInt32(littleEndian: length))
  }

  // MARK: One plane

  private func decode(
    _ method: PlaneHead.Method, _ part: UnsafeBufferPointer<UInt8>,
    into plane: UnsafeMutableBufferPointer<UInt8>
  ) -> Bool {
    switch method {
    case .stored: unsafe UnsafeMutableRawBufferPointer(plane).copyMemory(from: .init(part))
    case .constant: unsafe plane.update(repeating: part[0])
    case .streams(let count): return unsafe decodeStreams(count, part, into: plane)
    }
    return true
  }

  private func decodeStreams(
    _ count: Int, _ part: UnsafeBufferPointer<UInt8>,
    into plane: UnsafeMutableBufferPointer<UInt8>
  ) -> Bool {
    let pieceByteCount = (plane.count + count - 1) / count
    // No piece is empty.
    guard (count - 1) * pieceByteCount < plane.count else { return false }
    var streams: [LiteralDecoder.Stream] = unsafe []
    var start = 4 * count
    for index in 0..<count {
      let end = unsafe start + Self.length(part[...], index)
      let piece = index * pieceByteCount..<min(plane.count, (index + 1) * pieceByteCount)
      // SAFETY: `parts` has added these lengths up to the length of the part.
      unsafe streams.append(
        LiteralDecoder.Stream(
          source: UnsafeBufferPointer(rebasing: part[start..<end]),
          target: UnsafeMutableBufferPointer(rebasing: plane[piece])))
      start = end
    }
    switch unsafe usesZlibAlone ? .otherStream : literals.decode(streams) {
    case .decoded: return true
    case .malformed: return false
    case .otherStream:
      unsafe zlibStreamCount += streams.count
      return unsafe streams.allSatisfy { stream in
        // SAFETY: the span lives for this call.
        unsafe Inflater.inflate(
          RawSpan(_unsafeBytes: UnsafeRawBufferPointer(stream.source)),
          into: UnsafeMutableRawBufferPointer(stream.target))
      }
    }
  }

  @unsafe private static func merge(
    _ planes: [BytePlanes.ConstantPlane], _ head: PlaneHead, _ count: Int,
    into raw: UnsafeMutableRawPointer
  ) {
    switch head.width {
    case 1: break
    case 2:
      unsafe BytePlanes.merge2(
        planes[0], planes[1], count: count, isRotated: head.isRotated, into: raw)
    case 4:
      unsafe BytePlanes.merge4(
        planes[0], planes[1], planes[2], planes[3], count: count, isRotated: head.isRotated,
        into: raw)
    default:
      unsafe planes.withUnsafeBufferPointer { planes in
        guard let first = planes.baseAddress else { return }
        unsafe BytePlanes.merge8(first, count: count, isRotated: head.isRotated, into: raw)
      }
    }
  }
}
