internal import CheckpointCodecs
internal import CheckpointFormat
internal import CheckpointStorage

/// A buffer that is filled with raw chunks, encoded by one thread, and then written.
///
/// One thread at a time: the filling thread until ``EncodingSlot/job`` is submitted, then the
/// worker, then, after waiting for the job, the filling thread again.
@safe
final class EncodingSlot {
  /// A chunk in the buffer.
  struct Piece {
    var identity: ChunkIdentity
    var dtype: DType
    var rawOffset: UInt64
    var bufferOffset: Int
  }

  private static let bufferAlignment = 4096

  private let raw: UnsafeMutableRawBufferPointer
  private let output: UnsafeMutableRawBufferPointer
  /// Nil: chunks are stored.
  private let encoder: ChunkEncoder?
  /// The most chunks in the slot; bounds the room for frames and padding.
  private let pieceCountMax: Int
  private(set) var pieces: [Piece] = []
  private(set) var filledByteCount = 0
  /// The encoded chunks, with frame offsets from the start of this slot's output.
  private(set) var encodedEntries: [ChunkEntry] = []
  private(set) var outputByteCount = 0
  var job: Job?

  init(capacity: Int, pieceCountMax: Int, encoder: ChunkEncoder?) {
    self.pieceCountMax = pieceCountMax
    let alignment = Int(Layout.alignment)
    let overhead = pieceCountMax * (ChunkFrame.byteCount + alignment)
    unsafe raw = .allocate(byteCount: capacity, alignment: Self.bufferAlignment)
    unsafe output = .allocate(byteCount: capacity + overhead, alignment: Self.bufferAlignment)
    self.encoder = encoder
  }

  deinit {
    // SAFETY: whoever holds the last reference has waited for the job that used the buffers.
    unsafe raw.deallocate()
    unsafe output.deallocate()
  }

  /// Whether a chunk of this size can still be begun.
  func hasRoom(for rawByteCount: Int) -> Bool {
    unsafe raw.count - filledByteCount >= rawByteCount && pieces.count < pieceCountMax
  }

  func begin(_ identity: ChunkIdentity, of dtype: DType, rawOffset: UInt64) {
    pieces.append(
      Piece(
        identity: identity, dtype: dtype, rawOffset: rawOffset, bufferOffset: filledByteCount))
  }

  /// Lends the next `byteCount` bytes of the begun chunk to be filled.
  func fill<Failure: Error>(
    _ byteCount: Int, _ body: (UnsafeMutableRawBufferPointer) throws(Failure) -> Void
  ) throws(Failure) {
    // SAFETY: `hasRoom` was asked for the whole chunk before it was begun; the slice is lent for
    // this call only.
    try unsafe body(
      UnsafeMutableRawBufferPointer(rebasing: raw[filledByteCount..<filledByteCount + byteCount]))
    filledByteCount += byteCount
  }

  /// Encodes every chunk: frame, stored bytes, zeros up to the next frame.
  func encode() {
    encodedEntries.removeAll(keepingCapacity: true)
    outputByteCount = 0
    for piece in pieces { encode(piece) }
  }

  /// The encoded bytes, once the job has finished.
  func withOutput<Failure: Error>(_ body: (RawSpan) throws(Failure) -> Void) throws(Failure) {
    // SAFETY: the span lives for this call, and `encode` initialised these bytes.
    let bytes = unsafe RawSpan(
      _unsafeBytes: UnsafeRawBufferPointer(rebasing: output[..<outputByteCount]))
    try body(bytes)
  }

  func reset() {
    pieces.removeAll(keepingCapacity: true)
    filledByteCount = 0
    job = nil
  }

  private func encode(_ piece: Piece) {
    let rawByteCount = Int(piece.identity.rawByteCount)
    let frameOffset = outputByteCount
    // SAFETY: the ranges lie within the buffers: `hasRoom` bounds the raw bytes and the pieces,
    // and a stored chunk is never longer than its raw bytes.
    let source = unsafe RawSpan(
      _unsafeBytes: UnsafeRawBufferPointer(
        rebasing: raw[piece.bufferOffset..<piece.bufferOffset + rawByteCount]))
    let target = unsafe UnsafeMutableRawBufferPointer(
      rebasing: output[(frameOffset + ChunkFrame.byteCount)...])

    let rawChecksum = piece.identity.checksum(of: source)
    var entry = ChunkEntry(
      frameOffset: UInt64(frameOffset), tensor: piece.identity.tensor,
      chunk: piece.identity.chunk, rawByteCount: piece.identity.rawByteCount,
      storedByteCount: piece.identity.rawByteCount, storedChecksum: rawChecksum,
      rawChecksum: rawChecksum, codec: .stored)
    if let encoder,
      let encodedByteCount = unsafe encoder.encode(source, of: piece.dtype, into: target)
    {
      let stored = unsafe RawSpan(
        _unsafeBytes: UnsafeRawBufferPointer(rebasing: target[..<encodedByteCount]))
      entry.codec = encoder.codec
      entry.storedByteCount = UInt32(encodedByteCount)
      entry.storedChecksum = piece.identity.checksum(of: stored)
    } else {
      unsafe source.withUnsafeBytes { unsafe target.copyMemory(from: $0) }
    }

    let frame = ChunkFrame(
      identity: piece.identity, codec: entry.codec, rawOffset: piece.rawOffset,
      storedByteCount: entry.storedByteCount, storedChecksum: entry.storedChecksum,
      rawChecksum: rawChecksum)
    let end = Int(entry.endOffset)
    let storedEnd = frameOffset + ChunkFrame.byteCount + Int(entry.storedByteCount)
    unsafe frame.encode(into: UnsafeMutableRawBufferPointer(rebasing: output[frameOffset...]))
    unsafe UnsafeMutableRawBufferPointer(rebasing: output[storedEnd..<end])
      .initializeMemory(as: UInt8.self, repeating: 0)
    outputByteCount = end
    encodedEntries.append(entry)
  }
}
