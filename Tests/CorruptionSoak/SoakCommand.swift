import CommandLineTool
import Foundation

/// The command line of corruption-soak.
enum SoakCommand {
  static func main() -> Never {
    CommandLineProgram(
      name: "corruption-soak", version: "0", help: help,
      kinds: [
        "mebibytes": .value, "copies": .value, "flips": .value, "seed": .value,
        "directory": .value,
      ]
    ).main(run)
  }

  private static func run(_ options: OptionParser) throws(UsageError) -> ExitStatus {
    let mebibytes = try options.integer("mebibytes", in: 1...4096) ?? 256
    let copies = try options.integer("copies", in: 1...1_000_000) ?? 100
    // A report keeps its first 1,000 findings.
    let flips = try options.integer("flips", in: 1...900) ?? 100
    let seed =
      try options.integer("seed", in: 0...UInt64.max) ?? UInt64(UInt32.random(in: 0...(.max)))
    let parent = options.string("directory") ?? defaultDirectory
    let directory = parent + "/corruption-soak-" + UUID().uuidString
    defer { try? FileManager.default.removeItem(atPath: directory) }  // best effort
    do {
      let file = try SoakFile(directory: directory, mebibytes: mebibytes, seed: seed)
      StandardStreams.writeOutput(file.summary)
      var soak = Soak(file, seed: seed)
      for copy in 1...copies {
        try soak.damageCopy(flips: flips)
        if copy % 10 == 0 { StandardStreams.writeError("copy \(copy) of \(copies)") }
      }
      try soak.finish()
      for complaint in soak.complaints { StandardStreams.writeOutput(complaint) }
      StandardStreams.writeOutput(soak.summary)
      StandardStreams.writeOutput(
        "again: corruption-soak --mebibytes \(mebibytes) --copies \(copies) --flips \(flips) "
          + "--seed \(seed)")
      return soak.isGreen ? .success : .failure
    } catch {
      StandardStreams.writeError("corruption-soak: \(error)")
      return .cannotTell
    }
  }

  /// In memory where there is such a place: the file is written once and read a hundred times.
  private static var defaultDirectory: String {
    FileManager.default.isWritableFile(atPath: "/dev/shm")
      ? "/dev/shm" : FileManager.default.temporaryDirectory.path
  }

  private static let help = """
    Flips bits of a large checkpoint and sees whether each is found in its place.

    usage: corruption-soak [options]

    Writes one checkpoint of many tensors, stored and encoded. Of each copy, some
    bits are flipped: nine of ten anywhere, the tenth in a frame, a table, padding
    or whatever else is no tensor byte; no two in the same piece. Then
      - full verification must name exactly the pieces that were hit,
      - every chunk that was hit must be refused when it is loaded,
      - every other chunk must load as it was saved,
      - in every tenth copy also every whole tensor that was not hit.
    A copy is the file itself, whose bits are flipped back afterwards.

      --mebibytes N    Length of the file, about; by default 256.
      --copies N       By default 100.
      --flips N        In each copy; by default 100.
      --seed N         Repeats a run; by default a new one.
      --directory DIR  Where the file is put; by default in memory.

    exit status: 0 every flip found in its place, 1 not, 2 could not run
    """
}
