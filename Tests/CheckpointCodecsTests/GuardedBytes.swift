#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// Memory behind whose last byte is a page that cannot be touched: a byte too many ends the process, in
/// every build.
// SAFETY (@safe): the mapping is made in `init`, unmapped in `deinit` and never exchanged.
@safe
final class GuardedBytes {
  private static let pageByteCount = 4096
  private let start: UnsafeMutableRawPointer
  private let capacity: Int

  /// - Parameter capacity: The most bytes that ``bytes(_:)`` is asked for.
  init(capacity: Int) {
    let pageCount = (capacity + Self.pageByteCount - 1) / Self.pageByteCount
    self.capacity = pageCount * Self.pageByteCount
    let start = unsafe mmap(
      nil, self.capacity + Self.pageByteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
      -1, 0)
    guard let start = unsafe start, unsafe start != MAP_FAILED else {
      preconditionFailure("no memory for a test")
    }
    unsafe self.start = start
    let status = unsafe mprotect(start + self.capacity, Self.pageByteCount, PROT_NONE)
    precondition(status == 0, "a page could not be guarded")
  }

  deinit { unsafe munmap(start, capacity + Self.pageByteCount) }

  /// So many bytes, the last of them in front of the guard; their contents are those of before.
  func bytes(_ count: Int) -> UnsafeMutableRawBufferPointer {
    precondition(count <= capacity, "more than was said")
    return unsafe UnsafeMutableRawBufferPointer(start: start + (capacity - count), count: count)
  }

  /// A copy of some bytes in front of the guard.
  func copy(_ bytes: [UInt8]) -> UnsafeRawBufferPointer {
    let place = unsafe self.bytes(bytes.count)
    unsafe place.copyBytes(from: bytes)
    return UnsafeRawBufferPointer(place)
  }
}
