import CheckpointEngine
import CheckpointFormat
import CheckpointTesting
import Foundation
import Testing

// Goal: the statistics of a tensor are those of its elements, for every dtype and however it is cut.
// Method: random bits and special ones, saved in chunks of 64 bytes, against a sum of plain numbers that are
// decoded another way: by the definition of each format.
@Suite struct TensorStatisticsTests {
  /// The numbers that the bytes stand for, by the definition of the dtype.
  private func numbers(_ bytes: [UInt8], _ dtype: DType) -> [Double] {
    let width = dtype == .complex64 ? 4 : dtype.byteCount
    return stride(from: 0, to: bytes.count, by: width).map { start in
      let bits = (0..<width).reduce(UInt64(0)) {
        $0 | UInt64(bytes[start + $1]) << (8 * UInt64($1))
      }
      return switch dtype {
      case .bool: bits == 0 ? 0 : 1
      case .uint8, .uint16, .uint32, .uint64: Double(bits)
      case .int8: Double(Int8(truncatingIfNeeded: bits))
      case .int16: Double(Int16(truncatingIfNeeded: bits))
      case .int32: Double(Int32(truncatingIfNeeded: bits))
      case .int64: Double(Int64(bitPattern: bits))
      case .float16: Self.defined(bits, exponentBits: 5, mantissaBits: 10)
      case .bfloat16: Self.defined(bits, exponentBits: 8, mantissaBits: 7)
      case .float32, .complex64: Self.defined(bits, exponentBits: 8, mantissaBits: 23)
      case .float64: Double(bitPattern: bits)
      case .float8e5m2: Self.defined(bits, exponentBits: 5, mantissaBits: 2)
      case .float8e4m3fn:
        bits & 0x7f == 0x7f
          ? .nan : Self.defined(bits, exponentBits: 4, mantissaBits: 3, hasInfinities: false)
      }
    }
  }

  private static func defined(
    _ bits: UInt64, exponentBits: Int, mantissaBits: Int, hasInfinities: Bool = true
  ) -> Double {
    let exponentMax = (1 << exponentBits) - 1
    let exponent = Int(bits >> UInt64(mantissaBits)) & exponentMax
    let fraction = Double(bits & (1 << UInt64(mantissaBits) - 1)) / Double(1 << mantissaBits)
    let sign: Double = bits >> UInt64(exponentBits + mantissaBits) & 1 == 1 ? -1 : 1
    let bias = exponentMax / 2
    if hasInfinities, exponent == exponentMax { return fraction == 0 ? sign * .infinity : .nan }
    return exponent == 0
      ? sign * fraction * pow(2, Double(1 - bias))
      : sign * (1 + fraction) * pow(2, Double(exponent - bias))
  }

  /// Both zeros, both infinities, NaN with and without payload, the smallest and the largest of a format.
  private func special(_ dtype: DType) -> [UInt8] {
    let width = dtype == .complex64 ? 4 : dtype.byteCount
    let signs: [UInt64] = [0, 1 << UInt64(8 * width - 1)]
    let magnitudes: [UInt64] =
      switch dtype {
      case .float16: [0, 1, 0x7bff, 0x7c00, 0x7c01, 0x7e00]
      case .bfloat16: [0, 1, 0x7f7f, 0x7f80, 0x7f81, 0x7fc0]
      case .float32, .complex64: [0, 1, 0x7f7f_ffff, 0x7f80_0000, 0x7f80_0001, 0x7fc0_1234]
      case .float64: [0, 1, 0x7ff0 << 48, 0x7ff0 << 48 | 1, 0x7ff8 << 48 | 77]
      case .float8e5m2: [0, 1, 0x7b, 0x7c, 0x7d, 0x7e]
      case .float8e4m3fn: [0, 1, 0x7e, 0x7f]
      default: [0, 1, .max >> 1]
      }
    return signs.flatMap { sign in
      magnitudes.flatMap { magnitude in
        (0..<width).map { UInt8(truncatingIfNeeded: (sign | magnitude) >> (8 * UInt64($0))) }
      }
    }
  }

  private func isClose(_ one: Double, _ other: Double, _ scale: Double) -> Bool {
    one == other || abs(one - other) <= 1e-12 * scale
  }

  private func saved(_ state: SampleState, threads: Int? = nil) throws -> CheckpointReader {
    let disk = SimulatedDisk()
    let path = try disk.writer().save(state, step: 1).path
    return try CheckpointReader.open(path: path, on: disk.device, threads: threads)
  }

