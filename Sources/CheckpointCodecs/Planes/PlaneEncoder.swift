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
/// A chunk is looked at first, which tells how long it becomes, and then written: so it can be written to where
/// it belongs, behind others that are being written at the same time. The result depends on the chunk alone. One
/// instance serves one thread at a time.
///
/// - SeeAlso: docs/format.md, section 7.4; docs/decisions/0013.
@safe
package final class PlaneEncoder {
  /// What a plane becomes, and what that is made of.
  private struct PlanePlan {
    // SAFETY (@safe): the pointers lead into the scratch of the encoder, until it looks at another chunk.
    @safe enum Content {
      /// The elements, taken apart to where the plane belongs.
      case elements
      /// These bytes.
      case bytes(UnsafeRawBufferPointer)
      case constant(UInt8)
      /// Streams of literals, by a plan for a plane.
      case literals(UnsafeBufferPointer<UInt8>, LiteralEncoder.Plan)
      /// A stream with matches.
      case matches(UnsafeRawBufferPointer)
    }

    let method: PlaneHead.Method
    let byteCount: Int
    let content: Content
  }

  /// What a chunk becomes.
  private struct Plan {
    let rawByteCount: Int
    let layout: ElementLayout
    let planes: [PlanePlan]

    var byteCount: Int {
      planes.reduce(PlaneHead.byteCount(width: layout.width)) { $0 + $1.byteCount }
    }
  }

  private let literals = LiteralEncoder()
  private let deflater = Deflater()
  /// The planes that are coded.
  private let planeScratch = Scratch()
  /// Their streams with matches.
  private let matchScratch = Scratch()
  private let sampleScratch = Scratch()
  /// Of the chunk that was looked at last.
  private var plan: Plan?

  package init() {}

  /// Chunks of fewer elements are stored, unless all of these are equal: codes would cost more than they save.
  private static let elementCountMin = PlaneSample.byteCountMax

  /// Looks at a chunk, which ``write(_:into:)`` then writes.
  ///
  /// - Parameters:
  ///   - raw: Whole elements.
  ///   - layout: How to take them apart.
  /// - Returns: The bytes of the encoded chunk, or nil if it would not save at least 1/32.
  package func plan(_ raw: RawSpan, _ layout: ElementLayout) -> Int? {
    precondition(raw.byteCount % layout.width == 0, "a chunk has whole elements")
    plan = nil
    guard raw.byteCount > 0 else { return nil }
    let made = unsafe raw.withUnsafeBytes { unsafe makePlan($0, layout) }
    guard let made, made.byteCount <= Deflater.encodedByteCountMax(raw.byteCount) else {
      return nil
    }
    plan = made
    return made.byteCount
  }

  /// Writes the chunk that was looked at last.
  ///
  /// - Parameters:
  ///   - raw: The same elements.
  ///   - output: As many bytes as ``plan(_:_:)`` returned.
  package func write(_ raw: RawSpan, into output: UnsafeMutableRawBufferPointer) {
    guard let plan else { preconditionFailure("a chunk is looked at before it is written") }
    precondition(raw.byteCount == plan.rawByteCount, "what was looked at is written")
    precondition(output.count == plan.byteCount, "a chunk becomes as long as was planned")
    unsafe raw.withUnsafeBytes { unsafe write($0, by: plan, into: output) }
    self.plan = nil
  }

  // MARK: Looking

  private func makePlan(_ raw: UnsafeRawBufferPointer, _ layout: ElementLayout) -> Plan? {
    let count = raw.count / layout.width
    if unsafe isRepeated(raw, layout.width) { return unsafe planOfRepeated(raw, layout) }
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
    guard samples.contains(where: \.isWorthCoding) else { return nil }
    return unsafe plan(raw, layout, samples)
  }

  /// Plans a chunk whose elements are all equal: each of its planes is constant.
  private func planOfRepeated(_ raw: UnsafeRawBufferPointer, _ layout: ElementLayout) -> Plan {
    var layout = layout
    // The bytes of the element are those of its planes.
    layout.isRotated = false
    return unsafe Plan(
      rawByteCount: raw.count, layout: layout,
      planes: raw.prefix(layout.width).map {
        PlanePlan(method: .constant, byteCount: 1, content: .constant($0))
      })
  }

  /// Plans plane by plane: only those are taken out that may be coded.
  private func plan(
    _ raw: UnsafeRawBufferPointer, _ layout: ElementLayout, _ samples: [PlaneSample]
  ) -> Plan {
    let count = raw.count / layout.width
    let stored = PlanePlan(method: .stored, byteCount: count, content: .elements)
    var spare = unsafe planeScratch.bytes(samples.count(where: \.isWorthCoding) * count)[...]
    var room = unsafe matchScratch.bytes(samples.count(where: \.mayHaveMatches) * count)[...]
    let coded = unsafe samples.map { sample -> UnsafeMutableBufferPointer<UInt8>? in
      guard sample.isWorthCoding else { return nil }
      defer { unsafe spare = spare.dropFirst(count) }
      return unsafe UnsafeMutableBufferPointer(rebasing: spare.prefix(count))
    }
    unsafe Self.split(raw, layout, count, coded.map { unsafe $0?.baseAddress })
    let planes = unsafe zip(coded, samples).map { plane, sample -> PlanePlan in
      guard let plane = unsafe plane else { return stored }
      let target = unsafe UnsafeMutableRawBufferPointer(
        UnsafeMutableBufferPointer(rebasing: room.prefix(sample.mayHaveMatches ? count : 0)))
      if sample.mayHaveMatches { unsafe room = room.dropFirst(count) }
      return unsafe plan(UnsafeBufferPointer(plane), sample, matches: target)
    }
    return Plan(rawByteCount: raw.count, layout: layout, planes: planes)
  }

  /// Plans a plane by what its sample says.
  private func plan(
    _ plane: UnsafeBufferPointer<UInt8>, _ sample: PlaneSample,
    matches target: UnsafeMutableRawBufferPointer
  ) -> PlanePlan {
    if sample.isConstant, unsafe isRepeated(UnsafeRawBufferPointer(plane), 1) {
      return unsafe PlanePlan(method: .constant, byteCount: 1, content: .constant(plane[0]))
    }
    // SAFETY: the span lives for this call.
    let bytes = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(plane))
    if unsafe sample.isConstant || sample.isRepetitive && matchesPay(plane, sample),
      let byteCount = unsafe deflater.encode(bytes, into: target)
    {
      let stream = unsafe UnsafeRawBufferPointer(rebasing: target[..<byteCount])
      return unsafe PlanePlan(
        method: .streams(1), byteCount: 4 + byteCount, content: .matches(stream))
    }
    if sample.hasShortCodes, let plan = unsafe literals.plan(plane) {
      let count = plan.streamByteCounts.count
      let byteCount = 4 * count + plan.byteCount
      if byteCount <= Deflater.encodedByteCountMax(plane.count) {
        return unsafe PlanePlan(
          method: .streams(count), byteCount: byteCount, content: .literals(plane, plan))
      }
    }
    return unsafe PlanePlan(
      method: .stored, byteCount: plane.count, content: .bytes(UnsafeRawBufferPointer(plane)))
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

  // MARK: Writing

  private func write(
    _ raw: UnsafeRawBufferPointer, by plan: Plan, into output: UnsafeMutableRawBufferPointer
  ) {
    let layout = plan.layout
    let head = PlaneHead(
      width: layout.width, isRotated: layout.isRotated, methods: plan.planes.map(\.method))
    unsafe output.copyBytes(from: head.encoded)
    var end = PlaneHead.byteCount(width: layout.width)
    var straight = unsafe [BytePlanes.Plane?](repeating: nil, count: layout.width)
    for index in 0..<layout.width {
      let plane = plan.planes[index]
      // SAFETY: the output has room for all planes, one behind the other.
      let target = unsafe UnsafeMutableRawBufferPointer(
        rebasing: output[end..<end + plane.byteCount])
      if case .elements = plane.content {
        unsafe straight[index] = target.baseAddress?.assumingMemoryBound(to: UInt8.self)
      } else {
        unsafe write(plane, into: target)
      }
      end += plane.byteCount
    }
    if unsafe straight.contains(where: { unsafe $0 != nil }) {
      unsafe Self.split(raw, layout, raw.count / layout.width, straight)
    }
  }

  private func write(_ plane: PlanePlan, into target: UnsafeMutableRawBufferPointer) {
    switch plane.content {
    case .elements: break
    case .bytes(let bytes): unsafe target.copyMemory(from: bytes)
    case .constant(let byte): unsafe target[0] = byte
    case .matches(let stream):
      unsafe target.store(UInt32(stream.count), at: 0)
      unsafe UnsafeMutableRawBufferPointer(rebasing: target[4...]).copyMemory(from: stream)
    case .literals(let bytes, let plan):
      for (index, length) in plan.streamByteCounts.enumerated() {
        unsafe target.store(UInt32(length), at: 4 * index)
      }
      let streams = unsafe UnsafeMutableRawBufferPointer(
        rebasing: target[(4 * plan.streamByteCounts.count)...])
      unsafe literals.encode(bytes, by: plan, into: streams)
    }
  }

  // MARK: Samples and planes

  /// Whether the bytes are one element again and again.
  private func isRepeated(_ bytes: UnsafeRawBufferPointer, _ width: Int) -> Bool {
    guard let start = bytes.baseAddress else { return true }
    // SAFETY: both ranges lie in the buffer; memcmp stops at the first difference.
    return unsafe memcmp(start, start + width, bytes.count - width) == 0
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

  /// Takes `count` elements apart; each plane that is wanted has room for as many bytes.
  @unsafe private static func split(
    _ raw: UnsafeRawBufferPointer, _ layout: ElementLayout, _ count: Int,
    _ planes: [BytePlanes.Plane?]
  ) {
    guard let start = raw.baseAddress else { return }
    switch layout.width {
    case 1:
      if let plane = unsafe planes[0] {
        unsafe UnsafeMutableRawPointer(plane).copyMemory(from: start, byteCount: count)
      }
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
  /// Whether matches may turn out to pay.
  var mayHaveMatches: Bool { isConstant || isRepetitive }
  /// Whether the plane should be looked at as a whole.
  var isWorthCoding: Bool { mayHaveMatches || hasShortCodes }
}
