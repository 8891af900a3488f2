/// What a file system did when it was tried, and what is known of it.
package struct FileSystemReport: Hashable, Sendable {
  /// Something a store needs or likes, and what came of it.
  package struct Probe: Hashable, Sendable {
    package enum Kind: String, Hashable, Sendable, CaseIterable {
      case exclusiveCreate = "exclusive create"
      case exclusiveRename = "exclusive rename"
      case exclusiveLink = "exclusive link"
      case replacingRename = "replacing rename"
      case lock
      case fileSync = "fsync of a file"
      case directorySync = "fsync of a directory"
      case directWrite = "direct writes"
      case preallocation
      case truncation
    }
    package var kind: Kind
    package var isWorking: Bool
    /// A sentence for a person.
    package var explanation: String

    package init(kind: Kind, isWorking: Bool, explanation: String) {
      self.kind = kind
      self.isWorking = isWorking
      self.explanation = explanation
    }
  }

  package var path: String
  package var probes: [Probe] = []
  /// Its name, such as `ext4`; nil if it cannot be told.
  package var type: String?
  package var mountPoint: String?
  package var source: String?
  package var options: [String] = []
  /// Bytes that may still be written.
  package var availableByteCount: UInt64?
  /// Files that may still be made; nil where they are not counted.
  package var availableFileCount: UInt64?
  /// The largest file that this process may write; nil if there is no limit.
  package var fileByteCountMax: UInt64?
  /// The median time of an fsync behind a small write.
  package var syncNanoseconds: UInt64?
  /// `write back` or `write through`, as the kernel says of the disk.
  package var writeCache: String?
  package var isRotational: Bool?
  /// What LD_PRELOAD names.
  package var preloaded: String?

  package init(path: String) { self.path = path }

  package func works(_ kind: Probe.Kind) -> Bool? { probes.first { $0.kind == kind }?.isWorking }

  /// What follows for a store, the first that holds, and why.
  package var verdict: (guarantee: DurabilityGuarantee, reasons: [String]) {
    for guarantee in [DurabilityGuarantee.noStore, .survivesKillOnly, .noLock, .asServerSays] {
      let reasons = reasons(for: guarantee)
      if !reasons.isEmpty { return (guarantee, reasons) }
    }
    return (.durable, [])
  }
}

/// What a store on a file system can promise.
package enum DurabilityGuarantee: String, Hashable, Sendable, CaseIterable {
  /// What was acknowledged survives a kill, a crash of the system and a power cut.
  case durable
  case survivesKillOnly = "survives a kill of the program, not a power cut"
  case noLock = "no lock between processes"
  case asServerSays = "as durable as the server says"
  case noStore = "cannot hold a store"
}

extension FileSystemReport {
  private static let inMemory: Set<String> = ["tmpfs", "ramfs", "hugetlbfs"]
  private static let remote: Set<String> = [
    "nfs", "nfs4", "cifs", "smb3", "9p", "ceph", "afs", "lustre", "virtiofs",
  ]
  /// No disk has been seen to write and flush faster.
  static let syncNanosecondsMin: UInt64 = 20_000

  private func reasons(for guarantee: DurabilityGuarantee) -> [String] {
    switch guarantee {
    case .durable: []
    case .noStore: reasonsAgainstStore
    case .survivesKillOnly: reasonsAgainstDurability
    case .noLock:
      works(.lock) == false ? ["flock does not keep a second writer out: use one process"] : []
    case .asServerSays:
      type.map(isRemote) == true
        ? ["\(type ?? "") hands fsync to a server or a program, which may keep its word or not"]
        : []
    }
  }

  private func isRemote(_ type: String) -> Bool {
    Self.remote.contains(type) || type == "fuse" || type.hasPrefix("fuse.")
  }

  private var reasonsAgainstStore: [String] {
    var reasons: [String] = []
    if options.contains("ro") { reasons.append("the file system is mounted read-only") }
    if works(.exclusiveCreate) == false { reasons.append("no file can be made exclusively") }
    if works(.exclusiveRename) == false, works(.exclusiveLink) != true {
      reasons.append("neither rename nor link can publish without replacing")
    }
    if works(.fileSync) == false { reasons.append("fsync of a file fails") }
    if works(.directorySync) == false { reasons.append("fsync of a directory fails") }
    return reasons
  }

  private var reasonsAgainstDurability: [String] {
    var reasons: [String] = []
    if let type, Self.inMemory.contains(type) {
      reasons.append("\(type) is memory: nothing is on a disk")
    }
    let volatile = options.contains("volatile") || options.contains("fsync=volatile")
    if type == "overlay", volatile {
      reasons.append("the overlay is mounted 'volatile': fsync does nothing")
    }
    for option in ["nobarrier", "barrier=0", "barrier=none"] where options.contains(option) {
      reasons.append("mounted with '\(option)': the disk's cache is not flushed")
    }
    if let preloaded, preloaded.contains("eatmydata") {
      reasons.append("LD_PRELOAD names libeatmydata, which makes fsync do nothing")
    }
    if let time = syncNanoseconds, time < Self.syncNanosecondsMin, reasons.isEmpty {
      reasons.append(
        "an fsync of a small write took \(time / 1000) microseconds, too fast to be true: "
          + "something answers without asking a disk")
    }
    return reasons
  }

  /// What does not change the guarantee and is good to know.
  package var notes: [String] {
    var notes: [String] = []
    if options.contains("data=writeback") {
      notes.append("data=writeback orders nothing by itself; a save syncs its file before its name")
    }
    if works(.exclusiveRename) == false, works(.exclusiveLink) == true {
      notes.append("publishing goes by link, since there is no exclusive rename")
    }
    if works(.replacingRename) == false {
      notes.append("ckpt-migrate --in-store cannot work: no rename takes the place of a file")
    }
    if works(.directWrite) == false { notes.append("saves go through the page cache") }
    if writeCache == "write back" {
      notes.append("the disk has a cache of its own, which fsync has flushed")
    }
    if let left = availableFileCount, left < 100 {
      notes.append("only \(left) more files may be made")
    }
    return notes
  }
}
