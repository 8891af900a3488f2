import CheckpointStorage

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// The calls on open files, and the room they take.

extension DiskState {
  /// Positions above this are refused as too big, as a file system refuses its own limit.
  private static let fileByteCountMax = 1 << 40

  mutating func close(_ descriptor: Descriptor) throws(StorageError) {
    guard let open = openFiles.removeValue(forKey: descriptor.rawValue) else {
      throw StorageError(.close, errno: EBADF)
    }
    files[open.node]?.unlock(descriptor.rawValue)
  }

  /// The node of a file that is open for writing, or for anything.
  private func node(
    _ descriptor: Descriptor, writing: Bool, _ call: SystemCall
  ) throws(StorageError) -> UInt64 {
    guard let open = openFiles[descriptor.rawValue] else { throw StorageError(call, errno: EBADF) }
    if writing, !open.isWritable { throw StorageError(call, errno: EBADF) }
    return open.node
  }

  private func position(_ offset: UInt64, _ call: SystemCall) throws(StorageError) -> Int {
    guard let position = Int(exactly: offset), position <= Self.fileByteCountMax else {
      throw StorageError(call, errno: EFBIG)
    }
    return position
  }

  func read(
    _ descriptor: Descriptor, byteCount: Int, at offset: UInt64
  ) throws(StorageError) -> ArraySlice<UInt8> {
    let node = try node(descriptor, writing: false, .read)
    guard let file = files[node] else { throw StorageError(.read, errno: EISDIR) }
    let start = min(Int(clamping: offset), file.content.count)
    let wanted = start..<(start + min(byteCount, file.content.count - start))
    return file.content[wanted].prefix(try file.readableByteCount(wanted))
  }

  /// Writes what there is room for, like a real file system: some bytes, then ENOSPC.
  mutating func write(
    _ descriptor: Descriptor, _ bytes: [UInt8], at offset: UInt64
  ) throws(StorageError) -> Int {
    let node = try node(descriptor, writing: true, .write)
    let start = try position(offset, .write)
    if bytes.isEmpty { return 0 }
    guard let allocated = files[node]?.allocatedByteCount else {
      throw StorageError(.write, errno: EISDIR)
    }
    var count = bytes.count
    if let room = availableByteCount {
      // Small numbers: a position is at most 2^40, an array smaller than 2^62.
      count = min(count, allocated + room - start)
      if count <= 0 { throw StorageError(.write, errno: ENOSPC) }
    }
    files[node]?.write(count == bytes.count ? bytes : Array(bytes[..<count]), at: start)
    return count
  }

  /// Transfers past the cache are of whole blocks, as the strictest disks have it.
  private static let blockByteCount = 4096

  /// Whether an address is one that a transfer past the cache may begin at.
  ///
  /// SAFETY: it is looked at, and not where it leads to.
  @unsafe static func isAligned(_ address: UnsafeRawPointer?) -> Bool {
    UInt(bitPattern: address) % UInt(blockByteCount) == 0
  }

  /// Refuses a transfer past the cache that is not of whole blocks from whole pages.
  func requireAligned(
    _ descriptor: Descriptor, _ byteCount: Int, at offset: UInt64, isMemoryAligned: Bool
  ) throws(StorageError) {
    guard openFiles[descriptor.rawValue]?.caching == .uncached else { return }
    let isAligned =
      uncachedTransfers == .taken && isMemoryAligned && byteCount % Self.blockByteCount == 0
      && offset % UInt64(Self.blockByteCount) == 0
    if !isAligned { throw StorageError(.write, errno: EINVAL) }
  }

  mutating func setCaching(
    _ descriptor: Descriptor, _ caching: Caching
  ) throws(StorageError) {
    _ = try node(descriptor, writing: true, .setCaching)
    if caching == .uncached, uncachedTransfers == .refused {
      throw StorageError(.setCaching, errno: EINVAL)
    }
    openFiles[descriptor.rawValue]?.caching = caching
  }

  /// Tells whether it could: what is written back early is as uncertain as it was, since nobody is
  /// told how far the disk has come.
  func startWriteBack(_ descriptor: Descriptor, _ range: Range<UInt64>) throws(StorageError) {
    _ = try node(descriptor, writing: false, .startWriteBack)
    _ = try position(range.upperBound, .startWriteBack)
  }

