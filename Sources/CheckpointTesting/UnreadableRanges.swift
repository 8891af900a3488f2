import CheckpointStorage

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

// Bad sectors: bytes that are there and cannot be had. Unlike a fault plan, which counts calls, they
// belong to the file, so it does not matter who reads it, when, and with how many calls.

extension SimulatedDisk {
  /// Makes a part of a file unreadable, as a bad sector does.
  ///
  /// A read that begins in it fails with EIO; one that begins before it is cut short in front of it,
  /// as the page cache does. Everything else of the file works as before. The part stays unreadable
  /// under every name of the file, through writes, and on the disks of
  /// ``postCrashStates(limit:seed:)`` and ``copy()``; only ``replaceContents(ofFileAt:with:)`` mends
  /// it.
  ///
  /// ```swift
  /// disk.makeUnreadable(fileAt: "/run/step-000000010.g000001.ckpt", range: 8192..<8704)
  /// ```
  ///
  /// - Parameters:
  ///   - path: the path of the file from the root.
  ///   - range: which bytes; what lies beyond the end of the file has no effect until the file grows.
  /// - Returns: whether there is such a file.
  @discardableResult
  public func makeUnreadable(fileAt path: String, range: Range<Int>) -> Bool {
    backend.simulation.withLock { simulation in
      guard let node = try? simulation.disk.node(at: path, .open),
        simulation.disk.files[node] != nil
      else { return false }
      if !range.isEmpty { simulation.disk.files[node]?.unreadableRanges.append(range) }
      return true
    }
  }
}

extension SimulatedFile {
  /// How many of the bytes in `range` a reader gets before the first that cannot be read.
  func readableByteCount(_ range: Range<Int>) throws(StorageError) -> Int {
    let bad = unreadableRanges.filter { $0.overlaps(range) }.map(\.lowerBound).min()
    guard let bad else { return range.count }
    guard bad > range.lowerBound else { throw StorageError(.read, errno: EIO) }
    return bad - range.lowerBound
  }
}
