import CheckpointEngine
import CheckpointFormat
import CheckpointTesting
import FuzzHarness
import Testing

// Goal: a file that a later build wrote is read as far as it allows, refused by name where it does not, and
// never written anew by a build that would lose a part of it.
// Method: files from an imagined future: intact ones with feature bits and sections that nobody knows yet.
@Suite("Files from the future") struct FutureTests {
  private func saved(_ version: FormatVersion) throws -> [UInt8] {
    let disk = SimulatedDisk()
    try disk.writer(formatVersion: version).save(SampleState(1), step: 1)
    return try disk.contents(checkpointName(1, 1))
  }

  private func error(of body: () throws -> Void) throws -> CheckpointError {
    do {
      try body()
    } catch let error as CheckpointError {
      return error
    }
    throw ExpectedAnError()
  }

  private struct ExpectedAnError: Error {}

  @Test(arguments: FormatVersion.allCases, [0, 7, 63])
  func anUnknownReadFeatureIsRefusedByName(version: FormatVersion, bit: Int) throws {
    var file = EditableFile(try saved(version))
    file.store(1 << bit, 8, at: 16)
    file.reseal()
    let error = try error { _ = try FileInMemory(file.bytes).open() }
    #expect(error.code == .unsupported)
    #expect(error.message.contains("bit \(bit)"))
  }

  @Test func anUnknownVersionIsRefusedByName() throws {
    var file = EditableFile(try saved(.current))
    file.store(3, 4, at: 12)
    file.reseal()
    let error = try error { _ = try FileInMemory(file.bytes).open() }
    #expect(error.code == .unsupported)
    #expect(error.message.contains("version 3") && error.message.contains("up to 2"))
  }

  @Test(arguments: FormatVersion.allCases)
  func anUnknownPreserveFeatureIsReadAndNotRewritten(version: FormatVersion) throws {
    var file = EditableFile(try saved(version))
    file.store(1 << 40, 8, at: 24)
    file.reseal()
    let reader = try FileInMemory(file.bytes).open()
    try reader.requireHolds(SampleState(1))
    let error = try error { try reader.requireRewritable() }
    #expect(error.code == .unsupported)
    #expect(error.message.contains("bit 40"))
  }

  @Test(arguments: FormatVersion.allCases)
  func anUnknownSectionIsReadAndNotRewritten(version: FormatVersion) throws {
    var file = EditableFile(try ReferenceFile.bytes(version))
    file.store(0, 8, at: 24)
    file.reseal()
    let reader = try FileInMemory(file.bytes).open()
    try reader.requireHolds(ReferenceFile.state())
    let error = try error { try reader.requireRewritable() }
    #expect(error.code == .unsupported)
    #expect(error.message.contains("1000, 1001, 1000"))
  }

  @Test(arguments: FormatVersion.allCases)
  func whatThisBuildWritesCanBeRewritten(version: FormatVersion) throws {
    let reader = try FileInMemory(saved(version)).open()
    try reader.requireRewritable()
    #expect(reader.header.formatVersion == version)
  }
}
