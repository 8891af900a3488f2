package import CheckpointFormat

/// What a save will contain: every name, dtype, shape and value, before any tensor byte is read.
package struct SavePlan: Sendable {
  /// A tensor, or a second name of one.
  package struct Entry: Hashable, Sendable {
    package var descriptor: TensorDescriptor
    /// The number of the earlier entry whose bytes this name shares.
    package var aliasOf: Int?

    package init(descriptor: TensorDescriptor, aliasOf: Int? = nil) {
      self.descriptor = descriptor
      self.aliasOf = aliasOf
    }
  }

  package private(set) var entries: [Entry] = []
  package var metadata = Metadata()
  private var names = NameNumbers()

  package init() {}

  /// Adds a tensor.
  package mutating func append(_ descriptor: TensorDescriptor) throws(CheckpointError) {
    try Self.requirePossible(descriptor)
    try append(Entry(descriptor: descriptor, aliasOf: nil))
  }

  /// Adds a second name of the tensor called `original`.
  package mutating func appendAlias(
    _ name: String, of original: String
  ) throws(CheckpointError) {
    guard let number = number(of: original) else {
      throw CheckpointError(
        .invalidState,
        "'\(escaped(name))' cannot be an alias of '\(escaped(original))', which was not saved "
          + "before it.")
    }
    var descriptor = entries[number].descriptor
    descriptor.name = name
    try append(Entry(descriptor: descriptor, aliasOf: entries[number].aliasOf ?? number))
  }

  private mutating func append(_ entry: Entry) throws(CheckpointError) {
    let name = entry.descriptor.name
    try Self.requireValid(name)
    if let other = names.insert(name, named: { [entries] in entries[$0].descriptor.name }) {
      let isSame = entries[other].descriptor.name.hasSameBytes(as: name)
      throw CheckpointError(
        .invalidState,
        isSame
          ? "Two tensors are called '\(escaped(name))'."
          : "Two tensor names look the same and differ only in their Unicode normal form: "
            + "'\(escaped(name))'.")
    }
    entries.append(entry)
  }

  /// Adds a tensor or a second name, whose name no other has byte for byte.
  ///
  /// Names that only look the same are let in: a file that another program wrote may have such, and a tool
  /// that writes it anew keeps them.
  package mutating func append(keepingName entry: Entry) throws(CheckpointError) {
    try Self.requirePossible(entry.descriptor)
    try Self.requireValid(entry.descriptor.name)
    entries.append(entry)
  }

  private static func requirePossible(_ descriptor: TensorDescriptor) throws(CheckpointError) {
    guard descriptor.checkedByteCount == nil else { return }
    throw CheckpointError(
      .invalidState,
      "Tensor '\(escaped(descriptor.name))' has an impossible shape \(descriptor.shape): "
        + "dimensions are 0 to 2^48 and the whole at most 2^62 bytes.")
  }

  private static func requireValid(_ name: String) throws(CheckpointError) {
    guard !TensorDescriptor.isValidName(name) else { return }
    throw CheckpointError(
      .invalidState,
      "'\(escaped(name))' cannot name a tensor: names have 1 to 4,096 bytes of UTF-8 without "
        + "control characters.")
  }

  /// The number of the tensor called `name`, or so that it only looks different.
  private func number(of name: String) -> Int? {
    names.number(of: name) { entries[$0].descriptor.name }
  }

  /// What is known of the tensor called `name`, compared by the bytes of its UTF-8.
  package func descriptor(of name: String) -> TensorDescriptor? {
    names.exactNumber(of: name) { entries[$0].descriptor.name }.map { entries[$0].descriptor }
  }

  /// Bytes of all tensors before encoding; aliases count once.
  package var byteCount: UInt64 {
    entries.reduce(0) { sum, entry in
      let (next, overflowed) = sum.addingReportingOverflow(
        entry.aliasOf == nil ? entry.descriptor.checkedByteCount ?? 0 : 0)
      return overflowed ? .max : next
    }
  }
}
