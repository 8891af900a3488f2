public import CheckpointFormat
internal import CheckpointStorage

#if Mutants
  internal import CheckpointMutants
#endif

/// A checkpoint file in a store, in whatever condition.
public struct StoreEntry: Sendable {
  /// The name in the store's directory.
  public let name: String
  /// The file's path.
  public let path: String
  /// The training step that the name states.
  public let step: UInt64
  /// The generation that name and header state, the higher if they differ; nil if neither tells.
  public let generation: UInt64?
  /// The header, if it can be read.
  public let header: CheckpointHeader?
  /// Why the file is no candidate, as far as its header tells.
  public let problem: CheckpointError?
  /// What its name says it is for.
  public let role: Role
  /// Bytes of the file; 0 if it could not be opened.
  public let byteCount: UInt64
  /// Whether a marker keeps retention from removing it.
  public internal(set) var isPinned = false

  /// What a file of a store is for.
  public enum Role: Hashable, Sendable {
    /// A run may go on from it.
    case candidate
    /// It was set aside as damaged: never resumed from, and never removed.
    case damaged
    /// A run that failed left it, maybe in the middle of a step: resumed from only by its path, and
    /// never removed.
    case emergency
  }

  /// Where the entry stands among the others; the highest is the newest.
  ///
  /// A file that cannot be read and whose name tells no generation might be the newest.
  var rank: UInt64 { generation ?? (problem?.code == .unreadable ? .max : 0) }
}

extension StoreEntry {
  /// Why its name alone keeps it from being resumed from.
  var reasonNotToBeCandidate: CheckpointError? {
    let location = CheckpointError.Location(path: path)
    return switch role {
    case .candidate: nil
    case .damaged:
      CheckpointError(.corrupted, "\(escaped(path)) was set aside as damaged.", at: location)
    case .emergency:
      CheckpointError(
        .unhealthy,
        "\(escaped(path)) was left by a run that failed, maybe in the middle of a step.",
        at: location)
    }
  }
}

/// One listing of a store's directory.
struct StoreListing {
  /// Newest first.
  var entries: [StoreEntry] = []
  var temporaries: [String] = []
  var pins: Set<Identifier> = []
  /// The highest generation that any name or header bears.
  var lastGeneration: UInt64 = 0

  /// The entries that recovery looks at.
  var candidates: [StoreEntry] { entries.filter { $0.role == .candidate } }

  /// Whether no work is there that a run would go on from, or that was set aside from it.
  ///
  /// What a run that failed has left does not count: it failed before its first save, and one that begins
  /// afresh leaves that file alone.
  var isEmpty: Bool { entries.allSatisfy { $0.role == .emergency } }

  /// Lists the directory and reads the header of every checkpoint in it.
  ///
  /// - Complexity: Three reads a checkpoint, O(1) memory each.
  init(_ directory: StoreDirectory) throws(CheckpointError) {
    for name in try directory.names() {
      switch CheckpointName(name) {
      case .checkpoint(let step, let generation):
        add(name, step, generation, .candidate, directory)
      case .damaged(let step, let generation):
        add(name, step, generation, .damaged, directory)
      case .emergency(let step, let generation):
        add(name, step, generation, .emergency, directory)
      case .temporary(_, let generation, _):
        temporaries.append(name)
        lastGeneration = max(lastGeneration, generation)
      case .pin(let identifier): pins.insert(identifier)
      case nil: break  // Foreign names are never touched.
      }
    }
    for number in entries.indices {
      entries[number].isPinned =
        entries[number].header.map { pins.contains($0.checkpointIdentifier) } ?? false
    }
    entries.sort { ($0.rank, $0.name) > ($1.rank, $1.name) }
    #if Mutants
      if Mutant.isActive(.pinsForgotten) { pins = [] }
      if Mutant.isActive(.newestByStep) { entries.sort { $0.step > $1.step } }
    #endif
  }

  private mutating func add(
    _ name: String, _ step: UInt64, _ generation: UInt64?, _ role: StoreEntry.Role,
    _ directory: StoreDirectory
  ) {
    var header: CheckpointHeader?
    var problem: CheckpointError?
    var stated: UInt64?
    var byteCount: UInt64 = 0
    do throws(CheckpointError) {
      let file = try OpenFile.open(name, in: directory)
      byteCount = file.byteCount
      stated = try? file.readStart().generation
      let read = try FileIndex.header(of: file)
      header = read
      problem = read.contradiction(step: step, generation: generation, path: file.path)
    } catch {
      // Retention of another process may have removed it since the listing.
      if error.code == .notFound { return }
      problem = error
    }
    let known = [generation, stated].compactMap { $0 }.max()
    #if Mutants
      let isIgnored = role == .damaged || header == nil
      if Mutant.isActive(.generationOfIntactFilesOnly), isIgnored { return }
    #endif
    lastGeneration = max(lastGeneration, known ?? 0)
    entries.append(
      StoreEntry(
        name: name, path: directory.path(of: name), step: step, generation: known, header: header,
        problem: problem, role: role, byteCount: byteCount))
  }
}
