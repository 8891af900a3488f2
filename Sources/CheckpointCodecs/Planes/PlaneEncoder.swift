package import CheckpointFormat

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// How the elements of a chunk are taken apart.
package struct ElementLayout: Hashable, Sendable {
  /// Bytes of an element: 1, 2, 4 or 8.
  package let width: Int
  /// Whether elements are rotated, so that the exponent of a float is one whole byte.
  package fileprivate(set) var isRotated: Bool
  /// How many bytes in a row must repeat to count as a match: exponents of floats repeat a few by chance.
  let matchByteCount: Int

  package init(_ dtype: DType) {
    switch dtype {
    case .bool, .int8, .uint8, .float8e4m3fn, .float8e5m2: (width, isRotated) = (1, false)
    case .int16, .uint16: (width, isRotated) = (2, false)
    case .int32, .uint32: (width, isRotated) = (4, false)
    case .int64, .uint64: (width, isRotated) = (8, false)
    case .float16, .bfloat16: (width, isRotated) = (2, true)
    case .float32, .complex64: (width, isRotated) = (4, true)
    case .float64: (width, isRotated) = (8, true)
    }
    matchByteCount = isRotated ? 12 : 4
  }
}

/// Encodes chunks: takes their elements apart into planes of bytes, and stores each as what suits it.
///
/// Trained floats are noise in the mantissa and regular in the exponent. What a plane becomes is decided from
/// a sample of it: one byte if it is constant; its bytes where they are noise; a Huffman code for literals;
/// or all that DEFLATE has, where matches pay. Anybody's zlib decodes the streams.
///
/// The result depends on the chunk alone. One instance serves one thread at a time.
///
/// - SeeAlso: docs/format.md, section 7.4; docs/decisions/0013.
@safe
package final class PlaneEncoder {
  private let literals = LiteralEncoder()
  private let deflater = Deflater()
  /// The planes that are not stored where they belong at once.
  private let planeScratch = Scratch()
  private let sampleScratch = Scratch()

  package init() {}

  /// Chunks of fewer elements are stored, unless all of these are equal: codes would cost more than they save.
  private static let elementCountMin = PlaneSample.byteCountMax

  /// Encodes `raw` into the beginning of `output`.
  ///
  /// - Parameters:
  ///   - raw: Whole elements.
  ///   - layout: How to take them apart.
  ///   - output: As many bytes as `raw` has. Its contents are unspecified if nil is returned.
  /// - Returns: The bytes of the encoded chunk, or nil if it would not save at least 1/32.
  package func encode(
    _ raw: RawSpan, _ layout: ElementLayout, into output: UnsafeMutableRawBufferPointer
  ) -> Int? {
    precondition(raw.byteCount % layout.width == 0, "a chunk has whole elements")
    precondition(output.count >= raw.byteCount, "an encoded chunk is shorter than its bytes")
    guard raw.byteCount > 0 else { return nil }
    return unsafe raw.withUnsafeBytes { unsafe encode($0, layout, output) }
  }

  private func encode(
    _ raw: UnsafeRawBufferPointer, _ layout: ElementLayout,
    _ output: UnsafeMutableRawBufferPointer
  ) -> Int? {
    let count = raw.count / layout.width
    let head = PlaneHead.byteCount(width: layout.width)
    if unsafe isRepeated(raw, layout.width) {
      guard head + layout.width <= Deflater.encodedByteCountMax(raw.count) else { return nil }
      return unsafe encodeRepeated(raw, layout, output)
    }
    guard count >= Self.elementCountMin else { return nil }
    var layout = layout
    var samples = unsafe samples(raw, layout, count)
    if layout.isRotated, samples[0].isBit || samples[0].hasOneParity {
      // The mantissa ends with zeros, and the sign would have a plane for itself: with the end of a block,
      // codes for two bytes take one and a half bits, and beside the exponent it takes one. Or there is one
      // sign, as in second moments: it would leave a plane of seven bits to be coded for the eighth, which
      // the last bit of the exponent takes up as well.
      layout.isRotated = false
      unsafe samples = self.samples(raw, layout, count)
    }
    guard let first = samples.firstIndex(where: { $0.isWorthCoding }) else { return nil }
    return unsafe encode(raw, layout, samples, firstCoded: first, output)
  }

  /// Encodes plane by plane; those in front of the first that is coded are split to where they belong.
  private func encode(
    _ raw: UnsafeRawBufferPointer, _ layout: ElementLayout, _ samples: [PlaneSample],
    firstCoded: Int, _ output: UnsafeMutableRawBufferPointer
  ) -> Int? {
    let count = raw.count / layout.width
    let head = PlaneHead.byteCount(width: layout.width)
    let scratch = unsafe planeScratch.bytes((layout.width - firstCoded) * count)
    guard let start = output.baseAddress, let spare = scratch.baseAddress else { return nil }
    // SAFETY: nothing else has bound the memory that is lent for this call.
    let target = unsafe start.assumingMemoryBound(to: UInt8.self)
    let planes = unsafe (0..<layout.width).map { plane in
      unsafe plane < firstCoded
        ? target + head + plane * count : spare + (plane - firstCoded) * count
    }
    unsafe Self.split(raw, layout, count, planes)

    var methods = [PlaneHead.Method](repeating: .stored, count: firstCoded)
    var end = head + firstCoded * count
    for plane in firstCoded..<layout.width {
      let bytes = unsafe UnsafeBufferPointer(start: UnsafePointer(planes[plane]), count: count)
      let room = unsafe UnsafeMutableRawBufferPointer(rebasing: output[end...])
      guard let (method, byteCount) = unsafe encode(bytes, samples[plane], into: room) else {
        return nil
      }
      methods.append(method)
      end += byteCount
    }
    guard end <= Deflater.encodedByteCountMax(raw.count) else { return nil }
    unsafe output.copyBytes(
      from: PlaneHead(width: layout.width, isRotated: layout.isRotated, methods: methods).encoded)
    return end
  }

  // MARK: One plane

  /// Encodes a plane by what its sample says; nil if it does not fit.
  private func encode(
    _ plane: UnsafeBufferPointer<UInt8>, _ sample: PlaneSample,
    into output: UnsafeMutableRawBufferPointer
  ) -> (PlaneHead.Method, Int)? {
    if sample.isConstant, unsafe isRepeated(UnsafeRawBufferPointer(plane), 1) {
      guard output.count >= 1 else { return nil }
      unsafe output[0] = plane[0]
      return (.constant, 1)
    }
    if unsafe sample.isConstant || sample.isRepetitive && matchesPay(plane, sample),
      let byteCount = unsafe encodeWithMatches(plane, into: output)
    {
      return (.streams(1), byteCount)
    }
    if sample.hasShortCodes, let (count, byteCount) = unsafe encodeLiterals(plane, into: output) {
      return (.streams(count), byteCount)
    }
    guard output.count >= plane.count else { return nil }
    unsafe output.copyMemory(from: UnsafeRawBufferPointer(plane))
    return (.stored, plane.count)
  }

  private func encodeLiterals(
    _ plane: UnsafeBufferPointer<UInt8>, into output: UnsafeMutableRawBufferPointer
  ) -> (Int, Int)? {
    guard let plan = unsafe literals.plan(plane) else { return nil }
    let lengths = 4 * plan.streamByteCounts.count
    let byteCount = lengths + plan.byteCount
    guard byteCount <= min(output.count, Deflater.encodedByteCountMax(plane.count)) else {
      return nil
    }
    for (index, length) in plan.streamByteCounts.enumerated() {
      unsafe output.store(UInt32(length), at: 4 * index)
    }
    let room = unsafe UnsafeMutableRawBufferPointer(rebasing: output[lengths..<byteCount])
    unsafe literals.encode(plane, by: plan, into: room)
    return (plan.streamByteCounts.count, byteCount)
  }

  private func encodeWithMatches(
    _ plane: UnsafeBufferPointer<UInt8>, into output: UnsafeMutableRawBufferPointer
  ) -> Int? {
    guard output.count > 4 else { return nil }
    let room = unsafe UnsafeMutableRawBufferPointer(rebasing: output[4...])
    // SAFETY: the span lives for this call.
    let bytes = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(plane))
    guard let byteCount = unsafe deflater.encode(bytes, into: room) else { return nil }
    unsafe output.store(UInt32(byteCount), at: 0)
    return 4 + byteCount
  }

  /// Whether matches make a sample smaller than codes for its bytes do.
  private func matchesPay(_ plane: UnsafeBufferPointer<UInt8>, _ sample: PlaneSample) -> Bool {
    let byteCount = min(plane.count, PlaneSample.byteCountMax)
    let start = (plane.count - byteCount) / 2
    let room = unsafe sampleScratch.bytes(byteCount)
    // SAFETY: the span lives for this call.
    let bytes = unsafe RawSpan(
      _unsafeBytes: UnsafeRawBufferPointer(
        UnsafeBufferPointer(rebasing: plane[start..<start + byteCount])))
    guard
      let encoded = unsafe deflater.encode(bytes, into: UnsafeMutableRawBufferPointer(room))
    else { return false }
    // A code for single bytes takes a bit for each of them at the least.
    return Double(encoded * 8) < max(1, sample.bitsPerByte) * Double(byteCount)
  }

  // MARK: Looking and splitting

  /// Whether the bytes are one element again and again.
  private func isRepeated(_ bytes: UnsafeRawBufferPointer, _ width: Int) -> Bool {
    guard let start = bytes.baseAddress else { return true }
    // SAFETY: both ranges lie in the buffer; memcmp stops at the first difference.
    return unsafe memcmp(start, start + width, bytes.count - width) == 0
  }

  /// Stores a chunk whose elements are all equal: each of its planes is constant.
  private func encodeRepeated(
    _ raw: UnsafeRawBufferPointer, _ layout: ElementLayout,
    _ output: UnsafeMutableRawBufferPointer
  ) -> Int {
    let methods = [PlaneHead.Method](repeating: .constant, count: layout.width)
    // Not rotated: the bytes of the element are those of its planes.
    var bytes = PlaneHead(width: layout.width, isRotated: false, methods: methods).encoded
    unsafe bytes += raw.prefix(layout.width)
    unsafe output.copyBytes(from: bytes)
    return bytes.count
  }

  /// Looks at some thousand elements, in two places so that a change in the middle is noticed.
  private func samples(
    _ raw: UnsafeRawBufferPointer, _ layout: ElementLayout, _ count: Int
  ) -> [PlaneSample] {
    let sampleCount = PlaneSample.byteCountMax
    let scratch = unsafe sampleScratch.bytes(layout.width * sampleCount)
    guard let spare = scratch.baseAddress else { return [] }
    let half = sampleCount / 2
    for (part, first) in [count / 4, 3 * count / 4].enumerated() {
      let begin = min(first, count - half)
      let planes = unsafe (0..<layout.width).map { unsafe spare + $0 * sampleCount + part * half }
      let range = begin * layout.width..<(begin + half) * layout.width
      unsafe Self.split(UnsafeRawBufferPointer(rebasing: raw[range]), layout, half, planes)
    }
    return (0..<layout.width).map { plane in
      let bytes = unsafe UnsafeBufferPointer(
        start: UnsafePointer(spare + plane * sampleCount), count: 2 * half)
      return unsafe PlaneSample(bytes, matchByteCount: layout.matchByteCount)
    }
  }

  /// Takes `count` elements apart; each plane has room for as many bytes.
  @unsafe private static func split(
    _ raw: UnsafeRawBufferPointer, _ layout: ElementLayout, _ count: Int,
    _ planes: [BytePlanes.Plane]
  ) {
    guard let start = raw.baseAddress else { return }
    switch layout.width {
    case 1: unsafe UnsafeMutableRawPointer(planes[0]).copyMemory(from: start, byteCount: count)
    case 2:
      unsafe BytePlanes.split2(
        start, count: count, isRotated: layout.isRotated, planes[0], planes[1])
    case 4:
      unsafe BytePlanes.split4(
        start, count: count, isRotated: layout.isRotated, planes[0], planes[1], planes[2],
        planes[3])
    default:
      unsafe planes.withUnsafeBufferPointer { planes in
        guard let first = planes.baseAddress else { return }
        unsafe BytePlanes.split8(start, count: count, isRotated: layout.isRotated, first)
      }
    }
  }
}

extension PlaneSample {
  /// Whether a code for the bytes would save something worth its time.
  var hasShortCodes: Bool { bitsPerByte < 7.5 }
  /// Whether the plane should be looked at as a whole.
  var isWorthCoding: Bool { isConstant || isRepetitive || hasShortCodes }
}
