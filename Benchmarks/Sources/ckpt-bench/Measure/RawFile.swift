internal import Dispatch

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// Files written and read with nothing but system calls: the limits that a save and a load have.
enum RawFile {
  /// What a direct write hands to the system at once, for each of its threads.
  private static let writeByteCount = 8 << 20
  private static let readByteCount = 1 << 20
  private static let directThreadCount = 4

  /// Writes through the page cache and syncs.
  ///
  /// - Parameters:
  ///   - bytes: What is written.
  ///   - path: The new file.
  ///   - pieceByteCount: What is handed to the system at once.
  static func write(
    _ bytes: UnsafeRawBufferPointer, to path: String, piecesOf pieceByteCount: Int = 8 << 20
  ) {
    let file = create(path, byteCount: bytes.count, flags: 0)
    for offset in stride(from: 0, to: bytes.count, by: pieceByteCount) {
      let end = min(bytes.count, offset + pieceByteCount)
      // SAFETY: the range lies in the buffer.
      unsafe write(
        UnsafeRawBufferPointer(rebasing: bytes[offset..<end]), to: file, at: offset, path)
    }
    sync(file, path)
  }

  /// Writes past the page cache, several blocks at a time, and syncs.
  ///
  /// - Parameters:
  ///   - bytes: Begins at a page and has whole pages.
  ///   - path: The new file.
  static func writeDirect(_ bytes: UnsafeRawBufferPointer, to path: String) {
    let file = create(path, byteCount: bytes.count, flags: directFlag)
    let group = DispatchGroup()
    for thread in 0..<directThreadCount {
      // SAFETY: the threads only read, and the buffer outlives the wait below.
      nonisolated(unsafe) let bytes = unsafe bytes
      // A queue of its own has a thread of its own, also where there are fewer cores.
      DispatchQueue(label: "write \(thread)").async(group: group) {
        let step = directThreadCount * writeByteCount
        for offset in unsafe stride(from: thread * writeByteCount, to: bytes.count, by: step) {
          let end = unsafe min(bytes.count, offset + writeByteCount)
          unsafe write(
            UnsafeRawBufferPointer(rebasing: bytes[offset..<end]), to: file, at: offset, path)
        }
      }
    }
    group.wait()
    sync(file, path)
  }

  /// How long a sync takes of bytes that were written into the page cache just before.
  static func syncSeconds(_ bytes: UnsafeRawBufferPointer, _ path: String) -> Double {
    let file = create(path, byteCount: bytes.count, flags: 0)
    unsafe write(bytes, to: file, at: 0, path)
    return Benchmark.seconds { sync(file, path) }
  }

  /// Whether the directory's file system takes direct writes.
  static func canWriteDirect(in directory: String) -> Bool {
    let path = directory + "/probe"
    let file = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | directFlag, 0o600)
    guard directFlag != 0, file >= 0 else { return false }
    close(file)
    unsafe unlink(path)
    return true
  }

  /// Reads a file from its beginning to its end into one buffer; returns its size.
  static func read(_ path: String) -> Int {
    let file = openForReading(path)
    defer { close(file) }
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: readByteCount, alignment: 4096)
    defer { unsafe buffer.deallocate() }
    var offset = 0
    while true {
      // SAFETY: the buffer has that many bytes.
      let count = unsafe pread(file, buffer.baseAddress, readByteCount, off_t(offset))
      guard count >= 0 else { fail("read", path) }
      if count == 0 { return offset }
      offset += count
    }
  }

  /// Takes a file that is synced out of the page cache; returns the share of it that stayed.
  static func drop(_ path: String) -> Double {
    let file = openForReading(path)
    defer { close(file) }
    #if canImport(Glibc)
      let size = lseek(file, 0, SEEK_END)
      posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED)
      guard let start = unsafe mmap(nil, size, PROT_READ, MAP_SHARED, file, 0),
        unsafe start != MAP_FAILED
      else { fail("map", path) }
      defer { unsafe munmap(start, size) }
      var pages = [UInt8](repeating: 0, count: (size + 4095) / 4096)
      // SAFETY: one byte for each page of the mapping; its lowest bit tells whether it is resident.
      guard unsafe mincore(start, size, &pages) == 0 else { fail("look at", path) }
      return Double(pages.count { $0 & 1 != 0 }) / Double(max(1, pages.count))
    #else
      return 1
    #endif
  }

  /// Syncs a directory, by which the removal of files in it is done with.
  static func syncDirectory(_ path: String) {
    let directory = openForReading(path)
    fsync(directory)
    close(directory)
  }

  /// Makes a directory, and those above it, unless it is there.
  static func makeDirectory(_ path: String) {
    for end in path.indices where path[end] == "/" && end > path.startIndex {
      unsafe mkdir(String(path[..<end]), 0o700)
    }
    unsafe mkdir(path, 0o700)
    // Here rather than in the middle: a probe of the disk would only say no.
    guard unsafe access(path, W_OK) == 0 else { fail("write in", path) }
  }

  /// Removes a directory with the files in it, if it is there.
  static func removeDirectory(_ path: String) {
    guard let directory = unsafe opendir(path) else { return }
    while let entry = unsafe readdir(directory) {
      // SAFETY: the name ends with a zero byte within the entry, which lives until the next call.
      let name = unsafe withUnsafePointer(to: entry.pointee.d_name) { name in
        unsafe name.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
      }
      if name != ".", name != ".." { unsafe unlink(path + "/" + name) }
    }
    unsafe closedir(directory)
    unsafe rmdir(path)
  }

  #if canImport(Glibc) && arch(arm64)
    private static let directFlag: Int32 = 0o200000
  #elseif canImport(Glibc)
    private static let directFlag: Int32 = 0o40000
  #else
    private static let directFlag: Int32 = 0
  #endif

  /// A new file with its blocks allocated.
  private static func create(_ path: String, byteCount: Int, flags: Int32) -> Int32 {
    let file = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC | flags, 0o600)
    guard file >= 0 else { fail("create", path) }
    #if canImport(Glibc)
      guard posix_fallocate(file, 0, off_t(byteCount)) == 0 else { fail("allocate", path) }
    #endif
    return file
  }

  private static func openForReading(_ path: String) -> Int32 {
    let file = unsafe open(path, O_RDONLY)
    guard file >= 0 else { fail("open", path) }
    return file
  }

  private static func write(
    _ bytes: UnsafeRawBufferPointer, to file: Int32, at offset: Int, _ path: String
  ) {
    var done = 0
    while done < bytes.count {
      // SAFETY: what is left of the buffer.
      let count = unsafe pwrite(
        file, bytes.baseAddress?.advanced(by: done), bytes.count - done, off_t(offset + done))
      guard count > 0 else { fail("write", path) }
      done += count
    }
  }

  private static func sync(_ file: Int32, _ path: String) {
    guard fsync(file) == 0, close(file) == 0 else { fail("sync", path) }
  }

  private static func fail(_ what: String, _ path: String) -> Never {
    let reason = unsafe String(cString: strerror(errno))
    Benchmark.fail("ckpt-bench: cannot \(what) \(path): \(reason)", status: 1)
  }
}
