internal import CheckpointTraining

#if canImport(Glibc)
  @unsafe @preconcurrency internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// Measures what the README claims, each figure beside its bound or its physical limit.
enum Benchmark {
  private static let usage = """
    usage: ckpt-bench CASE [DIRECTORY] [OPTIONS]

    CASE, with a bound:
      memory DIRECTORY    saves, loads and verifies a state of 1 GiB; extra resident memory, bound
                          74 MiB; saves it in the background, bound 1.02 of the state and 64 MiB
      tensors DIRECTORY   saves, opens and restores 100,000 tensors of 64 bytes, goals 2 µs, 8 ms and
                          2 µs; opens a store of 50 checkpoints of 10,000 tensors, goal 50 ms; saves
                          and loads 100,000 tensors of 4 KiB beside one of all their bytes, goal 1.3;
                          bounds four times the goals
      stall DIRECTORY     saves 256 MiB in the background; how long that blocks, beside a copy of
                          the same bytes, in turns; bound 1.5
      migrate DIRECTORY   migrates 1 GiB of version 1, stored and compressed, beside a plain load and
                          save, in turns; bound 2; extra resident memory, bound 96 MiB
    CASE, in blocks beside its limit:
      save DIRECTORY      durable saves; W, the best of three raw durable writes of the same bytes
      load DIRECTORY      verified loads into memory; K, a raw read of the file from the page cache,
                          and D, one from the disk
      verify DIRECTORY    verification without and with decoding; K
      codec               encodes and decodes chunks of 1 MiB in memory, on one thread; M, a copy of the
                          same bytes into warm memory; sizes beside the entropy of the planes
      sizes DIRECTORY     saves, loads and verifies states of 64 MiB to 6 GiB; no limit, but the slope
                          of the logarithm of the time on that of the size, goal 0.95 to 1.05
    CASE, for itself:
      machine DIRECTORY   tells how far figures of this machine and disk can be trusted
      dump DIRECTORY      writes a state as raw bytes, state.bin, and what they are, state.json
      serve DIRECTORY     measures the arms that standard input names, one a line; see peers/
      state               generates a state and prints its seed, size and SHA-256

    OPTIONS:
      --state NAME        \(Workload.names.prefix(5).joined(separator: ", ")),
                          \(Workload.names.dropFirst(5).joined(separator: ", ")); the first is the default
      --scale NUMBER      1 is the full size; by default as near to it as the memory allows
      --seed NUMBER       of the state, and of the order of things; default 1
      --checkpoint FILE   for save, load, verify, codec and state: the tensors of a checkpoint, instead
                          of a state that is generated
      --repeat NUMBER     how often the state has each of them; default 1
      --largest MIB       of sizes, 256 or more; by default what memory and disk allow
      --blocks NUMBER     in each of which every arm has its turn; default 15, 31 for claims
      --compression NAME  none, always, automatic, or both of the first two (the default)
      --threads NUMBER    of the library; by default what it takes itself
      --json              prints JSON objects, one a line

    DIRECTORY is created if it is not there; use a scratch one on the disk you want to know about.
    Exits 1 if a bound is missed or something fails, 64 if it does not understand.
    """

  /// Whether a case needs a directory.
  private static let commands = [
    "memory": true, "tensors": true, "stall": true, "migrate": true, "save": true, "load": true,
    "verify": true, "sizes": true,
    "machine": true, "dump": true, "serve": true, "state": false, "codec": false,
  ]

  static func main(_ arguments: [String]) {
    if arguments.contains("--help") {
      print(usage)
      return
    }
    // Line by line also into a pipe: a run takes minutes.
    unsafe setvbuf(stdout, nil, _IOLBF, 0)
    do {
      try run(try Options(Array(arguments.dropFirst()), commands: commands))
    } catch let misuse as Options.Misuse {
      fail("ckpt-bench: \(misuse.message)\n\n\(usage)", status: 64)
    } catch {
      fail("ckpt-bench: \(error)", status: 1)
    }
  }

  private static func run(_ options: Options) throws {
    switch options.command {
    case "memory": try MemoryCase.run(in: options.directory)
    case "tensors": try TensorCase.run(in: options.directory)
    case "stall": try StallCase.run(in: options.directory)
    case "migrate": try MigrateCase.run(in: options.directory)
    case "save", "load", "verify": try BlockCase(options).run()
    case "sizes": try SizesCase(options).run()
    case "codec": try CodecCase(options).run()
    case "dump": try DumpCase.run(options)
    case "serve": try ServeCase.run(options)
    case "machine": MachineCase.run(options)
    default: try StateCase.run(options)
    }
  }

  /// Tells what does not belong to the results.
  static func note(_ message: String) { unsafe fputs("ckpt-bench: \(message)\n", stderr) }

  static func fail(_ message: String, status: Int32) -> Never {
    unsafe fputs(message + "\n", stderr)
    exit(status)
  }

  /// Prints a figure beside its bound, and ends the program if it is over.
  static func check(_ name: String, _ value: Double, unit: String, bound: Double) {
    print("\(name): \(rounded(value)) \(unit) (bound \(rounded(bound)))")
    if value > bound { fail("\(name) is over its bound", status: 1) }
  }

  static func rounded(_ value: Double) -> Double { (value * 1000).rounded() / 1000 }

  static func seconds(_ body: () throws -> Void) rethrows -> Double {
    try seconds(ContinuousClock().measure(body))
  }

  static func seconds(_ duration: Duration) -> Double {
    Double(duration.components.seconds) + Double(duration.components.attoseconds) / 1e18
  }
}
