/// Views of all parameters of a model, or of their gradients, in one flat storage.
struct ModelTensors {
  /// The weight and bias of a linear layer or of a layer norm.
  struct Pair {
    let weight: Matrix
    let bias: Matrix
  }

  /// The parameters of one transformer block.
  struct Block {
    let attentionNorm: Pair
    let qkv: Pair
    let attentionProjection: Pair
    let feedForwardNorm: Pair
    let expansion: Pair
    let contraction: Pair
  }

  let storage: FloatStorage
  let tokenEmbedding: Matrix
  let positionEmbedding: Matrix
  let blocks: [Block]
  let finalNorm: Pair
  /// The output head; the token embedding itself if the head is tied.
  let head: Matrix

  init(_ layout: ParameterLayout, _ configuration: TrainerConfiguration) {
    let storage = FloatStorage(count: layout.count)
    self.storage = storage
    tokenEmbedding = layout.view("tok_embd.weight", in: storage)
    positionEmbedding = layout.view("pos_embd.weight", in: storage)
    blocks = (0..<configuration.layerCount).map { index in
      let block = "blocks.\(index)."
      return Block(
        attentionNorm: pair(block + "ln_1"), qkv: pair(block + "attn.qkv"),
        attentionProjection: pair(block + "attn.proj"), feedForwardNorm: pair(block + "ln_2"),
        expansion: pair(block + "mlp.fc"), contraction: pair(block + "mlp.proj"))
    }
    finalNorm = pair("ln_f")
    head = configuration.tiedHead ? tokenEmbedding : layout.view("head.weight", in: storage)

    func pair(_ name: String) -> Pair {
      Pair(
        weight: layout.view(name + ".weight", in: storage),
        bias: layout.view(name + ".bias", in: storage))
    }
  }
}
