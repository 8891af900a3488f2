import CheckpointStorage
import Synchronization

/// One atomic count for each index.
final class Counters: Sendable {
  private final class Cell: Sendable { let value = Atomic<Int>(0) }
  private let cells: [Cell]

  init(_ count: Int) { cells = (0..<count).map { _ in Cell() } }

  func increment(_ index: Int) { cells[index].value.add(1, ordering: .relaxed) }
  var values: [Int] { cells.map { $0.value.load(ordering: .relaxed) } }
}

/// A value that one thread gives and others wait for.
// SAFETY (@unchecked Sendable): written before the flag is set with release, read after it was seen
// with acquire; `clear` is called when nobody reads any more.
final class Handoff<Value: Sendable>: @unchecked Sendable {
  private let isGiven = Atomic<Bool>(false)
  private var value: Value?

  func give(_ value: Value) {
    self.value = value
    isGiven.store(true, ordering: .releasing)
  }

  func take() -> Value {
    while true {
      if isGiven.load(ordering: .acquiring), let value { return value }
      sleepOneMillisecond()
    }
  }

  func clear() { value = nil }
}

func sleepOneMillisecond() { StorageDevice.posix.timeSource.sleep(1_000_000) }