  @Test(arguments: DType.allCases)
  func statisticsAreThoseOfTheElements(dtype: DType) throws {
    var generator = SeededGenerator(UInt64(dtype.rawValue))
    var bytes = special(dtype)
    // So many that there are several rounds of chunks.
    while bytes.count < 64 * 300 { bytes.append(generator.byte()) }
    bytes.removeLast(bytes.count % dtype.byteCount)
    if dtype == .float64 {
      // Random exponents would leave nothing but the largest to be seen.
      for start in stride(from: 10 * 8, to: bytes.count, by: 8) { bytes[start + 7] = 0x3f }
    }
    var state = SampleState()
    state.add("empty", dtype, [3, 0], [])
    state.add("all", dtype, [bytes.count / dtype.byteCount], bytes)
    state.add("scalar", dtype, [], Array(bytes.suffix(dtype.byteCount)))
    state.alias("tied", of: "all")
    for threads in [1, 4] {
      let reader = try saved(state, threads: threads)
      var done: [UInt64] = []
      let found = try reader.statistics(of: [3, 1, 0, 2]) {
        done.append($0); #expect($0 <= $1)
      }
      #expect(found[0] == found[1])
      #expect(done.count > 1 && done.last == UInt64(bytes.count + dtype.byteCount))
      check(found[1], numbers(bytes, dtype))
      check(found[2], [])
      check(found[3], numbers(bytes.suffix(dtype.byteCount), dtype))
    }
  }

  private func check(_ found: TensorStatistics, _ all: [Double]) {
    let finite = all.filter(\.isFinite)
    let ordered = all.filter { !$0.isNaN }
    #expect(found.count == UInt64(all.count))
    #expect(found.nanCount == UInt64(all.count { $0.isNaN }))
    #expect(found.infinityCount == UInt64(all.count { $0.isInfinite }))
    #expect(found.zeroCount == UInt64(all.count { $0 == 0 }))
    #expect(found.minimum?.real == ordered.min())
    #expect(found.maximum?.real == ordered.max())
    let scale = finite.reduce(0) { max($0, abs($1)) }
    let mean = finite.reduce(0) { $0 + $1 / Double(finite.count) }
    #expect(isClose(found.mean ?? .nan, mean, scale) || (finite.isEmpty && found.mean == nil))
    let norm = scale == 0 ? 0 : finite.reduce(0) { $0 + pow($1 / scale, 2) }.squareRoot() * scale
    #expect(isClose(found.norm, norm, norm), "\(found.norm) \(norm)")
  }

  @Test func integersOf64BitsAreExact() throws {
    var state = SampleState()
    let signed: [Int64] = [.min, .min + 1, .max - 1, .max]
    state.add("signed", .int64, [4], signed.flatMap(littleEndian))
    state.add("unsigned", .uint64, [2], [UInt64.max, .max - 1].flatMap(littleEndian))
    let found = try saved(state).statistics(of: [0, 1])
    #expect(found[0].minimum == .signed(.min) && found[0].maximum == .signed(.max))
    #expect(found[1].minimum == .unsigned(.max - 1) && found[1].maximum == .unsigned(.max))
  }

  @Test(arguments: [1e300, 1.7e308, 0x1p-1030, 1e-200, 1])
  func sumsNeitherOverflowNorVanish(value: Double) throws {
    var state = SampleState()
    state.add(
      "values", .float64, [400],
      Array(repeating: littleEndian(value.bitPattern), count: 400).flatMap(\.self))
    let found = try saved(state).statistics(of: [0])[0]
    #expect(isClose(found.mean ?? .nan, value, value * 10))
    // Twenty times 1.7e308 is no Double.
    #expect(value > 1e307 ? found.norm == .infinity : isClose(found.norm, value * 20, value * 100))
  }

  @Test func damageIsToldAndNothingIsMadeOfIt() throws {
    let disk = SimulatedDisk()
    try disk.saveRun(1)
    try disk.damage(checkpointName(1, 1))
    let path = SimulatedDisk.storePath + "/" + checkpointName(1, 1)
    let reader = try CheckpointReader.open(path: path, on: disk.device)
    let error = #expect(throws: CheckpointError.self) { try reader.statistics(of: [0]) }
    #expect(error?.code == .corrupted && error?.location?.tensor == "weight")
    #expect(throws: Never.self) { try reader.statistics(of: [1]) }
  }
}

func littleEndian<Integer: FixedWidthInteger>(_ value: Integer) -> [UInt8] {
  (0..<Integer.bitWidth / 8).map { UInt8(truncatingIfNeeded: value >> Integer($0 * 8)) }
}

extension TensorStatistics.Number {
  fileprivate var real: Double {
    switch self {
    case .signed(let value): Double(value)
    case .unsigned(let value): Double(value)
    case .real(let value): value
    }
  }
}
