/// A version of the file format; raw values are the numbers on disk.
///
/// - SeeAlso: docs/format.md, section 1.
public enum FormatVersion: UInt32, Hashable, Sendable, CaseIterable {
  /// Of release 0.1.0: CRC-32, and chunks that are stored or deflated as a whole.
  case v1 = 1
  /// CRC-32C behind the file start, and chunks that are stored or taken apart into planes of bytes.
  case v2 = 2

  /// What is written unless another version is asked for.
  public static let current = FormatVersion.v2

  /// The checksum of a part behind the file start, which has CRC-32 in all versions.
  package func checksum(_ bytes: RawSpan) -> UInt32 {
    switch self {
    case .v1: CRC32.checksum(bytes)
    case .v2: CRC32C.checksum(bytes)
    }
  }

  /// How chunks are encoded that are not stored.
  package var codec: CodecIdentifier {
    switch self {
    case .v1: .deflate
    case .v2: .planes
    }
  }
}
