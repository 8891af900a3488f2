import CheckpointTraining
import Foundation
import Testing

// Goal: the page's code makes a file of the weights alone, which tells where it comes from.
extension HowToTests {
  private struct Run: Checkpointable {
    var weights: [Float] = [1, -2, 0.1, 3e-8]
    var moments: [Float] = [5, 6, 7, 8]

    func save(to state: inout StateWriter) throws {
      try state.tensor("model/w", weights)
      try state.tensor("optimizer/m", moments)
    }

    mutating func restore(from state: StateReader) throws {
      try state.tensor("model/w", into: &weights)
      try state.tensor("optimizer/m", into: &moments)
    }
  }

  @Test func theWeightsAloneAreExported() throws {
    try withDirectory { directory in
      let manager = try CheckpointManager(directory: directory + "/run", saving: .manual)
      var run = Run()
      try manager.resume(&run, from: .never)
      guard case .saved(let receipt, _) = try manager.save(run, step: 1) else {
        Issue.record("not saved")
        return
      }
      let target = directory + "/weights.ckpt"
      try exportWeights(of: receipt.path, to: target)
      try tellMigrations(of: target)
      let reader = try CheckpointReader.open(path: target)
      #expect(reader.tensors.map(\.name) == ["model/w"])
      #expect(reader.tensors.map(\.dtype) == [.bfloat16])
      let records = reader.metadata.migrations
      #expect(records.map(\.saveIdentifier) == [receipt.saveIdentifier])
      #expect(records.map(\.isLossless) == [false])
    }
  }
}
