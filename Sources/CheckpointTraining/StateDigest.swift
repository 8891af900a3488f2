internal import CheckpointEngine
internal import CheckpointFormat

/// The SHA-256 of everything that `state` would save: names, dtypes, shapes, bytes and values.
///
/// Two trainers with the same digest go on bit for bit alike. Metrics, the environment and state
/// versions are not part of it.
///
/// - Parameter state: What to digest.
/// - Returns: 64 lowercase hexadecimal digits.
/// - Throws: What the state's `save(to:)` throws.
/// - Complexity: One save's passes over the state, without its disk.
/// - SeeAlso: FIPS 180-4.
public func stateDigest(of state: some Checkpointable) throws -> String {
  let plan = try StatePlanning.plan(state)
  let sink = DigestSink()
  var description = ByteWriter()
  description.append(UInt64(plan.entries.count))
  for entry in plan.entries {
    description.append(text: entry.descriptor.name)
    description.append(entry.descriptor.dtype.rawValue)
    description.append(UInt64(entry.aliasOf.map { $0 + 1 } ?? 0))
    description.append(UInt64(entry.descriptor.shape.count))
    for dimension in entry.descriptor.shape { description.append(UInt64(dimension)) }
  }
  for (name, value) in plan.metadata.entries(of: .state) {
    description.append(text: name)
    description.append(value.code)
    let bytes = value.encoded
    description.append(UInt64(bytes.count))
    description.append(contentsOf: bytes)
  }
  try sink.append(description.bytes.rawSpan)
  do {
    try StatePlanning.write(state, plan: plan, to: sink)
  } catch let failure as StateFailure {
    throw failure.cause
  }
  return SHA256.hexadecimal(sink.hash.finalize())
}

/// Digests the bytes of a state instead of keeping them.
private final class DigestSink: StateSink {
  var hash = SHA256()
  private static let bufferByteCount = 1 << 20

  func append(_ bytes: RawSpan) throws(CheckpointError) { hash.update(bytes) }

  func fill(
    _ byteCount: UInt64, _ body: (UInt64, UnsafeMutableRawBufferPointer) throws -> Void
  ) throws {
    let size = Int(min(byteCount, UInt64(Self.bufferByteCount)))
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 64)
    defer { unsafe buffer.deallocate() }
    var done: UInt64 = 0
    while done < byteCount {
      // SAFETY: the part lies within the buffer, which lives until the end of this function.
      let part = unsafe UnsafeMutableRawBufferPointer(
        rebasing: buffer[..<Int(min(byteCount - done, UInt64(size)))])
      unsafe part.initializeMemory(as: UInt8.self, repeating: 0)
      try unsafe body(done, part)
      hash.update(unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(part)))
      done += UInt64(part.count)
    }
  }
}

extension ByteWriter {
  fileprivate mutating func append(text: String) {
    append(UInt64(text.utf8.count))
    append(contentsOf: text.utf8)
  }
}
