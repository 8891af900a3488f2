#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// Random numbers that are the same on every run: SplitMix64.
struct RandomStream: RandomNumberGenerator {
  private var state: UInt64

  /// - Parameter key: What the stream is for, for example seed, parameter and part; other keys give
  ///   other numbers.
  init(_ key: Int...) {
    state = 0
    for word in key {
      state ^= UInt64(bitPattern: Int64(word))
      state = next()
    }
  }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// Uniform in 0..<1, in steps of 2^-53.
  mutating func nextUniform() -> Double { Double(next() >> 11) * 0x1p-53 }
}

/// Normally distributed numbers by the ziggurat (Marsaglia and Tsang 2000, in Doornik's form of 2005).
///
/// A codec sees every bit of what is drawn here: so the tails are exact and all 53 bits are random,
/// which neither a sum of uniform numbers nor a table of 16-bit ones gives.
struct NormalDistribution {
  private static let layerCount = 256
  /// Where the tail begins, and the area of each of 256 layers.
  private static let tail = 3.6541528853610088
  private static let area = 0.00492867323399

  /// The right edge of each layer, and how much of it lies below the next.
  private let edges: [Double]
  private let shares: [Double]

  init() {
    var edges = [Self.area / exp(-0.5 * Self.tail * Self.tail), Self.tail]
    while edges.count < Self.layerCount {
      let edge = edges[edges.count - 1]
      edges.append((-2 * log(Self.area / edge + exp(-0.5 * edge * edge))).squareRoot())
    }
    edges.append(0)
    self.edges = edges
    shares = (0..<Self.layerCount).map { edges[$0 + 1] / edges[$0] }
  }

  /// One number with mean 0 and standard deviation 1.
  func next(_ random: inout RandomStream) -> Double {
    while true {
      let bits = random.next()
      let layer = Int(bits & 255)
      // The eight bits that choose the layer are not among the 53 that choose the place in it.
      let place = Double(bits >> 11) * 0x1p-52 - 1
      if abs(place) < shares[layer] { return place * edges[layer] }
      if layer == 0 { return nextOfTail(place < 0, &random) }
      let value = place * edges[layer]
      let outer = exp(-0.5 * (edges[layer] * edges[layer] - value * value))
      let inner = exp(-0.5 * (edges[layer + 1] * edges[layer + 1] - value * value))
      if inner + random.nextUniform() * (outer - inner) < 1 { return value }
    }
  }

  private func nextOfTail(_ isNegative: Bool, _ random: inout RandomStream) -> Double {
    while true {
      // 1 less a uniform number is never 0, of which there is no logarithm.
      let x = log(1 - random.nextUniform()) / Self.tail
      let y = log(1 - random.nextUniform())
      if -2 * y >= x * x { return isNegative ? x - Self.tail : Self.tail - x }
    }
  }
}
