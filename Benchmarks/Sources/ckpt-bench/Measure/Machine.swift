#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// What the system tells of itself; nil where it has no /proc.
enum Machine {
  /// Bytes that programs can have without swapping.
  static var availableByteCount: Int? { memory("MemAvailable:") }

  /// Bytes of the page cache that are not on the disk yet.
  static var unwrittenByteCount: Int? {
    guard let dirty = memory("Dirty:"), let writing = memory("Writeback:") else { return nil }
    return dirty + writing
  }

  private static func memory(_ field: String) -> Int? {
    for line in lines(of: "/proc/meminfo") where line.hasPrefix(field) {
      return Int(line.split(separator: " ")[1]).map { $0 * 1024 }
    }
    return nil
  }

  /// The lines of a small file; none if it cannot be read.
  static func lines(of path: String) -> [Substring] {
    guard let file = unsafe fopen(path, "r") else { return [] }
    defer { unsafe fclose(file) }
    var bytes = [UInt8](repeating: 0, count: 1 << 16)
    // SAFETY: the array has that many bytes.
    let count = unsafe fread(&bytes, 1, bytes.count, file)
    return String(decoding: bytes[..<count], as: UTF8.self).split(separator: "\n")
  }
}
