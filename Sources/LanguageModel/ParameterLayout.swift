/// Names, shapes and places of all parameters of a model in one flat storage.
struct ParameterLayout {
  /// How training starts off a parameter.
  enum InitialValues {
    case zeros
    case ones
    /// Bell-shaped around zero, with this standard deviation.
    case random(Float)
    /// Waves of this amplitude along the rows; each column has a wavelength of its own.
    case waves(Float)
  }

  struct Entry {
    let name: String
    let shape: [Int]
    let offset: Int
    let start: InitialValues

    var count: Int { shape.reduce(1, *) }
    /// Weight decay applies to matrices only.
    var decays: Bool { shape.count > 1 }
  }

  private(set) var entries: [Entry] = []
  private(set) var count = 0

  init(_ configuration: TrainerConfiguration, vocabularyCount: Int) {
    let width = configuration.embeddingSize
    append("tok_embd.weight", [vocabularyCount, width], .random(0.1))
    // With waves, looking back by a distance is one rotation for all positions, which is learned
    // many times faster than a table of unrelated rows.
    append("pos_embd.weight", [configuration.blockSize, width], .waves(0.3))
    // Each block adds two branches to the residual stream; their sum starts off small beside it.
    let branch = 0.5 / Float(2 * configuration.layerCount).squareRoot()
    let fanIn = 1 / Float(width).squareRoot()
    for index in 0..<configuration.layerCount {
      let block = "blocks.\(index)."
      appendNorm(block + "ln_1")
      append(block + "attn.qkv.weight", [3 * width, width], .random(fanIn))
      append(block + "attn.qkv.bias", [3 * width], .zeros)
      append(block + "attn.proj.weight", [width, width], .random(fanIn * branch))
      append(block + "attn.proj.bias", [width], .zeros)
      appendNorm(block + "ln_2")
      append(block + "mlp.fc.weight", [4 * width, width], .random(fanIn))
      append(block + "mlp.fc.bias", [4 * width], .zeros)
      append(block + "mlp.proj.weight", [width, 4 * width], .random(fanIn / 2 * branch))
      append(block + "mlp.proj.bias", [width], .zeros)
    }
    appendNorm("ln_f")
    if !configuration.tiedHead {
      append("head.weight", [vocabularyCount, width], .random(0.1))
    }

    func appendNorm(_ name: String) {
      append(name + ".weight", [width], .ones)
      append(name + ".bias", [width], .zeros)
    }
  }

  private mutating func append(_ name: String, _ shape: [Int], _ start: InitialValues) {
    let entry = Entry(name: name, shape: shape, offset: count, start: start)
    entries.append(entry)
    count += entry.count
  }

  /// Draws the initial parameters.
  func initialParameters(_ generator: inout RandomGenerator) -> [Parameter] {
    entries.map { entry in
      let values: [Float] =
        switch entry.start {
        case .zeros: [Float](repeating: 0, count: entry.count)
        case .ones: [Float](repeating: 1, count: entry.count)
        case .random(let deviation):
          (0..<entry.count).map { _ in generator.bellShaped() * deviation }
        case .waves(let amplitude): Self.waves(entry.shape, amplitude)
        }
      return Parameter(name: entry.name, shape: entry.shape, values: values)
    }
  }

  /// Sines and cosines of the row number, with wavelengths from 4 rows to 4 times all rows.
  private static func waves(_ shape: [Int], _ amplitude: Float) -> [Float] {
    let (rows, columns) = (shape[0], shape[1])
    let longest = ExactMath.log(Float(rows))
    return (0..<rows * columns).map { index in
      let (row, column) = index.quotientAndRemainder(dividingBy: columns)
      let share = Float(column / 2) / Float(columns / 2)
      let halfTurns = Double(row) / Double(2 * ExactMath.exp(longest * share))
      // A sine is a cosine half a half-turn later.
      let phase = column % 2 == 0 ? halfTurns : halfTurns + 1.5
      let rest = phase - 2 * (phase / 2).rounded(.down)
      return amplitude * Float(ExactMath.cosineOfPi(times: rest > 1 ? 2 - rest : rest))
    }
  }

  /// The parameter called `name` as a matrix; a vector is a single row.
  func view(_ name: String, in storage: FloatStorage) -> Matrix {
    guard let entry = entries.first(where: { $0.name == name }) else {
      preconditionFailure("The model has no parameter \(name).")
    }
    let columns = entry.shape[entry.shape.count - 1]
    return Matrix(
      storage, at: entry.offset, rows: entry.count / columns, columns: columns,
      strides: (columns, 1))
  }
}
