/// How chunks are stored.
public struct Compression: Hashable, Sendable {
  package enum Method: Hashable, Sendable { case none, always, automatic }
  package let method: Method

  /// Chunks are stored as they are.
  public static let none = Compression(method: .none)
  /// Chunks are encoded where that saves at least 1/32 of them.
  ///
  /// In format version 2 the exponents of floats are coded and the noise of their mantissas is stored, about as
  /// fast as many disks write; in version 1 it is zlib's level 1, which is slow.
  public static let always = Compression(method: .always)
  /// As ``always``, but in version 2 chunks are stored where that has turned out to be faster.
  ///
  /// The first large save of a process is encoded. If the disk took less time for its bytes than the save did, the
  /// next is stored, and from then on the faster way is taken; every 32 saves the other is tried again.
  public static let automatic = Compression(method: .automatic)
}
