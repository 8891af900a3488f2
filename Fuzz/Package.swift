// swift-tools-version: 6.2
import PackageDescription

// Built by `Fuzz/run build`: without libFuzzer's runtime the programs do not link.
let package = Package(
  name: "fuzz",
  platforms: [.macOS(.v26)],
  dependencies: [.package(name: "swift-checkpoint", path: "..")],
  targets: [.systemLibrary(name: "CLibFuzzer")]
    + ["header", "index", "codec", "chunk", "file", "roundtrip", "store"].map { name in
      .executableTarget(
        name: "fuzz-\(name)",
        dependencies: [
          "CLibFuzzer", .product(name: "FuzzHarness", package: "swift-checkpoint"),
        ],
        swiftSettings: [
          .swiftLanguageMode(.v6),
          .strictMemorySafety(),
          .enableUpcomingFeature("ExistentialAny"),
          .enableUpcomingFeature("InternalImportsByDefault"),
          .enableUpcomingFeature("MemberImportVisibility"),
        ])
    }
)
