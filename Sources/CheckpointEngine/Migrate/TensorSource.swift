package import CheckpointFormat
internal import CheckpointStorage

/// A tensor that can be read, wherever its bytes come from.
package struct TensorSource: Sendable {
  package var descriptor: TensorDescriptor
  let origin: Origin

  indirect enum Origin: Sendable {
    /// The tensor of this number in a file.
    case saved(CheckpointReader, number: Int)
    /// The bytes of one element, again and again.
    case repeated([UInt8])
    case bytes([UInt8])
    /// The elements of another tensor, converted.
    case cast(TensorSource)
    /// What a function makes of other tensors.
    case made([TensorSource], @Sendable ([[UInt8]]) throws -> [UInt8])
  }

  init(_ descriptor: TensorDescriptor, _ origin: Origin) {
    self.descriptor = descriptor
    self.origin = origin
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
    case .repeated, .bytes, .made: nil
    }
  }

  /// Reads the whole tensor.
  ///
  /// - Parameter target: As many bytes as the tensor has; unspecified if this throws.
  /// - Throws: ``CheckpointError``: errors of reading; `.incompatibleState` if values do not fit a cast,
  ///   or a function does not make what it said.
  /// - Complexity: A cast needs memory for the tensor before, a function for all that it is given.
  package func read(into target: UnsafeMutableRawBufferPointer) throws(CheckpointError) {
    switch origin {
    case .saved(let reader, let number):
      let entry = reader.index.tensors.entries[number]
      guard entry.byteCount == UInt64(target.count) else { throw wrongSize(target.count) }
      // SAFETY: as many bytes as the range has, lent for this call.
      unsafe try reader.read(entry, 0..<entry.byteCount, into: target)
    case .repeated(let element):
      for offset in stride(from: 0, to: target.count, by: element.count) {
        unsafe UnsafeMutableRawBufferPointer(
          rebasing: target[offset..<min(offset + element.count, target.count)]
        ).copyBytes(from: element)
      }
    case .bytes(let bytes):
      guard bytes.count == target.count else { throw wrongSize(target.count) }
      unsafe target.copyBytes(from: bytes)
    case .cast(let source):
      let bytes = try source.bytes()
      let cast = TensorCast(from: source.descriptor.dtype, to: descriptor.dtype)
      do throws(TensorCast.Failure) {
        // SAFETY: the target has room for the shape, which a cast leaves as it is.
        unsafe try cast.convert(bytes.span.bytes, into: target)
      } catch {
        throw misfit(error.sentence)
      }
    case .made(let sources, let body):
      let bytes = try made(of: sources, body)
      guard bytes.count == target.count else {
        throw misfit("its function made \(bytes.count) bytes")
      }
      unsafe target.copyBytes(from: bytes)
    }
  }

  private func made(
    of sources: [TensorSource], _ body: ([[UInt8]]) throws -> [UInt8]
  ) throws(CheckpointError) -> [UInt8] {
    var inputs: [[UInt8]] = []
    for source in sources { inputs.append(try source.bytes()) }
    do {
      return try body(inputs)
    } catch {
      throw (error as? CheckpointError) ?? misfit("its function threw \(error)")
    }
  }

  /// The bytes of the whole tensor.
  package func bytes() throws(CheckpointError) -> [UInt8] {
    let count = Int(clamping: byteCount)
    try Memory.require(count, for: descriptor.name)
    return unsafe try [UInt8](filling: count) { (buffer) throws(CheckpointError) in
      unsafe try read(into: buffer)
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
