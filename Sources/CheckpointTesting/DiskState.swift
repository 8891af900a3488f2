import CheckpointStorage

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// The whole state of a simulated disk is one value: a copy is a snapshot, and file contents are
// shared until one side writes.

/// What a simulated file system makes of transfers past the page cache.
package enum UncachedTransfers: Sendable {
  case taken
  /// It says so when it is asked for them.
  case refused
  /// It says so at the first of them.
  case refusedWhenTried
}

/// The files, directories and descriptors of a simulated disk, and the calls that change them.
struct DiskState: Sendable {
  struct OpenFile {
    var node: UInt64
    var name: String
    var isWritable: Bool
    var caching = Caching.cached
  }

  static let rootNode: UInt64 = 1

  var files: [UInt64: SimulatedFile] = [:]
  var directories: [UInt64: SimulatedDirectory] = [rootNode: SimulatedDirectory()]
  /// Numbers are never used twice, so that a use after close is an error and not an accident.
  var openFiles: [Int32: OpenFile] = [:]
  var capacity: UInt64?
  var uncachedTransfers = UncachedTransfers.taken
  private var nextNode: UInt64 = 2
  private var nextDescriptor: Int32 = 3

  // MARK: Names

  mutating func newNode() -> UInt64 {
    defer { nextNode += 1 }
    return nextNode
  }

  private mutating func newDescriptor(_ file: OpenFile) -> Descriptor {
    defer { nextDescriptor += 1 }
    openFiles[nextDescriptor] = file
    return Descriptor(rawValue: nextDescriptor)
  }

  /// The node that a path leads to; relative paths start at the root.
  func node(at path: String, _ call: SystemCall) throws(StorageError) -> UInt64 {
    var trail = [Self.rootNode]
    for part in path.split(separator: "/") where part != "." {
      if part == ".." {
        if trail.count > 1 { trail.removeLast() }
        continue
      }
      guard let directory = directories[trail[trail.count - 1]] else {
        throw StorageError(call, errno: ENOTDIR)
      }
      guard let node = directory.entries[String(part)] else {
        throw StorageError(call, errno: ENOENT)
      }
      trail.append(node)
    }
    return trail[trail.count - 1]
  }

  private func directoryNode(
    _ descriptor: Descriptor, _ call: SystemCall
  ) throws(StorageError) -> UInt64 {
    guard let open = openFiles[descriptor.rawValue] else { throw StorageError(call, errno: EBADF) }
    guard directories[open.node] != nil else { throw StorageError(call, errno: ENOTDIR) }
    return open.node
  }

  private func check(_ name: String, _ call: SystemCall) throws(StorageError) {
    if name.isEmpty { throw StorageError(call, errno: ENOENT) }
    if name.utf8.count > 255 { throw StorageError(call, errno: ENAMETOOLONG) }
    if name == "." || name == ".." || name.utf8.contains(where: { $0 == 0 || $0 == 0x2f }) {
      throw StorageError(call, errno: EINVAL)
    }
  }

  /// The directory, and what `name` stands for in it.
  private func lookUp(
    _ name: String, in directory: Descriptor, _ call: SystemCall
  ) throws(StorageError) -> (directory: UInt64, node: UInt64?) {
    let directory = try directoryNode(directory, call)
    try check(name, call)
    return (directory, directories[directory]?.entries[name])
  }

  private mutating func change(_ directory: UInt64, _ change: SimulatedDirectory.Change) {
    directories[directory]?.change(change)
  }

  // MARK: Calls on names

  mutating func openDirectory(_ path: String) throws(StorageError) -> Descriptor {
    let node = try node(at: path, .open)
    guard directories[node] != nil else { throw StorageError(.open, errno: ENOTDIR) }
    return newDescriptor(OpenFile(node: node, name: path, isWritable: false))
  }

