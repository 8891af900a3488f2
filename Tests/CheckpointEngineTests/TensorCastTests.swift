import CheckpointEngine
import CheckpointFormat
import Testing

// Goal: every conversion gives what the language's own gives, rounded once, and refuses what does not fit.
// Method: the oracle is Swift's initialisers, over all halves, and over many patterns of wider types.
@Suite struct TensorCastTests {
  private func cast(
    _ bytes: [UInt8], _ source: DType, _ target: DType
  ) throws(TensorCast.Failure) -> [UInt8] {
    let count = bytes.count / source.byteCount * target.byteCount
    var result = [UInt8](repeating: 0, count: count)
    var failure: TensorCast.Failure?
    unsafe result.withUnsafeMutableBytes { buffer in
      do throws(TensorCast.Failure) {
        unsafe try TensorCast(from: source, to: target).convert(bytes.span.bytes, into: buffer)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return result
  }

  private func bytes<Value: FixedWidthInteger>(_ values: [Value]) -> [UInt8] {
    values.flatMap { value in
      (0..<MemoryLayout<Value>.size).map { UInt8(truncatingIfNeeded: value >> (8 * Value($0))) }
    }
  }

  /// Patterns around every exponent, of all kinds.
  private var singles: [Float] {
    var generator = SeededGenerator(5)
    let random = (0..<20_000).map { _ in
      Float(bitPattern: generator.bytes(4).reduce(0) { $0 << 8 | UInt32($1) })
    }
    let special: [Float] = [
      0, -0.0, .nan, .infinity, -.infinity, .leastNonzeroMagnitude, .leastNormalMagnitude,
      65504, 65519.99, 3.3895e38, 1, -1.5,
    ]
    return special + random
  }

  #if !(os(macOS) && arch(x86_64))
    @Test func everyHalfComesBackFromEveryWiderFloat() throws {
      let halves = (0...UInt16.max).map { $0 }.filter { !Float16(bitPattern: $0).isNaN }
      for wide in [DType.float32, .float64] {
        let there = try cast(bytes(halves), .float16, wide)
        #expect(try cast(there, wide, .float16) == bytes(halves))
      }
      let singles = halves.map { Float(Float16(bitPattern: $0)).bitPattern }
      #expect(try cast(bytes(halves), .float16, .float32) == bytes(singles))
    }

    @Test func singlesAreRoundedToHalvesAsByTheLanguage() throws {
      for value in singles {
        let half = Float16(value)
        let result = try? cast(bytes([value.bitPattern]), .float32, .float16)
        if value.isFinite, half.isInfinite {
          #expect(result == nil, "\(value)")
        } else if value.isNaN {
          #expect(result.map { ($0[1] & 0x7c) == 0x7c && ($0[0] | $0[1] & 3) != 0 } == true)
        } else {
          #expect(result == bytes([half.bitPattern]), "\(value)")
        }
      }
    }
  #endif

  @Test func bfloat16IsTheNearestUpperHalf() throws {
    for value in singles where !value.isNaN {
      let result = try? cast(bytes([value.bitPattern]), .float32, .bfloat16)
      // The two neighbours, and of those the nearer, or the even one.
      let low = value.bitPattern & 0xffff_0000
      let isUp =
        value.bitPattern & 0xffff > 0x8000
        || (value.bitPattern & 0xffff == 0x8000 && low & 0x1_0000 != 0)
      let nearest = isUp ? low + 0x1_0000 : low
      if value.isFinite, Float(bitPattern: nearest).isInfinite {
        #expect(result == nil, "\(value)")
      } else {
        #expect(result == bytes([UInt16(nearest >> 16)]), "\(value)")
      }
    }
    let nan = try cast(bytes([Float.nan.bitPattern]), .float32, .bfloat16)
    #expect(Float(bitPattern: UInt32(nan[1]) << 24 | UInt32(nan[0]) << 16).isNaN)
  }

  @Test func doublesAreRoundedToBfloat16Once() throws {
    // Half-way between two, and a little more or less than a single can tell.
    for (value, expected) in [
      (1 + 0x1p-8 + 0x1p-40, 0x3f81), (1 + 0x1p-8 - 0x1p-40, 0x3f80), (1 + 0x1p-8, 0x3f80),
      (1 + 3 * 0x1p-8, 0x3f82), (-1 - 0x1p-8 - 0x1p-40, 0xbf81), (0x1p-1000, 0),
      (-0x1p-1000, 0x8000),
      (.infinity, 0x7f80), (0x1p-133 + 0x1p-160, 0x0001), (0x1p-134 + 0x1p-170, 0x0001),
      (0x1p-134, 0x0000),
    ] as [(Double, UInt16)] {
      #expect(
        try cast(bytes([value.bitPattern]), .float64, .bfloat16) == bytes([expected]), "\(value)")
    }
  }

  @Test func doublesAreRoundedToSinglesAsByTheLanguage() throws {
    for value in singles.map({ Double($0) * 1.000000123 }) where !value.isNaN {
      let result = try? cast(bytes([value.bitPattern]), .float64, .float32)
      let single = Float(value)
      #expect(result == (value.isFinite && single.isInfinite ? nil : bytes([single.bitPattern])))
    }
  }

  @Test func largeIntegersAreRoundedOnce() throws {
    var generator = SeededGenerator(8)
    let ties: [Int64] = [
      1 << 60 | 1 << 36 | 1, 1 << 60 | 1 << 36, 1 << 53 | 1, .max, .min, .min + 1,
    ]
    let random = (0..<5000).map { _ in
      Int64(bitPattern: generator.bytes(8).reduce(0) { $0 << 8 | UInt64($1) })
    }
    for value in ties + random {
      let input = bytes([value])
      #expect(try cast(input, .int64, .float32) == bytes([Float(value).bitPattern]), "\(value)")
      #expect(try cast(input, .int64, .float64) == bytes([Double(value).bitPattern]))
      let unsigned = UInt64(bitPattern: value)
      #expect(try cast(bytes([unsigned]), .uint64, .float32) == bytes([Float(unsigned).bitPattern]))
    }
  }

  @Test func integersFitOrAreRefused() throws {
    #expect(try cast(bytes([Int32](arrayLiteral: -128, 127)), .int32, .int8) == [128, 127])
    #expect(try cast(bytes([UInt8.max]), .uint8, .int64) == bytes([Int64(255)]))
    #expect(try cast(bytes([Int64.min]), .int64, .int64) == bytes([Int64.min]))
    #expect(
      try cast(bytes([UInt64.max]), .uint64, .float64) == bytes([Double(UInt64.max).bitPattern]))
    #expect(try cast(bytes([Double(7).bitPattern]), .float64, .uint16) == [7, 0])
    #expect(try cast([0, 1, 2], .bool, .int8) == [0, 1, 1])
    #expect(try cast([0, 1], .int8, .bool) == [0, 1])
    #expect(try cast([0x80, 0xbf], .bfloat16, .float32) == bytes([Float(-1).bitPattern]))
    #expect(try cast([200, 0, 0, 0], .int32, .int16) == [200, 0])
    #expect(try cast([7], .uint8, .uint32) == [7, 0, 0, 0])
    let one: [UInt8] = [1]
    let small = UnsafeMutableRawBufferPointer.allocate(byteCount: 1, alignment: 1)
    defer { unsafe small.deallocate() }
    #expect(throws: TensorCast.Failure.self) {
      unsafe try TensorCast(from: .int8, to: .int16).convert(one.span.bytes, into: small)
    }
    let misfits: [([UInt8], DType, DType)] = [
      (bytes([Int32(128)]), .int32, .int8), (bytes([Int8(-1)]), .int8, .uint64),
      (bytes([Double(0.5).bitPattern]), .float64, .int32),
      (bytes([Double.nan.bitPattern]), .float64, .int8),
      (bytes([Double.infinity.bitPattern]), .float64, .uint64), ([2], .uint8, .bool),
      (bytes([Double(1e300).bitPattern]), .float64, .float32), ([0], .float8e5m2, .float32),
      (bytes([Float(1).bitPattern]), .float32, .float8e4m3fn),
      ([0, 0, 0, 0, 0, 0, 0, 0], .complex64, .float32),
    ]
    for (input, source, target) in misfits {
      #expect(throws: TensorCast.Failure.self, "\(source) to \(target)") {
        try cast(input, source, target)
      }
    }
  }

  @Test func theFirstElementThatDoesNotFitIsNamed() throws {
    let error = #expect(throws: TensorCast.Failure.self) {
      try cast(bytes([Int16(1), 2, 300, 400]), .int16, .uint8)
    }
    #expect(error?.sentence == "element 2, 300, does not fit uint8")
  }
}
