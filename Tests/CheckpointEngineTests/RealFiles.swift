import CheckpointEngine
import CheckpointStorage
import Foundation
import Testing

// Help for the tests that need a real file system.

/// Calls `body` with the path of a fresh directory, and removes it afterwards.
func withTemporaryDirectory<Result>(_ body: (String) throws -> Result) throws -> Result {
  let directory = FileManager.default.temporaryDirectory
    .appendingPathComponent("checkpoint-engine-\(UUID().uuidString)")
  try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
  defer { try? FileManager.default.removeItem(at: directory) }  // what is left is temporary anyway
  return try body(directory.path)
}

func posixOptions(
  chunkByteCount: Int = 4096, threads: Int = 2, permissions: FilePermissions = .private
) -> StoreOptions {
  StoreOptions(permissions: permissions, chunkByteCount: chunkByteCount, threads: threads)
}

/// The low twelve bits of a file's mode.
func permissions(of path: String) throws -> Int {
  let attributes = try FileManager.default.attributesOfItem(atPath: path)
  return try #require(attributes[.posixPermissions] as? Int)
}

/// The file or directory in the repository.
func repositoryPath(_ path: String) -> String {
  let file = URL(fileURLWithPath: #filePath)
  let root = file.deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()
  return root.appendingPathComponent(path).path
}

func bytes(ofFileAt path: String) throws -> [UInt8] {
  [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
}
