#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// Memory that the system is asked for, rather than the allocator: it can say no.
package enum Memory {
  /// Makes a mapping of its own.
  ///
  /// - Parameter byteCount: 1 or more.
  /// - Returns: Zeros; nil if the system has no memory for them.
  package static func map(_ byteCount: Int) -> UnsafeMutableRawBufferPointer? {
    // SAFETY: a new mapping, which nothing else knows of.
    let start = unsafe mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANON, -1, 0)
    guard let start = unsafe start, unsafe start != MAP_FAILED else { return nil }
    return unsafe UnsafeMutableRawBufferPointer(start: start, count: byteCount)
  }

  /// Gives a mapping back; nobody may use it any more.
  package static func unmap(_ mapping: UnsafeMutableRawBufferPointer) {
    // SAFETY: the whole of what `map` returned, which its owner lets go of.
    unsafe munmap(mapping.baseAddress, mapping.count)
  }

  /// Below this an array is asked for without a question.
  private static let askedByteCountMin = 1 << 30

  /// Whether this machine could hold so many bytes at once.
  ///
  /// An array for which there is no memory ends the program, and a small file can claim much.
  package static func isAvailable(_ byteCount: Int) -> Bool {
    guard byteCount >= askedByteCountMin else { return true }
    let pages = sysconf(Int32(_SC_PHYS_PAGES)).multipliedReportingOverflow(
      by: sysconf(Int32(_SC_PAGESIZE)))
    // A system may promise more than it has, and end the program when that is used.
    guard pages.overflow || pages.partialValue <= 0 || byteCount <= pages.partialValue,
      let mapping = unsafe map(byteCount)
    else { return false }
    unsafe unmap(mapping)
    return true
  }

  /// Less than this gains nothing from large pages.
  private static let largeByteCountMin = 4 << 20

  /// Tells that memory which was just allocated is going to be filled: where there is much of it, large pages
  /// spare most of the faults.
  package static func willFill(_ memory: UnsafeMutableRawBufferPointer) {
    guard memory.count >= largeByteCountMin, let start = memory.baseAddress else { return }
    let page = max(Int(sysconf(Int32(_SC_PAGESIZE))), 1)
    let before = (page - Int(bitPattern: start) % page) % page
    let byteCount = (memory.count - before) / page * page
    // SAFETY: whole pages of the memory, which has more than one.
    unsafe Platform.adviseHugePages(
      UnsafeMutableRawBufferPointer(rebasing: memory[before..<before + byteCount]))
  }
}

extension Array where Element: BitwiseCopyable {
  /// An array whose bytes `body` provides, all of them, unless it throws.
  ///
  /// - Precondition: every bit pattern is a value of the element type.
  package init<Failure: Error>(
    filling count: Int, _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) {
    // An array without capacity is one that all threads share, and its count would be written.
    guard count > 0 else {
      unsafe try body(UnsafeMutableRawBufferPointer(start: nil, count: 0))
      self = []
      return
    }
    var failure: Failure?
    let elements = unsafe [Element](unsafeUninitializedCapacity: count) { buffer, filledCount in
      do throws(Failure) {
        // The buffer may be larger than asked for.
        let asked = unsafe UnsafeMutableRawBufferPointer(
          start: buffer.baseAddress, count: count * MemoryLayout<Element>.stride)
        unsafe Memory.willFill(asked)
        unsafe try body(asked)
        // SAFETY: `body` has filled what it was lent.
        filledCount = count
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    self = elements
  }
}
