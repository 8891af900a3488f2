// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "benchmarks",
  platforms: [.macOS(.v26)],
  dependencies: [.package(name: "swift-checkpoint", path: "..")],
  targets: [
    .executableTarget(
      name: "ckpt-bench",
      dependencies: [
        .product(name: "CheckpointTraining", package: "swift-checkpoint"),
        .product(name: "CodecHarness", package: "swift-checkpoint"),
      ],
      swiftSettings: [
        .swiftLanguageMode(.v6),
        .strictMemorySafety(),
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
      ])
  ]
)