  mutating func makeDirectory(_ path: String) throws(StorageError) {
    let parts = path.split(separator: "/")
    guard let last = parts.last else { throw StorageError(.mkdir, errno: EEXIST) }
    let parent = try node(at: parts.dropLast().joined(separator: "/"), .mkdir)
    let name = String(last)
    guard let directory = directories[parent] else { throw StorageError(.mkdir, errno: ENOTDIR) }
    if name == "." || name == ".." || directory.entries[name] != nil {
      throw StorageError(.mkdir, errno: EEXIST)
    }
    try check(name, .mkdir)
    let node = newNode()
    directories[node] = SimulatedDirectory()
    change(parent, .add(name: name, node: node))
  }

  mutating func open(
    _ name: String, in directory: Descriptor, for purpose: OpenPurpose
  ) throws(StorageError) -> Descriptor {
    let (parent, existing) = try lookUp(name, in: directory, .open)
    let isWritable = purpose != .reading
    if let existing {
      if case .creating = purpose { throw StorageError(.open, errno: EEXIST) }
      if isWritable, directories[existing] != nil { throw StorageError(.open, errno: EISDIR) }
      return newDescriptor(OpenFile(node: existing, name: name, isWritable: isWritable))
    }
    let permissions: UInt32
    switch purpose {
    case .reading: throw StorageError(.open, errno: ENOENT)
    case .creating(let mode), .locking(let mode): permissions = mode
    }
    let node = newNode()
    files[node] = SimulatedFile(permissions: permissions & 0o7777)
    change(parent, .add(name: name, node: node))
    return newDescriptor(OpenFile(node: node, name: name, isWritable: isWritable))
  }

  mutating func renameExclusively(
    _ name: String, to target: String, in directory: Descriptor
  ) throws(StorageError) {
    let (parent, node) = try lookUp(name, in: directory, .rename)
    let existing = try lookUp(target, in: directory, .rename).node
    guard let node else { throw StorageError(.rename, errno: ENOENT) }
    if existing != nil { throw StorageError(.rename, errno: EEXIST) }
    change(parent, .rename(name: name, target: target, node: node))
  }

  mutating func renameReplacing(
    _ name: String, to target: String, in directory: Descriptor
  ) throws(StorageError) {
    let (parent, node) = try lookUp(name, in: directory, .replace)
    let existing = try lookUp(target, in: directory, .replace).node
    guard let node else { throw StorageError(.replace, errno: ENOENT) }
    if let existing, directories[existing] != nil { throw StorageError(.replace, errno: EISDIR) }
    // Two names of one file stay two: rename(2).
    if existing == node { return }
    change(parent, .rename(name: name, target: target, node: node))
  }

  mutating func link(
    _ name: String, to target: String, in directory: Descriptor
  ) throws(StorageError) {
    let (parent, node) = try lookUp(name, in: directory, .link)
    let existing = try lookUp(target, in: directory, .link).node
    guard let node else { throw StorageError(.link, errno: ENOENT) }
    if existing != nil { throw StorageError(.link, errno: EEXIST) }
    if directories[node] != nil { throw StorageError(.link, errno: EPERM) }
    change(parent, .add(name: target, node: node))
  }

  mutating func unlink(_ name: String, in directory: Descriptor) throws(StorageError) {
    let (parent, node) = try lookUp(name, in: directory, .unlink)
    guard let node else { throw StorageError(.unlink, errno: ENOENT) }
    if directories[node] != nil { throw StorageError(.unlink, errno: EISDIR) }
    change(parent, .remove(name: name))
  }

  func status(_ name: String, in directory: Descriptor) throws(StorageError) -> FileStatus {
    guard let node = try lookUp(name, in: directory, .status).node else {
      throw StorageError(.status, errno: ENOENT)
    }
    return status(ofNode: node)
  }

  func list(_ directory: Descriptor) throws(StorageError) -> [String] {
    let node = try directoryNode(directory, .list)
    // Sorted, so that a run can be repeated exactly.
    return directories[node]?.entries.keys.sorted() ?? []
  }
}
