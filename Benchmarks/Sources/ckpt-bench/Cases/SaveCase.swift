internal import CheckpointTraining

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// A durable save of 256 MiB beside a plain durable write of the same bytes, in turns.
enum SaveCase {
  private static let rounds = 5

  static func run(in directory: String) throws {
    var state = ArrayState(tensorCount: 16, elementCount: 4 << 20)
    for (name, compression) in [("stored", Compression.none), ("deflate", .deflate)] {
      let manager = try CheckpointManager(
        directory: directory, saving: .manual, keeping: .last(1),
        options: StoreOptions(compression: compression))
      try manager.resume(&state, from: .never)
      var ratios: [Double] = []
      for round in 1...rounds {
        let raw = try Benchmark.seconds { try writeRaw(state, to: directory + "/raw.bin") }
        let saved = try Benchmark.seconds { try manager.save(state, step: round) }
        ratios.append(raw / saved)
      }
      ratios.sort()
      print(
        "save, \(name): \(Benchmark.rounded(ratios[rounds / 2])) of the speed of a raw write "
          + "(\(Benchmark.rounded(ratios[0]))…\(Benchmark.rounded(ratios[rounds - 1])))")
    }
    unsafe unlink(directory + "/raw.bin")
  }

  private static func writeRaw(_ state: ArrayState, to path: String) throws {
    let descriptor = unsafe open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
    guard descriptor >= 0 else { Benchmark.fail("cannot write \(path)", status: 1) }
    defer { close(descriptor) }
    for tensor in state.tensors {
      unsafe tensor.withUnsafeBytes { bytes in
        var done = 0
        while done < bytes.count {
          let count = unsafe write(
            descriptor, bytes.baseAddress?.advanced(by: done), min(bytes.count - done, 8 << 20))
          guard count > 0 else { Benchmark.fail("cannot write \(path)", status: 1) }
          done += count
        }
      }
    }
    guard fsync(descriptor) == 0 else { Benchmark.fail("cannot sync \(path)", status: 1) }
  }
}
