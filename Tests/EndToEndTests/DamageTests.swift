import CheckpointEngine
import Foundation
import Testing

// Goal: what a person meets when checkpoints are damaged, unreadable, strange or mixed: the run goes
// on where that is safe, and stops with the way on where it is not. Nothing is lost either way.

@Suite("A damaged store", .serialized)
struct DamageTests {
  /// A run of 60 steps with six checkpoints.
  private func finishedRun() throws -> TrainingProgram {
    let program = try TrainingProgram()
    let result = try program.train(["--max_steps", "60"])
    #expect(result.status == 0, "\(result.errors)")
    #expect(program.checkpoints().count == 6)
    return program
  }

  private func resume(_ program: TrainingProgram, _ more: [String] = []) throws
    -> TrainingProgram.Result
  {
    try program.train(["--max_steps", "60", "--resume_from_checkpoint"] + more)
  }

  @Test func aFlippedByteIsNamedPassedOverAndLeftAlone() throws {
    let program = try finishedRun()
    defer { program.remove() }
    let newest = try #require(program.checkpoints().last)
    let digest = try resume(program).digest
    try program.flipByte(of: newest, at: 40_000)
    let damaged = try Data(contentsOf: URL(filePath: program.path(newest)))

    let verified = try TrainingProgram.run("ckpt-verify", [program.store])
    #expect(verified.status == 1)
    #expect(verified.output.contains(newest))
    #expect(verified.output.contains("chunk"))
    #expect(verified.output.contains("offset"))
    #expect(verified.output.contains("tensor="))

    let result = try resume(program)
    #expect(result.status == 0, "\(result.errors)")
    let resumed = try #require(result.events("resumed").first)
    #expect(resumed["step"] as? Int == 50)
    let skipped = try #require(resumed["skipped"] as? [[String: Any]])
    #expect(skipped.count == 1)
    #expect((skipped.first?["path"] as? String)?.hasSuffix(newest) == true)
    #expect((skipped.first?["reason"] as? String)?.contains("checksum") == true)
    #expect(skipped.first?["tensor"] != nil && skipped.first?["chunk"] != nil)
    #expect(result.events("saved").map { $0["step"] as? Int } == [60])
    #expect(result.digest == digest)
    #expect(try Data(contentsOf: URL(filePath: program.path(newest))) == damaged)
    #expect(program.checkpoints().filter { $0.hasPrefix("step-000000060") }.count == 2)
  }

