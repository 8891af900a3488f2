package import CheckpointFormat

/// The tensors of a state by name: those of a file, but for what steps of a migration have made of them.
///
/// Of a file's own tensors nothing is copied; they are found in its index.
package struct StateTensors: Sendable {
  private let reader: CheckpointReader?
  /// What is not as in the file; nil where it is gone.
  private var changes: [StateName: TensorSource?] = [:]
  package private(set) var count: Int

  /// The tensors of a file; none without one.
  init(_ reader: CheckpointReader? = nil) {
    self.reader = reader
    count = reader?.tensorCount ?? 0
  }

  package subscript(name: StateName) -> TensorSource? {
    get { find(name.text)?.source }
    set {
      count += (newValue == nil ? 0 : 1) - (contains(name.text) ? 1 : 0)
      changes[name] = .some(newValue)
    }
  }

  package mutating func removeValue(forKey name: StateName) -> TensorSource? {
    guard let tensor = self[name] else { return nil }
    self[name] = nil
    return tensor
  }

  /// All names, in no order.
  ///
  /// - Complexity: O(tensors).
  package var keys: [StateName] {
    let saved = (reader?.index.tensors.entries).map { $0.lazy.map { StateName($0.name) } }
    let kept = saved?.filter { changes.isEmpty || changes[$0] == nil } ?? []
    return kept + changes.compactMap { $0.value == nil ? nil : $0.key }
  }

  package func contains(_ name: String) -> Bool { find(name) != nil }

  /// Finds a tensor without copying anything.
  ///
  /// - Parameters:
  ///   - name: Its name.
  ///   - guess: The number that it may have in the file.
  /// - Returns: The tensor; nil if there is none.
  package func find(_ name: String, trying guess: Int = -1) -> FoundTensor? {
    if !changes.isEmpty, let change = changes[StateName(name)] { return change.map { .made($0) } }
    guard let reader,
      let number = reader.index.nameOrder.tensor(
        named: name, in: reader.index.tensors, trying: guess)
    else { return nil }
    return .saved(reader, number: number)
  }

  /// The tensors of the file, if they are as they were saved.
  private var unchanged: TensorTable.Entries? {
    changes.isEmpty ? reader?.index.tensors.entries : nil
  }

  /// Whether these are exactly what a plan has, tensor by tensor.
  package func equal(_ plan: SavePlan) -> Bool {
    guard let unchanged, unchanged.count == plan.entries.count else { return false }
    return zip(unchanged, plan.entries).allSatisfy { saved, planned in
      saved.dtype == planned.descriptor.dtype && saved.aliasOf == planned.aliasOf
        && saved.isNamed(planned.descriptor.name) && saved.hasShape(planned.descriptor.shape)
    }
  }

  /// Whether these are the tensors of a file, and of each, or of one that it is tied to, `holds` is true.
  package func allAreSaved(where holds: (_ number: Int) -> Bool) -> Bool {
    guard let unchanged else { return false }
    return unchanged.indices.allSatisfy { holds(unchanged[$0].aliasOf ?? $0) }
  }
}

/// A tensor that was looked up.
package enum FoundTensor: Sendable {
  /// That of a file, under its own name.
  case saved(CheckpointReader, number: Int)
  /// What was made of one, or by a step.
  case made(TensorSource)

  private static func entry(_ reader: CheckpointReader, _ number: Int) -> TensorTable.Entry {
    reader.index.tensors.entries[number]
  }

  package var descriptor: TensorDescriptor {
    switch self {
    case .saved(let reader, let number): Self.entry(reader, number).descriptor
    case .made(let source): source.descriptor
    }
  }

  package var dtype: DType {
    switch self {
    case .saved(let reader, let number): Self.entry(reader, number).dtype
    case .made(let source): source.descriptor.dtype
    }
  }

  package var byteCount: UInt64 {
    switch self {
    case .saved(let reader, let number): Self.entry(reader, number).byteCount
    case .made(let source): source.byteCount
    }
  }

  package func hasShape(_ shape: [Int]) -> Bool {
    switch self {
    case .saved(let reader, let number): Self.entry(reader, number).hasShape(shape)
    case .made(let source): source.descriptor.shape == shape
    }
  }

  /// The tensor as something that steps can change.
  package var source: TensorSource {
    switch self {
    case .saved(let reader, let number):
      let entry = Self.entry(reader, number)
      return TensorSource(entry.descriptor, .saved(reader, number: entry.aliasOf ?? number))
    case .made(let source): return source
    }
  }

  /// Reads the whole tensor, as ``TensorSource/read(into:)`` does.
  package func read(into target: UnsafeMutableRawBufferPointer) throws(CheckpointError) {
    switch self {
    case .saved(let reader, let number):
      let entry = Self.entry(reader, number)
      guard entry.byteCount == UInt64(target.count) else {
        // Says what is wrong.
        return unsafe try source.read(into: target)
      }
      // SAFETY: as many bytes as the range has, lent for this call.
      unsafe try reader.read(entry, 0..<entry.byteCount, into: target)
    case .made(let source): unsafe try source.read(into: target)
    }
  }
}
