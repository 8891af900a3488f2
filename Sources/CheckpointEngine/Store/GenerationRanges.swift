internal import CheckpointFormat

/// Generations of a store that do not belong to a run's lineage, although they bear its identifier:
/// what was saved after the checkpoint to which the run was taken back.
struct GenerationRanges: Hashable {
  /// Ascending, neither overlapping nor touching.
  private(set) var ranges: [ClosedRange<UInt64>] = []

  func contains(_ generation: UInt64) -> Bool {
    ranges.contains { $0.contains(generation) }
  }

  mutating func insert(_ range: ClosedRange<UInt64>) {
    var merged = range
    ranges.removeAll { other in
      // Generations end at 2^63 - 1, so that adding 1 cannot overflow.
      guard other.lowerBound <= merged.upperBound + 1, merged.lowerBound <= other.upperBound + 1
      else { return false }
      let low = min(other.lowerBound, merged.lowerBound)
      merged = low...max(other.upperBound, merged.upperBound)
      return true
    }
    let place = ranges.firstIndex { $0.lowerBound > merged.lowerBound } ?? ranges.endIndex
    ranges.insert(merged, at: place)
  }
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

  /// The ranges kept with a checkpoint; none if they cannot be understood.
  init(recordedIn metadata: Metadata) {
    guard case .bytes(let bytes)? = metadata[.environment, Self.name] else { return }
    var reader = ByteReader(bytes.rawSpan, at: 0)
    for _ in 0..<bytes.count / 16 {
      guard let first = try? reader.readCounter(), let last = try? reader.readCounter(),
        first <= last
      else { return }
      insert(first...last)
    }
  }
}
