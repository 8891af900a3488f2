import CheckpointEngine
import CheckpointTesting
import Testing

// Goal: a listing shows which checkpoint came from which, and where a run was taken back.
@Suite struct LineageTests {
  private let disk = SimulatedDisk()

  private func resumed(at selection: CheckpointSelection) throws -> CheckpointStore {
    let store = try disk.writer()
    store.continueRun(from: try #require(try store.recover(selection)).reader, choice: .deliberate)
    return store
  }

  /// Step, step of the ancestor, branch, and whether it leads to the newest.
  private func lines() throws -> [String] {
    let nodes = try disk.reader().lineage()
    return nodes.map { node in
      let ancestor = nodes.first { $0.entry.header?.checkpointIdentifier == node.ancestor }
      return "\(node.entry.step) from \(ancestor.map { "\($0.entry.step)" } ?? "-")"
        + " on \(node.branch)\(node.leadsToNewest ? " *" : "")"
    }
  }

  @Test func oneRunIsOneBranchAcrossRestarts() throws {
    try disk.saveRun(1, 2)
    try disk.saveRun(3)
    #expect(try lines() == ["1 from - on 0 *", "2 from 1 on 0 *", "3 from 2 on 0 *"])
    let nodes = try disk.reader().lineage()
    #expect(nodes[0].parent == nil)
    #expect(nodes[2].parent == nodes[1].entry.header?.checkpointIdentifier)
  }

  @Test func goingBackBeginsABranch() throws {
    try disk.saveRun(1, 2, 3)
    // Twice from the same checkpoint, and once from a branch.
    for (from, steps) in [(1, [20, 30]), (1, [200]), (20, [31])] as [(UInt64, [UInt64])] {
      let store = try resumed(at: .step(from))
      for step in steps { try store.save(SampleState(step), step: step) }
    }
    #expect(
      try lines() == [
        "1 from - on 0 *", "2 from 1 on 0", "3 from 2 on 0", "20 from 1 on 1 *", "30 from 20 on 1",
        "200 from 1 on 2", "31 from 20 on 3 *",
      ])
    // What is gone leaves its descendants with the nearest ancestor.
    try disk.remove(checkpointName(20, 4))
    #expect(
      try lines() == [
        "1 from - on 0 *", "2 from 1 on 0", "3 from 2 on 0", "30 from 1 on 1", "200 from 1 on 2",
        "31 from 1 on 3 *",
      ])
    try disk.remove(checkpointName(1, 1))
    #expect(try lines().last == "31 from - on 3 *")
  }

  @Test func aFreshRunHasNoAncestors() throws {
    try disk.saveRun(1)
    let store = try disk.writer()
    store.beginFreshRun()
    try store.save(SampleState(5), step: 5)
    try disk.damage(checkpointName(1, 1))
    #expect(try lines() == ["1 from - on 0", "5 from - on 1 *"])
  }

  @Test func whatCannotBeOpenedIsLeftOut() throws {
    try disk.saveRun(1, 2)
    disk.replace(checkpointName(1, 1), with: [1, 2, 3])
    #expect(try lines() == ["2 from - on 0 *"])
  }
}
