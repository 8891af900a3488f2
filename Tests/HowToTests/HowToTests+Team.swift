import CheckpointTraining
import Foundation
import Testing

#if canImport(Glibc)
  import Glibc
#elseif canImport(Darwin)
  import Darwin
#endif

// Goal: files, locks and directories have the modes that the page says, and each colleague may do
// what it says and is refused the rest, with the code it names.
// Method: each umask and each user in a child process of its own, since both belong to the process.
// Other users need root to become one of them.
extension HowToTests {
  @Test(arguments: [
    ModeCase("private", umask: 0o022, directory: 0o700, file: 0o600),
    ModeCase("private", umask: 0o002, directory: 0o700, file: 0o600),
    ModeCase("umask", umask: 0o022, directory: 0o755, file: 0o644),
    ModeCase("umask", umask: 0o002, directory: 0o775, file: 0o664),
    ModeCase("umask", umask: 0o077, directory: 0o700, file: 0o600),
    ModeCase("inherit", umask: 0o022, directory: 0o755, file: 0o644),
    ModeCase("inherit", umask: 0o002, directory: 0o775, file: 0o664),
    ModeCase("private", umask: 0o002, existing: 0o2770, directory: 0o2770, file: 0o600),
    ModeCase("umask", umask: 0o022, existing: 0o2770, directory: 0o2770, file: 0o644),
    ModeCase("inherit", umask: 0o077, existing: 0o2770, directory: 0o2770, file: 0o660),
    ModeCase("inherit", umask: 0o022, existing: 0o2750, directory: 0o2750, file: 0o640),
    ModeCase("inherit", umask: 0o022, existing: 0o2775, directory: 0o2775, file: 0o664),
  ])
  func modesFollowThePolicy(example: ModeCase) async {
    await #expect(processExitsWith: .success) { [example = example as ModeCase] in
      umask(mode_t(example.umask))
      try withStore { directory in
        if let mode = example.existing { try makeDirectory(directory, mode: mode) }
        let path = try save(step: 1, in: directory, permissions: example.permissions)
        #expect(try mode(of: directory) == example.directory)
        #expect(try mode(of: path) == example.file)
        #expect(try mode(of: directory + "/.lock") == example.file)
      }
    }
  }

  @Test(.enabled(if: geteuid() == 0), arguments: [(0o022, 0o2755, 0o644), (0o002, 0o2775, 0o664)])
  func aSetGroupDirectoryGivesItsGroup(mask: Int, nested: Int, file: Int) async {
    await #expect(processExitsWith: .success) {
      [mask = mask as Int, nested = nested as Int, file = file as Int] in
      umask(mode_t(mask))
      try withStore { directory in
        try makeDirectory(directory, mode: 0o2770, group: team)
        let path = try save(step: 1, in: directory, permissions: .inherit)
        #expect(try group(of: path) == team && mode(of: path) == 0o660)
        #expect(try group(of: directory + "/.lock") == team)
        // A directory that the library makes within has the group and the umask's mode.
        let inner = directory + "/seed-1"
        let innerPath = try save(step: 1, in: inner, permissions: .inherit)
        #expect(try group(of: inner) == team && mode(of: inner) == nested)
        #expect(try group(of: innerPath) == team && mode(of: innerPath) == file)
        // Without the bit, a file has the group of whoever saved it.
        try makeDirectory(directory + "/plain", mode: 0o770, group: team)
        let plain = try save(step: 1, in: directory + "/plain", permissions: .inherit)
        #expect(try group(of: plain) == getegid())
      }
    }
  }

  @Test(.enabled(if: geteuid() == 0))
  func aColleagueGoesOnAndTheOwnerAfterThat() async throws {
    try await withTeamStore(mode: 0o2770) { directory in
      let first = try save(step: 1, in: directory, permissions: .inherit)
      await #expect(processExitsWith: .success) {
        [directory = directory as String, first = first as String] in
        try become(colleague, of: team)
        umask(0o077)
        var trainer = Trainer()
        let manager = try #require(try takeOver(&trainer, in: directory))
        #expect(trainer.step == 1)
        for step in 2...3 { try manager.save(trainer, step: step) }
        #expect(FileManager.default.fileExists(atPath: first))
        // Retention removes the owner's file once the run has three of its own.
        try manager.save(trainer, step: 4)
        #expect(!FileManager.default.fileExists(atPath: first))
        #expect(try newestStep(in: directory) == 4)
      }
      let newest = try #require(try CheckpointStore(directory, for: .reading).entries().first)
      #expect(try mode(of: newest.path) == 0o660 && group(of: newest.path) == team)
      await #expect(processExitsWith: .success) { [directory = directory as String] in
        try become(colleague + 1, of: team)
        var trainer = Trainer()
        #expect(try takeOver(&trainer, in: directory) != nil)
      }
    }
  }

  @Test(.enabled(if: geteuid() == 0))
  func aSecondWriterIsTold() async throws {
    try await withTeamStore(mode: 0o2770) { directory in
      let manager = try makeTeamManager(directory)
      try manager.save(Trainer(), step: 1)
      await #expect(processExitsWith: .success) {
        [directory = directory as String, holder = getpid() as Int32] in
        try become(colleague, of: team)
        let error = #expect(throws: CheckpointError.self) { try makeTeamManager(directory) }
        #expect(error?.code == .busy)
        #expect(error?.message.contains("process \(holder)") == true)
        var trainer = Trainer()
        #expect(try takeOver(&trainer, in: directory) == nil)
        #expect(try newestStep(in: directory) == 1)  // reading needs no lock
      }
      try manager.finish()
    }
  }

  @Test(.enabled(if: geteuid() == 0))
  func privateFilesAreRefusedAndNothingIsStartedAfresh() async throws {
    try await withTeamStore(mode: 0o2770) { directory in
      let oldest = try save(step: 1, in: directory, permissions: .inherit)
      let newest = try save(step: 2, in: directory, permissions: .inherit)
      try setMode(0o600, of: newest)
      await #expect(processExitsWith: .success) {
        [directory = directory as String, oldest = oldest as String, newest = newest as String] in
        try become(colleague, of: team)
        var trainer = Trainer()
        let manager = try makeTeamManager(directory)
        let error = #expect(throws: CheckpointError.self) {
          try manager.resume(&trainer, from: .latest)
        }
        #expect(error?.code == .unreadable && error?.errno == EACCES)
        let begun = #expect(throws: CheckpointError.self) { try manager.save(trainer, step: 1) }
        #expect(begun?.code == .notEmpty)
        // An older one may be named; what cannot be read stays all the same.
        #expect(try manager.resume(&trainer, from: .step(1)).checkpoint?.path == oldest)
        for step in 2...4 { try manager.save(trainer, step: step) }
        #expect(!FileManager.default.fileExists(atPath: oldest))
        #expect(FileManager.default.fileExists(atPath: newest))
      }
      // As `.private` leaves it, the lock is refused before that.
      try setMode(0o600, of: directory + "/.lock")
      await #expect(processExitsWith: .success) { [directory = directory as String] in
        try become(colleague, of: team)
        let error = #expect(throws: CheckpointError.self) { try makeTeamManager(directory) }
        #expect(error?.code == .io && error?.errno == EACCES)
        #expect(error?.message.contains(".lock") == true)
      }
    }
  }

  @Test(.enabled(if: geteuid() == 0))
  func readersNeedNoWritePermissionAndStrangersReadNothing() async throws {
    try await withTeamStore(mode: 0o2750) { directory in
      try save(step: 5, in: directory, permissions: .inherit)
      await #expect(processExitsWith: .success) { [directory = directory as String] in
        try become(colleague, of: team)
        #expect(try newestStep(in: directory) == 5)
        var trainer = Trainer()
        let own = directory + "-of-a-colleague"
        defer { try? FileManager.default.removeItem(atPath: own) }  // what stays is temporary
        let manager = try CheckpointManager(directory: own, saving: .manual)
        #expect(try manager.resume(&trainer, from: .path(directory)).checkpoint?.step == 5)
        #expect(throws: CheckpointError.self) { try makeTeamManager(directory) }
      }
      await #expect(processExitsWith: .success) { [directory = directory as String] in
        try become(colleague, of: team + 1)
        for open in [{ _ = try newestStep(in: directory) }, { _ = try makeTeamManager(directory) }]
        {
          let error = #expect(throws: CheckpointError.self) { try open() }
          #expect(error?.code == .unreadable)
        }
      }
    }
  }
}

