/// What stands in front of the planes of a chunk.
///
/// - SeeAlso: docs/format.md, section 7.4.
struct PlaneHead: Equatable {
  /// How a plane is stored.
  enum Method: Equatable {
    /// Its bytes.
    case stored
    /// One byte, which all of them are.
    case constant
    /// So many DEFLATE streams, each of a piece of the plane.
    case streams(Int)
  }

  static let streamCountMax = 16
  static let widthMax = 8

  var width: Int
  var isRotated: Bool
  var methods: [Method]

  /// Bytes of the head.
  static func byteCount(width: Int) -> Int { 4 + 4 * width }

  var encoded: [UInt8] {
    var bytes = [UInt8(width), isRotated ? 1 : 0, 0, 0]
    for method in methods {
      switch method {
      case .stored: bytes += [0, 0, 0, 0]
      case .constant: bytes += [1, 0, 0, 0]
      case .streams(let count): bytes += [2, UInt8(count), 0, 0]
      }
    }
    return bytes
  }

  /// Reads the head in front of a chunk's planes; nil if there is none that this build knows.
  init?(_ bytes: UnsafeBufferPointer<UInt8>) {
    // SAFETY: `bytes` is lent for this call, and every index is compared with their number.
    guard bytes.count >= 4, unsafe bytes[2] == 0, unsafe bytes[3] == 0 else { return nil }
    width = unsafe Int(bytes[0])
    guard [1, 2, 4, 8].contains(width), unsafe bytes[1] <= (width == 1 ? 0 : 1),
      bytes.count >= Self.byteCount(width: width)
    else { return nil }
    isRotated = unsafe bytes[1] == 1
    methods = []
    for plane in 0..<width {
      let place = 4 + 4 * plane
      let (method, count) = unsafe (bytes[place], Int(bytes[place + 1]))
      guard unsafe bytes[place + 2] == 0, unsafe bytes[place + 3] == 0 else { return nil }
      switch (method, count) {
      case (0, 0): methods.append(.stored)
      case (1, 0): methods.append(.constant)
      case (2, 1...Self.streamCountMax): methods.append(.streams(count))
      default: return nil
      }
    }
  }

  init(width: Int, isRotated: Bool, methods: [Method]) {
    self.width = width
    self.isRotated = isRotated
    self.methods = methods
  }
}
