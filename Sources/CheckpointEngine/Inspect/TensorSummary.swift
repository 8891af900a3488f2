package import CheckpointFormat

/// What the index of a checkpoint tells of a tensor.
package struct TensorSummary: Hashable, Sendable {
  /// Its place in ``CheckpointReader/tensors``.
  package let number: Int
  package let descriptor: TensorDescriptor
  /// The tensor whose bytes this name shares.
  package let aliasOf: String?
  /// Bytes of the whole tensor before encoding.
  package let byteCount: UInt64
  /// Bytes of its chunks in the file, without frames and padding; none of an alias of its own.
  package let storedByteCount: UInt64
}

extension CheckpointReader {
  /// What the index tells of the selected tensors, in the order of saving.
  package func summaries(_ selection: StateSelection = .everything) -> [TensorSummary] {
    let entries = index.tensors.entries
    return entries.indices.compactMap { number in
      let entry = entries[number]
      let name = entry.name
      guard selection.contains(name) else { return nil }
      let chunks = entry.firstChunk..<entry.firstChunk + entry.chunkCount
      let storedByteCount =
        entry.aliasOf == nil
        ? index.chunks.entries[chunks].reduce(UInt64(0)) { $0 + UInt64($1.storedByteCount) } : 0
      return TensorSummary(
        number: number, descriptor: entry.descriptor,
        aliasOf: entry.aliasOf.map { entries[$0].name },
        byteCount: entry.byteCount, storedByteCount: storedByteCount)
    }
  }

  /// Bytes of all tensors before encoding; tied ones count once.
  package var stateByteCount: UInt64 {
    index.tensors.entries.lazy.filter { $0.aliasOf == nil }.map(\.byteCount).saturatingSum
  }
}
