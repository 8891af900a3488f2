import CheckpointEngine
import CheckpointStorage
import CheckpointTesting
import Testing

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Goal: what a file system promises a store is told from how it is mounted and what it did, and never better
// than it is.
// Method: the parser and the judgement are pure functions, given lines as kernels print them and reports as
// probes make them; the probes run on a simulated disk that refuses one call after the other.
@Suite struct DoctorTests {
  private func mount(_ text: String, _ path: String) -> MountInfo? {
    MountInfo.mount(in: text, major: 8, minor: 1, path: path)
  }

  @Test func aLineOfMountInfoIsRead() throws {
    let line =
      #"36 35 98:0 /mnt1 /mnt\0402/a\134b rw,noatime master:1 shared:2 - ext3 /dev/ro\011ot rw,errors=continue"#
    let mount = try #require(MountInfo(line))
    #expect(mount.major == 98 && mount.minor == 0)
    #expect(mount.mountPoint == #"/mnt 2/a\b"# && mount.type == "ext3")
    #expect(mount.source == "/dev/ro\tot")
    #expect(mount.options == ["rw", "noatime", "rw", "errors=continue"])
    // Without optional fields.
    #expect(MountInfo("1 0 8:1 / / rw - xfs /dev/sda1 rw")?.type == "xfs")
  }

  @Test(arguments: [
    "", "-", "36 35 98:0 /", "36 35 98 / / rw - ext3 x rw", "36 35 a:b / / rw - ext3 x rw",
    "36 35 98:0 / / rw ext3 x rw", "- - - - - - - - -", "36 35 98:0 / / rw - ext3",
    "36 35 99999999999:0 / / rw - ext3 x rw",
  ])
  func whatIsNoLineIsNone(line: String) {
    #expect(MountInfo(line) == nil)
  }

  @Test func theMountOfTheDeviceIsTaken() {
    let text = """
      1 0 8:1 / / rw - ext4 /dev/a rw
      2 1 8:1 / /data rw - ext4 /dev/a rw,first
      3 1 8:2 / /data/x rw - xfs /dev/b rw
      4 1 8:1 / /data rw - ext4 /dev/a rw,second
      """
    #expect(mount(text, "/home")?.mountPoint == "/")
    // Not /data/x, whose device is another; of two at one place the one that covers the other.
    #expect(mount(text, "/data/x/y")?.options.last == "second")
    #expect(mount(text, "/database")?.mountPoint == "/")
    // The one that leads farthest, wherever its line is.
    let lines = text.split(separator: "\n").reversed().joined(separator: "\n")
    #expect(mount(lines, "/data/x/y")?.options.last == "first")
    #expect(MountInfo.mount(in: text, major: 9, minor: 9, path: "/") == nil)
  }

  struct Case: Sendable {
    var type: String
    var options: [String] = ["rw"]
    var time: UInt64 = 900_000
    var failing: [FileSystemReport.Probe.Kind] = []
    var preloaded: String?
    var guarantee: DurabilityGuarantee
  }

  @Test(arguments: [
    Case(type: "ext4", guarantee: .durable), Case(type: "xfs", guarantee: .durable),
    Case(type: "btrfs", guarantee: .durable),
    Case(type: "ext4", options: ["rw", "data=writeback"], guarantee: .durable),
    Case(type: "ext4", options: ["rw", "nobarrier"], guarantee: .survivesKillOnly),
    Case(type: "ext4", options: ["rw", "barrier=0"], guarantee: .survivesKillOnly),
    Case(type: "ext4", time: 19_999, guarantee: .survivesKillOnly),
    Case(type: "ext4", time: 20_000, guarantee: .durable),
    Case(type: "ext4", preloaded: "/usr/lib/libeatmydata.so", guarantee: .survivesKillOnly),
    Case(type: "tmpfs", time: 500, guarantee: .survivesKillOnly),
    Case(type: "ramfs", guarantee: .survivesKillOnly),
    Case(type: "overlay", guarantee: .durable),
    Case(type: "overlay", options: ["rw", "volatile"], guarantee: .survivesKillOnly),
    Case(type: "overlay", options: ["rw", "fsync=volatile"], guarantee: .survivesKillOnly),
    Case(type: "nfs4", guarantee: .asServerSays), Case(type: "cifs", guarantee: .asServerSays),
    Case(type: "fuse.sshfs", guarantee: .asServerSays),
    Case(type: "nfs", failing: [.lock], guarantee: .noLock),
    Case(type: "ext4", options: ["ro"], guarantee: .noStore),
    Case(type: "vfat", failing: [.exclusiveRename, .exclusiveLink], guarantee: .noStore),
    Case(type: "zfs", failing: [.exclusiveRename], guarantee: .durable),
    Case(type: "ext4", failing: [.fileSync], guarantee: .noStore),
    Case(type: "ext4", failing: [.directorySync], guarantee: .noStore),
    Case(type: "xfs", failing: [.directWrite, .preallocation], guarantee: .durable),
  ])
  func aReportIsJudged(example: Case) {
    var report = FileSystemReport(path: "/x")
    report.type = example.type
    report.options = example.options
    report.syncNanoseconds = example.time
    report.preloaded = example.preloaded
    report.probes = FileSystemReport.Probe.Kind.allCases.map {
      .init(kind: $0, isWorking: !example.failing.contains($0), explanation: "")
    }
    #expect(report.verdict.guarantee == example.guarantee, "\(example)")
    #expect(report.verdict.reasons.isEmpty == (example.guarantee == .durable), "\(example)")
  }

