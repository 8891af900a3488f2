internal import CZlib

/// The CRC-32 of zlib, gzip and PNG: reflected polynomial 0xEDB88320, initial and final inversion.
///
/// - SeeAlso: RFC 1952, section 8; docs/format.md, section 3.
package struct CRC32: Sendable {
  package private(set) var value: UInt32 = 0

  package init() {}

  /// Continues the checksum over `bytes`.
  package mutating func update(_ bytes: RawSpan) {
    let current = value
    value = unsafe bytes.withUnsafeBytes { buffer in
      // zlib reads a null pointer as a request for the initial value, which would forget `current`.
      guard let base = buffer.baseAddress, unsafe !buffer.isEmpty else { return current }
      // SAFETY: zlib reads `count` bytes from `base` and keeps no pointer.
      let result = unsafe crc32_z(
        UInt(current), base.assumingMemoryBound(to: UInt8.self), buffer.count)
      return UInt32(truncatingIfNeeded: result)
    }
  }

  /// The checksum of `bytes` alone.
  package static func checksum(_ bytes: RawSpan) -> UInt32 {
    var crc = CRC32()
    crc.update(bytes)
    return crc.value
  }
}
