/// The typed values of a file, by domain and key.
///
/// - SeeAlso: docs/format.md, section 8.4.
public struct Metadata: Hashable, Sendable {
  /// Whom a value belongs to; raw values are the codes on disk.
  public enum Domain: UInt8, Hashable, Sendable, CaseIterable {
    /// Saved by the training program and restored to it.
    case state = 0
    /// Measured by the training program, by metric name; always a float64.
    case metric = 1
    /// What the save was made with: versions, host, command line.
    case environment = 2
    /// The version of the meaning of a scope; always an int64.
    case stateVersion = 3
  }

  /// The name of a value.
  public struct Key: Hashable, Sendable {
    /// Whom the value belongs to.
    public var domain: Domain
    /// 0 to 4,096 bytes of UTF-8, without control characters.
    public var name: String

    /// Makes a key.
    public init(_ domain: Domain, _ name: String) {
      self.domain = domain
      self.name = name
    }

    // Names that are canonically equivalent are two names on disk; with the equality of String
    // one of the values would silently replace the other.

    /// Compares names by their bytes.
    public static func == (left: Key, right: Key) -> Bool {
      left.domain == right.domain && left.name.hasSameBytes(as: right.name)
    }

    /// Hashes what `==` compares.
    public func hash(into hasher: inout Hasher) {
      hasher.combine(domain)
      name.hashBytes(into: &hasher)
    }
  }

  /// An entry without key and value.
  package static let recordByteCount = 8

  /// Every value.
  public private(set) var values: [Key: MetadataValue] = [:]

  /// Makes metadata without values.
  public init() {}

  /// The value under a key.
  public subscript(domain: Domain, name: String) -> MetadataValue? {
    get { values[Key(domain, name)] }
    set { values[Key(domain, name)] = newValue }
  }

  /// The names of a domain with their values, in ascending byte order of the names.
  public func entries(of domain: Domain) -> [(name: String, value: MetadataValue)] {
    values.filter { $0.key.domain == domain }
      .map { (name: $0.key.name, value: $0.value) }
      .sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
  }

  /// What was measured, by name; of names that Swift takes for equal one is left.
  public var metrics: [String: Double] {
    var metrics: [String: Double] = [:]
    for case (let name, .float64(let bits)) in entries(of: .metric) {
      metrics[name] = Double(bitPattern: bits)
    }
    return metrics
  }
}

extension Metadata {
  /// Encodes the section; throws what a reader within `limits` would refuse.
  package func encoded(limits: Limits = .default) throws(FormatError) -> [UInt8] {
    try limits.check(values.count, \.metadataCountMax, "number of values", at: 0)
    var writer = ByteWriter()
    writer.append(UInt32(values.count))
    writer.append(UInt32(0))
    for domain in Domain.allCases {
      for (name, value) in entries(of: domain) {
        let bytes = value.encoded
        // The widths of the two fields hold whatever the limits let pass.
        try limits.check(bytes.count, \.metadataValueByteCountMax, "size of a value", at: 0)
        try limits.check(name.utf8.count, \.nameByteCountMax, "length of a value's name", at: 0)
        writer.append(domain.rawValue)
        writer.append(value.code)
        writer.append(UInt16(name.utf8.count))
        writer.append(UInt32(bytes.count))
        writer.append(contentsOf: name.utf8)
        writer.append(contentsOf: bytes)
      }
    }
    // Whatever the reader would refuse is refused here too, by the reader's own code.
    _ = try Metadata(decoding: writer.bytes.rawSpan, at: 0, limits: limits)
    return writer.bytes
  }

  package init(decoding bytes: RawSpan, at base: UInt64, limits: Limits) throws(FormatError) {
    try limits.check(bytes.byteCount, \.metadataByteCountMax, "size of the metadata", at: base)
    var reader = ByteReader(bytes, at: base)
    let count = Int(try reader.read(UInt32.self))
    try reader.skipZeros(4)
    try limits.check(count, \.metadataCountMax, "number of values", at: base)
    guard count <= reader.remainingByteCount / Self.recordByteCount else {
      throw FormatError(.truncated(needed: UInt64(count * Self.recordByteCount)), at: base)
    }
    values.reserveCapacity(count)
    var previous: Key?
    for _ in 0..<count {
      let offset = reader.fileOffset
      let (key, value) = try Self.decodeEntry(&reader, limits: limits)
      if let previous, !Self.precedes(previous, key) {
        throw FormatError(.inconsistent("values are out of order or stand twice"), at: offset)
      }
      values[key] = value
      previous = key
    }
    guard reader.remainingByteCount == 0 else {
      throw FormatError(.inconsistent("bytes after the last value"), at: reader.fileOffset)
    }
  }

  private static func decodeEntry(
    _ reader: inout ByteReader, limits: Limits
  ) throws(FormatError) -> (Key, MetadataValue) {
    let offset = reader.fileOffset
    guard let domain = Domain(rawValue: try reader.read(UInt8.self)) else {
      throw FormatError(.inconsistent("unknown domain of a value"), at: offset)
    }
    let code = try reader.read(UInt8.self)
    let nameByteCount = Int(try reader.read(UInt16.self))
    let valueByteCount = Int(try reader.read(UInt32.self))
    try limits.check(valueByteCount, \.metadataValueByteCountMax, "size of a value", at: offset)
    try limits.check(nameByteCount, \.nameByteCountMax, "length of a value's name", at: offset)
    let name = try reader.readString(nameByteCount)
    guard TensorDescriptor.isPrintable(name) else {
      throw FormatError(.inconsistent("a value's name is unprintable"), at: offset)
    }
    let value = try MetadataValue(
      code: code, decoding: &reader, byteCount: valueByteCount, limits: limits)
    switch (domain, value) {
    case (.metric, .float64), (.stateVersion, .int64), (.state, _), (.environment, _): break
    default:
      throw FormatError(.inconsistent("a value of the wrong type for its domain"), at: offset)
    }
    return (Key(domain, name), value)
  }

  private static func precedes(_ left: Key, _ right: Key) -> Bool {
    if left.domain != right.domain { return left.domain.rawValue < right.domain.rawValue }
    return left.name.utf8.lexicographicallyPrecedes(right.name.utf8)
  }
}
