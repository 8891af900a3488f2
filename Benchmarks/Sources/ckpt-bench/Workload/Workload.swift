internal import CheckpointTraining

/// A tensor of a workload and where its bytes are in the state's memory.
struct TensorPlan {
  let name: String
  let dtype: DType
  let shape: [Int]
  let byteOffset: Int

  var elementCount: Int { shape.reduce(1, *) }
  var byteCount: Int { elementCount * dtype.byteCount }

  /// The same bytes under a name of their own for each copy; the first, 0, keeps the name.
  func copy(_ number: Int) -> TensorPlan {
    TensorPlan(
      name: Self.name(name, copy: number), dtype: dtype, shape: shape, byteOffset: byteOffset)
  }

  static func name(_ name: String, copy number: Int) -> String {
    number == 0 ? name : "\(name)#\(number + 1)"
  }
}

/// A parameter of a model, and how its values are drawn.
struct Parameter {
  /// What is drawn: normal numbers, or what a codec may stumble over.
  enum Values {
    case normal
    /// Bytes, each as likely as any other.
    case noise
    /// NaNs of float32 with any payload and sign.
    case payloads
    /// Normal numbers of bfloat16 in float32.
    case truncated
    /// Normal numbers as whole ones of a byte, as quantised weights are.
    case quantised
  }

  let name: String
  var shape: [Int]
  /// Of the weights, which are drawn from a normal distribution.
  let sigma: Double
  var mean = 0.0
  var values = Values.normal
}

/// What is drawn together: a parameter's weights, and its moments if it is trained.
struct Draw {
  let parameter: Parameter
  /// Which tensor has the weights, and which have the moments and the count of Adam's steps.
  let weights: Int
  /// Which has the weights as well: in float32, or tied and yet stored twice.
  var copy: Int?
  let moments: (first: Int, second: Int, step: Int)?

  var tensors: [Int] {
    [weights] + (copy.map { [$0] } ?? []) + (moments.map { [$0.first, $0.second, $0.step] } ?? [])
  }
}

/// The tensors of a state and their layout; of one that is generated, also their distributions.
struct Workload {
  /// Where its bytes come from.
  enum Origin {
    /// They are drawn; the scale is 1 for the full size.
    case drawn(seed: Int, scale: Double)
    /// They are a checkpoint's, several times.
    case read(copies: Int)
  }

  let name: String
  let origin: Origin
  private(set) var tensors: [TensorPlan] = []
  private(set) var draws: [Draw] = []
  /// Bytes from the first tensor to the end of the last, with the gaps between them.
  private(set) var byteCount = 0

  private init(_ name: String, _ origin: Origin) {
    self.name = name
    self.origin = origin
  }

  /// The tensors of a checkpoint, several times.
  init(_ name: String, _ tensors: [TensorDescriptor], copies: Int) {
    self.init(name, .read(copies: copies))
    for copy in 0..<copies {
      for tensor in tensors {
        add(TensorPlan.name(tensor.name, copy: copy), tensor.dtype, tensor.shape)
      }
    }
  }

  /// Bytes of all tensors.
  var tensorByteCount: Int { tensors.reduce(0) { $0 + $1.byteCount } }

  static let names = [
    "gpt2-adam-fp32", "gpt2-adam-bf16", "gpt2-adam-zero", "lora", "llama-bf16", "llama-mixed",
    "many-small", "embedding", "adversarial",
  ]

  /// The workload of a name, made smaller.
  ///
  /// - Parameters:
  ///   - name: One of ``names``.
  ///   - seed: Other seeds give other values.
  ///   - scale: Matrices have that share of their rows and `many-small` that share of its tensors; the
  ///     number of tensors of a model stays.
  /// - Returns: The workload; nil if there is none of that name.
  static func named(_ name: String, seed: Int, scale: Double) -> Workload? {
    var workload = Workload(name, .drawn(seed: seed, scale: scale))
    switch name {
    case "gpt2-adam-fp32": workload.addTrained(Models.gpt2, .float32, scale)
    case "gpt2-adam-bf16": workload.addTrained(Models.gpt2, .bfloat16, scale)
    case "gpt2-adam-zero": workload.addTrained(Models.gpt2, .float32, scale, hasBegun: false)
    case "llama-bf16":
      for parameter in Models.llama(layerCount: 4) {
        workload.addFrozen(parameter, .bfloat16, scale)
      }
    case "llama-mixed":
      workload.addTrained(Models.llama(layerCount: 1), .bfloat16, scale, optimizer: .float32)
    case "embedding":
      for parameter in Models.embedding { workload.addFrozen(parameter, .float32, scale) }
    case "adversarial":
      for (parameter, dtype) in Models.adversarial { workload.addFrozen(parameter, dtype, scale) }
      workload.addTied(Models.adversarialTied, .float32, scale)
    case "lora":
      for parameter in Models.tinyLlama { workload.addFrozen(parameter, .bfloat16, scale) }
      workload.addTrained(Models.tinyLlamaAdapters, .float32, scale)
    case "many-small":
      for index in 0..<max(1, Int(100_000 * scale)) {
        // A model's layers differ; so do these, over an order of magnitude.
        let sigma = 0.005 * Double(1 + index % 16)
        let parameter = Parameter(name: "t\(index)", shape: [1024], sigma: sigma)
        workload.addFrozen(parameter, .float32, scale)
      }
    default: return nil
    }
    return workload
  }

