internal import CheckpointStorage

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// What the system tells of a file system without anything being tried.
enum FileSystemFacts {
  static let nameIsTaken = EEXIST

  /// Best effort: what is left is empty, and has a name that says whose it is.
  static func removeDirectory(_ path: String) {
    // SAFETY: the string ends with NUL and lives through the call.
    unsafe _ = rmdir(path)
  }

  static func add(to report: inout FileSystemReport, _ directory: Int32) {
    var limit = rlimit()
    #if os(Linux)
      let resource = __rlimit_resource_t(RLIMIT_FSIZE.rawValue)
    #else
      let resource = RLIMIT_FSIZE
    #endif
    // SAFETY: the C library fills the record, which is ours.
    if unsafe getrlimit(resource, &limit) == 0, limit.rlim_cur < UInt64(Int64.max) {
      report.fileByteCountMax = UInt64(limit.rlim_cur)
    }
    // SAFETY: a terminated string of the environment, copied here.
    if let text = unsafe getenv("LD_PRELOAD") {
      report.preloaded = unsafe String(cString: text)
    }
    var record = statvfs()
    // SAFETY: as above. Some file systems count no files and say 0 of 0.
    if unsafe fstatvfs(directory, &record) == 0, record.f_files > 0 {
      report.availableFileCount = UInt64(record.f_favail)
    }
    #if os(Linux)
      addMount(to: &report, directory)
    #endif
  }

  #if os(Linux)
    private static func addMount(to report: inout FileSystemReport, _ directory: Int32) {
      var record = stat()
      // SAFETY: the kernel fills the record, which is ours.
      guard unsafe fstat(directory, &record) == 0 else { return }
      // What the C library's macros do with the 64 bits.
      let bits = UInt64(record.st_dev)
      var major = UInt32(truncatingIfNeeded: bits >> 8 & 0xFFF | bits >> 32 & 0xFFFF_F000)
      var minor = UInt32(truncatingIfNeeded: bits & 0xFF | bits >> 12 & 0xFFFF_FF00)
      let path = link("/proc/self/fd/\(directory)") ?? ""
      guard let text = text(of: "/proc/self/mountinfo") else { return }
      var mount = MountInfo.mount(in: text, major: major, minor: minor, path: path)
      if mount == nil, let own = deviceOfMount(directory, in: text) {
        // btrfs gives each subvolume a device of its own, which no mount has.
        mount = own
        (major, minor) = (own.major, own.minor)
      }
      guard let mount else { return }
      report.type = mount.type
      report.mountPoint = mount.mountPoint
      report.source = mount.source
      report.options = mount.options
      addDisk(to: &report, mount, major, minor)
    }

    /// The mount that the kernel says an open directory is of.
    private static func deviceOfMount(_ directory: Int32, in mountInfo: String) -> MountInfo? {
      guard let text = text(of: "/proc/self/fdinfo/\(directory)"),
        let line = text.split(separator: "\n").first(where: { $0.hasPrefix("mnt_id:") }),
        let number = line.split(whereSeparator: \.isWhitespace).last
      else { return nil }
      return mountInfo.split(separator: "\n").first { $0.hasPrefix(number + " ") }
        .flatMap { MountInfo($0) }
    }

    private static func addDisk(
      to report: inout FileSystemReport, _ mount: MountInfo, _ major: UInt32, _ minor: UInt32
    ) {
      var folders = ["/sys/dev/block/\(major):\(minor)"]
      if mount.source.hasPrefix("/dev/"), let name = mount.source.split(separator: "/").last {
        folders.append("/sys/class/block/\(name)")
      }
      // A partition has the queue of its disk.
      for folder in folders.flatMap({ [$0, $0 + "/.."] }) {
        guard let cache = text(of: folder + "/queue/write_cache") else { continue }
        report.writeCache = cache.split(separator: "\n").first.map(String.init)
        report.isRotational = text(of: folder + "/queue/rotational").map { $0.hasPrefix("1") }
        return
      }
    }

    private static func link(_ path: String) -> String? {
      var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
      // SAFETY: at most the length of the buffer is written.
      let count = unsafe readlink(path, &buffer, buffer.count)
      guard count > 0 else { return nil }
      return String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// A file of the kernel's, whose length nobody tells; of a very long one the beginning.
    private static func text(of path: String) -> String? {
      let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
      guard descriptor >= 0 else { return nil }
      defer { close(descriptor) }
      var bytes: [UInt8] = []
      var buffer = [UInt8](repeating: 0, count: 65_536)
      while bytes.count < 16 << 20 {
        // SAFETY: at most the length of the buffer is written.
        let count = unsafe read(descriptor, &buffer, buffer.count)
        guard count > 0 else { break }
        bytes += buffer[..<count]
      }
      return String(decoding: bytes, as: UTF8.self)
    }
  #endif
}
