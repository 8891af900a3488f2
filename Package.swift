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

// The library makes mistakes on request only where this is linked.
let mutants = Target.Dependency.target(
  name: "CheckpointMutants", condition: .when(traits: ["Mutants"]))

let package = Package(
  name: "swift-checkpoint",
  platforms: [.macOS(.v26)],  // Span and RawSpan in the standard library
  products: [
    .library(name: "CheckpointEngine", targets: ["CheckpointEngine"]),
    .library(name: "CheckpointTraining", targets: ["CheckpointTraining"]),
    .library(name: "CheckpointTesting", targets: ["CheckpointTesting"]),
    // Not for use: no API, and gone without notice. Fuzz and Benchmarks, nested packages, see products only.
    .library(name: "FuzzHarness", targets: ["FuzzHarness"]),
    .library(name: "CodecHarness", targets: ["CodecHarness"]),
    .executable(name: "ckpt-verify", targets: ["ckpt-verify"]),
    .executable(name: "ckpt-migrate", targets: ["ckpt-migrate"]),
    .executable(name: "ckpt", targets: ["ckpt"]),
    .executable(name: "train-lm", targets: ["train-lm"]),
  ],
  traits: [
    // For `fault-suites mutate` alone: the library makes mistakes on request, see docs/testing.md.
    .trait(name: "Mutants", description: "Mistakes that the fault suites must notice"),
    .default(enabledTraits: []),
  ],
  targets: [
    // MARK: Libraries, lowest layer first. A dependency may only point up this list.
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CLinux"),
    .target(name: "CheckpointMutants"),  // linked with the trait "Mutants" only
    .target(name: "CChecksum"),  // Swift has no names for the instructions
    .target(name: "CPlanes"),  // nor for more of the processor than the oldest has
    .target(
      name: "CheckpointFormat", dependencies: ["CZlib", "CChecksum", mutants],
      swiftSettings: [.enableExperimentalFeature("Lifetimes")]),  // a ~Escapable byte reader
    .target(name: "CheckpointCodecs", dependencies: ["CheckpointFormat", "CZlib", "CPlanes"]),
    .target(name: "CheckpointStorage", dependencies: ["CLinux", mutants]),
    .target(
      name: "CheckpointEngine",
      dependencies: ["CheckpointFormat", "CheckpointCodecs", "CheckpointStorage", mutants]),
    .target(name: "CSignals"),  // what a handler may do, Swift cannot promise
    .target(name: "CheckpointTraining", dependencies: ["CheckpointEngine", "CSignals"]),
    .target(name: "CheckpointTesting", dependencies: ["CheckpointStorage", "CheckpointEngine"]),

    // MARK: The training program: a real model, the first user of the library.
    .target(name: "LanguageModel", dependencies: ["CheckpointTraining"]),
    .executableTarget(
      name: "train-lm", dependencies: ["LanguageModel", "CheckpointTraining", "CommandLineTool"]),

    // MARK: Tools. What they do is library code; here is only what a shell needs.
    .target(name: "CommandLineTool"),
    .executableTarget(name: "ckpt-verify", dependencies: ["CheckpointEngine", "CommandLineTool"]),
    .executableTarget(name: "ckpt-migrate", dependencies: ["CheckpointEngine", "CommandLineTool"]),
    .executableTarget(name: "ckpt", dependencies: ["CheckpointEngine", "CommandLineTool"]),

    // MARK: Tests
    .executableTarget(  // what Tests/FileSystems/power_cut.py runs on real file systems
      name: "store-driver",
      dependencies: ["CheckpointEngine", "CheckpointTesting", "CommandLineTool"],
      path: "Tests/FileSystems/store-driver"),
    .target(  // what ordinary tests and fuzzers share; Fuzz links it into libFuzzer's programs
      name: "FuzzHarness",
      dependencies: [
        "CheckpointFormat", "CheckpointCodecs", "CheckpointStorage", "CheckpointEngine",
        "CheckpointTesting",
      ], path: "Tests/FuzzHarness"),
    .target(  // what `ckpt-bench codec` measures
      name: "CodecHarness", dependencies: ["CheckpointFormat", "CheckpointCodecs"],
      path: "Tests/CodecHarness"),
    .testTarget(name: "FuzzReplayTests", dependencies: ["FuzzHarness"]),
    .testTarget(name: "TidyTests", dependencies: ["CheckpointFormat"]),  // rules of the house
    .testTarget(
      name: "CheckpointFormatTests", dependencies: ["CheckpointFormat", "CChecksum", "FuzzHarness"]),
    .testTarget(
      name: "CheckpointCodecsTests",
      dependencies: [
        "CheckpointCodecs", "CheckpointFormat", "CheckpointTesting", "FuzzHarness", "CZlib",
        "CPlanes",
      ]),
    .testTarget(
      name: "CheckpointStorageTests", dependencies: ["CheckpointStorage", "CheckpointTesting"]),
    .testTarget(
      name: "CheckpointEngineTests",
      dependencies: [
        "CheckpointFormat", "CheckpointCodecs", "CheckpointStorage", "CheckpointEngine",
        "CheckpointTesting", "CheckpointTraining", "FuzzHarness",
      ]),
    .target(
      name: "FaultSuites",
      dependencies: [
        "CheckpointFormat", "CheckpointStorage", "CheckpointEngine", "CheckpointTesting", mutants,
      ], path: "Tests/FaultSuites"),
    .executableTarget(
      name: "fault-suites", dependencies: ["FaultSuites", "CheckpointStorage", "CommandLineTool"],
      path: "Tests/FaultSuitesCommand"),
    .testTarget(name: "CrashTests", dependencies: ["FaultSuites"]),
    .testTarget(
      name: "CheckpointTrainingTests",
      dependencies: ["CheckpointStorage", "CheckpointTraining", "CheckpointTesting"]),
    .testTarget(
      name: "HowToTests", dependencies: ["CheckpointTraining", "CheckpointTesting", "ckpt-verify"]),
    .testTarget(name: "LanguageModelTests", dependencies: ["LanguageModel", "CheckpointTraining"]),
    .testTarget(
      name: "ToolTests",
      dependencies: ["CommandLineTool", "CheckpointEngine", "ckpt-verify", "ckpt-migrate", "ckpt"]),
    .executableTarget(
      name: "corruption-soak",
      dependencies: ["CheckpointEngine", "CheckpointTesting", "CommandLineTool"],
      path: "Tests/CorruptionSoak"),
    .testTarget(
      name: "EndToEndTests",
      dependencies: [
        "CheckpointEngine", "CheckpointTesting", "train-lm", "ckpt-verify", "ckpt-migrate", "ckpt",
        "store-driver",
        "corruption-soak",
      ]),
  ]
)

for target in package.targets where target.type != .system {
  target.swiftSettings = sharedSettings + (target.swiftSettings ?? [])
}
