#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// Memory for a state: one mapping that begins at a page, so that the same bytes can be written raw, also
/// past the page cache.
// SAFETY (@safe): the mapping is made in `init`, unmapped in `deinit` and never exchanged; every use of
// its address is marked.
@safe
final class StateMemory {
  /// Whole pages.
  let bytes: UnsafeMutableRawBufferPointer
  private let start: UnsafeMutableRawPointer

  static let pageByteCount = 4096

  /// Maps and touches the memory, which is zero.
  init(byteCount: Int) {
    let pageCount = (byteCount + Self.pageByteCount - 1) / Self.pageByteCount
    let size = max(1, pageCount) * Self.pageByteCount
    // SAFETY: a mapping of its own, of which nobody else knows; checked below.
    let start = unsafe mmap(
      nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
    guard let start = unsafe start, unsafe start != MAP_FAILED else {
      Benchmark.fail("no memory for the state", status: 1)
    }
    #if canImport(Glibc)
      // A direct write from large pages is faster, and the limit shall be the fastest there is.
      unsafe madvise(start, size, MADV_HUGEPAGE)
    #endif
    unsafe self.start = start
    unsafe bytes = UnsafeMutableRawBufferPointer(start: start, count: size)
    // The first touch of a page costs more than anything that is measured here.
    unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0)
  }

  deinit { unsafe munmap(start, bytes.count) }
}
