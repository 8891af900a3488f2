package import CheckpointFormat

/// What is not the same in two checkpoints.
///
/// The state is what a restored program goes on from: the step, tensors by their names, which of them are
/// tied, the values of the state, and the versions of its scopes. All of it is compared bit for bit; the
/// order of saving is not. What the checkpoints say besides, metrics and environment, is told and is no
/// part of the state.
package struct CheckpointDifference: Sendable {
  /// One thing on both sides; nil on the side where it is not.
  package struct Pair<Value: Sendable>: Sendable {
    package let left: Value?
    package let right: Value?

    package init(left: Value?, right: Value?) {
      self.left = left
      self.right = right
    }
  }

  /// A tensor that is not the same on both sides.
  package struct Tensor: Sendable {
    package let name: String
    /// Dtype and shape on both sides.
    package let descriptor: Pair<TensorDescriptor>
    /// How far the values lie apart; nil if dtype or shape differ, or if nothing was measured.
    package internal(set) var elements: ElementDifference?
    /// Other names of both sides' same bytes.
    package internal(set) var otherNames: [String] = []
  }

  /// Two names that share their bytes on one side only.
  package struct Tie: Hashable, Sendable {
    package let name: String
    package let other: String
    /// Whether it is the left side where they do.
    package let isTiedOnTheLeft: Bool
  }

  /// A value that is not the same on both sides.
  package struct Value: Sendable {
    package let domain: Metadata.Domain
    package let name: String
    package let value: Pair<MetadataValue>
  }

  /// The steps, if they differ and count.
  package internal(set) var steps: Pair<UInt64>?
  /// In the order of the left side, then of the right.
  package internal(set) var tensors: [Tensor] = []
  package internal(set) var ties: [Tie] = []
  /// By domain and name.
  package internal(set) var values: [Value] = []
  /// Tensors of the same name, dtype and shape, whose bytes were compared.
  package internal(set) var comparedTensorCount = 0
  /// Bytes of these on one side; tied ones count once.
  package internal(set) var comparedByteCount: UInt64 = 0

  /// Values that are part of the state.
  package var stateValues: [Value] {
    values.filter { $0.domain == .state || $0.domain == .stateVersion }
  }
  /// Values that are none.
  package var otherValues: [Value] {
    values.filter { $0.domain == .metric || $0.domain == .environment }
  }

  /// Whether the states are the same.
  package var isSameState: Bool {
    steps == nil && tensors.isEmpty && ties.isEmpty && stateValues.isEmpty
  }
}

/// What is compared, and how far.
package struct ComparisonOptions: Sendable {
  /// The tensors that are compared; unless it is everything, steps and values are not.
  package var selection = StateSelection.everything
  /// Whether it is measured how far values lie apart; else a tensor is read up to its first difference only.
  package var measures = true

  package init() {}
}