  mutating func truncate(
    _ descriptor: Descriptor, to byteCount: UInt64
  ) throws(StorageError) {
    let node = try node(descriptor, writing: true, .truncate)
    let length = try position(byteCount, .truncate)
    files[node]?.truncate(to: length)
  }

  mutating func preallocate(
    _ descriptor: Descriptor, byteCount: UInt64
  ) throws(StorageError) {
    let node = try node(descriptor, writing: true, .preallocate)
    let wanted = try position(byteCount, .preallocate)
    if wanted == 0 { throw StorageError(.preallocate, errno: EINVAL) }
    guard let file = files[node] else { return }
    if let room = availableByteCount, wanted - file.allocatedByteCount > room {
      throw StorageError(.preallocate, errno: ENOSPC)
    }
    files[node]?.reserve(wanted)
  }

  mutating func sync(_ descriptor: Descriptor) throws(StorageError) {
    let node = try node(descriptor, writing: false, .sync)
    files[node]?.sync()
    if directories[node] != nil {
      directories[node]?.sync()
      forgetUnreachableFiles()
    }
  }

  mutating func loseChanges(_ descriptor: Descriptor) {
    guard let node = openFiles[descriptor.rawValue]?.node else { return }
    files[node]?.loseChanges()
    directories[node]?.loseChanges()
  }

  mutating func setPermissions(
    _ descriptor: Descriptor, _ permissions: UInt32
  ) throws(StorageError) {
    let node = try node(descriptor, writing: false, .setPermissions)
    files[node]?.permissions = permissions & 0o7777
  }

  func dropCache(_ descriptor: Descriptor) throws(StorageError) {
    _ = try node(descriptor, writing: false, .dropCache)
  }

  func status(_ descriptor: Descriptor) throws(StorageError) -> FileStatus {
    status(ofNode: try node(descriptor, writing: false, .status))
  }

  func status(ofNode node: UInt64) -> FileStatus {
    let file = files[node]
    return FileStatus(
      kind: file == nil ? .directory : .regular,
      byteCount: UInt64(clamping: file?.content.count ?? 4096), device: 1, inode: node,
      permissions: file?.permissions ?? 0o755)
  }

  mutating func lock(
    _ descriptor: Descriptor, _ kind: LockKind
  ) throws(StorageError) -> Bool {
    let node = try node(descriptor, writing: false, .lock)
    return files[node]?.lock(descriptor.rawValue, kind) ?? true
  }

  // MARK: Room

  func space(_ directory: Descriptor) throws(StorageError) -> FileSystemSpace {
    _ = try node(directory, writing: false, .space)
    return FileSystemSpace(availableByteCount: UInt64(availableByteCount ?? 1 << 50))
  }

  /// Bytes that may still be allocated; nil without a capacity.
  private var availableByteCount: Int? {
    guard let capacity else { return nil }
    let live = Set(openFiles.values.map(\.node))
      .union(directories.values.lazy.flatMap(\.entries.values))
    let used = live.reduce(0) { $0 + (files[$1]?.allocatedByteCount ?? 0) }
    return max(Int(clamping: min(capacity, 1 << 50)) - used, 0)
  }

  /// Drops the files that nobody can reach, even after a crash.
  mutating func forgetUnreachableFiles() {
    var reachable = Set(openFiles.values.map(\.node))
    for directory in directories.values { reachable.formUnion(directory.possibleNodes) }
    for node in files.keys where !reachable.contains(node) { files[node] = nil }
  }
}

extension SimulatedFile {
  /// Takes or changes a lock; false if another descriptor is in the way.
  mutating func lock(_ descriptor: Int32, _ kind: LockKind) -> Bool {
    if let exclusiveHolder, exclusiveHolder != descriptor { return false }
    if kind == .exclusive, sharedHolders.contains(where: { $0 != descriptor }) { return false }
    unlock(descriptor)
    switch kind {
    case .shared: sharedHolders.insert(descriptor)
    case .exclusive: exclusiveHolder = descriptor
    }
    return true
  }

  mutating func unlock(_ descriptor: Int32) {
    if exclusiveHolder == descriptor { exclusiveHolder = nil }
    sharedHolders.remove(descriptor)
  }
}
