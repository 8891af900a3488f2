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
  /// Saves of 64 MiB or more of one open store are compared. The first is encoded. If the disk would have been more
  /// than 5 % faster with all the bytes as they are, the next is stored, and from then on the faster way is taken,
  /// encoding if they differ by less. The other is tried again after 2 or 4 saves, then after twice
  /// as many each time, and at last every 32.
  public static let automatic = Compression(method: .automatic)
}
