internal import CheckpointEngine
internal import CheckpointFormat

/// What a save was made with, for people and for later comparison.
enum Environment {
  static func record(_ keeping: RetentionPolicy, in metadata: inout Metadata) {
    keeping.record(in: &metadata)
    metadata[.environment, "library"] = .string(StoreOptions.libraryName)
    metadata[.environment, "architecture"] = .string(architecture)
    metadata[.environment, "operating_system"] = .string(operatingSystem)
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
