internal import CheckpointFormat

/// Generations of a store that do not belong to a run's lineage, although they bear its identifier:
/// what was saved after the checkpoint to which the run was taken back.
struct GenerationRanges: Hashable {
  /// Ascending; between two of them lies what the run was taken back to.
  private var ranges: [ClosedRange<UInt64>] = []

  func contains(_ generation: UInt64) -> Bool {
    ranges.contains { $0.contains(generation) }
  }

  /// Adds a range behind the others.
  mutating func append(_ range: ClosedRange<UInt64>) { ranges.append(range) }
}

extension GenerationRanges {
  private static let name = "abandoned_generations"

  /// Keeps the ranges with a checkpoint, each as first and last generation.
  func record(in metadata: inout Metadata) {
    guard !ranges.isEmpty else { return }
    var bytes = ByteWriter(reservingCapacity: ranges.count * 16)
    for range in ranges {
      bytes.append(range.lowerBound)
      bytes.append(range.upperBound)
    }
    metadata[.environment, Self.name] = .bytes(bytes.bytes)
  }

  /// The ranges kept with a checkpoint, as far as they make sense.
  init(recordedIn metadata: Metadata) {
    guard case .bytes(let bytes)? = metadata[.environment, Self.name] else { return }
    var reader = ByteReader(bytes.rawSpan, at: 0)
    while let first = try? reader.readCounter(), let last = try? reader.readCounter(),
      first <= last
    { ranges.append(first...last) }
  }
}
