#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// What tells how far the figures of a machine can be trusted.
enum MachineCase {
  private static let flushByteCount = 256 << 20

  static func run(_ options: Options) {
    let flush = Benchmark.rounded(flushShare(in: options.directory))
    let cores = sysconf(Int32(_SC_NPROCESSORS_ONLN))
    let speedUp = Benchmark.rounded(Machine.speedUpOfTwoThreads())
    let available = Machine.availableByteCount ?? 0
    if options.printsJSON {
      print(
        JSONLine([
          ("event", .text("machine")), ("schema", .integer(1)), ("cores", .integer(cores)),
          ("two_threads", .number(speedUp)), ("flush_share", .number(flush)),
          ("available_bytes", .integer(available)),
        ]).text)
    } else {
      print(
        "\(cores) cores; two threads compute \(speedUp) times as fast as one (2: cores of their own, "
          + "1.3: halves of one); \(available >> 30) GiB of memory available")
      print(
        "a sync takes \(flush) of the time that a raw durable write of the same bytes takes"
          + (flush < 0.3 ? ": whether the device flushes cannot be told, and W means little" : ""))
    }
  }

  /// How long a sync of what is in the page cache takes, beside a raw durable write of as many bytes.
  ///
  /// A device that says it has flushed and has not would need next to no time.
  private static func flushShare(in directory: String) -> Double {
    RawFile.makeDirectory(directory)
    let path = directory + "/raw.bin"
    defer { unsafe unlink(path) }
    let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: flushByteCount, alignment: 4096)
    defer { unsafe bytes.deallocate() }
    unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0x5A)
    let source = UnsafeRawBufferPointer(bytes)
    let shares = (0..<5).map { _ in
      Machine.waitForQuietDisk()
      let sync = unsafe RawFile.syncSeconds(source, path)
      unsafe unlink(path)
      Machine.waitForQuietDisk()
      var whole = Benchmark.seconds { unsafe RawFile.write(source, to: path, piecesOf: 64 << 10) }
      unsafe unlink(path)
      if RawFile.canWriteDirect(in: directory) {
        whole = min(whole, Benchmark.seconds { unsafe RawFile.writeDirect(source, to: path) })
      }
      unsafe unlink(path)
      return sync / whole
    }
    return Interval.median(shares)
  }
}
