import LanguageModel
import Testing

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

@Suite("Exact math")
struct ExactMathTests {
  // Goal: no argument is more than 2 units in the last place off.
  // Method: sweep densely, compare with the C library in double precision.

  /// The distance of `value` from `exact`, in units in the last place of a Float there.
  private func error(_ value: Float, _ exact: Double) -> Double {
    if Float(exact).isInfinite { return value == Float(exact) ? 0 : .infinity }
    return abs(Double(value) - exact) / Double(Float(exact).ulp)
  }

  @Test func expIsWithinTwoUnits() {
    var worst = 0.0
    for x in stride(from: Float(-104), through: 89, by: 0.000_13) {
      worst = max(worst, error(ExactMath.exp(x), exp(Double(x))))
    }
    #expect(worst <= 2, "worst error \(worst)")
    #expect(ExactMath.exp(Float(0)) == 1)
    #expect(ExactMath.exp(-Float.infinity) == 0)
    #expect(ExactMath.exp(Float.infinity) == .infinity)
    #expect(ExactMath.exp(Float.nan).isNaN)
  }

  @Test func tanhIsWithinTwoUnits() {
    var worst = 0.0
    for x in stride(from: Float(-11), through: 11, by: 0.000_017) {
      worst = max(worst, error(ExactMath.tanh(x), tanh(Double(x))))
    }
    for exponent in -120...0 {
      let x = Float(sign: .minus, exponent: exponent, significand: 1.37)
      worst = max(worst, error(ExactMath.tanh(x), tanh(Double(x))))
    }
    #expect(worst <= 2, "worst error \(worst)")
    #expect(ExactMath.tanh(Float.infinity) == 1)
    #expect(ExactMath.tanh(-Float.infinity) == -1)
    #expect(ExactMath.tanh(Float.nan).isNaN)
  }

  @Test func logIsWithinTwoUnits() {
    var worst = 0.0
    for pattern in stride(from: UInt32(1), to: Float.infinity.bitPattern, by: 997) {
      let x = Float(bitPattern: pattern)
      worst = max(worst, error(ExactMath.log(x), log(Double(x))))
    }
    for x in stride(from: Float(0.5), to: 2, by: 0.000_001) {
      worst = max(worst, error(ExactMath.log(x), log(Double(x))))
    }
    #expect(worst <= 2, "worst error \(worst)")
    #expect(ExactMath.log(Float(1)) == 0)
    #expect(ExactMath.log(Float(0)) == -.infinity)
    #expect(ExactMath.log(Float.infinity) == .infinity)
    #expect(ExactMath.log(Float(-1)).isNaN)
    #expect(ExactMath.log(Float.nan).isNaN)
  }

  @Test func lanesAndScalarsGiveTheSameBits() {
    let x: SIMD8<Float> = [-90, -1.5, -0.6, -0.01, 0.3, 0.7, 2, 50]
    for lane in x.indices {
      #expect(ExactMath.exp(x)[lane] == ExactMath.exp(x[lane]))
      #expect(ExactMath.tanh(x)[lane] == ExactMath.tanh(x[lane]))
      let positive = x * x
      #expect(ExactMath.log(positive)[lane] == ExactMath.log(positive[lane]))
    }
  }

  @Test func cosineAndPowerAgreeWithTheLibrary() {
    for t in stride(from: 0.0, through: 1, by: 0.001) {
      #expect(abs(ExactMath.cosineOfPi(times: t) - cos(Double.pi * t)) < 1e-12)
    }
    for exponent in [0, 1, 2, 7, 1000, 123_456] {
      let expected = pow(0.999, Double(exponent))
      #expect(abs(ExactMath.power(0.999, exponent) / expected - 1) < 1e-10)
    }
  }
}
