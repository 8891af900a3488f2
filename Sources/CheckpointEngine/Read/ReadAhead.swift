internal import CheckpointFormat
internal import CheckpointStorage

/// Reads and checks small chunks before they are asked for, many at once.
///
/// Whoever restores a state asks for one tensor after the other, in the order of saving. A call of the
/// system for each costs more than the bytes of a small one, and one thread alone does all the checking.
/// So once some small chunks were asked for in a row, the pool's threads read what follows in windows of
/// up to 1 MiB, check each chunk in that private memory, and only copies of what was found intact are
/// handed out. Whatever is not in a window, or not intact, is left to the caller to read by itself: that
/// tells what is wrong with it, and its neighbours do not suffer.
final class ReadAhead: Sendable {
  /// Chunks of more raw bytes gain nothing.
  static let chunkByteCountMax: UInt32 = 64 << 10
  /// Two chunks of ``chunkByteCountMax`` fit, with their stored bytes and their raw ones.
  private static let windowByteCountMin = 256 << 10
  private static let windowByteCountMax = 1 << 20
  /// Windows that are read before they are needed; also bounds the memory.
  private static let windowCountMax = 8
  /// So many chunks in a row make a sequence.
  private static let streakMin = 3
  /// How far apart they may be: names of tied tensors are not read, nor are some others.
  private static let strideMax = 4

  /// Some consecutive chunks, being read or in memory.
  private struct Window {
    let chunks: Range<Int>
    let loading: Job
    let result: Protected<WindowContent?>
    /// Nil until the job was seen to have ended.
    var content: WindowContent?
  }

  private struct State {
    /// In ascending order of their chunks, without gaps.
    var windows: [Window] = []
    var windowByteCount = ReadAhead.windowByteCountMin
    /// Jobs of windows that are not wanted any more.
    var abandoned: [Job] = []
    /// Behind the chunk that was asked for last.
    var next = 0
    var streak = 0

    /// The window with a chunk.
    func place(of chunk: Int) -> Int? {
      windows.indices.first { windows[$0].chunks.contains(chunk) }
    }

    /// Lets go of the windows that end at a chunk or before it.
    mutating func drop(upTo chunk: Int) {
      let count =
        windows.indices.first { windows[$0].chunks.upperBound > chunk } ?? windows.count
      guard count > 0 else { return }
      abandoned.removeAll(where: \.isFinished)
      abandoned += windows[..<count].filter { $0.content == nil }.map(\.loading)
      windows.removeSubrange(..<count)
    }
  }

  private enum Answer {
    case served
    case notHere
    case comes(Job)
  }

  private let loader: ChunkLoader
  private let pool: WorkerPool
  private let state = Protected(State())

  init(_ loader: ChunkLoader, _ pool: WorkerPool) {
    self.loader = loader
    self.pool = pool
  }

  deinit {
    // Jobs hold the file, and with it the lock that retention respects.
    let jobs = state.withLock { $0.abandoned + $0.windows.map(\.loading) }
    for job in jobs { job.wait() }
  }

  /// Copies chunk `number` to all of `target`, if it was read ahead and is intact.
  ///
  /// - Parameters:
  ///   - number: A chunk of at most ``chunkByteCountMax`` raw bytes.
  ///   - target: As many bytes as the chunk has raw.
  /// - Returns: Whether it did.
  func copy(_ number: Int, to target: UnsafeMutableRawBufferPointer) -> Bool {
    while true {
      let answer = state.withLock { state in unsafe look(for: number, target, &state) }
      switch answer {
      case .served: return true
      case .notHere: return false
      case .comes(let job): job.wait()
      }
    }
  }

  private func look(
    for number: Int, _ target: UnsafeMutableRawBufferPointer, _ state: inout State
  ) -> Answer {
    guard let place = state.place(of: number) ?? begin(at: number, &state) else { return .notHere }
    if state.windows[place].content == nil {
      guard state.windows[place].loading.isFinished else {
        return .comes(state.windows[place].loading)
      }
      state.windows[place].content = state.windows[place].result.withLock { $0 }
    }
    // In place: a copy of the window would retain and release all that it refers to.
    let first = state.windows[place].chunks.lowerBound
    let isServed = unsafe state.windows[place].content?.copy(number - first, to: target)
    if number >= state.next { note(number, &state) }
    state.drop(upTo: state.next)
    extend(&state)
    return isServed == true ? .served : .notHere
  }

  /// Has windows read from a chunk on that is in none, if those before it were asked for; returns its place.
  private func begin(at number: Int, _ state: inout State) -> Int? {
    note(number, &state)
    guard state.streak >= Self.streakMin else { return nil }
    state.drop(upTo: .max)
    append(from: number, &state)
    extend(&state)
    return state.place(of: number)
  }

