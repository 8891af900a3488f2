// Exactness over threads
//
// Invariants
//   G1  A batch is cut into windows; each window's loss and gradient is computed by one thread,
//       into memory of its own.
//   G2  These are added up in the order of the windows, element by element. So no result depends
//       on the number of threads or on which thread took which window.

/// Computes losses and gradients of batches of windows on several threads.
final class GradientEngine {
  /// The elements of the gradient that one thread adds up at a time.
  private static let reductionLength = 8192

  let layout: ParameterLayout
  private let configuration: TrainerConfiguration
  private let weights: ModelTensors
  private let passes: [SequencePass]
  private var windowGradients: [ModelTensors] = []
  private let total: FloatStorage

  init(_ configuration: TrainerConfiguration, vocabularyCount: Int) {
    let layout = ParameterLayout(configuration, vocabularyCount: vocabularyCount)
    self.layout = layout
    self.configuration = configuration
    let weights = ModelTensors(layout, configuration)
    self.weights = weights
    passes = (0..<configuration.threads).map { _ in
      SequencePass(configuration, weights: weights)
    }
    total = FloatStorage(count: layout.count)
  }

  /// Takes over the parameters that the following calls use.
  func setParameters(_ parameters: [Parameter]) {
    precondition(
      parameters.map(\.shape) == layout.entries.map(\.shape), "The parameters do not fit.")
    for (parameter, entry) in zip(parameters, layout.entries) {
      weights.storage.copy(parameter.values, to: entry.offset)
    }
  }

  /// The loss of each window without dropout, summed over its characters.
  func losses(_ windows: [ArraySlice<UInt32>]) -> [Double] {
    losses(count: windows.count) { pass, index in pass.loss(windows[index], dropout: nil) }
  }

  /// Adds the gradient of the mean loss of a micro-batch, divided by `parts`, to the total.
  ///
  /// - Parameters:
  ///   - windows: the micro-batch.
  ///   - dropoutKey: chooses the dropout masks.
  ///   - isFirst: whether to start the total anew.
  ///   - parts: the number of micro-batches that share a step.
  /// - Returns: the mean loss per character.
  func accumulate(
    _ windows: [ArraySlice<UInt32>], dropoutKey: UInt64, isFirst: Bool, parts: Int
  ) -> Double {
    while windowGradients.count < windows.count {
      windowGradients.append(ModelTensors(layout, configuration))
    }
    let characterCount = windows.count * configuration.blockSize
    let scale = 1 / Float(characterCount * parts)
    let losses = losses(count: windows.count) { pass, index in
      let dropout = Dropout(
        probability: configuration.dropout, key: dropoutKey, sequence: index)
      return pass.lossAndGradient(
        windows[index], dropout: dropout, gradientScale: scale, into: windowGradients[index])
    }
    reduce(windowGradients.prefix(windows.count), isFirst: isFirst)
    return losses.reduce(0, +) / Double(characterCount)
  }

  /// The accumulated gradient of each parameter, in order.
  var gradients: [[Float]] {
    layout.entries.map { total.array($0.offset..<$0.offset + $0.count) }
  }

  private func losses(count: Int, _ body: (SequencePass, Int) -> Double) -> [Double] {
    var losses = [Double](repeating: 0, count: count)
    // SAFETY: each index lies inside the array, and the loop runs the body once for each.
    unsafe losses.withUnsafeMutableBufferPointer { slots in
      let slots = unsafe slots
      ConcurrentLoop.run(count: count, threads: passes.count) { thread, index in
        unsafe slots[index] = body(passes[thread], index)
      }
    }
    return losses
  }

  /// Adds up the gradients of all windows, each element in the order of the windows.
  private func reduce(_ parts: ArraySlice<ModelTensors>, isFirst: Bool) {
    let length = Self.reductionLength
    let pieceCount = (layout.count + length - 1) / length
    ConcurrentLoop.run(count: pieceCount, threads: passes.count) { _, index in
      let start = index * length
      let columns = min(length, layout.count - start)
      let target = row(total, start, columns)
      for (position, part) in parts.enumerated() {
        let source = row(part.storage, start, columns)
        if position == 0 && isFirst { target.copy(source) } else { target.add(source) }
      }
    }
  }

  private func row(_ storage: FloatStorage, _ start: Int, _ count: Int) -> Matrix {
    Matrix(storage, at: start, rows: 1, columns: count, strides: (count, 1))
  }
}
