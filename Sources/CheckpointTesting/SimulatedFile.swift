/// The bytes of a simulated file: what a reader sees, and what a crash would leave for certain.
struct SimulatedFile: Sendable {
  /// A change that no sync has made durable.
  enum Change {
    case write(offset: Int, bytes: [UInt8])
    case truncate(byteCount: Int)
  }

  /// What is durable but for ``changes``.
  private(set) var durable: [UInt8] = []
  /// What happened since, in order; a crash leaves any part of it.
  private(set) var changes = UnsyncedChanges<Change>()
  /// What a reader sees now.
  private(set) var content: [UInt8] = []
  /// Bytes set aside by preallocate; they count against the capacity of the disk.
  private(set) var reservedByteCount = 0
  var permissions: UInt32
  /// Where reading fails, whatever the contents.
  var unreadableRanges: [Range<Int>] = []
  /// Who holds a lock, by descriptor.
  var exclusiveHolder: Int32?
  var sharedHolders: Set<Int32> = []
  init(permissions: UInt32) { self.permissions = permissions }

  /// A file that nothing is pending for, as after a reboot.
  init(settled content: [UInt8], permissions: UInt32, unreadableRanges: [Range<Int>] = []) {
    durable = content
    self.content = content
    self.permissions = permissions
    self.unreadableRanges = unreadableRanges
  }

  var allocatedByteCount: Int { max(content.count, reservedByteCount) }

  mutating func write(_ bytes: [UInt8], at offset: Int) {
    let change = Change.write(offset: offset, bytes: bytes)
    Self.apply(change, to: &content)
    changes.append(change)
  }

  mutating func truncate(to byteCount: Int) {
    let change = Change.truncate(byteCount: byteCount)
    Self.apply(change, to: &content)
    changes.append(change)
    reservedByteCount = min(reservedByteCount, byteCount)
  }

  mutating func reserve(_ byteCount: Int) {
    reservedByteCount = max(reservedByteCount, byteCount)
  }

  mutating func sync() {
    if changes.sync() { durable = content }
  }

  /// A sync that failed: readers still see the changes, which no later sync makes durable.
  mutating func loseChanges() {
    changes.lose()
  }

  static func apply(_ change: Change, to bytes: inout [UInt8]) {
    switch change {
    case .write(let offset, let written):
      if written.isEmpty { return }
      let end = offset + written.count
      if offset == bytes.count {
        bytes.append(contentsOf: written)
        return
      }
      extend(&bytes, to: end)
      bytes.replaceSubrange(offset..<end, with: written)
    case .truncate(let byteCount):
      extend(&bytes, to: byteCount)
      bytes.removeLast(bytes.count - byteCount)
    }
  }

  /// A hole reads as zeros.
  static func extend(_ bytes: inout [UInt8], to byteCount: Int) {
    if bytes.count < byteCount {
      bytes.append(contentsOf: repeatElement(0, count: byteCount - bytes.count))
    }
  }
}
