#if canImport(Darwin)
  import Darwin

  // What Darwin does in its own way. Written from the manual pages; not yet run there.
  // Each function returns errno, or zero.

  enum Platform {
    static func close(_ descriptor: Int32) -> Int32 {
      PosixBackend.errorOrZero(Darwin.close(descriptor))
    }

    static func sync(_ descriptor: Int32) -> Int32 {
      // fsync(2) leaves the data in the drive's cache; F_FULLFSYNC has the drive flush it.
      let error = PosixBackend.errorOrZero(fcntl(descriptor, F_FULLFSYNC))
      // File systems without it (network volumes) answer so; fsync is then all there is.
      guard error == ENOTSUP || error == EINVAL || error == ENOTTY else { return error }
      return PosixBackend.errorOrZero(fsync(descriptor))
    }

    static func preallocate(_ descriptor: Int32, byteCount: off_t) -> Int32 {
      // From the physical end of a file that is still empty, so the whole length is asked for.
      var request = fstore_t(
        fst_flags: UInt32(F_ALLOCATEALL), fst_posmode: F_PEOFPOSMODE, fst_offset: 0,
        fst_length: byteCount, fst_bytesalloc: 0)
      // SAFETY: the kernel reads and fills the record, which is ours.
      return unsafe PosixBackend.errorOrZero(fcntl(descriptor, F_PREALLOCATE, &request))
    }

    static func setCaching(_ descriptor: Int32, _ caching: Caching) -> Int32 {
      PosixBackend.errorOrZero(fcntl(descriptor, F_NOCACHE, caching == .uncached ? 1 : 0))
    }

    static func startWriteBack(_ descriptor: Int32, from start: off_t, byteCount: off_t) -> Int32 {
      0  // no call begins it for a range; the system does by itself
    }

    static func readOn(_ descriptor: Int32, from start: off_t) {
      let (ahead, overflow) = start.addingReportingOverflow(8 << 20)
      if overflow { return }
      var range = radvisory(ra_offset: ahead, ra_count: 1 << 20)
      // SAFETY: the kernel reads the record, which is ours.
      unsafe _ = fcntl(descriptor, F_RDADVISE, &range)
    }

    static func dropCache(_ descriptor: Int32) -> Int32 {
      // Nothing drops pages already cached; this keeps later transfers out of the cache.
      PosixBackend.errorOrZero(fcntl(descriptor, F_NOCACHE, 1))
    }

    static func availableByteCount(_ directory: Int32, into count: inout UInt64) -> Int32 {
      var record = statfs()
      // SAFETY: the kernel fills the record, which is ours.
      let error = unsafe PosixBackend.errorOrZero(fstatfs(directory, &record))
      if error != 0 { return error }
      let product = UInt64(record.f_bavail).multipliedReportingOverflow(
        by: UInt64(record.f_bsize))
      count = product.overflow ? .max : product.partialValue
      return 0
    }

    @unsafe static func renameExclusively(
      _ name: UnsafePointer<CChar>, to target: UnsafePointer<CChar>, in directory: Int32
    ) -> Int32 {
      // SAFETY: both strings end with NUL and live through the call.
      unsafe PosixBackend.errorOrZero(
        renameatx_np(directory, name, directory, target, UInt32(RENAME_EXCL)))
    }

    /// The processors that are switched on; Darwin has no affinity to narrow them.
    static var availableProcessorCount: Int { sysconf(_SC_NPROCESSORS_ONLN) }

    /// Nothing to ask for: Darwin's pages are large enough.
    @unsafe static func adviseHugePages(_ memory: UnsafeMutableRawBufferPointer) {}

    /// Puts the calling thread behind the others of the program; advice, which cannot fail.
    static func lowerPriority() { _ = pthread_set_qos_class_self_np(QOS_CLASS_UTILITY, 0) }

    typealias ThreadHandle = pthread_t

    /// Starts a thread that calls `body` with `context`; nil if the system has no more threads.
    @unsafe static func startThread(
      _ attributes: UnsafePointer<pthread_attr_t>, context: UnsafeMutableRawPointer,
      _ body: @convention(c) (UnsafeMutableRawPointer) -> UnsafeMutableRawPointer?
    ) -> ThreadHandle? {
      var handle: pthread_t?
      // SAFETY: the arguments are valid for the call; what `context` means is the caller's duty.
      return unsafe pthread_create(&handle, attributes, body, context) == 0 ? handle : nil
    }
  }
#endif
