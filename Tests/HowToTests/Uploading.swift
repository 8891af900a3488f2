// snippet: upload-while-retention-runs
import CheckpointTraining
import Foundation

/// Sends every intact checkpoint of a store, oldest first, and returns their names.
func upload(
  _ directory: String, unless isThere: (_ name: String) -> Bool,
  with send: (_ path: String, _ name: String) throws -> Void
) throws -> [String] {
  let store = try CheckpointStore(directory, for: .reading)
  var sent: [String] = []
  for entry in try store.entries().reversed() {
    guard entry.role == .candidate, !isThere(entry.name) else { continue }
    let reader: CheckpointReader
    do throws(CheckpointError) {
      reader = try store.open(entry)
      if let finding = reader.verify(.full).findings.first { throw finding }
    } catch {
      if error.code != .notFound { print("not sent:", error.message) }  // or retention was faster
      continue
    }
    let hold = reader.hold()
    if !hold.isLocked { print("no locks here: \(entry.name) may go while it is sent") }
    try withExtendedLifetime(hold) { try send(hold.path, entry.name) }
    sent.append(entry.name)
  }
  return sent
}

/// Sends to another directory: under another name until it is whole.
func sendCopy(_ path: String, _ name: String, to directory: String) throws {
  let part = directory + "/" + name + ".part"
  try? FileManager.default.removeItem(atPath: part)  // of a copy that was interrupted
  try FileManager.default.copyItem(atPath: path, toPath: part)
  try FileManager.default.moveItem(atPath: part, toPath: directory + "/" + name)
}
// end of snippet

// snippet: upload-while-retention-runs
/// Keeps a checkpoint for as long as its marker is there.
func pin(_ checkpoint: CheckpointReader, in directory: String) throws {
  let marker = directory + "/.pin-\(checkpoint.header.checkpointIdentifier)"
  try Data().write(to: URL(fileURLWithPath: marker))
}
// end of snippet
