internal import CChecksum

/// CRC-32C, of Castagnoli: reflected polynomial 0x82F63B78, initial and final inversion.
///
/// As fast as memory where the processor has instructions for it. Version 2 has it for all that lies behind
/// the file start.
///
/// - SeeAlso: RFC 3720, section 12.1.
package struct CRC32C: Sendable {
  package private(set) var value: UInt32 = 0

  package init() {}

  /// Continues the checksum over `bytes`.
  package mutating func update(_ bytes: RawSpan) {
    let current = value
    value = unsafe bytes.withUnsafeBytes { buffer in
      // SAFETY: the function reads `count` bytes from the start, none of an empty buffer, and keeps no
      // pointer.
      unsafe checkpoint_crc32c(current, buffer.baseAddress, buffer.count)
    }
  }

  /// The checksum of `bytes` alone.
  package static func checksum(_ bytes: RawSpan) -> UInt32 {
    var crc = CRC32C()
    crc.update(bytes)
    return crc.value
  }
}
