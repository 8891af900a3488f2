/// What the elements of a tensor come to.
///
/// A complex number counts as two numbers, its real and its imaginary part; a truth value as 0 or 1.
package struct TensorStatistics: Hashable, Sendable {
  /// A number without loss.
  package enum Number: Hashable, Sendable {
    case signed(Int64)
    case unsigned(UInt64)
    case real(Double)
  }

  /// How many numbers there are.
  package var count: UInt64
  /// The least and the greatest that is not NaN; nil if there is none.
  package var minimum: Number?
  package var maximum: Number?
  /// Of the finite ones; nil if there is none.
  package var mean: Double?
  /// The root of the sum of the squares of the finite ones.
  package var norm: Double
  package var nanCount: UInt64
  package var infinityCount: UInt64
  /// Of either sign.
  package var zeroCount: UInt64
}

/// Adds numbers up, in one pass and without keeping any.
///
/// Sums are of `Double`; those of parts are added with their rounding errors, so that a tensor of many
/// chunks is as exact as one of few, and the same for any number of threads.
struct StatisticsAccumulator: Sendable {
  private var count: UInt64 = 0
  private var nanCount: UInt64 = 0
  private var infinityCount: UInt64 = 0
  private var zeroCount: UInt64 = 0
  private var low = Double.infinity
  private var high = -Double.infinity
  private var isReal = false
  private var signed: ClosedRange<Int64>?
  private var unsigned: ClosedRange<UInt64>?
  private var sum = CompensatedSum()
  /// The same in units of 2^64: does not overflow before the mean does.
  private var largeSum = CompensatedSum()
  private var squares = CompensatedSum()
  // Squares that would overflow or vanish are summed in units of their own (Blue, 1978).
  private var largeSquares = CompensatedSum()
  private var smallSquares = CompensatedSum()

  private static let large = 0x1p500
  private static let small = 0x1p-500
  private static let unit = 0x1p600

  /// Adds numbers that a `Double` holds exactly.
  mutating func add(reals count: Int, wide: Bool = false, _ value: (Int) -> Double) {
    isReal = true
    self.count += UInt64(count)
    var (sum, largeSum, squares, large, small) = (0.0, 0.0, 0.0, 0.0, 0.0)
    for index in 0..<count {
      let number = value(index)
      guard number.isFinite else {
        if number.isNaN {
          nanCount += 1
        } else {
          infinityCount += 1
          low = min(low, number)
          high = max(high, number)
        }
        continue
      }
      if number < low { low = number }
      if number > high { high = number }
      if number == 0 { zeroCount += 1 }
      sum += number
      let magnitude = abs(number)
      if wide, magnitude > Self.large {
        large += (number / Self.unit) * (number / Self.unit)
        largeSum += number * 0x1p-64
      } else if wide, magnitude < Self.small {
        small += (number * Self.unit) * (number * Self.unit)
      } else {
        squares += number * number
        if wide { largeSum += number * 0x1p-64 }
      }
    }
    self.sum.add(sum)
    self.largeSum.add(largeSum)
    self.squares.add(squares)
    largeSquares.add(large)
    smallSquares.add(small)
  }

  /// Adds integers.
  mutating func add<Integer: FixedWidthInteger>(integers count: Int, _ value: (Int) -> Integer) {
    guard count > 0 else { return }
    self.count += UInt64(count)
    var (least, greatest) = (Integer.max, Integer.min)
    var (sum, squares) = (0.0, 0.0)
    for index in 0..<count {
      let number = value(index)
      if number < least { least = number }
      if number > greatest { greatest = number }
      if number == 0 { zeroCount += 1 }
      let real = Double(number)
      sum += real
      squares += real * real
    }
    self.sum.add(sum)
    self.squares.add(squares)
    if Integer.isSigned {
      merge(signed: Int64(least)...Int64(greatest))
    } else {
      merge(unsigned: UInt64(least)...UInt64(greatest))
    }
  }

  /// Adds what others have added.
  mutating func add(_ other: StatisticsAccumulator) {
    count += other.count
    nanCount += other.nanCount
    infinityCount += other.infinityCount
    zeroCount += other.zeroCount
    isReal = isReal || other.isReal
    if other.low < low { low = other.low }
    if other.high > high { high = other.high }
    if let range = other.signed { merge(signed: range) }
    if let range = other.unsigned { merge(unsigned: range) }
    sum.add(other.sum)
    largeSum.add(other.largeSum)
    squares.add(other.squares)
    largeSquares.add(other.largeSquares)
    smallSquares.add(other.smallSquares)
  }

  private mutating func merge(signed range: ClosedRange<Int64>) {
    signed =
      min(
        signed?.lowerBound ?? .max, range.lowerBound)...max(
        signed?.upperBound ?? .min, range.upperBound)
  }

  private mutating func merge(unsigned range: ClosedRange<UInt64>) {
    unsigned =
      min(
        unsigned?.lowerBound ?? .max, range.lowerBound)...max(
        unsigned?.upperBound ?? .min, range.upperBound)
  }

  var statistics: TensorStatistics {
    let hasOrder = isReal && low <= high
    let minimum: TensorStatistics.Number? =
      signed.map { .signed($0.lowerBound) } ?? unsigned.map { .unsigned($0.lowerBound) }
      ?? (hasOrder ? .real(low) : nil)
    let maximum: TensorStatistics.Number? =
      signed.map { .signed($0.upperBound) } ?? unsigned.map { .unsigned($0.upperBound) }
      ?? (hasOrder ? .real(high) : nil)
    let finiteCount = count - nanCount - infinityCount
    let mean =
      sum.value.isFinite
      ? sum.value / Double(finiteCount) : largeSum.value / Double(finiteCount) * 0x1p64
    return TensorStatistics(
      count: count, minimum: minimum, maximum: maximum, mean: finiteCount == 0 ? nil : mean,
      norm: norm, nanCount: nanCount, infinityCount: infinityCount, zeroCount: zeroCount)
  }

  private var norm: Double {
    let (unit, middle) = (Self.unit, squares.value)
    if largeSquares.value > 0 {
      return (largeSquares.value + middle / unit / unit).squareRoot() * unit
    }
    if middle > 0 { return (middle + smallSquares.value / unit / unit).squareRoot() }
    return smallSquares.value.squareRoot() / unit
  }
}

/// A sum that keeps what rounding cuts off (Neumaier, 1974).
private struct CompensatedSum: Sendable {
  private var total = 0.0
  private var rest = 0.0

  var value: Double { rest.isFinite ? total + rest : total }

  mutating func add(_ number: Double) {
    let next = total + number
    rest += abs(total) >= abs(number) ? (total - next) + number : (number - next) + total
    total = next
  }

  mutating func add(_ other: CompensatedSum) {
    add(other.total)
    if other.rest.isFinite { rest += other.rest }
  }
}
