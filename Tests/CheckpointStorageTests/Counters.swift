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
