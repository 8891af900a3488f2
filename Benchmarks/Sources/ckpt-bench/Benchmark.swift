internal import CheckpointTraining

#if canImport(Glibc)
  @unsafe @preconcurrency internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// Measures what the README claims, each figure beside its bound or its physical limit.
enum Benchmark {
  private static let usage = """
    usage: ckpt-bench CASE DIRECTORY

    CASE:
      memory    saves and loads a state of 1 GiB; extra resident memory, bound 96 MiB
      tensors   saves and opens 100,000 tensors of 64 bytes; bounds 2 s and 0.5 s
      save      saves 256 MiB beside a plain durable write of the same bytes, in turns
      stall     saves 256 MiB in the background; how long that blocks, beside a copy of
                the same bytes, in turns; bound 1.5

    DIRECTORY is created and emptied of checkpoints by retention alone; use a scratch one on the
    disk you want to know about. Exits 1 if a bound is missed.
    """

  static func main(_ arguments: [String]) {
    guard arguments.count == 3 else { fail(usage, status: 64) }
    do {
      switch arguments[1] {
      case "memory": try MemoryCase.run(in: arguments[2])
      case "tensors": try TensorCase.run(in: arguments[2])
      case "save": try SaveCase.run(in: arguments[2])
      case "stall": try StallCase.run(in: arguments[2])
      default: fail(usage, status: 64)
      }
    } catch {
      fail("\(error)", status: 1)
    }
  }

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
