internal import CheckpointEngine
internal import CheckpointFormat

/// Takes the bytes of a state, tensor after tensor.
protocol StateSink: AnyObject {
  func append(_ bytes: RawSpan) throws(CheckpointError)
  func fill(
    _ byteCount: UInt64, _ body: (UInt64, UnsafeMutableRawBufferPointer) throws -> Void
  ) throws
}

extension TensorSink: StateSink {}

/// What the two passes of a save have in common: the first makes the plan, the second is held to it.
final class StateRecorder {
  private(set) var plan: SavePlan
  /// Nil in the planning pass.
  private let sink: (any StateSink)?
  /// How far the writing pass has come in the plan.
  private var entryCount = 0
  private var writtenValues = Metadata()

  /// Begins the planning pass.
  init() {
    plan = SavePlan()
    sink = nil
  }

  /// Begins the writing pass.
  init(writing plan: SavePlan, to sink: any StateSink) {
    self.plan = plan
    self.sink = sink
  }

  /// Plans a tensor, or has `write` provide its bytes.
  func tensor(
    _ descriptor: TensorDescriptor, _ write: (any StateSink) throws -> Void
  ) throws {
    guard let sink else { return try plan.append(descriptor) }
    try requirePlanned(SavePlan.Entry(descriptor: descriptor, aliasOf: nil))
    try write(sink)
  }

  func alias(_ name: String, of original: String) throws(CheckpointError) {
    guard sink != nil else { return try plan.appendAlias(name, of: original) }
    guard entryCount < plan.entries.count, plan.entries[entryCount].aliasOf != nil,
      plan.entries[entryCount].descriptor.name.utf8.elementsEqual(name.utf8)
    else { throw Self.changed("alias '\(escaped(name))'") }
    entryCount += 1
  }

  func value(
    _ domain: Metadata.Domain, _ name: String, _ value: MetadataValue
  ) throws(CheckpointError) {
    guard sink != nil else {
      guard plan.metadata[domain, name] == nil else {
        throw CheckpointError(.invalidState, "Two values are called '\(escaped(name))'.")
      }
      plan.metadata[domain, name] = value
      return
    }
    guard plan.metadata[domain, name] == value else {
      throw Self.changed("value '\(escaped(name))'")
    }
    writtenValues[domain, name] = value
  }

  /// Throws unless the writing pass has done everything that was planned.
  func requireComplete() throws(CheckpointError) {
    guard entryCount == plan.entries.count else {
      throw Self.changed("tensor '\(escaped(plan.entries[entryCount].descriptor.name))'")
    }
    for domain in [Metadata.Domain.state, .stateVersion] {
      for (name, _) in plan.metadata.entries(of: domain) where writtenValues[domain, name] == nil {
        throw Self.changed("value '\(escaped(name))'")
      }
    }
  }

  private func requirePlanned(_ entry: SavePlan.Entry) throws(CheckpointError) {
    guard entryCount < plan.entries.count, plan.entries[entryCount] == entry,
      plan.entries[entryCount].descriptor.name.utf8.elementsEqual(entry.descriptor.name.utf8)
    else { throw Self.changed("tensor '\(escaped(entry.descriptor.name))'") }
    entryCount += 1
  }

  private static func changed(_ what: String) -> CheckpointError {
    CheckpointError(
      .invalidState,
      "save(to:) did not do the same twice: \(what) differs between its two calls. It must not "
        + "change anything, nor depend on the order of a Dictionary or Set.")
  }
}
