internal import CheckpointEngine
internal import CheckpointFormat

/// What a save was made with, for people and for later comparison.
enum Environment {
  private static let keptCountName = "retention_last"

  static func record(_ keeping: RetentionPolicy, in metadata: inout Metadata) {
    metadata[.environment, keptCountName] = keeping.count.map { .int64(Int64($0)) }
    metadata[.environment, "library"] = .string(StoreOptions.libraryName)
    metadata[.environment, "architecture"] = .string(architecture)
    metadata[.environment, "operating_system"] = .string(operatingSystem)
  }

  /// How many checkpoints the process kept that saved this one; nil if it kept all.
  static func keptCount(in metadata: Metadata) -> Int? {
    guard case .int64(let count)? = metadata[.environment, keptCountName], count >= 1 else {
      return nil
    }
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
