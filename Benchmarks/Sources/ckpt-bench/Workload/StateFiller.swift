internal import CheckpointTraining
internal import Dispatch

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// Draws a state.
///
/// Weights are normal. Moments are those of Adam (β₁ 0.9, β₂ 0.999) far into training: for each element
/// a scale of its gradient is drawn, log-normal about one scale for each parameter; the moments begin
/// in their stationary distribution under normal gradients of that scale, and two steps of Adam in
/// float32 follow, which also move the weights. So all mantissas are those of real arithmetic.
struct StateFiller {
  /// Elements drawn from one stream.
  ///
  /// The state does not depend on the number of threads.
  private static let partElementCount = 1 << 16
  private static let (firstDecay, secondDecay): (Float, Float) = (0.9, 0.999)
  private static let learningRate: Float = 3e-4
  /// How the gradient's scale differs from element to element, in natural logarithms.
  private static let gradientSpread = 1.5
  private static let stepCount: Float = 1000

  private let workload: Workload
  private let seed: Int
  private let normal = NormalDistribution()

  init(_ workload: Workload, seed: Int) {
    self.workload = workload
    self.seed = seed
  }

  func fill(_ state: WorkloadState) {
    let parts = workload.draws.indices.flatMap { draw in
      let count = workload.draws[draw].parameter.shape.reduce(1, *)
      return stride(from: 0, to: count, by: Self.partElementCount).map { first in
        (draw: draw, elements: first..<min(count, first + Self.partElementCount))
      }
    }
    // SAFETY: each part writes bytes that no other part writes, and this waits for all of them.
    nonisolated(unsafe) let state = state
    DispatchQueue.concurrentPerform(iterations: parts.count) { index in
      unsafe fill(parts[index].draw, parts[index].elements, of: state)
    }
    for moments in workload.draws.lazy.compactMap(\.moments) {
      // SAFETY: a scalar of float32, aligned to 64 bytes.
      unsafe state.bytes(of: workload.tensors[moments.step]).storeBytes(
        of: Self.stepCount, as: Float.self)
    }
  }

  private func fill(_ number: Int, _ elements: Range<Int>, of state: WorkloadState) {
    let draw = workload.draws[number]
    var random = RandomStream(seed, number, elements.lowerBound)
    guard draw.parameter.values != .noise, draw.parameter.values != .quantised else {
      return store(
        bytes(draw.parameter, elements.count, &random), draw, at: elements.lowerBound, in: state)
    }
    var weights = elements.map { _ in value(draw.parameter, &random) }
    if let moments = draw.moments {
      // Of the parameter, whatever part of it this is.
      var own = RandomStream(seed, number, -1)
      let scale = 3e-4 * exp(normal.next(&own))
      let (first, second) = train(&weights, gradientScale: scale, &random)
      store(first, workload.tensors[moments.first], at: elements.lowerBound, in: state)
      store(second, workload.tensors[moments.second], at: elements.lowerBound, in: state)
    }
    for tensor in [draw.weights] + (draw.copy.map { [$0] } ?? []) {
      store(weights, workload.tensors[tensor], at: elements.lowerBound, in: state)
    }
  }

  /// A weight, or another float32.
  private func value(_ parameter: Parameter, _ random: inout RandomStream) -> Float {
    let value = Float(parameter.mean + parameter.sigma * normal.next(&random))
    switch parameter.values {
    case .truncated: return Float(bitPattern: value.bitPattern & 0xFFFF_0000)
    case .payloads:
      // Quiet ones, which no conversion changes.
      return Float(bitPattern: UInt32(truncatingIfNeeded: random.next()) | 0x7FC0_0000)
    default: return value
    }
  }

  /// Elements of one byte.
  private func bytes(
    _ parameter: Parameter, _ count: Int, _ random: inout RandomStream
  ) -> [UInt8] {
    (0..<count).map { _ in
      guard parameter.values == .quantised else { return UInt8(truncatingIfNeeded: random.next()) }
      let value = (parameter.sigma * normal.next(&random)).rounded()
      return UInt8(bitPattern: Int8(max(-127, min(127, value))))
    }
  }

  private func store(_ bytes: [UInt8], _ draw: Draw, at element: Int, in state: WorkloadState) {
    // SAFETY: as below; elements are bytes.
    unsafe UnsafeMutableRawBufferPointer(
      rebasing: state.bytes(of: workload.tensors[draw.weights])[element..<element + bytes.count]
    ).copyBytes(from: bytes)
  }

  /// Draws the moments and makes two steps.
  private func train(
    _ weights: inout [Float], gradientScale: Double, _ random: inout RandomStream
  ) -> (first: [Float], second: [Float]) {
    var first = weights
    var second = weights
    let (b1, b2) = (Double(Self.firstDecay), Double(Self.secondDecay))
    let firstDeviation = ((1 - b1) / (1 + b1)).squareRoot()
    let secondDeviation = (2 * (1 - b2) / (1 + b2)).squareRoot()
    let firstCorrection = 1 - pow(Self.firstDecay, Self.stepCount)
    let secondCorrection = 1 - pow(Self.secondDecay, Self.stepCount)
    for index in weights.indices {
      let scale = gradientScale * exp(Self.gradientSpread * normal.next(&random))
      var m = Float(scale * firstDeviation * normal.next(&random))
      // 30 standard deviations from 0: never negative.
      var v = Float(scale * scale * (1 + secondDeviation * normal.next(&random)))
      for _ in 0..<2 {
        let gradient = Float(scale * normal.next(&random))
        m = Self.firstDecay * m + (1 - Self.firstDecay) * gradient
        v = Self.secondDecay * v + (1 - Self.secondDecay) * gradient * gradient
        weights[index] -=
          Self.learningRate * (m / firstCorrection)
          / ((v / secondCorrection).squareRoot() + 1e-8)
      }
      (first[index], second[index]) = (m, v)
    }
    return (first, second)
  }

  private func store(
    _ values: [Float], _ tensor: TensorPlan, at element: Int, in state: WorkloadState
  ) {
    let size = tensor.dtype.byteCount
    // SAFETY: the elements lie in the tensor, whose draw they are part of; parts do not overlap, and
    // each is written by one thread.
    let target = unsafe UnsafeMutableRawBufferPointer(
      rebasing: state.bytes(of: tensor)[element * size..<(element + values.count) * size])
    guard tensor.dtype == .bfloat16 else {
      return unsafe values.withUnsafeBytes { unsafe target.copyMemory(from: $0) }
    }
    for (index, value) in values.enumerated() {
      // To nearest, ties to even; no value here is NaN.
      let bits = value.bitPattern
      let rounded = UInt16(truncatingIfNeeded: (bits &+ 0x7FFF &+ (bits >> 16 & 1)) >> 16)
      unsafe target.storeBytes(of: rounded, toByteOffset: 2 * index, as: UInt16.self)
    }
  }
}