  @Test func theProbesWorkOnASoundDiskAndLeaveNothing() throws {
    let disk = SimulatedDisk()
    let report = try FileSystemDoctor(on: disk.device).examine("/")
    #expect(report.probes.map(\.kind) == FileSystemReport.Probe.Kind.allCases)
    #expect(report.probes.filter { !$0.isWorking } == [])
    let left = disk.names(inDirectoryAt: "/") ?? []
    for name in left { #expect(disk.names(inDirectoryAt: "/" + name) == []) }
  }

  /// Each call is refused as long as the file system is examined.
  @Test(
    arguments: [
      (.lock, [.lock]), (.rename, [.exclusiveRename]), (.link, [.exclusiveLink]),
      (.sync, [.fileSync, .directorySync]), (.write, [.directWrite]),
      (.setCaching, [.directWrite]), (.preallocate, [.preallocation]), (.truncate, [.truncation]),
      (.list, []),
    ] as [(DiskOperation.Kind, Set<FileSystemReport.Probe.Kind>)])
  func aCallThatIsRefusedCostsWhatNeedsIt(
    call: DiskOperation.Kind, lost: Set<FileSystemReport.Probe.Kind>
  ) throws {
    let disk = SimulatedDisk()
    disk.faultPlan = FaultPlan([.init(call, .error(EIO), .always)])
    let report = try FileSystemDoctor(on: disk.device).examine("/")
    let failed = report.probes.filter { !$0.isWorking }
    #expect(Set(failed.map(\.kind)) == lost)
    #expect(failed.allSatisfy { $0.explanation.contains("errno \(EIO)") }, "\(failed)")
    // How long a write takes to be durable is known only if it can be.
    #expect((report.syncNanoseconds == nil) == [.sync, .write].contains(call))
  }

  /// Calls that report success and do nothing.
  @Test(
    arguments: [
      (.rename, .exclusiveRename), (.link, .exclusiveLink), (.truncate, .truncation),
    ] as [(DiskOperation.Kind, FileSystemReport.Probe.Kind)])
  func aCallThatDoesNothingIsFoundOut(
    call: DiskOperation.Kind, lost: FileSystemReport.Probe.Kind
  ) throws {
    let disk = SimulatedDisk()
    disk.faultPlan = FaultPlan([.init(call, .ignored, .always)])
    let report = try FileSystemDoctor(on: disk.device).examine("/")
    let failed = report.probes.filter { !$0.isWorking }
    #expect(failed.map(\.kind) == [lost])
    #expect(failed.first?.explanation.hasPrefix("not so: ") == true)
  }

  @Test func aFileSystemThatKeepsNobodyOutIsFoundOut() throws {
    let disk = SimulatedDisk()
    let report = try FileSystemDoctor(on: CarelessBackend(disk).device).examine("/")
    let failed = report.probes.filter { !$0.isWorking }
    #expect(failed.map(\.kind) == [.exclusiveCreate, .lock])
    #expect(report.syncNanoseconds == nil && report.availableByteCount == nil)
    #expect(report.verdict.guarantee == .noStore)
  }

  @Test func whereNothingCanBeMadeNothingIsTold() {
    for (fault, code) in [
      (.init(.makeDirectory, .error(ENOSPC)), .outOfSpace),
      (.init(.open, occurrence: 1, .error(EIO)), .unreadable),
    ] as [(FaultPlan.Fault, CheckpointError.Code)] {
      let disk = SimulatedDisk()
      disk.faultPlan = FaultPlan([fault])
      #expect(
        errorCode { _ = try FileSystemDoctor(on: disk.device).examine("/") } == code)
    }
  }

  @Test func whatIsGoodToKnowIsNoted() {
    var report = FileSystemReport(path: "/x")
    #expect(report.notes == [])
    report.options = ["rw", "data=writeback"]
    report.writeCache = "write back"
    report.availableFileCount = 99
    report.probes = [.exclusiveRename, .exclusiveLink, .directWrite].map {
      .init(kind: $0, isWorking: $0 == .exclusiveLink, explanation: "")
    }
    let words = ["data=writeback", "by link", "page cache", "cache of its own", "only 99 more"]
    #expect(report.notes.count == words.count)
    for (note, word) in zip(report.notes, words) { #expect(note.contains(word)) }
    report.availableFileCount = 100
    #expect(report.notes.count == words.count - 1)
  }

  @Test func aMissingDirectoryCannotBeTold() {
    let error = #expect(throws: CheckpointError.self) {
      try FileSystemDoctor(on: SimulatedDisk().device).examine("/none")
    }
    #expect(error?.code == .notFound && error?.message.contains("mkdir -p") == true)
  }
}

/// A file system that lets everybody make a file that is there, gives nobody a lock, and tells nothing.
private final class CarelessBackend: ForwardingBackend {
  let base: any StorageBackend
  private let disk: SimulatedDisk

  init(_ disk: SimulatedDisk) {
    self.disk = disk
    base = disk.device.backend
  }

  var device: StorageDevice {
    StorageDevice(
      backend: self, timeSource: disk.device.timeSource, randomBits: disk.device.randomBits)
  }

  func open(
    _ name: String, in directory: Descriptor, for purpose: OpenPurpose
  ) throws(StorageError) -> Descriptor {
    // The file whose durability would be timed.
    if name == "time" { throw StorageError(.open, errno: EACCES) }
    guard case .creating(let permissions) = purpose else {
      return try base.open(name, in: directory, for: purpose)
    }
    return try base.open(name, in: directory, for: .locking(permissions: permissions))
  }

  func lock(_ descriptor: Descriptor, _ kind: LockKind) throws(StorageError) -> Bool { false }

  func space(_ directory: Descriptor) throws(StorageError) -> FileSystemSpace {
    throw StorageError(.space, errno: ENOSYS)
  }
}
