import CheckpointCodecs
import CheckpointFormat
import CheckpointTesting
import Testing

// Goal: what is encoded decodes to the same bytes, and is as small as it should be.
// Method: chunks of every dtype and of many lengths, of bytes that suit every method; each is decoded by
// our decoder and by zlib alone.

/// Encodes, and decodes in both ways; nil if the chunk is to be stored.
private func encoded(_ raw: [UInt8], _ dtype: DType) throws -> [UInt8]? {
  let output = UnsafeMutableRawBufferPointer.allocate(byteCount: raw.count, alignment: 64)
  defer { unsafe output.deallocate() }
  let encoder = PlaneEncoder()
  guard let count = unsafe encoder.encode(raw.rawSpan, ElementLayout(dtype), into: output) else {
    return nil
  }
  let stored = unsafe [UInt8](output[..<count])
  for decoder in [ChunkDecoder(), ChunkDecoder(usesZlibAlone: true)] {
    let back = UnsafeMutableRawBufferPointer.allocate(byteCount: raw.count, alignment: 64)
    defer { unsafe back.deallocate() }
    unsafe try decoder.decode(stored.rawSpan, codec: .planes, into: back)
    #expect(unsafe [UInt8](back) == raw)
  }
  return stored
}

/// Normal numbers with a standard deviation of 0.02, as bytes of a dtype.
private func normal(_ count: Int, _ dtype: DType) -> [UInt8] {
  var random = SplitMix64(state: UInt64(count))
  return (0..<count).flatMap { _ -> [UInt8] in
    // The sum of twelve uniform numbers: near enough to normal.
    let sum = (0..<12).reduce(0.0) { sum, _ in sum + Double(random.next() >> 11) * 0x1p-53 }
    let value = Float((sum - 6) * 0.02)
    switch dtype {
    case .float32:
      return unsafe withUnsafeBytes(of: value) { unsafe [UInt8]($0) }
    default:
      return unsafe withUnsafeBytes(of: UInt16(value.bitPattern >> 16)) { unsafe [UInt8]($0) }
    }
  }
}

struct PlaneRoundTripTests {
  @Test(arguments: [4096, 4097, 16384, 65536, 65537, 262_144])
  func normalFloatsBecomeSmall(count: Int) throws {
    let float32 = try #require(try encoded(normal(count, .float32), .float32))
    #expect(Double(float32.count) / Double(4 * count) < 0.84)
    let bfloat16 = try #require(try encoded(normal(count, .bfloat16), .bfloat16))
    #expect(Double(bfloat16.count) / Double(2 * count) < 0.68)
  }
}
