internal import CheckpointTraining
internal import LanguageModel

/// What the command line asked for.
struct TrainOptions {
  var configuration = TrainerConfiguration()
  /// A text file, or a directory of `.md` and `.txt` files.
  var data = "docs"
  var outputDirectory = "runs/train-lm"
  var saveSteps = 100
  /// Nil keeps every checkpoint.
  var saveTotalLimit: Int?
  var resumeSource = ResumeSource.nothing
  var evalSteps = 200
  var loggingSteps = 20
  /// In seconds.
  var lockTimeout = 0.0
}
