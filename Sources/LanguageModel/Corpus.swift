internal import CheckpointTraining

/// A text as numbers, split into a part to train on and a part held out.
package struct Corpus: Sendable {
  /// The distinct characters (Unicode scalars) of the text, in ascending order.
  package let vocabulary: [Unicode.Scalar]
  /// The text; each token is an index into ``vocabulary``.
  package let tokens: [UInt32]
  /// The tokens before this index are trained on; the rest, the last tenth, is held out.
  package let trainingCount: Int

  /// Loads a text file, or the `.md` and `.txt` files below a directory.
  ///
  /// Files are read in the order of the UTF-8 bytes of their relative paths. Hidden entries and
  /// symbolic links inside the directory are left out.
  ///
  /// - Parameter path: the file or directory.
  /// - Throws: `CorpusError` if something cannot be read or there is no text.
  package init(contentsOf path: String) throws(CorpusError) {
    try self.init(text: CorpusReader.text(at: path))
  }

  /// Encodes `text`.
  ///
  /// - Parameter text: at least two characters.
  /// - Throws: `CorpusError.tooShort` if there is nothing to learn from.
  package init(text: String) throws(CorpusError) {
    let scalars = Array(text.unicodeScalars)
    guard scalars.count >= 2 else { throw .tooShort(characterCount: scalars.count, needed: 2) }
    let vocabulary = Set(scalars).sorted()
    var indices: [Unicode.Scalar: UInt32] = [:]
    for (index, scalar) in vocabulary.enumerated() { indices[scalar] = UInt32(index) }
    self.vocabulary = vocabulary
    tokens = scalars.map { indices[$0, default: 0] }
    trainingCount = scalars.count - max(scalars.count / 10, 1)
  }

  /// The tokens to train on.
  package var training: ArraySlice<UInt32> { tokens[..<trainingCount] }

  /// The tokens held out.
  package var heldOut: ArraySlice<UInt32> { tokens[trainingCount...] }

  /// The unigram entropy of the held-out text, in nats per character.
  ///
  /// A model that knows only how often each character occurs cannot do better.
  package var unigramEntropy: Double {
    var counts = [Int](repeating: 0, count: vocabulary.count)
    for token in heldOut { counts[Int(token)] += 1 }
    let total = Double(heldOut.count)
    return counts.reduce(into: 0) { sum, count in
      guard count > 0 else { return }
      let share = Double(count) / total
      sum -= share * Double(ExactMath.log(Float(share)))
    }
  }

  /// A digest of the text, its encoding, its split, and the order it is read in.
  ///
  /// - Parameter order: describes everything else that decides which batch comes when.
  /// - Returns: a SHA-256 digest as 64 hexadecimal digits.
  package func fingerprint(order: String) -> String {
    var digest = SHA256()
    let counts = [vocabulary.count, tokens.count, trainingCount].map { UInt64($0).littleEndian }
    let scalars = vocabulary.map(\.value.littleEndian)
    let indices = tokens.map(\.littleEndian)
    let description = Array(order.utf8)
    // SAFETY: integers have no padding bytes.
    digest.update(unsafe counts.span.bytes)
    digest.update(unsafe scalars.span.bytes)
    digest.update(unsafe indices.span.bytes)
    digest.update(unsafe description.span.bytes)
    return SHA256.hexadecimal(digest.finalize())
  }
}