  /// Follows what is asked for.
  private func note(_ number: Int, _ state: inout State) {
    let isNear = number >= state.next && number - state.next < Self.strideMax
    state.streak = isNear ? state.streak + 1 : 0
    // Whoever reads on gets more at once, who jumps begins anew.
    if !isNear { state.windowByteCount = Self.windowByteCountMin }
    state.next = number + 1
  }

  /// Has the windows behind the last one read, as many as there are threads.
  private func extend(_ state: inout State) {
    // Without threads nothing would be gained by reading earlier than needed.
    let count = min(pool.threadCount, Self.windowCountMax - 1) + 1
    while state.windows.count < count, let last = state.windows.last {
      guard append(from: last.chunks.upperBound, &state) else { return }
    }
  }

  /// Has the window that begins with a chunk read; returns false if there is no use in it.
  @discardableResult
  private func append(from number: Int, _ state: inout State) -> Bool {
    let chunks = WindowContent.chunks(
      from: number, byteCountMax: state.windowByteCount, loader.index.chunks.entries)
    guard chunks.count > 1 else { return false }
    let result = Protected(WindowContent?.none)
    let loading = pool.submit { [loader] in
      let content = loader.workspaces.withTool { WindowContent(chunks, loader, by: $0) }
      result.withLock { $0 = content }
    }
    state.windows.append(Window(chunks: chunks, loading: loading, result: result))
    state.windowByteCount = min(state.windowByteCount * 2, Self.windowByteCountMax)
    return true
  }
}

/// The raw bytes of some consecutive chunks, as far as they are intact.
private struct WindowContent: Sendable {
  private let bytes: [UInt8]
  /// Where each chunk's raw bytes are; empty for one that is not to be handed out.
  private let places: [Range<Int>]

  /// The small chunks from one on that take at most so much memory.
  static func chunks(
    from first: Int, byteCountMax: Int, _ entries: [ChunkEntry]
  ) -> Range<Int> {
    var (end, byteCount) = (first, 0)
    while end < entries.count, entries[end].rawByteCount <= ReadAhead.chunkByteCountMax {
      byteCount += Int(entries[end].endOffset - entries[end].frameOffset)
      if entries[end].codec != .stored { byteCount += Int(entries[end].rawByteCount) }
      guard byteCount <= byteCountMax else { break }
      end += 1
    }
    return first..<end
  }

  /// Reads, checks and decodes chunks; nil if they cannot be read.
  init?(_ chunks: Range<Int>, _ loader: ChunkLoader, by workspace: ChunkWorkspace) {
    let entries = loader.index.chunks.entries[chunks]
    guard let first = entries.first, let last = entries.last else { return nil }
    let start = first.storedOffset
    let storedByteCount = Int(last.storedOffset - start) + Int(last.storedByteCount)
    let decodedByteCount = entries.reduce(0) {
      $0 + ($1.codec == .stored ? 0 : Int($1.rawByteCount))
    }
    var places: [Range<Int>] = []
    places.reserveCapacity(chunks.count)
    let bytes = unsafe try? [UInt8](filling: storedByteCount + decodedByteCount) {
      (buffer) throws(CheckpointError) in
      // SAFETY: the ranges lie in the buffer, which was sized for all of them; decoded bytes lie behind
      // the stored ones, which are only read from here on.
      let stored = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[..<storedByteCount])
      unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[storedByteCount...])
        .initializeMemory(as: UInt8.self, repeating: 0)
      unsafe try loader.file.read(into: stored, at: start)
      var end = storedByteCount
      for entry in entries {
        let place = Int(entry.storedOffset - start)
        let own = place..<place + Int(entry.storedByteCount)
        let source = unsafe RawSpan(
          _unsafeBytes: UnsafeRawBufferPointer(rebasing: stored[own]))
        if entry.codec == .stored {
          let isIntact = (try? loader.check(entry, source, .storedChunk)) != nil
          places.append(isIntact ? own : 0..<0)
        } else {
          let decoded = end..<end + Int(entry.rawByteCount)
          let target = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[decoded])
          let isIntact =
            unsafe (try? loader.decode(entry, source, into: target, by: workspace)) != nil
          places.append(isIntact ? decoded : 0..<0)
          end = decoded.upperBound
        }
      }
    }
    guard let bytes else { return nil }
    self.bytes = bytes
    self.places = places
  }

  /// Copies the raw bytes of a chunk, counted from the first, if it is intact.
  func copy(_ number: Int, to target: UnsafeMutableRawBufferPointer) -> Bool {
    let place = places[number]
    guard !place.isEmpty, place.count == target.count else { return false }
    unsafe bytes.withUnsafeBytes {
      // SAFETY: the place lies in the bytes, and is as long as the target.
      unsafe target.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[place]))
    }
    return true
  }
}
