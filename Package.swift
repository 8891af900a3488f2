// swift-tools-version: 6.2
import PackageDescription

// Every Swift target gets these.
let sharedSettings: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .strictMemorySafety(),  // each unsafe operation is marked at the place it happens
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),  // a dependency leaks only on purpose
  .enableUpcomingFeature("MemberImportVisibility"),  // every file says what it uses
  .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
]

let package = Package(
  name: "swift-checkpoint",
  platforms: [.macOS(.v26)],  // Span and RawSpan in the standard library
  products: [
    .library(name: "CheckpointEngine", targets: ["CheckpointEngine"]),
    .library(name: "CheckpointTraining", targets: ["CheckpointTraining"]),
    .library(name: "CheckpointTesting", targets: ["CheckpointTesting"]),
    // Not for use: no API, and gone without notice. Fuzz, a nested package, sees products only.
    .library(name: "FuzzHarness", targets: ["FuzzHarness"]),
    .executable(name: "ckpt-verify", targets: ["ckpt-verify"]),
    .executable(name: "train-lm", targets: ["train-lm"]),
  ],
  targets: [
    // MARK: Libraries, lowest layer first. A dependency may only point up this list.
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CLinux"),
    .target(
      name: "CheckpointFormat", dependencies: ["CZlib"],
      swiftSettings: [.enableExperimentalFeature("Lifetimes")]),  // a ~Escapable byte reader
    .target(name: "CheckpointCodecs", dependencies: ["CheckpointFormat", "CZlib"]),
    .target(name: "CheckpointStorage", dependencies: ["CLinux"]),
    .target(
      name: "CheckpointEngine",
      dependencies: ["CheckpointFormat", "CheckpointCodecs", "CheckpointStorage"]),
    .target(name: "CheckpointTraining", dependencies: ["CheckpointEngine"]),
    .target(name: "CheckpointTesting", dependencies: ["CheckpointStorage", "CheckpointEngine"]),

    // MARK: The training program: a real model, the first user of the library.
    .target(name: "LanguageModel", dependencies: ["CheckpointTraining"]),
    .executableTarget(
      name: "train-lm", dependencies: ["LanguageModel", "CheckpointTraining", "CommandLineTool"]),

    // MARK: Tools. What they do is library code; here is only what a shell needs.
    .target(name: "CommandLineTool"),
    .executableTarget(name: "ckpt-verify", dependencies: ["CheckpointEngine", "CommandLineTool"]),

    // MARK: Tests
    .target(  // what ordinary tests and fuzzers share; Fuzz links it into libFuzzer's programs
      name: "FuzzHarness",
      dependencies: [
        "CheckpointFormat", "CheckpointCodecs", "CheckpointStorage", "CheckpointEngine",
        "CheckpointTesting",
      ], path: "Tests/FuzzHarness"),
    .testTarget(name: "FuzzReplayTests", dependencies: ["FuzzHarness"]),
    .testTarget(name: "TidyTests", dependencies: ["CheckpointFormat"]),  // rules of the house
    .testTarget(
      name: "CheckpointFormatTests", dependencies: ["CheckpointFormat", "FuzzHarness"]),
    .testTarget(
      name: "CheckpointStorageTests", dependencies: ["CheckpointStorage", "CheckpointTesting"]),
    .testTarget(
      name: "CheckpointEngineTests",
      dependencies: [
        "CheckpointFormat", "CheckpointCodecs", "CheckpointStorage", "CheckpointEngine",
        "CheckpointTesting", "CheckpointTraining", "FuzzHarness",
      ]),
    .testTarget(
      name: "CrashTests", dependencies: ["CheckpointEngine", "CheckpointTesting"]),
    .testTarget(
      name: "CheckpointTrainingTests", dependencies: ["CheckpointTraining", "CheckpointTesting"]),
    .testTarget(name: "HowToTests", dependencies: ["CheckpointTraining", "CheckpointTesting"]),
    .testTarget(name: "LanguageModelTests", dependencies: ["LanguageModel", "CheckpointTraining"]),
    .testTarget(
      name: "ToolTests", dependencies: ["CommandLineTool", "CheckpointEngine", "ckpt-verify"]),
    .testTarget(
      name: "EndToEndTests",
      dependencies: ["CheckpointEngine", "CheckpointTesting", "train-lm", "ckpt-verify"]),
  ]
)

for target in package.targets where target.type != .system {
  target.swiftSettings = sharedSettings + (target.swiftSettings ?? [])
}
