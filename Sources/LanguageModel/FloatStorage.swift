/// A fixed number of floats that ``Matrix`` views share.
// SAFETY: the memory is allocated once, initialised to zero, and freed only when the last view
// (which holds a reference to this object) is gone.
@safe final class FloatStorage {
  let count: Int
  private let start: UnsafeMutablePointer<Float>

  init(count: Int) {
    self.count = count
    // Cache-line alignment lets the kernels use aligned vector loads on whole storages.
    let raw = UnsafeMutableRawPointer.allocate(
      byteCount: max(count, 1) * MemoryLayout<Float>.stride, alignment: 64)
    // SAFETY: the allocation holds `count` floats and nothing else refers to it yet.
    unsafe start = raw.initializeMemory(as: Float.self, repeating: 0, count: max(count, 1))
  }

  deinit {
    // SAFETY: allocated in init, and no view is left.
    unsafe start.deallocate()
  }

  /// The address of element `offset`; valid while this object lives.
  @unsafe @inline(__always)
  func pointer(at offset: Int) -> UnsafeMutablePointer<Float> {
    precondition(offset >= 0 && offset <= count, "The offset lies outside the storage.")
    // SAFETY: checked above; the end itself may be named but not read.
    return unsafe start + offset
  }

  /// Sets the elements from `offset` on.
  func copy(_ values: [Float], to offset: Int) {
    precondition(offset >= 0 && values.count <= count - offset, "The values do not fit.")
    // SAFETY: the range was checked, and an array never overlaps this allocation.
    unsafe values.withUnsafeBufferPointer { source in
      guard let base = source.baseAddress else { return }
      unsafe (start + offset).update(from: base, count: source.count)
    }
  }

  /// The elements of `range` as an array.
  func array(_ range: Range<Int>) -> [Float] {
    precondition(range.lowerBound >= 0 && range.upperBound <= count, "The range is outside.")
    // SAFETY: the range was checked.
    return unsafe Array(
      UnsafeBufferPointer(start: start + range.lowerBound, count: range.count))
  }
}