/// A policy, a umask, the mode of a directory that exists, and what comes of them.
struct ModeCase: Codable, Sendable, CustomTestStringConvertible {
  var name: String
  var umask: Int
  var existing: Int?
  var directory: Int
  var file: Int

  init(_ name: String, umask: Int, existing: Int? = nil, directory: Int, file: Int) {
    self.name = name
    self.umask = umask
    self.existing = existing
    self.directory = directory
    self.file = file
  }

  var permissions: FilePermissions {
    switch name {
    case "umask": .umask
    case "inherit": .inherit
    default: .private
    }
  }

  var testDescription: String {
    let place = existing.map { " in \(String($0, radix: 8))" } ?? ""
    return "\(name), umask \(String(umask, radix: 8))\(place)"
  }
}

private let team = 54_321
private let colleague = 54_322

/// Saves as the user that this process is; returns the file's path.
@discardableResult
private func save(
  step: Int, in directory: String, permissions: FilePermissions
) throws -> String {
  let manager = try CheckpointManager(
    directory: directory, saving: .manual, options: StoreOptions(permissions: permissions))
  var trainer = Trainer()
  try manager.resume(&trainer, from: .latest)
  trainer.step = step
  guard case .saved(let receipt, _) = try manager.save(trainer, step: step) else {
    throw KeepsOne.NotSaved()
  }
  return receipt.path
}

