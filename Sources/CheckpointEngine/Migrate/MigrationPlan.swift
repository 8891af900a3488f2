public import CheckpointFormat

/// What a migration makes of a checkpoint: its steps, in order, and the format version of the result.
public struct MigrationPlan: Sendable, CustomStringConvertible {
  /// The format version of the result.
  public var formatVersion: FormatVersion
  /// What is done to the state, in order; names are those of the whole state.
  public var steps: [StateStep]

  /// Makes a plan; without steps the state stays as it is.
  public init(to formatVersion: FormatVersion = .current, _ steps: [StateStep] = []) {
    self.formatVersion = formatVersion
    self.steps = steps
  }

  /// The format version and each step, a line each.
  public var description: String {
    (["format version \(formatVersion.rawValue)"] + steps.map(\.description))
      .joined(separator: "\n")
  }

  /// Whether what the steps do follows from what is said of them, and not from functions.
  package var isTellable: Bool { steps.allSatisfy { $0.identity != nil } }

  /// Tells plans apart: two that do the same by the same steps have the same.
  package var fingerprint: Identifier { Self.hash(of: "\(formatVersion.rawValue)" + identities) }

  private var identities: String { steps.map { "\n" + ($0.identity ?? $0.description) }.joined() }

  private static func hash(of text: String) -> Identifier {
    // FNV-1a of Fowler, Noll and Vo, twice: nobody gains from two plans that collide.
    func hash(from basis: UInt64) -> UInt64 {
      text.utf8.reduce(basis) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }
    }
    return Identifier(
      high: hash(from: 0xCBF2_9CE4_8422_2325), low: hash(from: 0x9E37_79B9_7F4A_7C15))
  }

  /// The save identifier of what this plan makes of a file.
  ///
  /// It follows from the file's own and the writer, so that copies stay copies of each other, and a migration that
  /// was cut off and done again comes to the same bytes. Two files that differ have two, since every step here can
  /// be undone.
  package func saveIdentifier(after source: Identifier, by writer: String) -> Identifier {
    let key = Self.hash(of: writer + "\n\(formatVersion.rawValue)" + identities)
    var (high, low) = (source.high ^ key.high, source.low ^ key.low)
    for _ in 0..<2 {
      low ^= Self.mixed(high)
      high ^= Self.mixed(low)
    }
    return Identifier(high: high, low: low)
  }

  /// The finalizer of SplitMix64.
  private static func mixed(_ value: UInt64) -> UInt64 {
    var z = value &+ 0x9E37_79B9_7F4A_7C15
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
