/// Memory that is kept from chunk to chunk; its contents are not.
@safe
package final class Scratch {
  private var memory = unsafe UnsafeMutableBufferPointer<UInt8>(start: nil, count: 0)

  package init() {}

  deinit {
    // SAFETY: this instance alone holds the memory, and it ends here.
    unsafe memory.deallocate()
  }

  /// At least `byteCount` bytes with any contents, until the next call.
  package func bytes(_ byteCount: Int) -> UnsafeMutableBufferPointer<UInt8> {
    if unsafe memory.count < byteCount {
      unsafe memory.deallocate()
      unsafe memory = .allocate(capacity: byteCount)
    }
    // SAFETY: as much as was asked for.
    return unsafe UnsafeMutableBufferPointer(rebasing: memory[..<byteCount])
  }
}