private func mode(of path: String) throws -> Int { try attribute(.posixPermissions, of: path) }

private func group(of path: String) throws -> Int {
  try attribute(.groupOwnerAccountID, of: path)
}

private func attribute(_ key: FileAttributeKey, of path: String) throws -> Int {
  let attributes = try FileManager.default.attributesOfItem(atPath: path)
  return try #require((attributes[key] as? NSNumber)?.intValue)
}

private func makeDirectory(_ path: String, mode: Int, group: Int? = nil) throws {
  try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
  if let group {
    try FileManager.default.setAttributes([.groupOwnerAccountID: group], ofItemAtPath: path)
  }
  try setMode(mode, of: path)  // whatever the umask, and after the group
}

private func setMode(_ mode: Int, of path: String) throws {
  try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
}

/// Makes this process one of a user who is in one group besides their own.
private func become(_ user: Int, of group: Int) throws {
  var groups = [gid_t(group)]
  // SAFETY: the array lives for the call, and has the one element that is announced.
  let hasGroups = unsafe setgroups(1, &groups) == 0
  try #require(hasGroups && setgid(gid_t(user)) == 0 && setuid(uid_t(user)) == 0)
}

private func newPath() -> String {
  FileManager.default.temporaryDirectory.appending(path: "checkpoint-team-\(UUID().uuidString)")
    .path
}

private func withStore(_ body: (String) throws -> Void) throws {
  let directory = newPath()
  defer { try? FileManager.default.removeItem(atPath: directory) }  // what stays is temporary
  try body(directory)
}

private func withTeamStore(mode: Int, _ body: (String) async throws -> Void) async throws {
  let directory = newPath()
  defer { try? FileManager.default.removeItem(atPath: directory) }  // what stays is temporary
  try makeDirectory(directory, mode: mode, group: team)
  try await body(directory)
}
