internal import CheckpointEngine
internal import CommandLineTool

/// Writes the elements of a tensor to standard output as a nested array, as they come.
struct NestedArrayText {
  private let shape: [Int]
  private let dtype: DType
  private let isCompact: Bool
  /// Elements in one entry of each dimension but the first: a bracket begins where the number of an element
  /// is a multiple of one.
  private let strides: [UInt64]
  private var number: UInt64 = 0

  init(_ shape: [Int], _ dtype: DType, isCompact: Bool) {
    self.shape = shape
    self.dtype = dtype
    self.isCompact = isCompact
    var strides: [UInt64] = []
    if !shape.contains(0) {
      var stride: UInt64 = 1
      for dimension in shape.reversed() {
        stride *= UInt64(dimension)
        strides.append(stride)
      }
    }
    self.strides = strides
  }

  /// Whether nothing comes between start and end.
  private var isEmpty: Bool { shape.contains(0) }

  func writeStart() {
    guard isEmpty else { return }
    writeEmpty(shape[...])
  }

  /// The brackets of an array without elements, which may be many.
  private func writeEmpty(_ shape: ArraySlice<Int>) {
    guard let count = shape.first, count > 0 else { return write("[]") }
    write("[")
    for index in 0..<count where !StandardStreams.hasOutputFailed {
      if index > 0 { write(isCompact ? "," : ", ") }
      writeEmpty(shape.dropFirst())
    }
    write("]")
  }

  /// Writes whole elements.
  mutating func write(_ bytes: RawSpan) {
    let count = bytes.byteCount / dtype.byteCount
    var text = ""
    for index in 0..<count {
      // How many brackets open in front of the element.
      let opened = strides.prefix { number.isMultiple(of: $0) }.count
      if number > 0 {
        text += isCompact ? "," : opened > 0 ? ",\n" : ", "
        if !isCompact, opened > 0 {
          text += String(repeating: " ", count: shape.count - opened)
        }
      }
      text += String(repeating: "[", count: opened)
      text += ElementValue(bytes, index, of: dtype).json.text
      number += 1
      text += String(repeating: "]", count: strides.prefix { number.isMultiple(of: $0) }.count)
      if text.utf8.count >= 1 << 16 {
        write(text)
        text = ""
        if StandardStreams.hasOutputFailed { return }
      }
    }
    write(text)
  }

  func writeEnd() { write("\n") }

  private func write(_ text: String) {
    // SAFETY: bytes have no padding that could be uninitialised.
    StandardStreams.writeOutput(bytes: unsafe Array(text.utf8).span.bytes)
  }
}

extension ElementValue {
  /// As `docs/json.md` has numbers.
  var json: JSONValue {
    switch self {
    case .bool(let byte): byte > 1 ? .int(Int64(byte)) : .bool(byte == 1)
    case .signed(let value): .int(value)
    case .unsigned(let value): .uint(value)
    case .single(let value): .float(value)
    case .double(let value): .double(value)
    case .complex(let real, let imaginary): .array([.float(real), .float(imaginary)])
    }
  }
}
