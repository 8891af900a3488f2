/// The name of a file in a store, parsed canonically: what is not spelled exactly as the library
/// spells it is foreign, and is never touched.
///
/// - SeeAlso: docs/format.md, appendix A.
package enum CheckpointName: Hashable, Sendable {
  /// `step-000000500.g000001.ckpt`, or `step-500.ckpt` put there by hand.
  case checkpoint(step: UInt64, generation: UInt64?)
  /// A checkpoint set aside on request: `….ckpt.damaged`.
  case damaged(step: UInt64, generation: UInt64?)
  /// `….ckpt.emergency`: a state that a run came to when it failed, saved for a person to look at.
  case emergency(step: UInt64, generation: UInt64)
  /// A save in flight: `.step-000000500.g000001.<32 hex>.tmp`.
  case temporary(step: UInt64, generation: UInt64, nonce: Identifier)
  /// The marker `.pin-<32 hex>` that retention spares a checkpoint.
  case pin(Identifier)

  package static let lock = ".lock"

  package init?(_ name: String) {
    if let rest = name.dropping(prefix: ".pin-") {
      guard let identifier = Identifier(rest) else { return nil }
      self = .pin(identifier)
    } else if let rest = name.dropping(prefix: ".")?.dropping(suffix: ".tmp") {
      guard let dot = rest.lastIndex(of: "."),
        let nonce = Identifier(rest[rest.index(after: dot)...]),
        let (step, generation) = Self.parse(rest[..<dot]), let generation
      else { return nil }
      self = .temporary(step: step, generation: generation, nonce: nonce)
    } else if let rest = name.dropping(suffix: ".ckpt") {
      guard let (step, generation) = Self.parse(rest) else { return nil }
      self = .checkpoint(step: step, generation: generation)
    } else if let rest = name.dropping(suffix: ".ckpt.damaged") {
      guard let (step, generation) = Self.parse(rest) else { return nil }
      self = .damaged(step: step, generation: generation)
    } else if let rest = name.dropping(suffix: ".ckpt.emergency") {
      guard let (step, generation) = Self.parse(rest), let generation else { return nil }
      self = .emergency(step: step, generation: generation)
    } else {
      return nil
    }
  }

  init(step: UInt64, generation: UInt64, _ role: StoreEntry.Role) {
    self =
      switch role {
      case .candidate: .checkpoint(step: step, generation: generation)
      case .damaged: .damaged(step: step, generation: generation)
      case .emergency: .emergency(step: step, generation: generation)
      }
  }

  /// The name in a directory.
  package var text: String {
    switch self {
    case .checkpoint(let step, let generation): Self.stem(step, generation) + ".ckpt"
    case .damaged(let step, let generation): Self.stem(step, generation) + ".ckpt.damaged"
    case .emergency(let step, let generation): Self.stem(step, generation) + ".ckpt.emergency"
    case .temporary(let step, let generation, let nonce):
      "." + Self.stem(step, generation) + ".\(nonce).tmp"
    case .pin(let identifier): ".pin-\(identifier)"
    }
  }

  /// The generation that the name states.
  package var generation: UInt64? {
    switch self {
    case .checkpoint(_, let generation), .damaged(_, let generation): generation
    case .temporary(_, let generation, _), .emergency(_, let generation): generation
    case .pin: nil
    }
  }

  private static func stem(_ step: UInt64, _ generation: UInt64?) -> String {
    "step-" + padded(step, 9) + (generation.map { ".g" + padded($0, 6) } ?? "")
  }

  /// Reads `step-<step>.g<generation>` or `step-<step>`.
  private static func parse(_ stem: some StringProtocol) -> (step: UInt64, generation: UInt64?)? {
    guard let rest = stem.dropping(prefix: "step-") else { return nil }
    guard let dot = rest.firstIndex(of: ".") else {
      // By hand, people write the number as it is.
      guard let step = number(rest, width: 9) ?? number(rest, width: 1) else { return nil }
      return (step, nil)
    }
    guard let step = number(rest[..<dot], width: 9),
      let digits = rest[rest.index(after: dot)...].dropping(prefix: "g"),
      let generation = number(digits, width: 6), generation > 0
    else { return nil }
    return (step, generation)
  }

  /// Reads at least `width` digits, with leading zeros only up to that width.
  private static func number(_ digits: some StringProtocol, width: Int) -> UInt64? {
    guard digits.utf8.allSatisfy({ (48...57).contains($0) }), let value = UInt64(digits),
      value <= Limits.counterMax, padded(value, width) == digits
    else { return nil }
    return value
  }

  private static func padded(_ value: UInt64, _ width: Int) -> String {
    let digits = String(value)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}

extension StringProtocol {
  func dropping(prefix: String) -> String? {
    hasPrefix(prefix) ? String(dropFirst(prefix.count)) : nil
  }

  func dropping(suffix: String) -> String? {
    hasSuffix(suffix) ? String(dropLast(suffix.count)) : nil
  }
}
