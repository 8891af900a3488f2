internal import CheckpointCodecs
internal import CheckpointFormat

/// The codec of planes, one chunk at a time on the thread that asks.
///
/// `Benchmarks`, a nested package, measures it. Not API of the library.
public final class ChunkCodec {
  private let encoder = PlaneEncoder()
  private let decoder = ChunkDecoder()

  /// Makes a codec that keeps its memory from chunk to chunk.
  public init() {}

  /// Encodes a chunk into the beginning of `output`.
  ///
  /// - Parameters:
  ///   - raw: whole elements.
  ///   - dtype: their code of docs/format.md, section 6.3.
  ///   - output: at least as many bytes as `raw` has.
  /// - Returns: how many bytes the encoded chunk has, or nil if it would be stored as it is.
  public func encode(
    _ raw: UnsafeRawBufferPointer, dtype: UInt8, into output: UnsafeMutableRawBufferPointer
  ) -> Int? {
    guard let dtype = DType(rawValue: dtype) else { preconditionFailure("there is no such dtype") }
    // SAFETY: the caller lends both for this call.
    let raw = unsafe RawSpan(_unsafeBytes: raw)
    guard let byteCount = encoder.plan(raw, ElementLayout(dtype)) else { return nil }
    unsafe encoder.write(raw, into: UnsafeMutableRawBufferPointer(rebasing: output[..<byteCount]))
    return byteCount
  }

  /// Decodes an encoded chunk into all of `output`.
  ///
  /// - Parameters:
  ///   - stored: what `encode` made.
  ///   - output: as many bytes as the chunk had.
  /// - Returns: whether it was a chunk of so many bytes.
  public func decode(
    _ stored: UnsafeRawBufferPointer, into output: UnsafeMutableRawBufferPointer
  ) -> Bool {
    do {
      // SAFETY: the caller lends both for this call.
      unsafe try decoder.decode(RawSpan(_unsafeBytes: stored), codec: .planes, into: output)
      return true
    } catch {
      return false
    }
  }
}
