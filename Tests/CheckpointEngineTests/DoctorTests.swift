import CheckpointEngine
import CheckpointTesting
import Testing

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

  @Test func aMissingDirectoryCannotBeTold() {
    let error = #expect(throws: CheckpointError.self) {
      try FileSystemDoctor(on: SimulatedDisk().device).examine("/none")
    }
    #expect(error?.code == .notFound && error?.message.contains("mkdir -p") == true)
  }
}
