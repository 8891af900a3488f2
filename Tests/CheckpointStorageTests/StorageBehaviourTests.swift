import CheckpointStorage
import Testing

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Goal: the simulated disk answers as the real one does, so that what holds on it holds in earnest.
// Method: every claim is checked on both.
@Suite struct StorageBehaviourTests {
  @Test(arguments: StorageKind.allCases) func whatWasWrittenIsRead(kind: StorageKind) throws {
    try kind.withDirectory { place in
      let bytes = pattern(10_000)
      try place.put("a", bytes)
      #expect(try place.get("a") == bytes)
    }
  }

  @Test(arguments: StorageKind.allCases)
  func readingStopsAtTheEndOfTheFile(kind: StorageKind) throws {
    try kind.withDirectory { place in
      let file = try place.create("a")
      #expect(try place.backend.write(file, [1, 2, 3], at: 2) == 3)
      #expect(try place.read(file, count: 100) == [0, 0, 1, 2, 3])
      #expect(try place.read(file, count: 100, at: 4) == [3])
      #expect(try place.read(file, count: 100, at: 5).isEmpty)
      #expect(try place.read(file, count: 100, at: 500).isEmpty)
      try place.backend.close(file)
    }
  }

  @Test(arguments: StorageKind.allCases)
  func emptyTransfersAreFine(kind: StorageKind) throws {
    try kind.withDirectory { place in
      let file = try place.create("a")
      #expect(try place.backend.write(file, RawSpan(), at: 0) == 0)
      try place.backend.writeAll(file, RawSpan(), at: 0)
      let nothing = unsafe UnsafeMutableRawBufferPointer(start: nil, count: 0)
      #expect(try unsafe place.backend.read(file, into: nothing, at: 0) == 0)
      #expect(try place.backend.status(file).byteCount == 0)
      try place.backend.close(file)
    }
  }

