internal import CheckpointCodecs
internal import CheckpointFormat
internal import CheckpointStorage

extension CheckpointReader {
  /// Compares the checkpoint, on the left, with another.
  ///
  /// Both may be of any version and have chunks of any size.
  ///
  /// - Parameters:
  ///   - other: The right side.
  ///   - options: What is compared, and how far.
  ///   - progress: Is told now and then how many bytes of how many were compared, on the calling thread.
  /// - Returns: What differs.
  /// - Throws: ``CheckpointError``: `.corrupted` or `.unreadable` of either file.
  /// - Complexity: Reads both once; memory for a window of 1 MiB, or of the larger chunk, of each file and a
  ///   few chunks per thread.
  package func difference(
    from other: CheckpointReader, _ options: ComparisonOptions = ComparisonOptions(),
    progress: ((_ done: UInt64, _ of: UInt64) -> Void)? = nil
  ) throws(CheckpointError) -> CheckpointDifference {
    var comparison = FileComparison(left: self, right: other, options: options)
    comparison.compareDescriptions()
    try comparison.compareElements(progress: progress)
    return comparison.result
  }
}

/// A comparison of two files on its way.
private struct FileComparison {
  /// Two tensors of one dtype and shape, neither an alias.
  private struct Roots: Hashable {
    let left: Int
    let right: Int
  }

  /// A part of such a pair.
  private struct Window {
    let pair: Int
    let bytes: Range<UInt64>
  }

  private enum Outcome {
    case same
    case differs(ElementDifference)
    case failed(CheckpointError)
  }

  let left: CheckpointReader
  let right: CheckpointReader
  let options: ComparisonOptions
  var result = CheckpointDifference()
  /// What must be read, in the order of the left file; each with the names that stand for it.
  private var pairs: [(roots: Roots, names: [String])] = []
  private var places: [Roots: Int] = [:]

  init(left: CheckpointReader, right: CheckpointReader, options: ComparisonOptions) {
    self.left = left
    self.right = right
    self.options = options
  }

  // MARK: What the indexes tell

  mutating func compareDescriptions() {
    let names = compareTensors()
    compareTies(names, left, right, isLeft: true)
    compareTies(names, right, left, isLeft: false)
    guard options.selection.isEverything else { return }
    let steps = (left.header.step, right.header.step)
    if steps.0 != steps.1 { result.steps = .init(left: steps.0, right: steps.1) }
    for domain in Metadata.Domain.allCases { compareValues(of: domain) }
  }

  /// Returns the names that both sides have.
  private mutating func compareTensors() -> [String] {
    var common: [String] = []
    let entries = left.index.tensors.entries
    for number in entries.indices {
      let name = entries[number].name
      guard options.selection.contains(name) else { continue }
      let mine = entries[number].descriptor
      guard let place = right.number(named: name) else {
        result.tensors.append(.init(name: name, descriptor: .init(left: mine, right: nil)))
        continue
      }
      common.append(name)
      let entry = right.index.tensors.entries[place]
      guard entry.dtype == mine.dtype, entry.hasShape(mine.shape) else {
        result.tensors.append(
          .init(name: name, descriptor: .init(left: mine, right: entry.descriptor)))
        continue
      }
      result.comparedTensorCount += 1
      let roots = Roots(left: entries[number].aliasOf ?? number, right: entry.aliasOf ?? place)
      if let known = places[roots] {
        pairs[known].names.append(name)
      } else {
        places[roots] = pairs.count
        pairs.append((roots, [name]))
        result.comparedByteCount += entry.byteCount
      }
    }
    for entry in right.index.tensors.entries {
      let name = entry.name
      guard options.selection.contains(name), left.number(named: name) == nil else { continue }
      result.tensors.append(
        .init(name: name, descriptor: .init(left: nil, right: entry.descriptor)))
    }
    return common
  }

  /// Finds names that are tied on one side, and not on the other.
  private mutating func compareTies(
    _ names: [String], _ one: CheckpointReader, _ other: CheckpointReader, isLeft: Bool
  ) {
    var firstNames: [Int: String] = [:]
    for name in names {
      guard let root = one.root(named: name) else { continue }
      guard let first = firstNames[root] else {
        firstNames[root] = name
        continue
      }
      if other.root(named: name) != other.root(named: first) {
        result.ties.append(.init(name: name, other: first, isTiedOnTheLeft: isLeft))
      }
    }
  }

  private mutating func compareValues(of domain: Metadata.Domain) {
    let (mine, others) = (left.metadata, right.metadata)
    let names = Set(
      (mine.entries(of: domain) + others.entries(of: domain)).map { StateName($0.name) })
    for name in names.inOrder where mine[domain, name] != others[domain, name] {
      let pair = CheckpointDifference.Pair(left: mine[domain, name], right: others[domain, name])
      result.values.append(.init(domain: domain, name: name, value: pair))
    }
  }

  // MARK: Elements

