internal import CheckpointEngine
internal import CheckpointFormat
internal import CheckpointStorage

/// What a save was made with, beside what the program's contract states.
enum Environment {
  private static let completedEpochsName = "completed_epochs"

  static func record(
    _ keeping: RetentionPolicy, completedEpochs: Int?, in metadata: inout Metadata
  ) {
    keeping.record(in: &metadata)
    metadata[.environment, completedEpochsName] = completedEpochs.map { .int64(Int64($0)) }
  }

  /// What the library states in every contract.
  static var facts: [(name: String, value: String)] {
    [
      ("library", StoreOptions.libraryName), ("format", "\(FormatVersion.current.rawValue)"),
      ("architecture", architecture), ("operating_system", operatingSystem),
      ("processors", "\(WorkerPool.availableThreadCount)"),
    ]
  }

  /// The number of epochs that were completed when a checkpoint was saved, if the program counts them.
  static func completedEpochs(in metadata: Metadata) -> Int? {
    guard case .int64(let count)? = metadata[.environment, completedEpochsName] else { return nil }
    return Int(clamping: count)
  }

  private static var architecture: String {
    #if arch(x86_64)
      "x86_64"
    #elseif arch(arm64)
      "arm64"
    #else
      "other"
    #endif
  }

  private static var operatingSystem: String {
    #if os(Linux)
      "Linux"
    #elseif os(macOS)
      "macOS"
    #else
      "other"
    #endif
  }
}
