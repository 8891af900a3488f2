public import CheckpointFormat

/// A Swift type whose arrays can be saved as they lie in memory.
///
/// Conforming types have no padding, and every bit pattern is a value. Swift's `Bool` does not
/// qualify; save truth values as `UInt8` with dtype `.bool`.
public protocol TensorElement: BitwiseCopyable, Sendable {
  /// The dtype that such an array is saved with.
  static var dtype: DType { get }
  /// The value of all zero bits.
  static var zero: Self { get }
}

extension Int8: TensorElement {
  /// Saved with dtype `.int8`.
  public static var dtype: DType { .int8 }
}
extension Int16: TensorElement {
  /// Saved with dtype `.int16`.
  public static var dtype: DType { .int16 }
}
extension Int32: TensorElement {
  /// Saved with dtype `.int32`.
  public static var dtype: DType { .int32 }
}
extension Int64: TensorElement {
  /// Saved with dtype `.int64`.
  public static var dtype: DType { .int64 }
}
extension UInt8: TensorElement {
  /// Saved with dtype `.uint8`.
  public static var dtype: DType { .uint8 }
}
extension UInt16: TensorElement {
  /// Saved with dtype `.uint16`.
  public static var dtype: DType { .uint16 }
}
extension UInt32: TensorElement {
  /// Saved with dtype `.uint32`.
  public static var dtype: DType { .uint32 }
}
extension UInt64: TensorElement {
  /// Saved with dtype `.uint64`.
  public static var dtype: DType { .uint64 }
}
extension Float: TensorElement {
  /// Saved with dtype `.float32`.
  public static var dtype: DType { .float32 }
}
extension Double: TensorElement {
  /// Saved with dtype `.float64`.
  public static var dtype: DType { .float64 }
}
#if !(os(macOS) && arch(x86_64))
  extension Float16: TensorElement {
    /// Saved with dtype `.float16`.
    public static var dtype: DType { .float16 }
  }
#endif
