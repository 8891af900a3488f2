/// A line of /proc/self/mountinfo: what is mounted where, and how.
///
/// - SeeAlso: proc_pid_mountinfo(5).
package struct MountInfo: Hashable, Sendable {
  package var major: UInt32
  package var minor: UInt32
  package var mountPoint: String
  package var type: String
  /// The device or whatever else is mounted.
  package var source: String
  /// Those of the mount and those of the file system.
  package var options: [String]

  /// Reads a line; nil if it is none.
  package init?(_ line: some StringProtocol) {
    let fields = line.split(separator: " ", omittingEmptySubsequences: false)
    guard let dash = fields.firstIndex(of: "-"), dash >= 6, fields.count >= dash + 4 else {
      return nil
    }
    let numbers = fields[2].split(separator: ":").compactMap { UInt32($0) }
    guard numbers.count == 2 else { return nil }
    (major, minor) = (numbers[0], numbers[1])
    mountPoint = Self.unescaped(fields[4])
    type = Self.unescaped(fields[dash + 1])
    source = Self.unescaped(fields[dash + 2])
    options = (fields[5].split(separator: ",") + fields[dash + 3].split(separator: ","))
      .map { Self.unescaped($0) }
  }

  /// The mount of a device; of several the one whose mount point leads farthest along a path, of equal ones
  /// the last, which covers the others.
  ///
  /// - Parameters:
  ///   - text: The whole file.
  ///   - major: Of the device of the directory.
  ///   - minor: Likewise.
  ///   - path: The directory, absolute and without links.
  /// - Returns: The mount, or nil if the device has none.
  package static func mount(
    in text: String, major: UInt32, minor: UInt32, path: String
  ) -> MountInfo? {
    let mounts = text.split(separator: "\n").compactMap { MountInfo($0) }
      .filter { $0.major == major && $0.minor == minor }
    let leading = mounts.filter { $0.leads(to: path) }
    // Of equal ones `max` takes the first.
    return (leading.isEmpty ? mounts : leading).reversed().max {
      $0.mountPoint.utf8.count < $1.mountPoint.utf8.count
    }
  }

  private func leads(to path: String) -> Bool {
    mountPoint == "/" || path == mountPoint || path.hasPrefix(mountPoint + "/")
  }

  /// Three octal digits behind a backslash stand for a byte.
  private static func unescaped(_ field: some StringProtocol) -> String {
    let bytes = Array(field.utf8)
    var result: [UInt8] = []
    var index = 0
    while index < bytes.count {
      let digits = bytes[index...].dropFirst().prefix(3)
      let isOctal = digits.count == 3 && digits.allSatisfy { (48...55).contains($0) }
      if bytes[index] == UInt8(ascii: "\\"), isOctal {
        result.append(UInt8(truncatingIfNeeded: digits.reduce(0) { $0 * 8 + Int($1 - 48) }))
        index += 4
      } else {
        result.append(bytes[index])
        index += 1
      }
    }
    return String(decoding: result, as: UTF8.self)
  }
}
