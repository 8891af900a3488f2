internal import CheckpointFormat

/// Compares chunks with those of another file that they were copied from.
package struct ChunkComparison: Sendable {
  private let source: CheckpointReader
  /// For each tensor its number in the source; nil where it is none of its tensors byte for byte.
  private let numbers: [Int?]

  package init(source: CheckpointReader, numbers: [Int?]) {
    self.source = source
    self.numbers = numbers
  }

  /// Whether these are the raw bytes that the source's own checksum is of.
  ///
  /// Chunks have the same borders in both files.
  func holds(_ entry: ChunkEntry, _ raw: RawSpan) -> Bool {
    guard let number = numbers[Int(entry.tensor)] else { return true }
    let tensor = source.index.tensors.entries[number]
    let original = source.index.chunks.entries[tensor.firstChunk + Int(entry.chunk)]
    return (try? source.loader.check(original, raw, .decodedChunk)) != nil
  }
}
