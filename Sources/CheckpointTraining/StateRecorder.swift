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
  private(set) var migrations = DeclaredMigrations()
  /// Nil in the planning pass.
  private let sink: NotingSink?
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
    self.sink = NotingSink(sink)
  }

  /// Why the sink refused bytes: no fault of save(to:), whether that passes it on or swallows it.
  var sinkFailure: CheckpointError? { sink?.failure }

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
    guard entryCount < plan.entries.count, let number = plan.entries[entryCount].aliasOf,
      plan.entries[entryCount].descriptor.name.hasSameBytes(as: name),
      isPlanned(original, as: number)
    else { throw Self.changed("alias '\(escaped(name))'") }
    entryCount += 1
  }

  /// Whether `name` was planned before as the tensor `number` or as another name of it.
  private func isPlanned(_ name: String, as number: Int) -> Bool {
    if plan.entries[number].descriptor.name.hasSameBytes(as: name) { return true }
    return plan.entries[..<entryCount].contains {
      $0.aliasOf == number && $0.descriptor.name.hasSameBytes(as: name)
    }
  }

  /// Notes that what comes next is of a type, at a path.
  func scope<State: Checkpointable>(_ path: String, _ type: State.Type) throws(CheckpointError) {
    try value(.stateVersion, path, .int64(Int64(State.stateVersion)))
    if sink == nil { migrations.add(path, State.stateVersion, State.stateMigrations) }
  }

  func value(
    _ domain: Metadata.Domain, _ name: String, _ value: MetadataValue
  ) throws(CheckpointError) {
    guard sink != nil else {
      return try plan.metadata.add(domain, name, value)
    }
    guard plan.metadata[domain, name] == value, writtenValues[domain, name] == nil else {
      throw Self.changed("\(domain.noun) '\(escaped(name))'")
    }
    writtenValues[domain, name] = value
  }

  /// Throws unless the writing pass has done everything that was planned.
  func requireComplete() throws(CheckpointError) {
    if let sinkFailure { throw sinkFailure }
    guard entryCount == plan.entries.count else {
      throw Self.changed("tensor '\(escaped(plan.entries[entryCount].descriptor.name))'")
    }
    for domain in [Metadata.Domain.state, .stateVersion] {
      for (name, _) in plan.metadata.entries(of: domain) where writtenValues[domain, name] == nil {
        throw Self.changed("\(domain.noun) '\(escaped(name))'")
      }
    }
  }

  private func requirePlanned(_ entry: SavePlan.Entry) throws(CheckpointError) {
    guard entryCount < plan.entries.count, plan.entries[entryCount] == entry else {
      throw Self.changed("tensor '\(escaped(entry.descriptor.name))'")
    }
    entryCount += 1
  }

  private static func changed(_ what: String) -> CheckpointError {
    CheckpointError(
      .invalidState,
      "save(to:) did not do the same twice: \(what) differs between its two calls. It must not "
        + "change anything, nor depend on the order of a Dictionary or Set.")
  }
}

/// Passes bytes on, and remembers the first time they were refused.
private final class NotingSink: StateSink {
  private let sink: any StateSink
  private(set) var failure: CheckpointError?

  init(_ sink: any StateSink) { self.sink = sink }

  func append(_ bytes: RawSpan) throws(CheckpointError) {
    do {
      try sink.append(bytes)
    } catch {
      note(error)
      throw error
    }
  }

  func fill(
    _ byteCount: UInt64, _ body: (UInt64, UnsafeMutableRawBufferPointer) throws -> Void
  ) throws {
    var isFaultOfBody = false
    do {
      // SAFETY: the buffer that the sink lends is passed on for the time of its call.
      try unsafe sink.fill(byteCount) { offset, target in
        isFaultOfBody = true
        try unsafe body(offset, target)
        isFaultOfBody = false
      }
    } catch {
      if !isFaultOfBody, let error = error as? CheckpointError { note(error) }
      throw error
    }
  }

  private func note(_ error: CheckpointError) { failure = failure ?? error }
}

extension Metadata {
  /// Adds a value that is not there yet; what no reader would accept is refused by its name.
  mutating func add(
    _ domain: Domain, _ name: String, _ value: MetadataValue
  ) throws(CheckpointError) {
    guard self[domain, name] == nil else {
      throw CheckpointError(.invalidState, "Two \(domain.noun)s are called '\(escaped(name))'.")
    }
    guard name.isEmpty || TensorDescriptor.isValidName(name) else {
      throw CheckpointError(
        .invalidState,
        "'\(escaped(name))' cannot name a \(domain.noun): names have at most 4,096 bytes of UTF-8 "
          + "without control characters.")
    }
    let byteCountMax = Limits.default.metadataValueByteCountMax
    switch value {
    case .string(let text), .json(let text):
      guard text.utf8.count > byteCountMax else { break }
      throw Self.tooLarge(domain, name, text.utf8.count)
    case .bytes(let bytes):
      guard bytes.count > byteCountMax else { break }
      throw Self.tooLarge(domain, name, bytes.count)
    default: break
    }
    self[domain, name] = value
  }

  private static func tooLarge(
    _ domain: Domain, _ name: String, _ byteCount: Int
  ) -> CheckpointError {
    CheckpointError(
      .overLimit,
      "The \(domain.noun) '\(escaped(name))' has \(byteCount) bytes, more than the "
        + "\(Limits.default.metadataValueByteCountMax) that readers accept. Save it as a tensor.")
  }
}

extension Metadata.Domain {
  fileprivate var noun: String {
    switch self {
    case .stateVersion: "scope"
    case .metric: "metric"
    default: "value"
    }
  }
}
