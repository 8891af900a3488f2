import CheckpointStorage

// Which of the possible states are tried: all of them if they are few, else first those that
// differ in one place from "everything survived" or "nothing survived", then a seeded sample.

extension SimulatedDisk {
  /// The disks that a power failure right now could leave, each once.
  ///
  /// Every combination of what each file and directory can look like is legal, since POSIX orders
  /// nothing that is not synced. For a file these are subsets of the pending writes, torn writes,
  /// and its length without its data or its data without its length; for a directory, subsets of
  /// the pending changes, a rename being atomic. The first element has everything survive, the
  /// second nothing that was not durable. The same calls, limit and seed give the same disks.
  ///
  /// The new disks have no open descriptors, locks, faults or log.
  ///
  /// - Parameters:
  ///   - limit: the most disks to return. If there are more states, a sample is returned.
  ///   - seed: decides the sample.
  /// - Returns: the disks, at least one if `limit` is positive.
  /// - Complexity: O(*limit* · *n*) for *n* reachable files and directories, plus the contents of
  ///   each variant of a file, which the disks share.
  public func postCrashStates(limit: Int = 4096, seed: UInt64 = 0) -> [SimulatedDisk] {
    let simulation = backend.simulation.withLock { $0 }
    var explorer = CrashExplorer(simulation, seed: seed)
    return explorer.explore(limit: limit).map { SimulatedDisk(SimulatedBackend($0)) }
  }

  /// One of the disks that a power failure right now could leave, for whoever tries one of very
  /// many: ``postCrashStates(limit:seed:)`` works out what each file can look like first.
  ///
  /// - Parameter generator: decides which.
  /// - Returns: a new disk without open descriptors, locks, faults or log.
  package func postCrashState(
    choosing generator: inout some RandomNumberGenerator
  ) -> SimulatedDisk {
    let simulation = backend.simulation.withLock { $0 }
    var files: [UInt64: [UInt8]] = [:]
    var directories: [UInt64: [String: UInt64]] = [:]
    // In the order of creation, so that one generator gives one disk.
    for (node, directory) in simulation.disk.directories.sorted(by: { $0.key < $1.key }) {
      directories[node] = directory.crashEntries(choosing: &generator)
    }
    for (node, file) in simulation.disk.files.sorted(by: { $0.key < $1.key }) {
      files[node] = file.crashContent(choosing: &generator)
    }
    return SimulatedDisk(
      SimulatedBackend(simulation.rebooted(files: files, directories: directories)))
  }

  /// The disk after an orderly reboot: everything survived.
  ///
  /// - Returns: a new disk without open descriptors, locks, faults or log.
  public func copy() -> SimulatedDisk {
    let simulation = backend.simulation.withLock { $0 }
    return SimulatedDisk(SimulatedBackend(simulation.afterCleanReboot()))
  }
}

extension SimulatedBackend.Simulation {
  func afterCleanReboot() -> Self {
    rebooted(
      files: disk.files.mapValues(\.completeContent),
      directories: disk.directories.mapValues(\.completeEntries))
  }

  /// The machine started again with these contents and names.
  func rebooted(
    files: [UInt64: [UInt8]], directories: [UInt64: [String: UInt64]]
  ) -> Self {
    var new = self
    new.faults = FaultCounter(FaultPlan())
    new.operations = []
    new.crashIndex = nil
    new.hasCrashed = false
    new.disk.openFiles = [:]
    new.disk.directories = directories.mapValues(SimulatedDirectory.init(settled:))
    new.disk.files = [:]
    for entries in directories.values {
      for node in entries.values {
        guard let content = files[node], let old = disk.files[node] else { continue }
        new.disk.files[node] = SimulatedFile(
          settled: content, permissions: old.permissions, unreadableRanges: old.unreadableRanges)
      }
    }
    return new
  }
}

/// Enumerates the states of one disk after a crash.
private struct CrashExplorer {
  /// What one file or directory can be, of which a state chooses one.
  private enum Part {
    case file(UInt64, [[UInt8]], digests: [Int])
    case directory(UInt64, [[String: UInt64]])

