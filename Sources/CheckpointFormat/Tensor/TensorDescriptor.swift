/// What is known of a tensor without its bytes.
public struct TensorDescriptor: Hashable, Sendable {
  /// 1 to 4,096 bytes of UTF-8 without control characters; unique in its checkpoint.
  public var name: String
  /// The type of one element.
  public var dtype: DType
  /// Dimensions in elements, outermost first; empty for a scalar, with a 0 for no elements.
  public var shape: [Int]

  /// Describes a packed, row-major tensor.
  public init(name: String, dtype: DType, shape: [Int]) {
    self.name = name
    self.dtype = dtype
    self.shape = shape
  }

  /// Bytes of the whole tensor, or nil if the shape is not a possible one.
  ///
  /// A product that overflows is refused even when another dimension is 0.
  package var checkedByteCount: UInt64? {
    var measure = ShapeMeasure(dtype)
    for dimension in shape {
      guard let size = UInt64(exactly: dimension) else { return nil }
      measure.multiply(by: size)
    }
    return measure.byteCount
  }
}

extension TensorDescriptor {
  /// Compares names by their bytes, as the format does.
  public static func == (left: TensorDescriptor, right: TensorDescriptor) -> Bool {
    left.dtype == right.dtype && left.shape == right.shape && left.name.hasSameBytes(as: right.name)
  }

  /// Hashes what `==` compares.
  public func hash(into hasher: inout Hasher) {
    name.hashBytes(into: &hasher)
    hasher.combine(dtype)
    hasher.combine(shape)
  }
}

extension TensorDescriptor {
  /// Whether a name may stand in a checkpoint: length within limits, no control characters.
  package static func isValidName(_ name: String, limits: Limits = .default) -> Bool {
    let byteCount = name.utf8.count
    return byteCount >= 1 && byteCount <= limits[\.nameByteCountMax] && isPrintable(name)
  }

  /// Whether a text has no C0 control, DELETE or C1 control: these could steer the terminal that a
  /// name is printed on.
  package static func isPrintable(_ text: String) -> Bool {
    text.withNameBytes { $0.nameQuality() == .clean }
  }

  /// Whether a byte of UTF-8 is, or ends, a control character.
  static func isControl(_ byte: UInt8, after previous: UInt8) -> Bool {
    // C1 controls, U+0080 to U+009F, are C2 80 to C2 9F in UTF-8.
    byte < 0x20 || byte == 0x7F || (previous == 0xC2 && byte <= 0x9F)
  }
}
