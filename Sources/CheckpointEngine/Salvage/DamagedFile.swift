internal import CheckpointFormat
internal import CheckpointStorage

/// A file of which any part may be wrong, missing or unreadable.
final class DamagedFile {
  let file: OpenFile
  /// Bytes that the system did not give.
  private(set) var unreadableByteCount: UInt64 = 0

  init(_ file: OpenFile) { self.file = file }

  var byteCount: UInt64 { file.byteCount }

  /// The bytes of a range; nil if the file does not have them all, or they cannot be read.
  ///
  /// - Complexity: No memory is asked for beyond the bytes that the file has.
  func bytes(_ count: UInt64, at offset: UInt64) -> [UInt8]? {
    guard offset <= byteCount, count <= byteCount - offset, let count = Int(exactly: count) else {
      return nil
    }
    return try? file.read(count, at: offset)
  }

  /// What is read at once while searching, and what is given up at once where reading fails.
  private static let windowByteCount = 1 << 20
  private static let sectorByteCount = 4096

  /// Calls `body` with the bytes of the file, window by window; what cannot be read is zero.
  ///
  /// - Parameter body: Is given the offset of a window, a multiple of 64, and its bytes.
  func forEachWindow(_ body: (UInt64, RawSpan) throws -> Void) rethrows {
    var window = [UInt8](repeating: 0, count: Int(min(byteCount, UInt64(Self.windowByteCount))))
    var offset: UInt64 = 0
    unreadableByteCount = 0
    while offset < byteCount {
      let count = Int(min(byteCount - offset, UInt64(window.count)))
      unsafe window.withUnsafeMutableBytes { buffer in
        // SAFETY: `count` is at most the length of the window, whose memory this is.
        let part = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<count])
        unsafe fill(part, from: offset)
      }
      try body(offset, window.rawSpan.extracting(first: count))
      offset += UInt64(count)
    }
  }

  private func fill(_ buffer: UnsafeMutableRawBufferPointer, from offset: UInt64) {
    if unsafe (try? file.read(into: buffer, at: offset)) != nil { return }
    var start = 0
    while start < buffer.count {
      let end = min(start + Self.sectorByteCount, buffer.count)
      let sector = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[start..<end])
      if unsafe (try? file.read(into: sector, at: offset + UInt64(start))) == nil {
        unsafe sector.initializeMemory(as: UInt8.self, repeating: 0)
        unreadableByteCount += UInt64(end - start)
      }
      start = end
    }
  }
}

extension RawSpan {
  /// Four bytes as the format has a number.
  func halfWord(at index: Int) -> UInt32 {
    precondition(index >= 0 && index <= byteCount - 4, "a number outside the span")
    // SAFETY: the precondition keeps the load inside the span; every bit pattern is a number.
    return UInt32(littleEndian: unsafe unsafeLoadUnaligned(fromByteOffset: index, as: UInt32.self))
  }

  /// Eight bytes as the format has a number.
  func word(at index: Int) -> UInt64 {
    precondition(index >= 0 && index <= byteCount - 8, "a number outside the span")
    // SAFETY: as above.
    return UInt64(littleEndian: unsafe unsafeLoadUnaligned(fromByteOffset: index, as: UInt64.self))
  }
}
