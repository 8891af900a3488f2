/// Memory that begins at a page, as transfers past the page cache ask for.
///
/// Threads share it by arrangement: each part belongs to one of them at a time.
@safe package final class PageBuffer {
  private let memory: UnsafeMutableRawBufferPointer

  private static let pageByteCount = 4096
  /// What the processors at hand map as one page, if they are asked to.
  private static let hugePageByteCount = 2 << 20

  /// - Parameter byteCount: how many bytes; the system provides them as they are touched.
  package init(byteCount: Int) {
    let isLarge = byteCount >= Self.hugePageByteCount
    unsafe memory = .allocate(
      byteCount: byteCount, alignment: isLarge ? Self.hugePageByteCount : Self.pageByteCount)
    // The disk is given one address for each page: fewer of them make it a fifth faster.
    if isLarge { unsafe Platform.adviseHugePages(memory) }
  }

  deinit { unsafe memory.deallocate() }

  package var byteCount: Int { unsafe memory.count }

  /// A part of the memory, which this object frees when it goes.
  ///
  /// - Precondition: the range lies in it.
  @unsafe package func bytes(_ range: Range<Int>) -> UnsafeMutableRawBufferPointer {
    unsafe UnsafeMutableRawBufferPointer(rebasing: memory[range])
  }

  /// Copies `bytes` to `offset`.
  ///
  /// - Precondition: they fit.
  package func copy(_ bytes: RawSpan, to offset: Int) {
    guard !bytes.isEmpty else { return }
    precondition(offset >= 0 && bytes.byteCount <= byteCount - offset, "the bytes fit")
    // SAFETY: the range lies within the memory, and a span of something else is no part of it.
    unsafe bytes.withUnsafeBytes { source in
      unsafe self.bytes(offset..<offset + source.count).copyMemory(from: source)
    }
  }

  /// Lends the first `count` bytes, which were copied here before.
  package func withBytes(first count: Int, _ body: (RawSpan) -> Void) {
    // SAFETY: the span lives for this call, and `copy` has initialised these bytes.
    body(unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(bytes(0..<count))))
  }
}