  /// Some file systems refuse them; then there is nothing to compare.
  @Test(arguments: StorageKind.allCases)
  func wholeBlocksGoPastTheCacheAndComeBack(kind: StorageKind) throws {
    try kind.withDirectory { place in
      let file = try place.create("a")
      let bytes = pattern(8192)
      let buffer = PageBuffer(byteCount: 8192)
      // SAFETY: bytes have no padding that could be uninitialised.
      unsafe buffer.copy(bytes.span.bytes, to: 0)
      if (try? place.backend.setCaching(file, .uncached)) != nil {
        buffer.withBytes(first: 8192) { span in
          #expect(throws: Never.self) { try place.backend.writeAll(file, span, at: 0) }
        }
        try place.backend.setCaching(file, .cached)
        #expect(try place.read(file, count: 9000) == bytes)
      }
      // Unaligned as it is, through the cache.
      try place.backend.writeAll(file, [1, 2, 3], at: 8191)
      try place.backend.startWriteBack(file, 0..<8194)
      try place.backend.startWriteBack(file, 5..<5)
      #expect(try place.read(file, count: 9000, at: 8190) == [bytes[8190], 1, 2, 3])
      #expect(throws: StorageError(.startWriteBack, errno: EFBIG)) {
        try place.backend.startWriteBack(file, 0..<UInt64.max)
      }
      try place.backend.close(file)
      #expect(throws: StorageError(.setCaching, errno: EBADF)) {
        try place.backend.setCaching(file, .uncached)
      }
      #expect(throws: StorageError(.startWriteBack, errno: EBADF)) {
        try place.backend.startWriteBack(file, 0..<1)
      }
    }
  }

  @Test(arguments: StorageKind.allCases)
  func offsetsBeyondTheFileSystemAreRefused(kind: StorageKind) throws {
    try kind.withDirectory { place in
      let file = try place.create("a")
      #expect(throws: StorageError(.write, errno: EFBIG)) {
        try place.backend.write(file, [1], at: .max)
      }
      #expect(throws: StorageError(.truncate, errno: EFBIG)) {
        try place.backend.truncate(file, to: .max)
      }
      #expect(throws: StorageError.self) { try place.backend.writeAll(file, [1, 2], at: .max) }
      try place.backend.close(file)
    }
  }

  @Test(arguments: StorageKind.allCases)
  func creatingRefusesANameThatIsTaken(kind: StorageKind) throws {
    try kind.withDirectory { place in
      try place.put("a", [1])
      #expect(throws: StorageError(.open, errno: EEXIST)) { try place.create("a") }
      #expect(try place.get("a") == [1])
    }
  }

  @Test(arguments: StorageKind.allCases)
  func openingForReadingRefusesAnAbsentName(kind: StorageKind) throws {
    try kind.withDirectory { place in
      #expect(throws: StorageError(.open, errno: ENOENT)) {
        try place.backend.open("a", in: place.directory, for: .reading)
      }
      #expect(throws: StorageError(.status, errno: ENOENT)) {
        try place.backend.status("a", in: place.directory)
      }
      let names = try place.names()
      #expect(names.isEmpty)
    }
  }

  @Test(arguments: StorageKind.allCases)
  func whatIsOpenForReadingCannotBeWritten(kind: StorageKind) throws {
    try kind.withDirectory { place in
      try place.put("a", [1])
      let file = try place.backend.open("a", in: place.directory, for: .reading)
      #expect(throws: StorageError(.write, errno: EBADF)) {
        try place.backend.write(file, [2], at: 0)
      }
      try place.backend.close(file)
      #expect(throws: StorageError(.sync, errno: EBADF)) { try place.backend.sync(file) }
    }
  }

  @Test(arguments: StorageKind.allCases)
  func lockingCreatesAFileOnceAndNeverTruncatesIt(kind: StorageKind) throws {
    try kind.withDirectory { place in
      for byte in UInt8(1)...2 {
        let file = try place.backend.open(
          "lock", in: place.directory, for: .locking(permissions: 0o600))
        _ = try place.backend.write(file, [byte], at: UInt64(byte) - 1)
        try place.backend.close(file)
      }
      #expect(try place.get("lock") == [1, 2])
    }
  }

  @Test(arguments: StorageKind.allCases)
  func renamingRefusesATargetThatExists(kind: StorageKind) throws {
    try kind.withDirectory { place in
      try place.put("a", [1])
      try place.put("b", [2])
      #expect(throws: StorageError(.rename, errno: EEXIST)) {
        try place.backend.renameExclusively("a", to: "b", in: place.directory)
      }
      #expect(throws: StorageError(.rename, errno: ENOENT)) {
        try place.backend.renameExclusively("c", to: "d", in: place.directory)
      }
      try place.backend.renameExclusively("a", to: "c", in: place.directory)
      #expect(try place.names() == ["b", "c"])
      #expect(try place.get("b") == [2])
      #expect(try place.get("c") == [1])
    }
  }

  @Test(arguments: StorageKind.allCases)
  func replacingTakesTheNameFromAnotherFile(kind: StorageKind) throws {
    try kind.withDirectory { place in
      try place.put("a", [1])
      try place.put("b", [2])
      let old = try place.backend.open("b", in: place.directory, for: .reading)
      try place.backend.renameReplacing("a", to: "b", in: place.directory)
      #expect(try place.names() == ["b"])
      #expect(try place.get("b") == [1])
      // What was open stays readable.
      #expect(try place.backend.status(old).byteCount == 1)
      try place.backend.close(old)
      #expect(throws: StorageError(.replace, errno: ENOENT)) {
        try place.backend.renameReplacing("a", to: "b", in: place.directory)
      }
      try place.backend.renameReplacing("b", to: "c", in: place.directory)
      #expect(try place.names() == ["c"])
      try place.backend.makeDirectory(place.path + "/d", permissions: 0o700)
      #expect(throws: StorageError(.replace, errno: EISDIR)) {
        try place.backend.renameReplacing("c", to: "d", in: place.directory)
      }
    }
  }

  @Test(arguments: StorageKind.allCases)
  func linkingGivesASecondNameAndRefusesATakenOne(kind: StorageKind) throws {
    try kind.withDirectory { place in
      try place.put("a", [1])
      try place.backend.link("a", to: "b", in: place.directory)
      #expect(throws: StorageError(.link, errno: EEXIST)) {
        try place.backend.link("a", to: "b", in: place.directory)
      }
      try place.backend.unlink("a", in: place.directory)
      #expect(throws: StorageError(.unlink, errno: ENOENT)) {
        try place.backend.unlink("a", in: place.directory)
      }
      #expect(try place.get("b") == [1])
    }
  }

  @Test(arguments: StorageKind.allCases)
  func anUnlinkedFileStaysReadableWhileItIsOpen(kind: StorageKind) throws {
    try kind.withDirectory { place in
      try place.put("a", [1, 2])
      let file = try place.backend.open("a", in: place.directory, for: .reading)
      try place.backend.unlink("a", in: place.directory)
      try place.backend.sync(place.directory)
      #expect(try place.read(file, count: 5) == [1, 2])
      try place.backend.close(file)
    }
  }

  @Test(arguments: StorageKind.allCases)
  func twoOpenFilesConflictOverAnExclusiveLock(kind: StorageKind) throws {
    try kind.withDirectory { place in
      let backend = place.backend
      try place.put("a", [])
      let first = try backend.open("a", in: place.directory, for: .reading)
      let second = try backend.open("a", in: place.directory, for: .reading)
      #expect(try backend.lock(first, .shared))
      #expect(try backend.lock(second, .shared))
      #expect(try backend.lock(first, .exclusive) == false)
      try backend.close(second)
      #expect(try backend.lock(first, .exclusive))
      let third = try backend.open("a", in: place.directory, for: .reading)
      #expect(try backend.lock(third, .shared) == false)
      try backend.close(first)
      #expect(try backend.lock(third, .exclusive))
      try backend.close(third)
    }
  }

  @Test(arguments: StorageKind.allCases)
  func preallocatingLeavesTheLengthAlone(kind: StorageKind) throws {
    try kind.withDirectory { place in
      let file = try place.create("a")
      try place.backend.preallocate(file, byteCount: 1 << 16)
      #expect(try place.backend.status(file).byteCount == 0)
      #expect(throws: StorageError(.preallocate, errno: EINVAL)) {
        try place.backend.preallocate(file, byteCount: 0)
      }
      try place.backend.truncate(file, to: 3)
      #expect(try place.read(file, count: 5) == [0, 0, 0])
      try place.backend.sync(file)
      try place.backend.dropCache(file)
      try place.backend.close(file)
    }
  }

  @Test(arguments: StorageKind.allCases) func statusTellsKindAndIdentity(kind: StorageKind) throws {
    try kind.withDirectory { place in
      let file = try place.create("a")
      try place.backend.setPermissions(file, 0o640)
      let open = try place.backend.status(file)
      #expect(open.kind == .regular)
      #expect(open.permissions == 0o640)
      #expect(try place.backend.status("a", in: place.directory).isSameFile(as: open))
      try place.put("b", [1])
      #expect(try !place.backend.status("b", in: place.directory).isSameFile(as: open))
      #expect(try place.backend.status(place.directory).kind == .directory)
      #expect(try place.backend.space(place.directory).availableByteCount > 0)
      try place.backend.close(file)
    }
  }

  @Test(arguments: StorageKind.allCases)
  func directoriesAreMadeOnceAndOpenedByPath(kind: StorageKind) throws {
    try kind.withDirectory { place in
      let path = place.path + "/inner"
      try place.backend.makeDirectory(path, permissions: 0o700)
      #expect(throws: StorageError(.mkdir, errno: EEXIST)) {
        try place.backend.makeDirectory(path, permissions: 0o700)
      }
      #expect(throws: StorageError(.mkdir, errno: ENOENT)) {
        try place.backend.makeDirectory(place.path + "/no/such", permissions: 0o700)
      }
      #expect(throws: StorageError(.open, errno: ENOENT)) {
        try place.backend.openDirectory(place.path + "/other")
      }
      #expect(try Place(place.backend, path: path).names().isEmpty)
      #expect(try place.names() == ["inner"])
      try place.put("file", [])
      #expect(throws: StorageError(.open, errno: ENOTDIR)) {
        try place.backend.openDirectory(place.path + "/file")
      }
      #expect(throws: StorageError(.unlink, errno: EISDIR)) {
        try place.backend.unlink("inner", in: place.directory)
      }
      // The name of a directory opens; the caller sees by its status that it is none of ours.
      let opened = try place.backend.open("inner", in: place.directory, for: .reading)
      #expect(try place.backend.status(opened).kind == .directory)
      #expect(throws: StorageError(.read, errno: EISDIR)) { try place.read(opened, count: 1) }
      try place.backend.close(opened)
    }
  }

  @Test(arguments: StorageKind.allCases) func aNameWithANulIsRefused(kind: StorageKind) throws {
    try kind.withDirectory { place in
      try place.put("a", [1])
      #expect(throws: StorageError(.unlink, errno: EINVAL)) {
        try place.backend.unlink("a\0b", in: place.directory)
      }
      #expect(throws: StorageError(.rename, errno: EINVAL)) {
        try place.backend.renameExclusively("a", to: "b\0", in: place.directory)
      }
      #expect(try place.names() == ["a"])
    }
  }

  @Test(arguments: StorageKind.allCases) func aListingIsAlwaysComplete(kind: StorageKind) throws {
    try kind.withDirectory { place in
      let names = (100..<400).map { "name-\($0)" }
      for name in names { try place.put(name, []) }
      #expect(try place.names() == names)
      #expect(try place.names() == names)
    }
  }
}

