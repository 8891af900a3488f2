#if canImport(Glibc)
  import CLinux
  import Glibc

  // What Linux does in its own way. Each function returns errno, or zero.

  enum Platform {
    static func close(_ descriptor: Int32) -> Int32 {
      PosixBackend.errorOrZero(Glibc.close(descriptor))
    }

    static func sync(_ descriptor: Int32) -> Int32 {
      PosixBackend.errorOrZero(fsync(descriptor))
    }

    static func preallocate(_ descriptor: Int32, byteCount: off_t) -> Int32 {
      PosixBackend.errorOrZero(fallocate(descriptor, FALLOC_FL_KEEP_SIZE, 0, byteCount))
    }

    static func setCaching(_ descriptor: Int32, _ caching: Caching) -> Int32 {
      // The flags that can be set of an open file are all unset in one that was just created.
      PosixBackend.errorOrZero(fcntl(descriptor, F_SETFL, caching == .uncached ? O_DIRECT : 0))
    }

    static func startWriteBack(_ descriptor: Int32, from start: off_t, byteCount: off_t) -> Int32 {
      PosixBackend.errorOrZero(
        sync_file_range(descriptor, start, byteCount, UInt32(SYNC_FILE_RANGE_WRITE)))
    }

    /// How far ahead of a reader to look: somewhat less than the system reads ahead, where it is told to read
    /// 8 MiB, 4 or 2.
    private static let readOnDistances: [off_t] = [6 << 20, 3 << 20, 3 << 19]

    static func readOn(_ descriptor: Int32, from start: off_t) {
      // The system reads on by itself, one window at a time, once a reader comes to the beginning of the last.
      // While the reader works on the window before, the disk may have nothing to do: looking at a byte of
      // the last one makes the next begin earlier. Only where the system has begun to read, since elsewhere
      // that would be a read of one page; and not by POSIX_FADV_WILLNEED, which fills the cache with single
      // pages and takes more of the processor than it saves waiting.
      for distance in readOnDistances where start <= off_t.max - distance {
        guard checkpoint_is_cached(descriptor, start + distance) == 1 else { continue }
        checkpoint_touch(descriptor, start + distance)
        return
      }
    }

    static func dropCache(_ descriptor: Int32) -> Int32 {
      // This call returns the error and leaves errno alone; length 0 means to the end.
      posix_fadvise(descriptor, 0, 0, POSIX_FADV_DONTNEED)
    }

    static func availableByteCount(_ directory: Int32, into count: inout UInt64) -> Int32 {
      // fstatvfs: the C library's portable face of fstatfs(2), which Swift's module leaves out.
      var record = statvfs()
      // SAFETY: the C library fills the record, which is ours.
      let error = unsafe PosixBackend.errorOrZero(fstatvfs(directory, &record))
      if error != 0 { return error }
      let product = UInt64(record.f_bavail).multipliedReportingOverflow(
        by: UInt64(record.f_frsize))
      count = product.overflow ? .max : product.partialValue
      for left in [quotaLeft(directory, 0, geteuid()), quotaLeft(directory, 1, getegid())] {
        count = min(count, left ?? .max)
      }
      return 0
    }

    /// Bytes that a user or group may still have; nil where there is no limit, or none is told.
    ///
    /// Quotas of a project, which are those of a directory tree, are part of what fstatfs says.
    private static func quotaLeft(_ directory: Int32, _ type: Int32, _ id: UInt32) -> UInt64? {
      var record = checkpoint_quota()
      // SAFETY: the kernel fills the record, which is ours. Without quotas it refuses.
      guard unsafe checkpoint_quota_get(directory, type, id, &record) == 0 else { return nil }
      return Quota.left(
        hardLimit: record.hard_limit, softLimit: record.soft_limit, used: record.used)
    }

    @unsafe static func renameExclusively(
      _ name: UnsafePointer<CChar>, to target: UnsafePointer<CChar>, in directory: Int32
    ) -> Int32 {
      // SAFETY: both strings end with NUL and live through the call.
      unsafe PosixBackend.errorOrZero(
        renameat2(directory, name, directory, target, UInt32(RENAME_NOREPLACE)))
    }

    /// The processors this process may run on, which a container or taskset can narrow.
    static var availableProcessorCount: Int {
      var set = cpu_set_t()
      // SAFETY: the kernel fills at most the size we tell.
      let result = unsafe sched_getaffinity(0, MemoryLayout<cpu_set_t>.size, &set)
      if result == 0 {
        // SAFETY: reads the bytes of a local value.
        let count = unsafe withUnsafeBytes(of: &set) { bytes in
          unsafe bytes.reduce(0) { $0 + $1.nonzeroBitCount }
        }
        if count > 0 { return count }
      }
      return sysconf(Int32(_SC_NPROCESSORS_ONLN))  // more processors than the set can name
    }

    /// Asks for large pages in memory that was not touched yet; without them it is slower.
    @unsafe static func adviseHugePages(_ memory: UnsafeMutableRawBufferPointer) {
      // SAFETY: advice changes no contents; a range that is not of whole pages is refused.
      unsafe _ = madvise(memory.baseAddress, memory.count, MADV_HUGEPAGE)
    }

    /// Puts the calling thread behind the others of the program; advice, which cannot fail.
    static func lowerPriority() {
      // On Linux the nice value belongs to a thread, and 0 names the one that calls: setpriority(2), "Bugs".
      // Counted from the program's first thread: a thread begins with the value of its maker, which may
      // have been put behind already.
      let process = Int32(bitPattern: PRIO_PROCESS.rawValue)
      let behind = min(getpriority(process, id_t(getpid())) + 10, 19)
      if getpriority(process, 0) < behind { _ = setpriority(process, 0, behind) }
    }

    typealias ThreadHandle = pthread_t

    /// Starts a thread that calls `body` with `context`; nil if the system has no more threads.
    @unsafe static func startThread(
      _ attributes: UnsafePointer<pthread_attr_t>, context: UnsafeMutableRawPointer,
      _ body: @convention(c) (UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer?
    ) -> ThreadHandle? {
      var handle = pthread_t()
      // SAFETY: the arguments are valid for the call; what `context` means is the caller's duty.
      return unsafe pthread_create(&handle, attributes, body, context) == 0 ? handle : nil
    }
  }
#endif
