internal import CheckpointEngine
internal import CheckpointFormat

/// Takes a state tensor by tensor, and looks for floats that are no finite numbers.
final class FiniteScanner: StateSink {
  /// The first that was found.
  private(set) var objection: String?
  private var cursor: TensorCursor

  init(_ plan: SavePlan, where isChecked: (String) -> Bool) {
    cursor = TensorCursor(plan, where: isChecked)
  }

  func append(_ bytes: RawSpan) {
    guard let tensor = cursor.next(), objection == nil else { return }
    // SAFETY: the bytes are borrowed for this call.
    unsafe bytes.withUnsafeBytes { unsafe scan($0, tensor.descriptor) }
  }

  func fill(
    _ byteCount: UInt64, _ body: (UInt64, UnsafeMutableRawBufferPointer) throws -> Void
  ) throws {
    guard let tensor = cursor.next(), objection == nil, byteCount > 0 else { return }
    let size = Int(min(byteCount, 1 << 20))
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 64)
    defer { unsafe buffer.deallocate() }
    var done: UInt64 = 0
    while done < byteCount, objection == nil {
      // SAFETY: the part lies within the buffer, which lives until the end of this function.
      let part = unsafe UnsafeMutableRawBufferPointer(
        rebasing: buffer[..<Int(min(byteCount - done, UInt64(size)))])
      unsafe part.initializeMemory(as: UInt8.self, repeating: 0)
      try unsafe body(done, part)
      unsafe scan(UnsafeRawBufferPointer(part), tensor.descriptor)
      done += UInt64(part.count)
    }
  }

  private func scan(_ bytes: UnsafeRawBufferPointer, _ descriptor: TensorDescriptor) {
    // The bits of the exponent: all of them are set in an infinity or a NaN, and in nothing else.
    let isFinite: Bool =
      switch descriptor.dtype {
      case .float16: unsafe Self.isFinite(bytes, exponent: UInt16(0x7c00))
      case .bfloat16: unsafe Self.isFinite(bytes, exponent: UInt16(0x7f80))
      case .float32, .complex64: unsafe Self.isFinite(bytes, exponent: UInt32(0x7f80_0000))
      case .float64: unsafe Self.isFinite(bytes, exponent: UInt64(0x7ff0_0000_0000_0000))
      case .float8e5m2: unsafe Self.isFinite(bytes, exponent: UInt8(0x7c))
      // This type has no infinity, and one NaN of either sign.
      case .float8e4m3fn: unsafe Self.isFinite(bytes, exponent: UInt8(0x7f))
      default: true
      }
    if !isFinite {
      objection = "the tensor '\(descriptor.name)' holds a NaN or an infinity"
    }
  }

  private static func isFinite<Bits: FixedWidthInteger & BitwiseCopyable>(
    _ bytes: UnsafeRawBufferPointer, exponent: Bits
  ) -> Bool {
    let width = MemoryLayout<Bits>.size
    let count = bytes.count / width
    let blockCount = 4096
    var start = 0
    while start < count {
      let end = min(start + blockCount, count)
      var found: Bits = 0
      // Without a way out, so that several elements are looked at at a time.
      for index in start..<end {
        // SAFETY: the element lies within the bytes, which hold `count` of them.
        let bits = unsafe bytes.loadUnaligned(fromByteOffset: index * width, as: Bits.self)
        found |= Bits(littleEndian: bits) & exponent == exponent ? 1 : 0
      }
      if found != 0 { return false }
      start = end
    }
    return true
  }
}
