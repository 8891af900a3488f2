internal import CheckpointTraining

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// The extra resident memory of saving and loading a state of 1 GiB.
enum MemoryCase {
  static func run(in directory: String) throws {
    var state = ArrayState(tensorCount: 16, elementCount: 16 << 20)
    let digest = try stateDigest(of: state)
    let manager = try CheckpointManager(
      directory: directory, saving: .manual, keeping: .last(1))
    try manager.resume(&state, from: .never)

    let saving = try extraResidentBytes {
      guard case .saved(let receipt, _) = try manager.save(state, step: 1) else {
        Benchmark.fail("the save failed", status: 1)
      }
      print(
        "saved \(receipt.stateByteCount >> 20) MiB as \(receipt.byteCount >> 20) MiB in "
          + "\(Benchmark.rounded(receipt.seconds)) s")
    }
    Benchmark.check("save, extra memory", saving, unit: "MiB", bound: 96)

    for index in state.tensors.indices {
      for element in state.tensors[index].indices { state.tensors[index][element] = 0 }
    }
    var seconds = 0.0
    let loading = try extraResidentBytes {
      seconds = try Benchmark.seconds { try manager.resume(&state, from: .latest) }
    }
    print("verified and loaded in \(Benchmark.rounded(seconds)) s")
    Benchmark.check("load, extra memory", loading, unit: "MiB", bound: 96)
    guard try stateDigest(of: state) == digest else {
      Benchmark.fail("the state came back different", status: 1)
    }
  }

  /// The highest resident memory during `body` less the resident memory before it, in MiB.
  private static func extraResidentBytes(_ body: () throws -> Void) throws -> Double {
    let before = resident("VmRSS:")
    // Resets the high-water mark; see proc_pid_clear_refs(5).
    if let file = unsafe fopen("/proc/self/clear_refs", "w") {
      unsafe fputs("5", file)
      unsafe fclose(file)
    }
    try body()
    return Double(resident("VmHWM:") - before) / 1024
  }

  /// A field of /proc/self/status, in KiB.
  private static func resident(_ field: String) -> Int {
    guard let file = unsafe fopen("/proc/self/status", "r") else {
      Benchmark.fail("this case needs /proc", status: 1)
    }
    defer { unsafe fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    while unsafe fgets(&line, Int32(line.count), file) != nil {
      let text = String(
        decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      guard text.hasPrefix(field) else { continue }
      return Int(text.split(whereSeparator: \.isWhitespace)[1]) ?? 0
    }
    Benchmark.fail("/proc/self/status has no \(field)", status: 1)
  }
}
