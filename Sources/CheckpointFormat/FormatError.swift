/// Bytes that contradict docs/format.md, or that this build cannot read.
package struct FormatError: Error, Hashable, Sendable {
  package enum Kind: Hashable, Sendable {
    /// The file or part ends too early.
    case truncated(needed: UInt64)
    /// The first eight bytes are not the format's magic number.
    case notACheckpoint
    /// The file has another length than its trailer says, or no trailer at its end.
    case incomplete
    case checksumMismatch(Part, stored: UInt32, computed: UInt32)
    /// A reserved or padding byte is not zero.
    case reservedNotZero
    case invalidUTF8
    /// A number is beyond the reader's limits.
    case overLimit(StaticText, value: UInt64, limit: UInt64)
    /// Two places of the file contradict each other, or a field has no meaning.
    case inconsistent(StaticText)
    case unsupportedVersion(UInt32)
    case unsupportedFeatures(UInt64)
  }

  /// The checksummed parts of a file.
  package enum Part: String, Hashable, Sendable {
    case fileStart = "file start"
    case header
    case frontTable = "front table"
    case frame = "chunk frame"
    case storedChunk = "stored chunk"
    case decodedChunk = "decoded chunk"
    case section
    case trailer
  }

  package var kind: Kind
  /// In bytes from the start of the file.
  package var offset: UInt64

  package init(_ kind: Kind, at offset: UInt64) {
    self.kind = kind
    self.offset = offset
  }

  /// Whether the bytes may be fine and only this build, or its limits, cannot read them.
  package var isUnsupported: Bool {
    switch kind {
    case .unsupportedVersion, .unsupportedFeatures, .overLimit: true
    default: false
    }
  }
}

/// Text known when the program was built, comparable so that tests can match on it.
package struct StaticText: Hashable, Sendable, ExpressibleByStringLiteral {
  package let text: String

  package init(stringLiteral value: StaticString) { text = value.description }
}

extension FormatError: CustomStringConvertible {
  /// One sentence for a person, without the file's name.
  package var description: String {
    switch kind {
    case .truncated(let needed):
      "The file ends where \(needed) more bytes were expected."
    case .notACheckpoint:
      "The file does not begin with the magic number of a checkpoint."
    case .incomplete:
      "The file has no trailer at its end: it was cut short, extended, or never finished."
    case .checksumMismatch(let part, let stored, let computed):
      "The checksum of the \(part.rawValue) differs: the file says \(hexadecimal(stored)), "
        + "its bytes give \(hexadecimal(computed))."
    case .reservedNotZero:
      "A byte that the format keeps zero is not zero."
    case .invalidUTF8:
      "A name or text is not valid UTF-8."
    case .overLimit(let what, let value, let limit):
      "The \(what.text) is \(value), beyond the limit of \(limit)."
    case .inconsistent(let what):
      "The file contradicts itself: \(what.text)."
    case .unsupportedVersion(let version):
      "The file has format version \(version); this build reads versions up to "
        + "\(FormatVersion.current.rawValue)."
    case .unsupportedFeatures(let bits):
      "The file needs format features that this build does not know: "
        + FeatureSet(rawValue: bits).names.joined(separator: ", ") + "."
    }
  }
}

/// `0x` and at least eight hexadecimal digits.
package func hexadecimal(_ value: UInt32) -> String {
  let digits = String(value, radix: 16)
  return "0x" + String(repeating: "0", count: 8 - digits.count) + digits
}