    var variantCount: Int {
      switch self {
      case .file(_, let contents, _): contents.count
      case .directory(_, let entries): entries.count
      }
    }
  }

  private let simulation: SimulatedBackend.Simulation
  private var generator: SplitMix64
  private var parts: [Part] = []
  /// For each part, the variant without any change that is not durable.
  private var certainVariants: [Int] = []
  private var seen: Set<Int> = []
  private var found: [SimulatedBackend.Simulation] = []

  init(_ simulation: SimulatedBackend.Simulation, seed: UInt64) {
    self.simulation = simulation
    generator = SplitMix64(state: seed)
    // Directories first, so that the full product varies names fastest. In the order of creation:
    // the order of a dictionary differs from run to run.
    for (node, directory) in simulation.disk.directories.sorted(by: { $0.key < $1.key }) {
      let entries = directory.crashEntries(using: &generator)
      parts.append(.directory(node, entries))
      certainVariants.append(entries.firstIndex(of: directory.certainEntries) ?? 0)
    }
    for (node, file) in simulation.disk.files.sorted(by: { $0.key < $1.key }) {
      let contents = file.crashContents(using: &generator)
      let digests = contents.map(contentDigest)
      parts.append(.file(node, contents, digests: digests))
      certainVariants.append(digests.firstIndex(of: contentDigest(file.certainContent)) ?? 0)
    }
  }

  mutating func explore(limit: Int) -> [SimulatedBackend.Simulation] {
    let counts = parts.map(\.variantCount)
    let all = counts.map { _ in 0 }
    let none = certainVariants
    add(all, limit)
    add(none, limit)
    if let total = Self.product(counts, atMost: limit) {
      for number in 0..<total { add(Self.digits(of: number, counts), limit) }
      return found
    }
    for base in [all, none] {
      for part in counts.indices {
        for variant in 0..<counts[part] {
          var choice = base
          choice[part] = variant
          add(choice, limit)
        }
      }
    }
    // States that are the same to a reader use up tries, so there is an end to them as well.
    var tryCount = 0
    while found.count < limit, tryCount < limit * 4 {
      tryCount += 1
      add(counts.map { Int.random(in: 0..<$0, using: &generator) }, limit)
    }
    return found
  }

  private static func product(_ counts: [Int], atMost limit: Int) -> Int? {
    var product = 1
    for count in counts {
      let (next, overflow) = product.multipliedReportingOverflow(by: count)
      if overflow || next > limit { return nil }
      product = next
    }
    return product
  }

  private static func digits(of number: Int, _ counts: [Int]) -> [Int] {
    var rest = number
    return counts.map { count in
      defer { rest /= count }
      return rest % count
    }
  }

  /// Adds the state of one variant for each part, unless a reader could not tell it from another.
  private mutating func add(_ choice: [Int], _ limit: Int) {
    if found.count >= limit { return }
    var files: [UInt64: [UInt8]] = [:]
    var digests: [UInt64: Int] = [:]
    var directories: [UInt64: [String: UInt64]] = [:]
    for (part, variant) in zip(parts, choice) {
      switch part {
      case .file(let node, let contents, let contentDigests):
        files[node] = contents[variant]
        digests[node] = contentDigests[variant]
      case .directory(let node, let entries):
        directories[node] = entries[variant]
      }
    }
    var hasher = Hasher()
    Self.digest(DiskState.rootNode, directories, digests, into: &hasher)
    if seen.insert(hasher.finalize()).inserted {
      found.append(simulation.rebooted(files: files, directories: directories))
    }
  }

  /// Digests what a reader finds below a directory.
  ///
  /// Directories cannot be linked, so there is no cycle.
  private static func digest(
    _ node: UInt64, _ directories: [UInt64: [String: UInt64]], _ contents: [UInt64: Int],
    into hasher: inout Hasher
  ) {
    guard let entries = directories[node] else { return }
    hasher.combine(entries.count)
    for (name, child) in entries.sorted(by: { $0.key < $1.key }) {
      hasher.combine(name)
      // Two names of one file differ from two files, even with the same contents.
      hasher.combine(child)
      if let content = contents[child] { hasher.combine(content) }
      digest(child, directories, contents, into: &hasher)
    }
  }
}
