package import CheckpointFormat
internal import CheckpointStorage

/// A tensor that can be read, wherever its bytes come from.
package struct TensorSource: Sendable {
  package var descriptor: TensorDescriptor
  let origin: Origin
  /// Which of the tensors it is that are not in a file as they are; names that are tied share it.
  let token: Token?
  /// Whether a function makes it, or a part of it, which cannot be asked for a range alone.
  let isMade: Bool

  /// Tells tensors apart by being another object.
  final class Token: Sendable {}

  indirect enum Origin: Sendable {
    /// The tensor of this number in a file.
    case saved(CheckpointReader, number: Int)
    /// The bytes of one element, again and again.
    case repeated([UInt8])
    case bytes([UInt8])
    /// The elements of another tensor, converted.
    case cast(TensorSource)
    /// A part of another tensor along an axis, from this place on.
    case slice(TensorSource, axis: Int, start: Int)
    /// Others, one behind the other along an axis.
    case joined([TensorSource], axis: Int)
    /// What a function makes of other tensors.
    case made([TensorSource], @Sendable ([[UInt8]]) throws -> [UInt8])
  }

  init(_ descriptor: TensorDescriptor, _ origin: Origin) {
    self.descriptor = descriptor
    self.origin = origin
    (token, isMade) =
      switch origin {
      case .saved: (nil, false)
      case .cast(let source): (nil, source.isMade)
      case .repeated, .bytes: (Token(), false)
      case .slice(let source, _, _): (Token(), source.isMade)
      case .joined(let sources, _): (Token(), sources.contains(where: \.isMade))
      case .made: (Token(), true)
      }
  }

  /// A tensor of the given bytes.
  package init(_ descriptor: TensorDescriptor, bytes: [UInt8]) {
    self.init(descriptor, .bytes(bytes))
  }

  package var byteCount: UInt64 { descriptor.checkedByteCount ?? 0 }

  /// The number of the file's tensor that these bytes are, converted or not: tied tensors have the same.
  package var savedNumber: Int? {
    switch origin {
    case .saved(_, let number): number
    case .cast(let source): source.savedNumber
    case .repeated, .bytes, .slice, .joined, .made: nil
    }
  }

  // MARK: Reading

  /// Reads the whole tensor.
  ///
  /// - Parameter target: As many bytes as the tensor has; unspecified if this throws.
  /// - Throws: ``CheckpointError``: errors of reading; `.incompatibleState` if values do not fit a cast,
  ///   or a function does not make what it said.
  /// - Complexity: A cast needs memory for the tensor before, a function for all that it is given.
  package func read(into target: UnsafeMutableRawBufferPointer) throws(CheckpointError) {
    guard UInt64(target.count) == byteCount else { throw wrongSize(target.count) }
    // SAFETY: as many bytes as the range has, lent for this call.
    unsafe try read(0..<byteCount, into: target)
  }

  /// Reads a range of the tensor's bytes.
  ///
  /// - Parameters:
  ///   - range: Within the tensor, from the border of an element to another one.
  ///   - target: As many bytes as the range has; unspecified if this throws.
  ///   - log: Is told what casts do to values.
  /// - Throws: As ``read(into:)``.
  /// - Complexity: Memory for what a cast reads, or some megabytes where parts are put together; what a
  ///   function makes is made whole, each time.
  func read(
    _ range: Range<UInt64>, into target: UnsafeMutableRawBufferPointer, noting log: CastLog? = nil
  ) throws(CheckpointError) {
    switch origin {
    case .saved(let reader, let number):
      // SAFETY: as many bytes as the range has, lent for this call.
      unsafe try reader.read(reader.index.tensors.entries[number], range, into: target)
    case .repeated(let element):
      for offset in stride(from: 0, to: target.count, by: element.count) {
        unsafe UnsafeMutableRawBufferPointer(
          rebasing: target[offset..<min(offset + element.count, target.count)]
        ).copyBytes(from: element)
      }
    case .bytes(let bytes):
      guard UInt64(bytes.count) == byteCount else { throw wrongSize(bytes.count) }
      unsafe target.copyBytes(from: bytes[Int(range.lowerBound)..<Int(range.upperBound)])
    case .cast(let source): unsafe try cast(source, range, into: target, noting: log)
    case .slice(let source, let axis, let start):
      unsafe try readSlice(of: source, axis: axis, start: start, range, into: target, noting: log)
    case .joined(let sources, let axis):
      unsafe try readJoined(sources, axis: axis, range, into: target, noting: log)
    case .made(let sources, let body):
      let bytes = try made(of: sources, body)
      unsafe target.copyBytes(from: bytes[Int(range.lowerBound)..<Int(range.upperBound)])
    }
  }

  private func cast(
    _ source: TensorSource, _ range: Range<UInt64>, into target: UnsafeMutableRawBufferPointer,
    noting log: CastLog?
  ) throws(CheckpointError) {
    let (from, to) = (source.descriptor.dtype, descriptor.dtype)
    let first = range.lowerBound / UInt64(to.byteCount)
    let before = first * UInt64(from.byteCount)
    let bytes = try source.bytes(
      in: before..<before + UInt64(target.count / to.byteCount * from.byteCount), noting: log)
    do throws(TensorCast.Failure) {
      // SAFETY: the target has room for as many elements as were read.
      unsafe try TensorCast(from: from, to: to).convert(
        bytes.rawSpan, into: target, first: first)
    } catch {
      throw misfit(error.sentence)
    }
    // SAFETY: the target was filled; the span lives for this call.
    let converted = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(target))
    log?.note(self, bytes.rawSpan, converted)
  }

  private func made(
    of sources: [TensorSource], _ body: ([[UInt8]]) throws -> [UInt8]
  ) throws(CheckpointError) -> [UInt8] {
    var inputs: [[UInt8]] = []
    for source in sources { inputs.append(try source.bytes()) }
    let bytes: [UInt8]
    do {
      bytes = try body(inputs)
    } catch {
      throw (error as? CheckpointError) ?? misfit("its function threw \(error)")
    }
    guard UInt64(bytes.count) == byteCount else {
      throw misfit("its function made \(bytes.count) bytes")
    }
    return bytes
  }

  /// The bytes of the whole tensor.
  package func bytes() throws(CheckpointError) -> [UInt8] { try bytes(in: 0..<byteCount) }

  /// The bytes of a range, from the border of an element to another one.
  package func bytes(in range: Range<UInt64>) throws(CheckpointError) -> [UInt8] {
    try bytes(in: range, noting: nil)
  }

  func bytes(
    in range: Range<UInt64>, noting log: CastLog?
  ) throws(CheckpointError) -> [UInt8] {
    let count = Int(clamping: UInt64(range.count))
    try Memory.require(count, for: descriptor.name)
    return unsafe try [UInt8](filling: count) { (buffer) throws(CheckpointError) in
      unsafe try read(range, into: buffer, noting: log)
    }
  }

  private func wrongSize(_ count: Int) -> CheckpointError {
    misfit("it has \(byteCount) bytes, and the memory for it \(count)")
  }

  private func misfit(_ what: String) -> CheckpointError {
    CheckpointError(
      .incompatibleState,
      "Tensor '\(escaped(descriptor.name))' of \(descriptor.dtype.name) and "
        + "shape \(descriptor.shape) cannot be made: \(what).")
  }
}
