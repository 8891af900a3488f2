internal import CheckpointStorage
internal import Synchronization

/// Keeps the disk busy while threads check and decode what it gave them.
///
/// One for each pass over a file in its order, which all threads of the pass share.
final class ReadOnAdvice: Sendable {
  /// How far a pass gets from one call to the next.
  static let stepByteCount: UInt64 = 1 << 20

  private let file: OpenFile
  /// Before this offset nothing is due.
  private let next = Atomic<UInt64>(0)

  init(_ file: OpenFile) { self.file = file }

  /// Notes that a thread reads at an offset now.
  func note(_ offset: UInt64) {
    let due = next.load(ordering: .relaxed)
    guard offset >= due, file.byteCount > Self.stepByteCount,
      offset < file.byteCount - Self.stepByteCount,
      next.compareExchange(
        expected: due, desired: offset + Self.stepByteCount, ordering: .relaxed
      ).exchanged
    else { return }
    file.backend.readOn(file.descriptor, from: offset)
  }
}
