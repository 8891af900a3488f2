internal import CheckpointEngine
internal import CommandLineTool

/// The command `ckpt cat`.
enum CatCommand {
  static let command = Subcommand(
    "cat", kinds: ["rows": .value, "json": .flag, "npy": .flag], help: help
  ) { options in
    guard options.positionals.count == 2 else {
      throw UsageError("Name a checkpoint and one of its tensors.")
    }
    guard !options.has("json") || !options.has("npy") else {
      throw UsageError("Choose one of --json and --npy.")
    }
    if options.has("npy"), StandardStreams.outputColumnCount != nil {
      throw UsageError("--npy prints bytes that are no text. Redirect them: > FILE.npy")
    }
    let reader = try NamedCheckpoint(options.positionals[0], for: "cat").reader
    let name = options.positionals[1]
    guard let descriptor = reader.descriptor(of: name) else { throw missing(name, in: reader) }
    let rows = try options.string("rows").map { try Self.rows($0, of: descriptor) }
    var shape = descriptor.shape
    if let rows { shape[0] = rows.count }
    if options.has("npy") {
      try writeNumPy(reader, descriptor, rows, shape)
    } else {
      try writeText(reader, descriptor, rows, shape, isCompact: options.has("json"))
    }
    return .success
  }

  private static func writeText(
    _ reader: CheckpointReader, _ descriptor: TensorDescriptor, _ rows: Range<Int>?,
    _ shape: [Int], isCompact: Bool
  ) throws(CheckpointError) {
    var text = NestedArrayText(shape, descriptor.dtype, isCompact: isCompact)
    text.writeStart()
    try reader.stream(descriptor.name, rows: rows) { bytes in
      text.write(bytes)
      return !StandardStreams.hasOutputFailed
    }
    text.writeEnd()
  }

  private static func writeNumPy(
    _ reader: CheckpointReader, _ descriptor: TensorDescriptor, _ rows: Range<Int>?,
    _ shape: [Int]
  ) throws(CheckpointError) {
    let header = NumPyHeader(descriptor.dtype, shape: shape)
    if header.hasBitsOnly {
      StandardStreams.writeError(
        "ckpt cat: NumPy has no \(descriptor.dtype.name): the array has the bits of its elements as "
          + "unsigned integers. With the package ml_dtypes, array.view(ml_dtypes.\(descriptor.dtype.name)) "
          + "has the floats.")
    }
    // SAFETY: bytes have no padding that could be uninitialised.
    StandardStreams.writeOutput(bytes: unsafe header.bytes.span.bytes)
    try reader.stream(descriptor.name, rows: rows) { bytes in
      StandardStreams.writeOutput(bytes: bytes)
      return !StandardStreams.hasOutputFailed
    }
  }

  /// Reads `A:B`, of which either may be left out.
  private static func rows(
    _ text: String, of descriptor: TensorDescriptor
  ) throws -> Range<Int> {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false)
    func bound(_ part: Substring, _ missing: Int) -> Int? {
      guard !part.isEmpty else { return missing }
      return part.utf8.allSatisfy { (48...57).contains($0) } ? Int(part) : nil
    }
    guard parts.count == 2, let first = bound(parts[0], 0),
      let end = bound(parts[1], descriptor.shape.first ?? 0), first <= end || parts[1].isEmpty
    else {
      throw UsageError(
        "--rows: '\(text)' is no range such as 0:10, which is the first ten, or 10: or :10.")
    }
    guard let count = descriptor.shape.first, first <= end, end <= count else {
      throw CheckpointError(
        .notFound,
        descriptor.shape.isEmpty
          ? "'\(escaped(descriptor.name))' is a single element and has no rows."
          : "'\(escaped(descriptor.name))' of shape \(descriptor.shape) has no rows \(text).")
    }
    return first..<end
  }

  private static func missing(_ name: String, in reader: CheckpointReader) -> CheckpointError {
    let names = reader.tensors.map(\.name)
    // People leave out what is in front; comparing with very many names takes too long.
    let inner = names.filter { $0.utf8.reversed().starts(with: ("/" + name).utf8.reversed()) }
    let closest =
      inner.count == 1 ? inner[0] : names.count > 20_000 ? nil : closestName(to: name, among: names)
    return CheckpointError(
      .notFound,
      "\(escaped(reader.path)) has no tensor '\(escaped(name))'."
        + (closest.map { " Did you mean '\(escaped($0))'?" } ?? " 'ckpt show' lists what it has."))
  }

  private static let help = """
    Prints the elements of a tensor.

    usage: ckpt cat FILE TENSOR [--rows A:B] [--json | --npy]

    As a nested array of JSON, with a line for each innermost row; a scalar is a
    number. NaN and infinities are the strings "NaN", "Infinity" and "-Infinity", a
    complex number is an array of its two parts. Integers have all their digits,
    floats as many as tell them apart. FILE may be a store: then it is its newest
    checkpoint. However large the tensor is, only a part of it is in memory.

      --rows A:B       Only the rows A up to but without B of the first dimension,
                       counted from 0; either may be left out.
      --json           All on one line, without spaces.
      --npy            As a file of NumPy, format 1.0. Elements of bfloat16 and of
                       8-bit floats, which NumPy does not have, become unsigned
                       integers of the same bits.
      --help           Print this.

    exit status:
       0  done
       2  something could not be read or written, is damaged, or is not there
       3  the file needs a newer build or larger limits
      64  the command line has no meaning

    example:
      ckpt cat runs/demo model/wte.weight --rows 0:2
      ckpt cat runs/demo model/wte.weight --npy > wte.npy
    """
}
