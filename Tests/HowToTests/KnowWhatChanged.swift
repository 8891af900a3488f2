// snippet: know-what-changed
import CheckpointTraining

struct Arguments: Encodable {
  var batchSize = 32
  var learningRate = 3e-4
  var maxSteps = 10_000
}

func makeManager(
  _ directory: String, _ arguments: Arguments, data files: [String]
) throws -> CheckpointManager {
  var contract = ResumeContract()
  contract.state("code", "my-trainer 1.2", ifDifferent: .harmless)
  let data = try DatasetFingerprint(
    files: files, orderSeed: 7, preprocessing: "bytes, windows of 64")
  contract.state(data, ifDifferent: .refuse)
  try contract.stateArguments(arguments, grades: ["maxSteps": .harmless])
  return try CheckpointManager(
    directory: directory, saving: .every(steps: 500), contract: contract)
}

func resumeTelling(_ trainer: inout Trainer, with manager: CheckpointManager) throws {
  let result = try manager.resume(&trainer, from: .latest, check: .warn)
  for difference in result.differences where difference.grade >= .changesTrajectory {
    print("\(difference.name): \(difference.saved ?? "-") → \(difference.current ?? "-")")
  }
}

func show(_ trainer: Trainer, with manager: CheckpointManager) throws {
  let preview = try manager.previewResume(of: trainer, from: .latest)
  print("a resume would be graded:", preview.grade.text)
  if let misfit = preview.misfit { print(misfit.message) }
}
// end of snippet
