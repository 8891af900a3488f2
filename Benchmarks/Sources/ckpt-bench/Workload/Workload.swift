internal import CheckpointTraining

/// A tensor of a workload and where its bytes are in the state's memory.
struct TensorPlan {
  let name: String
  let dtype: DType
  let shape: [Int]
  let byteOffset: Int

  var elementCount: Int { shape.reduce(1, *) }
  var byteCount: Int { elementCount * dtype.byteCount }
}

/// A parameter of a model, and how its values are drawn.
struct Parameter {
  let name: String
  var shape: [Int]
  /// Of the weights, which are drawn from a normal distribution.
  let sigma: Double
  var mean = 0.0
}

/// What is drawn together: a parameter's weights, and its moments if it is trained.
struct Draw {
  let parameter: Parameter
  /// Which tensor has the weights, and which have the first and the second moment.
  let weights: Int
  let moments: (first: Int, second: Int)?
}

/// A state that is generated: its tensors, their layout and their distributions.
struct Workload {
  let name: String
  let seed: Int
  /// 1 for the full size.
  let scale: Double
  private(set) var tensors: [TensorPlan] = []
  private(set) var draws: [Draw] = []
  /// Scalars that count Adam's steps.
  private(set) var stepTensors: [Int] = []
  /// Bytes from the first tensor to the end of the last, with the gaps between them.
  private(set) var byteCount = 0

  private init(_ name: String, seed: Int, scale: Double) {
    self.name = name
    self.seed = seed
    self.scale = scale
  }

  /// Bytes of all tensors.
  var tensorByteCount: Int { tensors.reduce(0) { $0 + $1.byteCount } }

  static let names = ["gpt2-adam-fp32", "gpt2-adam-bf16", "lora", "many-small"]

  /// The workload of a name, made smaller.
  ///
  /// - Parameters:
  ///   - name: One of ``names``.
  ///   - seed: Other seeds give other values.
  ///   - scale: Matrices have that share of their rows and `many-small` that share of its tensors; the
  ///     number of tensors of a model stays.
  /// - Returns: The workload; nil if there is none of that name.
  static func named(_ name: String, seed: Int, scale: Double) -> Workload? {
    var workload = Workload(name, seed: seed, scale: scale)
    switch name {
    case "gpt2-adam-fp32": workload.addTrained(Models.gpt2, .float32)
    case "gpt2-adam-bf16": workload.addTrained(Models.gpt2, .bfloat16)
    case "lora":
      for parameter in Models.tinyLlama { workload.addFrozen(parameter, .bfloat16) }
      workload.addTrained(Models.tinyLlamaAdapters, .float32)
    case "many-small":
      for index in 0..<max(1, Int(100_000 * scale)) {
        // A model's layers differ; so do these, over an order of magnitude.
        let sigma = 0.005 * Double(1 + index % 16)
        workload.addFrozen(Parameter(name: "t\(index)", shape: [1024], sigma: sigma), .float32)
      }
    default: return nil
    }
    return workload
  }

  /// Weights, first moments, second moments and step counts, in this order, as optimisers keep them.
  private mutating func addTrained(_ parameters: [Parameter], _ dtype: DType) {
    let parameters = parameters.map(scaled)
    let first = tensors.count
    for part in ["model", "optimizer/m", "optimizer/v"] {
      for parameter in parameters { add("\(part)/\(parameter.name)", dtype, parameter.shape) }
    }
    for (index, parameter) in parameters.enumerated() {
      let weights = first + index
      draws.append(
        Draw(
          parameter: parameter, weights: weights,
          moments: (weights + parameters.count, weights + 2 * parameters.count)))
    }
    for parameter in parameters {
      stepTensors.append(tensors.count)
      add("optimizer/step/\(parameter.name)", .float32, [])
    }
  }

  private mutating func addFrozen(_ parameter: Parameter, _ dtype: DType) {
    let parameter = scaled(parameter)
    draws.append(Draw(parameter: parameter, weights: tensors.count, moments: nil))
    add(parameter.name, dtype, parameter.shape)
  }

  private func scaled(_ parameter: Parameter) -> Parameter {
    var result = parameter
    guard result.shape.count > 1 else { return result }
    result.shape[0] = max(1, Int((Double(result.shape[0]) * scale).rounded()))
    return result
  }

  private mutating func add(_ name: String, _ dtype: DType, _ shape: [Int]) {
    let tensor = TensorPlan(name: name, dtype: dtype, shape: shape, byteOffset: byteCount)
    tensors.append(tensor)
    // As an allocator would align it.
    byteCount += (tensor.byteCount + 63) / 64 * 64
  }
}