  /// Weights, first moments, second moments and step counts, in this order, as optimisers keep them.
  ///
  /// - Parameters:
  ///   - parameters: Of the model.
  ///   - dtype: Of the weights.
  ///   - scale: See ``named(_:seed:scale:)``.
  ///   - wider: Of the moments, and of weights that the optimizer has besides; nil if all are of one dtype.
  ///   - hasBegun: If not, moments and counts are zeros.
  private mutating func addTrained(
    _ parameters: [Parameter], _ dtype: DType, _ scale: Double, optimizer wider: DType? = nil,
    hasBegun: Bool = true
  ) {
    let parameters = parameters.map { Self.scaled($0, scale) }
    let first = tensors.count
    var parts = [("model", dtype)]
    if let wider { parts.append(("optimizer/master", wider)) }
    parts += ["optimizer/m", "optimizer/v"].map { ($0, wider ?? dtype) }
    for (part, dtype) in parts {
      for parameter in parameters { add("\(part)/\(parameter.name)", dtype, parameter.shape) }
    }
    for (index, parameter) in parameters.enumerated() {
      let weights = first + index
      let moments = weights + (parts.count - 2) * parameters.count
      draws.append(
        Draw(
          parameter: parameter, weights: weights,
          copy: wider.map { _ in weights + parameters.count },
          moments: hasBegun
            ? (moments, moments + parameters.count, moments + 2 * parameters.count) : nil))
    }
    for parameter in parameters { add("optimizer/step/\(parameter.name)", .float32, []) }
  }

  private mutating func addFrozen(_ parameter: Parameter, _ dtype: DType, _ scale: Double) {
    let parameter = Self.scaled(parameter, scale)
    draws.append(Draw(parameter: parameter, weights: tensors.count, moments: nil))
    add(parameter.name, dtype, parameter.shape)
  }

  /// Twice, under two names.
  private mutating func addTied(_ parameter: Parameter, _ dtype: DType, _ scale: Double) {
    addFrozen(parameter, dtype, scale)
    draws[draws.count - 1].copy = tensors.count
    add("\(parameter.name)/tied", dtype, draws[draws.count - 1].parameter.shape)
  }

  private static func scaled(_ parameter: Parameter, _ scale: Double) -> Parameter {
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

  // MARK: Other sizes

  /// A state of so many bytes, or somewhat fewer, made of the tensors of this one.
  ///
  /// All of them come again and again, under other names, and then those parameters with their moments
  /// that still fit. So the number of tensors grows with the size, and weights and moments keep their
  /// shares.
  ///
  /// - Parameter target: Bytes of all tensors.
  /// - Returns: A state in the memory of this one, in which all copies of a tensor are one; see ``spread()``.
  func filled(to target: Int) -> Workload {
    let copyCount = target / tensorByteCount
    var left = target % tensorByteCount
    let rest = draws.flatMap { draw in
      let size = draw.tensors.reduce(0) { $0 + tensors[$1].byteCount }
      guard size <= left else { return [Int]() }
      left -= size
      return draw.tensors
    }
    var result = self
    result.draws = []
    result.tensors = (0..<copyCount).flatMap { copy in tensors.map { $0.copy(copy) } }
    result.tensors += rest.sorted().map { tensors[$0].copy(copyCount) }
    return result
  }

  /// The same tensors, each with a place of its own.
  func spread() -> Workload {
    var result = Workload(name, origin)
    for tensor in tensors { result.add(tensor.name, tensor.dtype, tensor.shape) }
    return result
  }
}