  mutating func compareElements(
    progress: ((UInt64, UInt64) -> Void)?
  ) throws(CheckpointError) {
    let windows = windows()
    var sums: [Int: ElementDifference] = [:]
    let scratch = LendingPool { (left: Scratch(), right: Scratch()) }
    var done: UInt64 = 0
    let roundCount = max(16, left.pool.threadCount * 8)
    var next = 0
    while next < windows.count {
      let round = windows[next..<min(next + roundCount, windows.count)]
        // Whether it differs is known, and how far is not asked.
        .filter { options.measures || sums[$0.pair] == nil }
      let outcomes = left.pool.map(round.count) { compare(round[$0], scratch) }
      for (window, outcome) in zip(round, outcomes) {
        switch outcome {
        case .same: break
        case .differs(let difference): sums[window.pair, default: .init()].add(difference)
        case .failed(let error): throw error
        }
      }
      done = windows[next..<min(next + roundCount, windows.count)].reduce(done) {
        $0 + UInt64($1.bytes.count)
      }
      next += roundCount
      progress?(done, result.comparedByteCount)
    }
    insert(sums)
  }

  /// Puts the tensors whose elements differ where they stand on the left side.
  private mutating func insert(_ sums: [Int: ElementDifference]) {
    for (pair, sum) in sums {
      let names = pairs[pair].names
      let descriptor = left.index.tensors.entries[pairs[pair].roots.left].descriptor
      var own = descriptor
      own.name = names[0]
      result.tensors.append(
        .init(
          name: names[0], descriptor: .init(left: own, right: own),
          elements: options.measures ? sum : nil, otherNames: Array(names.dropFirst())))
    }
    let end = Int.max
    result.tensors = result.tensors
      .map { (place: left.number(named: $0.name) ?? end, tensor: $0) }
      .sorted { $0.place < $1.place }.map(\.tensor)
  }

  /// The parts that are compared at once: whole chunks of the file with the larger ones.
  private func windows() -> [Window] {
    let chunkByteCount = max(
      left.index.tensors.grid.chunkByteCount, right.index.tensors.grid.chunkByteCount)
    let size = UInt64(chunkByteCount * max(1, (1 << 20) / chunkByteCount))
    return pairs.indices.flatMap { pair in
      let byteCount = left.index.tensors.entries[pairs[pair].roots.left].byteCount
      return stride(from: 0, to: byteCount, by: Int(size)).map {
        Window(pair: pair, bytes: $0..<min($0 + size, byteCount))
      }
    }
  }

  private func compare(
    _ window: Window, _ scratch: LendingPool<(left: Scratch, right: Scratch)>
  ) -> Outcome {
    scratch.withTool { memory in
      let roots = pairs[window.pair].roots
      do throws(CheckpointError) {
        // SAFETY: the memory is this thread's until the end of this call.
        let mine = unsafe UnsafeMutableRawBufferPointer(memory.left.bytes(window.bytes.count))
        let others = unsafe UnsafeMutableRawBufferPointer(memory.right.bytes(window.bytes.count))
        unsafe try left.readWindow(of: roots.left, window.bytes, into: mine)
        unsafe try right.readWindow(of: roots.right, window.bytes, into: others)
        let one = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(mine))
        let other = unsafe RawSpan(_unsafeBytes: UnsafeRawBufferPointer(others))
        guard !one.elementsEqual(other) else { return .same }
        let dtype = left.index.tensors.entries[roots.left].dtype
        return .differs(options.measures ? ElementDifference(one, other, of: dtype) : .init())
      } catch {
        return .failed(error)
      }
    }
  }
}

extension CheckpointReader {
  fileprivate func number(named name: String) -> Int? {
    index.nameOrder.tensor(named: name, in: index.tensors)
  }

  /// The number of the tensor whose bytes a name stands for.
  fileprivate func root(named name: String) -> Int? {
    number(named: name).map { index.tensors.entries[$0].aliasOf ?? $0 }
  }

  /// Reads a part of a tensor on this thread alone, for who has many threads at work on parts.
  ///
  /// - Parameters:
  ///   - number: The tensor's place in ``tensors``.
  ///   - range: Bytes of the tensor, at least one.
  ///   - target: As many bytes.
  /// - Throws: ``CheckpointError``: `.corrupted` or `.unreadable`.
  func readWindow(
    of number: Int, _ range: Range<UInt64>, into target: UnsafeMutableRawBufferPointer
  ) throws(CheckpointError) {
    let entry = index.tensors.entries[number]
    let size = UInt64(index.tensors.grid.chunkByteCount)
    for chunk in Int(range.lowerBound / size)...Int((range.upperBound - 1) / size) {
      do throws(CheckpointError) {
        // SAFETY: the target has the range's length, and is lent for this call.
        unsafe try loadPart(of: entry, chunk: chunk, range, into: target)
      } catch {
        throw advising(error)
      }
    }
  }
}
