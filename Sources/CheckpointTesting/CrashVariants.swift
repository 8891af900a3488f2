// What one file or one directory can look like after the power failed.

/// Legal subsets of a list of pending changes: which of them reached the disk.
struct SurvivingSubsets {
  /// Up to this many changes, every subset is tried.
  static let exhaustiveCountMax = 10
  static let sampleCount = 32

  /// Each element tells for every change whether it survives; the first is all.
  static func choices(
    count: Int, exhaustiveCountMax: Int, using generator: inout SplitMix64
  ) -> [[Bool]] {
    var choices = [Array(repeating: true, count: count)]
    if count == 0 { return choices }
    choices.append(Array(repeating: false, count: count))
    if count <= exhaustiveCountMax {
      for bits in 1..<((1 << count) - 1) { choices.append((0..<count).map { bits >> $0 & 1 == 1 }) }
      return choices
    }
    // Prefixes, all but one, only one; spread evenly if there are very many changes.
    let step = max(count / 64, 1)
    for index in stride(from: 0, to: count, by: step) {
      choices.append((0..<count).map { $0 <= index })
      choices.append((0..<count).map { $0 != index })
      choices.append((0..<count).map { $0 == index })
    }
    for _ in 0..<sampleCount {
      choices.append((0..<count).map { _ in Bool.random(using: &generator) })
    }
    return choices
  }
}

extension SimulatedFile {
  /// Up to this many changes, every subset of them is tried, and every write is torn.
  private static let exhaustiveCountMax = 5

  /// The contents a crash can leave, each once; the first has every change.
  func crashContents(using generator: inout SplitMix64) -> [[UInt8]] {
    let count = changes.uncertainCount
    if count == 0 { return [certainContent] }
    var contents = DistinctContents()
    let choices = SurvivingSubsets.choices(
      count: count, exhaustiveCountMax: Self.exhaustiveCountMax, using: &generator)
    for choice in choices { contents.append(surviving { choice[$0] }) }

    // The length without the data, as delayed allocation leaves it, and the data without the length.
    let complete = surviving { _ in true }
    let certain = certainContent
    var lengthOnly = Array(certain.prefix(complete.count))
    Self.extend(&lengthOnly, to: complete.count)
    contents.append(lengthOnly)
    contents.append(Array(complete.prefix(certain.count)))

    for ordinal in count <= Self.exhaustiveCountMax ? 0..<count : (count - 1)..<count {
      appendTornContents(at: ordinal, to: &contents)
    }
    return contents.list
  }

  /// What every crash leaves.
  var certainContent: [UInt8] { surviving { _ in false } }

  /// What a crash leaves if nothing gets lost.
  var completeContent: [UInt8] { surviving { _ in true } }

  private func surviving(_ isKept: (Int) -> Bool) -> [UInt8] {
    var bytes = durable
    changes.replay(where: isKept) { change, _ in Self.apply(change, to: &bytes) }
    return bytes
  }

  /// What a crash can leave, chosen by chance.
  func crashContent(choosing generator: inout some RandomNumberGenerator) -> [UInt8] {
    let count = changes.uncertainCount
    if count == 0 { return certainContent }
    let ordinal = Int.random(in: 0..<count, using: &generator)
    switch Int.random(in: 0..<8, using: &generator) {
    case 0: return completeContent
    case 1: return certainContent
    case 2: return surviving { $0 < ordinal }
    case 3: return surviving { $0 != ordinal }
    case 4:
      var lengthOnly = Array(certainContent.prefix(completeContent.count))
      Self.extend(&lengthOnly, to: completeContent.count)
      return lengthOnly
    case 5, 6:
      guard let written = write(at: ordinal),
        let part = Self.tornParts(of: written.bytes).randomElement(using: &generator)
      else { return completeContent }
      return tornContent(at: ordinal, offset: written.offset + part.skipped, part.bytes)
    default: return surviving { _ in Bool.random(using: &generator) }
    }
  }

  /// One write reached the disk only in part, cut at a byte, a sector or a page; all others did.
  private func appendTornContents(at torn: Int, to contents: inout DistinctContents) {
    guard let (offset, written) = write(at: torn) else { return }
    for (skipped, part) in Self.tornParts(of: written) {
      contents.append(tornContent(at: torn, offset: offset + skipped, part))
    }
  }