  @Test func whenEveryCheckpointIsDamagedNothingIsStarted() throws {
    let program = try finishedRun()
    defer { program.remove() }
    let names = program.checkpoints()
    for name in names { try program.flipByte(of: name, at: 5000) }
    let result = try resume(program)
    #expect(result.status == 1)
    #expect(result.output.isEmpty)
    for name in names { #expect(result.errors.contains(name)) }
    #expect(program.checkpoints() == names)
  }

  @Test func aNewerFormatStopsTheResumeAndSaysHowToGoOn() throws {
    let program = try finishedRun()
    defer { program.remove() }
    let newest = try #require(program.checkpoints().last)
    let path = URL(filePath: program.path(newest))
    var bytes = [UInt8](try Data(contentsOf: path))
    bytes.replaceSubrange(0..<64, with: Self.start(of: bytes, version: 999))
    try Data(bytes).write(to: path)

    let result = try resume(program)
    #expect(result.status == 1)
    #expect(result.errors.contains("version 999"))
    #expect(result.errors.contains("deliberately"))
    #expect(try TrainingProgram.run("ckpt-verify", [path.path]).status == 3)
    // The deliberate way on.
    let deliberate = try program.train(["--max_steps", "60", "--resume_from_checkpoint", "50"])
    #expect(deliberate.status == 0, "\(deliberate.errors)")
    #expect(deliberate.events("saved").first?["generation"] as? Int == 7)
  }

  @Test func aNewerCheckpointWithoutReadPermissionStopsTheResume() throws {
    let program = try finishedRun()
    defer { program.remove() }
    let newest = try #require(program.checkpoints().last)
    guard geteuid() == 0 else {
      unsafe chmod(program.path(newest), 0)
      try expectUnreadable(try resume(program))
      return
    }
    // The superuser may read everything, so become somebody who may not.
    try FileManager.default.setAttributes(
      [.posixPermissions: 0o777], ofItemAtPath: program.store)
    for name in try FileManager.default.contentsOfDirectory(atPath: program.store) {
      unsafe chown(program.path(name), 65534, 65534)
    }
    unsafe chmod(program.path(newest), 0)
    let binary = try TrainingProgram.executable("train-lm")
    guard unsafe access("/usr/bin/setpriv", X_OK) == 0 else {
      Issue.record("setpriv (util-linux) is missing: the test could not run")
      return
    }
    try expectUnreadable(
      TrainingProgram.runPath(
        "/usr/bin/setpriv",
        ["--reuid=65534", "--regid=65534", "--clear-groups", binary]
          + program.arguments(["--max_steps", "60", "--resume_from_checkpoint"])))
  }

  private func expectUnreadable(_ result: TrainingProgram.Result) throws {
    #expect(result.status == 1)
    #expect(result.errors.contains("Permission denied"), "\(result.errors)")
    #expect(result.errors.contains("deliberately"))
    #expect(result.output.isEmpty)
  }

  @Test func twoRunsInOneDirectoryAreAmbiguousAndNothingIsDeleted() throws {
    let (first, second) = (try finishedRun(), try TrainingProgram())
    defer { [first, second].forEach { $0.remove() } }
    #expect(try second.train(["--max_steps", "40"]).status == 0)
    for name in second.checkpoints() {
      // The same names are taken: as a person who copies by hand would, choose others.
      let step = try #require(Int(name.dropFirst(5).prefix(9)))
      try FileManager.default.copyItem(
        atPath: second.path(name), toPath: first.path("step-\(step).ckpt"))
    }
    let names = first.checkpoints()
    let result = try resume(first, ["--save_total_limit", "1"])
    #expect(result.status == 1)
    #expect(result.errors.contains("more than one run"))
    #expect(result.errors.contains("step-40.ckpt"))
    #expect(first.checkpoints() == names)
  }

  @Test func thingsThatAreNoCheckpointsAreSkippedInUnderASecondEach() throws {
    let program = try finishedRun()
    defer { program.remove() }
    let strange = try makeStrangeThings(in: program)
    for name in strange {
      let result = try TrainingProgram.run("ckpt-verify", [program.path(name)])
      #expect([1, 2].contains(result.status), "\(name): \(result.output)\(result.errors)")
      #expect(result.seconds < 1, "\(name)")
    }
    let result = try resume(program)
    #expect(result.status == 0, "\(result.errors)")
    let resumed = try #require(result.events("resumed").first)
    #expect(resumed["step"] as? Int == 60)
    #expect((resumed["skipped"] as? [Any])?.count == strange.count)
    for name in strange {
      #expect((try? FileManager.default.attributesOfItem(atPath: program.path(name))) != nil)
    }
  }

  /// Puts an empty file, a directory, a FIFO, a link to /dev/zero, random bytes and zeros under
  /// names of newer checkpoints.
  private func makeStrangeThings(in program: TrainingProgram) throws -> [String] {
    let names = (1...6).map { "step-00000090\($0).g00010\($0).ckpt" }
    let files = FileManager.default
    _ = files.createFile(atPath: program.path(names[0]), contents: Data())
    try files.createDirectory(atPath: program.path(names[1]), withIntermediateDirectories: false)
    #expect(unsafe mkfifo(program.path(names[2]), 0o600) == 0)
    try files.createSymbolicLink(
      atPath: program.path(names[3]), withDestinationPath: "/dev/zero")
    var generator = SplitMix(state: 3)
    var random = Data(capacity: 10_000_000)
    while random.count < 10_000_000 {
      random.append(contentsOf: (0..<8).map { _ in UInt8.random(in: 0...255, using: &generator) })
    }
    _ = files.createFile(atPath: program.path(names[4]), contents: random)
    _ = files.createFile(atPath: program.path(names[5]), contents: Data(count: 1_000_000))
    return names
  }

  /// The first 64 bytes of `bytes` with another version and a checksum that fits.
  private static func start(of bytes: [UInt8], version: UInt32) -> [UInt8] {
    var start = Array(bytes[..<60])
    for index in 0..<4 { start[12 + index] = UInt8(truncatingIfNeeded: version >> (8 * index)) }
    var crc: UInt32 = ~0
    for byte in start {
      crc ^= UInt32(byte)
      for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
    }
    return start + (0..<4).map { UInt8(truncatingIfNeeded: ~crc >> (8 * $0)) }
  }
}
