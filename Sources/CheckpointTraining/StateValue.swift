public import CheckpointFormat

/// A Swift type that is kept as a typed value beside the tensors, bit for bit.
///
/// There is no `Float`: save it as a one-element tensor, or as a `Double`.
public protocol StateValue {
  /// The value to keep.
  var metadataValue: MetadataValue { get }
  /// The value that was kept, or nil if it was of another type.
  init?(_ metadataValue: MetadataValue)
}

extension Bool: StateValue {
  /// Kept as `.bool`.
  public var metadataValue: MetadataValue { .bool(self) }
  /// Takes a `.bool`.
  public init?(_ metadataValue: MetadataValue) {
    guard case .bool(let value) = metadataValue else { return nil }
    self = value
  }
}

extension Int: StateValue {
  /// Kept as `.int64`.
  public var metadataValue: MetadataValue { .int64(Int64(self)) }
  /// Takes an `.int64` that fits.
  public init?(_ metadataValue: MetadataValue) {
    guard case .int64(let value) = metadataValue, let value = Int(exactly: value) else {
      return nil
    }
    self = value
  }
}

extension Int64: StateValue {
  /// Kept as `.int64`.
  public var metadataValue: MetadataValue { .int64(self) }
  /// Takes an `.int64`.
  public init?(_ metadataValue: MetadataValue) {
    guard case .int64(let value) = metadataValue else { return nil }
    self = value
  }
}

extension UInt64: StateValue {
  /// Kept as `.uint64`.
  public var metadataValue: MetadataValue { .uint64(self) }
  /// Takes a `.uint64`.
  public init?(_ metadataValue: MetadataValue) {
    guard case .uint64(let value) = metadataValue else { return nil }
    self = value
  }
}

extension Double: StateValue {
  /// Kept as `.float64`, with the payload of a NaN.
  public var metadataValue: MetadataValue { .float64(bits: bitPattern) }
  /// Takes a `.float64`.
  public init?(_ metadataValue: MetadataValue) {
    guard case .float64(let bits) = metadataValue else { return nil }
    self = Double(bitPattern: bits)
  }
}

extension String: StateValue {
  /// Kept as `.string`.
  public var metadataValue: MetadataValue { .string(self) }
  /// Takes a `.string`.
  public init?(_ metadataValue: MetadataValue) {
    guard case .string(let value) = metadataValue else { return nil }
    self = value
  }
}

extension [UInt8]: StateValue {
  /// Kept as `.bytes`.
  public var metadataValue: MetadataValue { .bytes(self) }
  /// Takes `.bytes`.
  public init?(_ metadataValue: MetadataValue) {
    guard case .bytes(let value) = metadataValue else { return nil }
    self = value
  }
}