  /// One of the uncertain changes, if it is a write.
  private func write(at wanted: Int) -> (offset: Int, bytes: [UInt8])? {
    var write: (offset: Int, bytes: [UInt8])?
    changes.replay(where: { _ in true }) { change, ordinal in
      if ordinal == wanted, case .write(let offset, let bytes) = change { write = (offset, bytes) }
    }
    return write
  }

  /// The content with other bytes in the place of one write.
  private func tornContent(at torn: Int, offset: Int, _ part: [UInt8]) -> [UInt8] {
    var bytes = durable
    changes.replay(where: { _ in true }) { change, ordinal in
      Self.apply(ordinal == torn ? .write(offset: offset, bytes: part) : change, to: &bytes)
    }
    return bytes
  }

  /// What may be left of a write: its start or, since a disk may reorder pages, its end.
  private static func tornParts(of written: [UInt8]) -> [(skipped: Int, bytes: [UInt8])] {
    let count = written.count
    let cuts = Set([0, 1, 511, 512, 513, 4095, 4096, count / 2, count - 1]).sorted()
    var parts: [(skipped: Int, bytes: [UInt8])] = []
    for cut in cuts where cut < count {
      let start = written[..<cut]
      parts.append((0, Array(start)))
      parts.append((0, start + [UInt8](repeating: 0, count: count - cut)))
      parts.append((0, start + [UInt8](repeating: 0xa5, count: count - cut)))
    }
    for cut in [512, 4096, count / 2] where cut < count {
      let end = written[cut...]
      parts.append((cut, Array(end)))
      parts.append((0, [UInt8](repeating: 0, count: cut) + end))
      parts.append((0, [UInt8](repeating: 0xa5, count: cut) + end))
    }
    return parts
  }
}

extension SimulatedDirectory {
  /// The names a crash can leave, each set once; the first has every change.
  func crashEntries(using generator: inout SplitMix64) -> [[String: UInt64]] {
    var seen: Set<[String: UInt64]> = []
    let choices = SurvivingSubsets.choices(
      count: changes.uncertainCount, exhaustiveCountMax: SurvivingSubsets.exhaustiveCountMax,
      using: &generator)
    return choices.compactMap { choice in
      let entries = surviving { choice[$0] }
      return seen.insert(entries).inserted ? entries : nil
    }
  }

  /// The names a crash can leave, chosen by chance.
  func crashEntries(
    choosing generator: inout some RandomNumberGenerator
  ) -> [String: UInt64] {
    let count = changes.uncertainCount
    if count == 0 { return certainEntries }
    let ordinal = Int.random(in: 0..<count, using: &generator)
    switch Int.random(in: 0..<5, using: &generator) {
    case 0: return completeEntries
    case 1: return certainEntries
    case 2: return surviving { $0 < ordinal }
    case 3: return surviving { $0 != ordinal }
    default: return surviving { _ in Bool.random(using: &generator) }
    }
  }

  /// The names every crash leaves.
  var certainEntries: [String: UInt64] { surviving { _ in false } }

  /// The names a crash leaves if nothing gets lost.
  var completeEntries: [String: UInt64] { surviving { _ in true } }

  private func surviving(_ isKept: (Int) -> Bool) -> [String: UInt64] {
    var entries = durable
    changes.replay(where: isKept) { change, _ in Self.apply(change, to: &entries) }
    return entries
  }
}

/// Contents in the order they came, without repetitions.
private struct DistinctContents {
  private(set) var list: [[UInt8]] = []
  private var digests: Set<Int> = []

  mutating func append(_ bytes: [UInt8]) {
    if digests.insert(contentDigest(bytes)).inserted { list.append(bytes) }
  }
}

/// A digest to tell contents apart within one process.
func contentDigest(_ bytes: [UInt8]) -> Int {
  var hasher = Hasher()
  hasher.combine(bytes.count)
  // SAFETY: reads the bytes of the array; the loop of Array's own hashing is far slower.
  unsafe bytes.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
  return hasher.finalize()
}
