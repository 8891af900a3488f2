import CheckpointCodecs
import CheckpointFormat
import Testing

/// An encoder and both kinds of decoders over guarded memory, reused from chunk to chunk as threads of the
/// library do.
final class Codec {
  private let encoder = PlaneEncoder()
  private let decoder = ChunkDecoder()
  private let zlib = ChunkDecoder(usesZlibAlone: true)
  private let input: GuardedBytes
  private let output: GuardedBytes

  /// - Parameter byteCountMax: Of a chunk, stored or raw.
  init(byteCountMax: Int = 1 << 20) {
    input = GuardedBytes(capacity: byteCountMax)
    output = GuardedBytes(capacity: byteCountMax)
  }

  /// What the encoder makes of a chunk; nil if it is to be stored.
  func encoded(_ raw: [UInt8], _ dtype: DType) -> [UInt8]? {
    // SAFETY: the memory outlives the call.
    let span = unsafe RawSpan(_unsafeBytes: input.copy(raw))
    guard let byteCount = encoder.plan(span, ElementLayout(dtype)) else { return nil }
    let place = unsafe output.bytes(byteCount)
    unsafe encoder.write(span, into: place)
    return unsafe [UInt8](place)
  }

  /// What both decoders make of a chunk, which must be the same; nil if both refuse it.
  func decoded(
    _ stored: [UInt8], _ rawByteCount: Int, sourceLocation: SourceLocation = #_sourceLocation
  ) -> [UInt8]? {
    let ours = decoded(stored, rawByteCount, by: decoder)
    let others = decoded(stored, rawByteCount, by: zlib)
    if ours != others {
      let verdict =
        ours == nil ? "zlib alone takes" : others == nil ? "zlib refuses" : "zlib differs"
      Issue.record("\(verdict): \(stored.prefix(600))", sourceLocation: sourceLocation)
    }
    return ours
  }

  private func decoded(
    _ stored: [UInt8], _ rawByteCount: Int, by decoder: ChunkDecoder
  ) -> [UInt8]? {
    let place = unsafe output.bytes(rawByteCount)
    // What was there before must not pass for what was decoded.
    unsafe place.initializeMemory(as: UInt8.self, repeating: 0xA5)
    do {
      // SAFETY: the memory outlives the call.
      unsafe try decoder.decode(
        RawSpan(_unsafeBytes: input.copy(stored)), codec: .planes, into: place)
      return unsafe [UInt8](place)
    } catch {
      return nil
    }
  }

  /// Encodes, and decodes in both ways what came of it; nil if the chunk is to be stored.
  @discardableResult func roundTrip(
    _ raw: [UInt8], _ dtype: DType, _ name: String = "",
    sourceLocation: SourceLocation = #_sourceLocation
  ) -> [UInt8]? {
    guard let stored = encoded(raw, dtype) else { return nil }
    if decoded(stored, raw.count, sourceLocation: sourceLocation) != raw {
      Issue.record(
        "\(raw.count) bytes of \(dtype), \(name), come back as others",
        sourceLocation: sourceLocation)
    }
    if stored.count > Deflater.encodedByteCountMax(raw.count) {
      Issue.record("\(raw.count) bytes become \(stored.count)", sourceLocation: sourceLocation)
    }
    return stored
  }

  /// Streams that our decoder has left to zlib so far.
  var leftToZlibCount: Int { decoder.zlibStreamCount }

  /// The stored bytes of a chunk, encoded or not, as a share of its own.
  func share(_ raw: [UInt8], _ dtype: DType) -> Double {
    Double(roundTrip(raw, dtype)?.count ?? raw.count) / Double(raw.count)
  }
}
