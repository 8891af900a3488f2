internal import CheckpointEngine
internal import CheckpointFormat
internal import CheckpointTesting

extension FuzzTarget {
  /// A state that is saved and read back.
  public static let roundTrip = FuzzTarget(name: "fuzz-roundtrip", test: RoundTripTarget.test) {
    $1.mutate(&$0, atMost: $1.byteCountMax)
  }
}

/// What was saved is what is read.
enum RoundTripTarget {
  private static let path = "/r"

  static func test(_ input: [UInt8]) throws -> UInt64 {
    var source = ByteSource(input)
    let compression = source.pick([Compression.always, .none])
    let chunkByteCount = source.pick([64, 128, 192, 4096])
    // How many bytes the state gives at once; 0 for all of a tensor.
    let pieceByteCount = source.below(64) * source.pick([0, 1, 3, 64])
    let step = source.pick([0, 1, 1000, Limits.counterMax])
    let state = try FuzzState(&source)

    let disk = SimulatedDisk()
    let options = StoreOptions(
      device: disk.device, compression: compression, chunkByteCount: chunkByteCount, threads: 1,
      writer: "fuzz")
    let isPossible = (try? state.plan.metadata.encoded()) != nil
    let receipt: SaveReceipt
    do {
      let store = try CheckpointStore(path, for: .writing, options: options)
      receipt = try store.save(state.plan, step: step) {
        try state.write(to: $0, pieceByteCount: pieceByteCount)
      }
    } catch let error as CheckpointError {
      try require(!isPossible, "a state is not saved: \(error)")
      try require(error.code == .overLimit, "a state is refused as \(error.code)")
      return 1
    }
    try require(isPossible, "a state is saved that no reader accepts")
    try require(disk.openDescriptorCount == 0, "a descriptor is left open")
    let reader = try CheckpointReader.open(path: receipt.path, on: disk.device, threads: 1)
    try require(
      reader.header.step == step && reader.header.saveIdentifier == receipt.saveIdentifier
        && reader.byteCount == receipt.byteCount, "another file than the receipt's")
    return try check(reader, state)
  }

  private static func check(_ reader: CheckpointReader, _ state: FuzzState) throws -> UInt64 {
    var digest = Digest()
    let findings = reader.verify(.full).findings
    try require(findings.isEmpty, "a saved file does not verify: \(findings)")
    try require(reader.tensors == state.descriptors, "other tensors than those saved")
    try require(
      reader.metadata.encoded() == state.plan.metadata.encoded(), "other values than those saved")
    for (descriptor, bytes) in zip(state.descriptors, state.contents) {
      let read = try reader.read(descriptor.name)
      try require(read == bytes, "'\(descriptor.name)' is not what was saved")
      digest.add(read)
    }
    return digest.value
  }
}

/// A state that an input describes: tensors of every type, aliases, and typed values.
struct FuzzState {
  private(set) var plan = SavePlan()
  private(set) var descriptors: [TensorDescriptor] = []
  /// The bytes of each tensor, also of the aliases.
  private(set) var contents: [[UInt8]] = []
  private var isAlias: [Bool] = []

  private static let names = ["w", "layer.0/", "caf\u{e9}", "cafe\u{301}", "層", "👩🏽‍🚀", ""]
  private static let tensorByteCountMax = 2048

  init(_ source: inout ByteSource) throws {
    for _ in 0..<source.below(7) { try addTensor(&source) }
    for _ in 0..<source.below(5) { addValue(&source) }
  }

  private static func name(_ source: inout ByteSource) -> String {
    let start = source.pick(names)
    return start + String(decoding: source.bytes(atMost: source.below(6)), as: UTF8.self)
  }

  private mutating func addTensor(_ source: inout ByteSource) throws {
    let name = Self.name(&source)
    // Names that look the same cannot be saved together; String compares them as people do.
    let isRefused =
      !TensorDescriptor.isValidName(name) || descriptors.contains { $0.name == name }
    let form = source.uint8()
    do throws(CheckpointError) {
      if form & 3 == 3, let original = descriptors.indices.element(chosenBy: form >> 2) {
        try plan.appendAlias(name, of: descriptors[original].name)
        var descriptor = descriptors[original]
        descriptor.name = name
        descriptors.append(descriptor)
        contents.append(contents[original])
        isAlias.append(true)
      } else {
        let descriptor = Self.descriptor(name, form, &source)
        try plan.append(descriptor)
        let byteCount = descriptor.shape.reduce(descriptor.dtype.byteCount, *)
        descriptors.append(descriptor)
        contents.append(Self.content(byteCount, &source))
        isAlias.append(false)
      }
    } catch {
      try require(isRefused, "'\(name)' is refused: \(error)")
      try require(error.code == .invalidState, "a name is refused as \(error.code)")
      return
    }
    try require(!isRefused, "'\(name)' is accepted")
  }

  private static func descriptor(
    _ name: String, _ form: UInt8, _ source: inout ByteSource
  ) -> TensorDescriptor {
    let dtype = source.pick(DType.allCases)
    var shape: [Int] = []
    var byteCount = dtype.byteCount
    for _ in 0..<Int(form >> 2) % 5 {
      let dimension = source.below(256)
      let isTooLarge = byteCount * dimension > tensorByteCountMax
      shape.append(isTooLarge ? 1 : dimension)
      byteCount = max(byteCount * shape[shape.count - 1], 1)
    }
    return TensorDescriptor(name: name, dtype: dtype, shape: shape)
  }

  /// A few bytes of the input again and again, with some noise or none between them.
  private static func content(_ byteCount: Int, _ source: inout ByteSource) -> [UInt8] {
    let period = source.bytes(exactly: 1 + source.below(16))
    let noise = source.uint8()
    var state = UInt32(noise)
    return (0..<byteCount).map { index in
      state = state &* 1_664_525 &+ 1_013_904_223
      let isNoise = noise & 1 == 1 && index & Int(noise >> 1) == 0
      return isNoise ? UInt8(truncatingIfNeeded: state >> 24) : period[index % period.count]
    }
  }

  private mutating func addValue(_ source: inout ByteSource) {
    let domain = source.pick(Metadata.Domain.allCases)
    let type = source.below(7)
    let name = Self.name(&source)
    let text = { (source: inout ByteSource) in
      String(decoding: source.bytes(atMost: source.below(48)), as: UTF8.self)
    }
    let value: MetadataValue =
      switch type {
      case 0: .bool(source.uint8() & 1 == 1)
      case 1: .int64(Int64(bitPattern: source.uint64()))
      case 2: .uint64(source.uint64())
      case 3: .float64(bits: source.uint64())
      case 4: .string(text(&source))
      case 5: .bytes(source.bytes(atMost: source.below(48)))
      default: .json(text(&source))
      }
    plan.metadata[domain, name] = value
  }

  func write(to sink: TensorSink, pieceByteCount: Int) throws {
    for (bytes, isAlias) in zip(contents, isAlias) where !isAlias {
      let step = pieceByteCount == 0 ? max(bytes.count, 1) : pieceByteCount
      for start in stride(from: 0, to: bytes.count, by: step) {
        try sink.append(Array(bytes[start..<min(start + step, bytes.count)]).rawSpan)
      }
    }
  }
}

extension Range<Int> {
  /// One of the numbers, chosen by another.
  fileprivate func element(chosenBy choice: UInt8) -> Int? {
    isEmpty ? nil : lowerBound + Int(choice) % count
  }
}
