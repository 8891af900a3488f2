internal import CheckpointFormat

extension CheckpointError {
  /// The bytes of a file contradict the format.
  package init(
    in path: String, _ error: FormatError, tensor: String? = nil, chunk: Int? = nil
  ) {
    let code: Code
    let advice: String
    switch error.kind {
    case .unsupportedVersion, .unsupportedFeatures:
      code = .unsupported
      advice = " Use a newer build, or choose another checkpoint by step or path."
    case .overLimit:
      code = .unsupported
      advice = " Raise the reader's limits if you trust the file."
    default:
      code = .corrupted
      advice = ""
    }
    self.init(
      code, "\(escaped(path)), offset \(error.offset): \(error.description)\(advice)",
      at: Location(path: path, offset: error.offset, tensor: tensor, chunk: chunk))
    reason = error.description
  }
}

/// `text` with everything that could steer a terminal or fool the eye written as escapes.
package func escaped(_ text: String) -> String {
  var result = ""
  for scalar in text.unicodeScalars {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse,
      .unassigned:
      result += "\\u{\(String(scalar.value, radix: 16))}"
    default: result.unicodeScalars.append(scalar)
    }
  }
  return result
}