// Goal: what only a real file system has.
@Suite struct PosixBackendTests {
  @Test func aDescriptorThatIsNotOpenIsAnErrorInEveryCall() {
    let backend = StorageDevice.posix.backend
    let none = Descriptor(rawValue: -1)
    let calls: [(SystemCall, () throws -> Void)] = [
      (.status, { _ = try backend.status(none) }),
      (.truncate, { try backend.truncate(none, to: 0) }),
      (.setPermissions, { try backend.setPermissions(none, 0o600) }),
      (.lock, { _ = try backend.lock(none, .exclusive) }),
      (.space, { _ = try backend.space(none) }),
    ]
    for (call, body) in calls {
      let error = #expect(throws: StorageError.self) { try body() }
      #expect(error?.call == call && error?.errno == EBADF, "\(call)")
    }
  }

  @Test func symbolicLinksAreNotFollowed() throws {
    try StorageKind.posix.withDirectory { place in
      try place.put("a", [1])
      try #require(unsafe symlink("a", place.path + "/link") == 0)
      for purpose in [OpenPurpose.reading, .locking(permissions: 0o600)] {
        #expect(throws: StorageError(.open, errno: ELOOP)) {
          try place.backend.open("link", in: place.directory, for: purpose)
        }
      }
      #expect(try place.backend.status("link", in: place.directory).kind == .symbolicLink)
    }
  }

  @Test func aFifoDoesNotBlock() throws {
    try StorageKind.posix.withDirectory { place in
      try #require(unsafe mkfifo(place.path + "/fifo", 0o600) == 0)
      let fifo = try place.backend.open("fifo", in: place.directory, for: .reading)
      #expect(try place.backend.status(fifo).kind == .other)
      try place.backend.close(fifo)
    }
  }

  @Test func descriptorsAreNotInherited() throws {
    try StorageKind.posix.withDirectory { place in
      let file = try place.create("a")
      let lock = try place.backend.open(
        "lock", in: place.directory, for: .locking(permissions: 0o600))
      for descriptor in [place.directory, file, lock] {
        #expect(fcntl(descriptor.rawValue, F_GETFD) & FD_CLOEXEC != 0)
      }
      try place.backend.close(file)
      try place.backend.close(lock)
    }
  }

  @Test func theClocksGoForward() {
    let time = StorageDevice.posix.timeSource
    let start = time.monotonic()
    time.sleep(2_000_000)
    #expect(time.monotonic() - start >= 2_000_000)
    #expect(time.now() > 1_700_000_000_000_000_000)
    #expect(StorageDevice.posix.randomBits() != StorageDevice.posix.randomBits())
  }
}
