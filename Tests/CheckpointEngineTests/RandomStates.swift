import CheckpointEngine
import CheckpointFormat

extension SampleState {
  /// Beginnings of names, in scripts and forms that a careless reader mixes up.
  static let namePrefixes = [
    "w", "block.0/attn", "caf\u{e9}", "cafe\u{301}", "\u{e4}\u{f6}\u{fc}", "層.重み", "слой",
    "שכבה", "طبقة", "परत", "ชั้น", "가중치", "\u{1112}\u{1161}\u{11ab}", "𝕎", "👩🏽‍🚀", "..", "a b",
    "name with \"quotes\" and \\", "\u{fe0f}", "ﬁ", "\u{2126}", "\u{1f600}/\u{200d}", "-",
    "step-1.ckpt",
  ]

  /// A state that follows from `seed`.
  static func random(_ seed: UInt64) -> SampleState {
    var generator = SeededGenerator(seed)
    var state = SampleState()
    for number in 0..<generator.below(9) {
      let name = generator.pick(namePrefixes) + "/\(number)"
      let originals = state.tensors.filter { $0.aliasOf == nil }
      if !originals.isEmpty, generator.chance(15) {
        state.alias(name, of: generator.pick(originals).descriptor.name)
        continue
      }
      let dtype = generator.pick(DType.allCases)
      var shape = (0..<generator.below(5)).map { _ in generator.below(7) }
      if !shape.isEmpty, generator.chance(25) { shape[0] *= 300 }
      let count = shape.reduce(dtype.byteCount, *)
      state.add(name, dtype, shape, generator.bytes(count))
    }
    for number in 0..<generator.below(6) {
      let (domain, value) = generator.value()
      state.metadata[domain, generator.pick(namePrefixes) + "#\(number)"] = value
    }
    return state
  }

  /// A tensor of each dtype with the bit patterns that conversions lose, besides scalars and
  /// tensors without elements.
  static let everyDType: SampleState = {
    var state = SampleState()
    var generator = SeededGenerator(16)
    for dtype in DType.allCases {
      let width = dtype.byteCount
      var bytes: [UInt8] = []
      for pattern in specialPatterns {
        bytes += (0..<width).map { UInt8(truncatingIfNeeded: pattern >> (8 * ($0 % 8))) }
      }
      bytes += generator.bytes(width * 5)
      state.add("\(dtype.name)/values", dtype, [bytes.count / width], bytes)
      state.add("\(dtype.name)/scalar", dtype, [], Array(bytes.suffix(width)))
      state.add("\(dtype.name)/empty", dtype, [0], [])
      state.add("\(dtype.name)/no-rows", dtype, [0, 3, 2], [])
      state.add("\(dtype.name)/no-columns", dtype, [4, 0], [])
      state.add("\(dtype.name)/deep", dtype, [1, 1, 2, 1, 1], Array(bytes.prefix(2 * width)))
    }
    return state
  }()

  /// Signalling and quiet NaNs with payloads, infinities, zeros of both signs and denormals of
  /// binary64, binary32, binary16 and bfloat16, least significant byte first.
  private static let specialPatterns: [UInt64] = [
    0, 0x8000_0000_0000_0000, 0x7ff0_0000_0000_0001, 0xfff8_dead_beef_0001, 0x7ff0_0000_0000_0000,
    0x0000_0000_0000_0001, 0x800f_ffff_ffff_ffff, 0x7f80_0001_ff80_0001, 0x7fc1_2345_ffc1_2345,
    0x0000_0001_8000_0001, 0x7c01_fc01_7e55_fe55, 0x0001_8001_03ff_83ff, 0x7f81_ff81_7fff_ffff,
    .max,
  ]
}

extension SeededGenerator {
  mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }

  /// Bytes of one of the kinds that encoders treat differently.
  mutating func bytes(_ count: Int) -> [UInt8] {
    switch below(4) {
    case 0: return (0..<count).map { _ in byte() }
    case 1: return [UInt8](repeating: byte(), count: count)
    case 2:
      let period = below(30) + 1
      let unit = (0..<period).map { _ in byte() }
      return (0..<count).map { unit[$0 % period] }
    default:
      // Noise with stretches of zeros.
      return (0..<count).map { $0 / 100 % 2 == 0 ? byte() : 0 }
    }
  }

  mutating func value() -> (Metadata.Domain, MetadataValue) {
    let domain = pick(Metadata.Domain.allCases)
    switch domain {
    case .metric: return (domain, .float64(bits: next()))
    case .stateVersion: return (domain, .int64(Int64(bitPattern: next())))
    case .state, .environment: break
    }
    switch below(7) {
    case 0: return (domain, .bool(chance(50)))
    case 1: return (domain, .int64(Int64(bitPattern: next())))
    case 2: return (domain, .uint64(next()))
    case 3: return (domain, .float64(bits: 0x7ff0_0000_0000_0000 | next() >> 12))
    case 4: return (domain, .string(pick(SampleState.namePrefixes)))
    case 5:
      let count = below(50)
      return (domain, .bytes((0..<count).map { _ in byte() }))
    default: return (domain, .json("{\"a\":[1,2,{\"b\":null}],\"c\":\"[[[[\"}"))
    }
  }
}
