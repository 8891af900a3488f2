internal import CheckpointCodecs
internal import CheckpointFormat
internal import CheckpointStorage

/// Some raw chunks that are encoded by one thread and put where they belong in the file.
///
/// One thread at a time: the filling thread until ``EncodingSlot/job`` is submitted, then the
/// worker, then, after waiting for the job, the filling thread again. Only ``EncodingSlot/endLoan()`` may be called
/// beside the worker.
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
  /// What is encoded and cannot be where it belongs at once.
  private let scratch = Scratch()
  /// Nil: chunks are stored.
  private let encoder: ChunkEncoder?
  /// The most chunks in the slot.
  private let pieceCountMax: Int
  private(set) var pieces: [Piece] = []
  private(set) var filledByteCount = 0
  /// Bytes that the caller has lent, and who copies them.
  private let loan = Loan()
  /// The encoded chunks, with their places in the file.
  private(set) var encodedEntries: [ChunkEntry] = []
  /// Where the output belongs in the file.
  private(set) var outputRange: Range<UInt64> = 0..<0
  /// Whether the output is there already, in the memory that waits for the disk.
  private(set) var isInPlace = false
  var job: Job?

  init(capacity: Int, pieceCountMax: Int, encoder: ChunkEncoder?) {
    self.pieceCountMax = pieceCountMax
    unsafe raw = .allocate(byteCount: capacity, alignment: Self.bufferAlignment)
    self.encoder = encoder
  }

  deinit {
    // SAFETY: whoever holds the last reference has waited for the job that used the buffer.
    unsafe raw.deallocate()
  }

  // MARK: Filling

  /// Whether a chunk of this size can still be begun.
  func hasRoom(for rawByteCount: Int) -> Bool {
    unsafe raw.count - filledByteCount >= rawByteCount && pieces.count < pieceCountMax
  }

  /// The most bytes that the output can have.
  var outputByteCountMax: Int {
    filledByteCount + pieces.count * (ChunkFrame.byteCount + Int(Layout.alignment))
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
    try unsafe body(next(byteCount))
    filledByteCount += byteCount
  }

  /// Whether that many bytes are a whole chunk, the first of the slot: only such are lent.
  func canBorrow(_ byteCount: Int) -> Bool {
    pieces.count == 1 && filledByteCount == 0
      && byteCount == Int(pieces[0].identity.rawByteCount)
  }

  /// Has the begun chunk copied, by the worker or by ``endLoan()``, whichever comes first.
  ///
  /// - Parameter bytes: All of it, lent until ``endLoan()``.
  /// - Precondition: ``canBorrow(_:)``.
  func borrow(_ bytes: UnsafeRawBufferPointer) {
    unsafe loan.begin(bytes, to: next(bytes.count))
    filledByteCount += bytes.count
  }

  /// Makes sure that what was lent is not needed any more.
  func endLoan() { loan.settle() }

  private func next(_ byteCount: Int) -> UnsafeMutableRawBufferPointer {
    // SAFETY: `hasRoom` was asked for the whole chunk before it was begun; the slice is lent until the slot is
    // reset.
    let end = filledByteCount + byteCount
    return unsafe UnsafeMutableRawBufferPointer(rebasing: raw[filledByteCount..<end])
  }

  func reset() {
    pieces.removeAll(keepingCapacity: true)
    filledByteCount = 0
    job = nil
  }

  // MARK: Encoding

  /// Encodes every chunk: frame, stored bytes, zeros up to the next frame.
  ///
  /// - Parameters:
  ///   - turn: How many slots come before in the file.
  ///   - places: Tells where in the file the output begins.
  ///   - ring: The memory that waits for the disk, if it has room for all of the output.
  func encode(turn: Int, _ places: OutputPlaces, into ring: OutputRing?) {
    // A chunk that is stored, and alone, goes from where it is lent straight to its place.
    if encoder != nil || pieces.count > 1 { loan.settle() }
    encodedEntries.removeAll(keepingCapacity: true)
    if encoder == nil || pieces.count == 1 {
      encodeInPlace(turn, places, ring)
    } else {
      encodeTogether(turn, places, ring)
    }
    for index in encodedEntries.indices {
      encodedEntries[index].frameOffset += outputRange.lowerBound
    }
  }

  /// Looks at all chunks, then writes them to where they belong: one, or such as are only stored.
  private func encodeInPlace(_ turn: Int, _ places: OutputPlaces, _ ring: OutputRing?) {
    var end: UInt64 = 0
    for piece in pieces {
      var plan = planned(piece)
      plan.frameOffset = end
      end = plan.endOffset
      encodedEntries.append(plan)
    }
    let target = unsafe place(Int(end), turn, places, ring) ?? scratchBytes(Int(end))
    for (index, piece) in pieces.enumerated() {
      encodedEntries[index] = unsafe write(piece, encodedEntries[index], into: target)
    }
  }

  /// Encodes small chunks one by one: how long each becomes is known when it was looked at.
  private func encodeTogether(_ turn: Int, _ places: OutputPlaces, _ ring: OutputRing?) {
    let collected = unsafe scratchBytes(outputByteCountMax)
    var end: UInt64 = 0
    for piece in pieces {
      var plan = planned(piece)
      plan.frameOffset = end
      end = plan.endOffset
      encodedEntries.append(unsafe write(piece, plan, into: collected))
    }
    let output = unsafe UnsafeRawBufferPointer(rebasing: collected[..<Int(end)])
    unsafe place(Int(end), turn, places, ring)?.copyMemory(from: output)
  }

  /// The output, once the job has finished, if it is not in its place.
  func withOutput<Failure: Error>(_ body: (RawSpan) throws(Failure) -> Void) throws(Failure) {
    // SAFETY: the span lives for this call, and `encode` has filled these bytes.
    let bytes = unsafe RawSpan(
      _unsafeBytes: UnsafeRawBufferPointer(scratchBytes(outputRange.count)))
    try body(bytes)
  }

  private func scratchBytes(_ byteCount: Int) -> UnsafeMutableRawBufferPointer {
    unsafe UnsafeMutableRawBufferPointer(scratch.bytes(byteCount))
  }

  /// Takes the next bytes of the file; returns the memory that waits for the disk with them, if it can be had.
  private func place(
    _ byteCount: Int, _ turn: Int, _ places: OutputPlaces, _ ring: OutputRing?
  ) -> UnsafeMutableRawBufferPointer? {
    let start = places.take(byteCount, turn: turn)
    outputRange = start..<start + UInt64(byteCount)
    let target = unsafe ring?.bytes(outputRange)
    isInPlace = unsafe target != nil
    return unsafe target
  }

  private func source(_ piece: Piece) -> UnsafeRawBufferPointer {
    // SAFETY: `hasRoom` bounds the raw bytes, which are this thread's until the job has ended.
    let end = piece.bufferOffset + Int(piece.identity.rawByteCount)
    return unsafe UnsafeRawBufferPointer(rebasing: raw[piece.bufferOffset..<end])
  }

  /// Looks at a chunk: what it becomes and how long that is, at offset 0; the checksums are not known yet.
  private func planned(_ piece: Piece) -> ChunkEntry {
    var entry = ChunkEntry(
      frameOffset: 0, tensor: piece.identity.tensor,
      chunk: piece.identity.chunk, rawByteCount: piece.identity.rawByteCount,
      storedByteCount: piece.identity.rawByteCount, storedChecksum: 0, rawChecksum: 0,
      codec: .stored)
    guard let encoder else { return entry }
    // SAFETY: the span lives for this call.
    let source = unsafe RawSpan(_unsafeBytes: source(piece))
    entry.rawChecksum = piece.identity.checksum(of: source)
    if let byteCount = encoder.plan(source, of: piece.dtype) {
      entry.codec = encoder.codec
      entry.storedByteCount = UInt32(byteCount)
    }
    return entry
  }

  /// Writes a chunk that was looked at to its place among the output; returns its entry with the checksums.
  private func write(
    _ piece: Piece, _ planned: ChunkEntry, into output: UnsafeMutableRawBufferPointer
  ) -> ChunkEntry {
    var entry = planned
    let target = unsafe UnsafeMutableRawBufferPointer(
      rebasing: output[Int(entry.frameOffset)..<Int(entry.endOffset)])
    let storedEnd = ChunkFrame.byteCount + Int(entry.storedByteCount)
    // SAFETY: the target is for the frame, the stored bytes and what aligns the next frame.
    let place = unsafe UnsafeMutableRawBufferPointer(
      rebasing: target[ChunkFrame.byteCount..<storedEnd])
    if let encoder, entry.codec != .stored {
      unsafe encoder.write(RawSpan(_unsafeBytes: source(piece)), into: place)
    } else {
      unsafe store(piece, in: place)
    }
    if encoder != nil, entry.codec == .stored {
      entry.storedChecksum = entry.rawChecksum
    } else {
      // SAFETY: the span lives for this call.
      let stored = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(place))
      entry.storedChecksum = piece.identity.checksum(of: stored)
      if entry.codec == .stored { entry.rawChecksum = entry.storedChecksum }
    }
    let frame = ChunkFrame(
      identity: piece.identity, codec: entry.codec, rawOffset: piece.rawOffset,
      storedByteCount: entry.storedByteCount, storedChecksum: entry.storedChecksum,
      rawChecksum: entry.rawChecksum)
    unsafe frame.encode(into: target)
    unsafe UnsafeMutableRawBufferPointer(rebasing: target[storedEnd...])
      .initializeMemory(as: UInt8.self, repeating: 0)
    return entry
  }

  /// Puts the raw bytes of a chunk to where they belong, if need be from where the caller has them.
  private func store(_ piece: Piece, in place: UnsafeMutableRawBufferPointer) {
    if pieces.count == 1 {
      guard unsafe !loan.copy(to: place) else { return }
      loan.settle()
    }
    unsafe place.copyMemory(from: source(piece))
  }
}
