internal import CheckpointTraining

/// The shapes of real models, with standard deviations like those that training leaves.
///
/// A float's exponent is all that compresses well, and how it is distributed hardly depends on the
/// standard deviation; but between layers it differs, as here.
enum Models {
  /// GPT-2 with 124 million parameters: 148 tensors.
  static let gpt2: [Parameter] = {
    let width = 768
    var result = [
      Parameter(name: "wte.weight", shape: [50257, width], sigma: 0.14),
      Parameter(name: "wpe.weight", shape: [1024, width], sigma: 0.12),
    ]
    for layer in 0..<12 {
      // Trained models have wider weights in later layers.
      let growth = 1 + 0.05 * Double(layer)
      result += norm("h.\(layer).ln_1", width)
      result += linear("h.\(layer).attn.c_attn", width, 3 * width, sigma: 0.14 * growth)
      result += linear("h.\(layer).attn.c_proj", width, width, sigma: 0.09 * growth)
      result += norm("h.\(layer).ln_2", width)
      result += linear("h.\(layer).mlp.c_fc", width, 4 * width, sigma: 0.13 * growth)
      result += linear("h.\(layer).mlp.c_proj", 4 * width, width, sigma: 0.08 * growth)
    }
    return result + norm("ln_f", width)
  }()

  /// A Llama of 1.1 billion parameters, which adapters leave as it is.
  static let tinyLlama: [Parameter] = {
    var result = [Parameter(name: "base/embed_tokens", shape: [32000, width], sigma: 0.016)]
    for layer in 0..<layerCount {
      let name = "base/layers.\(layer)"
      result.append(
        Parameter(name: "\(name).input_layernorm", shape: [width], sigma: 0.1, mean: 0.5))
      for (projection, rows) in projections {
        result.append(
          Parameter(name: "\(name).\(projection)", shape: [rows, width], sigma: 0.021))
      }
      result.append(
        Parameter(name: "\(name).post_attention_layernorm", shape: [width], sigma: 0.1, mean: 0.5))
      for projection in ["gate_proj", "up_proj"] {
        result.append(
          Parameter(name: "\(name).\(projection)", shape: [5632, width], sigma: 0.019))
      }
      result.append(Parameter(name: "\(name).down_proj", shape: [width, 5632], sigma: 0.018))
    }
    result.append(Parameter(name: "base/norm", shape: [width], sigma: 0.2, mean: 1.8))
    result.append(Parameter(name: "base/lm_head", shape: [32000, width], sigma: 0.018))
    return result
  }()

  /// Layers of a Llama of 7 billion parameters, 202 million each.
  static func llama(layerCount: Int) -> [Parameter] {
    let (width, inner) = (4096, 11008)
    return (0..<layerCount).flatMap { layer in
      let name = "layers.\(layer)"
      return ["input_layernorm", "post_attention_layernorm"].map {
        Parameter(name: "\(name).\($0)", shape: [width], sigma: 0.1, mean: 0.45)
      }
        + ["q_proj", "k_proj", "v_proj", "o_proj"].map {
          Parameter(name: "\(name).\($0)", shape: [width, width], sigma: 0.021)
        }
        + ["gate_proj", "up_proj"].map {
          Parameter(name: "\(name).\($0)", shape: [inner, width], sigma: 0.018)
        } + [Parameter(name: "\(name).down_proj", shape: [width, inner], sigma: 0.018)]
    }
  }

  /// A million rows, and what an optimizer keeps of each row.
  static let embedding = [
    Parameter(name: "embedding", shape: [1_000_000, 128], sigma: 0.05),
    Parameter(name: "optimizer/row_sums", shape: [1_000_000, 1], sigma: 0.02, mean: 0.2),
  ]

  /// What a codec may stumble over, 64 MiB each, but for one that is large.
  static let adversarial: [(Parameter, DType)] = [
    (Parameter(name: "noise", shape: [16384, 4096], sigma: 1, values: .noise), .uint8),
    (Parameter(name: "payloads", shape: [4096, 4096], sigma: 1, values: .payloads), .float32),
    (Parameter(name: "truncated", shape: [4096, 4096], sigma: 0.02, values: .truncated), .float32),
    (Parameter(name: "quantised", shape: [16384, 4096], sigma: 30, values: .quantised), .int8),
    (Parameter(name: "huge", shape: [131_072, 2048], sigma: 0.02), .float32),
  ]
  static let adversarialTied = Parameter(name: "embedding", shape: [4096, 4096], sigma: 0.02)

  /// Adapters of rank 16 for its attention.
  static let tinyLlamaAdapters: [Parameter] = (0..<layerCount).flatMap { layer in
    projections.flatMap { projection, rows in
      let name = "layers.\(layer).\(projection)"
      return [
        Parameter(name: "\(name).lora_A", shape: [16, width], sigma: 0.013),
        Parameter(name: "\(name).lora_B", shape: [rows, 16], sigma: 0.003),
      ]
    }
  }

  private static let width = 2048
  private static let layerCount = 22
  /// The projections of attention and their rows; four heads of keys and values serve 32 queries.
  private static let projections = [
    ("q_proj", width), ("k_proj", 256), ("v_proj", 256), ("o_proj", width),
  ]

  private static func linear(
    _ name: String, _ rows: Int, _ columns: Int, sigma: Double
  ) -> [Parameter] {
    [
      Parameter(name: "\(name).weight", shape: [rows, columns], sigma: sigma),
      Parameter(name: "\(name).bias", shape: [columns], sigma: 0.05),
    ]
  }

  private static func norm(_ name: String, _ width: Int) -> [Parameter] {
    [
      Parameter(name: "\(name).weight", shape: [width], sigma: 0.1, mean: 1),
      Parameter(name: "\(name).bias", shape: [width], sigma: 0.05),
    ]
  }
}
