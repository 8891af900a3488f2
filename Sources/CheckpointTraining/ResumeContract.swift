internal import CheckpointEngine
internal import CheckpointFormat

#if canImport(FoundationEssentials)
  internal import FoundationEssentials
#else
  internal import Foundation
#endif

/// What decides how a run goes on besides its state: code, arguments, data, machine.
///
/// It is kept with each checkpoint. When a run resumes, what a checkpoint was saved under is compared
/// with what the program has now, and each difference is graded.
///
/// ```swift
/// var contract = ResumeContract()
/// contract.state("code", gitRevision, ifDifferent: .harmless)
/// contract.state("data", fingerprint, ifDifferent: .refuse)
/// try contract.stateArguments(arguments, grades: ["max_steps": .harmless])
/// ```
public struct ResumeContract: Sendable {
  /// What a difference means for a run that goes on.
  public enum Grade: Int, Hashable, Sendable, Comparable, CaseIterable {
    /// There is none.
    case same
    /// The run goes on bit for bit as it would have.
    case harmless
    /// The run goes on, and not as it would have.
    case changesTrajectory
    /// The run must not go on from this checkpoint.
    case refuse

    /// Orders by severity.
    public static func < (left: Grade, right: Grade) -> Bool { left.rawValue < right.rawValue }

    /// The grade in words.
    public var text: String {
      switch self {
      case .same: "same"
      case .harmless: "harmless"
      case .changesTrajectory: "changes the trajectory"
      case .refuse: "refuse"
      }
    }
  }

  /// Grades a value of now against the one that was saved.
  public typealias Grading = @Sendable (_ saved: String, _ current: String) -> Grade

  private struct Statement {
    /// Nil stands for whatever the checkpoint says.
    var value: String?
    var grading: Grading
  }

  private var statements: [String: Statement] = [:]

  /// A contract that states what the library knows by itself: its version and the newest format's, and the
  /// machine's architecture, operating system and number of processors, all of them harmless if they
  /// differ.
  ///
  /// A program whose results depend on one of them states it again with another grade.
  public init() {
    for (name, value) in Environment.facts { state(name, value, ifDifferent: .harmless) }
  }

  /// States a value.
  ///
  /// - Parameters:
  ///   - name: Names it; could be the name of a tensor. A later statement replaces an earlier one.
  ///   - value: What it is now.
  ///   - grade: What it means if a checkpoint was saved under another value.
  public mutating func state(_ name: String, _ value: String, ifDifferent grade: Grade) {
    state(name, value) { _, _ in grade }
  }

  /// States a value whose differences are not all alike.
  ///
  /// - Parameters:
  ///   - name: Names it; could be the name of a tensor. A later statement replaces an earlier one.
  ///   - value: What it is now; of more than 4,096 bytes the SHA-256 is kept.
  ///   - grading: What a difference means; asked only where there is one.
  /// - Precondition: The name has 1 to 4,000 bytes without control characters.
  public mutating func state(_ name: String, _ value: String, grading: @escaping Grading) {
    precondition(
      TensorDescriptor.isValidName(name) && name.utf8.count <= 4000, "that cannot name a statement")
    // Longer ones are only good for being compared; a file has no room for a list of all its data.
    let isShort = value.utf8.count <= 4096
    let kept = isShort ? value : "sha256 " + SHA256.hexadecimal(of: Array(value.utf8))
    statements[name] = Statement(value: kept, grading: grading)
  }

  /// States that a value is taken from the checkpoint, whatever it is there.
  ///
  /// State it with its value after the resume, in the manager's contract.
  ///
  /// - Parameter name: Names it.
  public mutating func takeFromCheckpoint(_ name: String) {
    statements[name] = Statement(value: nil, grading: { _, _ in .same })
  }

  /// States each argument of a program, by the names that it is encoded with.
  ///
  /// What is not encoded is not stated, which is what Swift does with properties that are nil: where
  /// that matters, encode a value for it.
  ///
  /// - Parameters:
  ///   - arguments: Encoded as an object of JSON; arguments in an object within are named `a.b`.
  ///   - grade: What a difference means, where nothing else is said.
  ///   - grades: What it means for arguments by name.
  /// - Throws: Errors of encoding; ``CheckpointError``: `.invalidState` if a name is empty, too long or
  ///   has control characters.
  public mutating func stateArguments(
    _ arguments: some Encodable, ifDifferent grade: Grade = .changesTrajectory,
    grades: [String: Grade] = [:]
  ) throws {
    let text = try JSONCoding.encode(arguments)
    let value = try JSONCoding.decode(text, as: ArgumentValue.self)
    for (name, value) in value.flattened("") {
      guard TensorDescriptor.isValidName(name), name.utf8.count <= 4000 else {
        throw CheckpointError(.invalidState, "'\(escaped(name))' cannot name an argument.")
      }
      state(name, value, ifDifferent: grades[name] ?? grade)
    }
  }
}

/// A value of the contract that a checkpoint was saved under, and that of now.
public struct ContractDifference: Hashable, Sendable {
  /// What is compared.
  public let name: String
  /// What it was; nil if the checkpoint does not tell.
  public let saved: String?
  /// What it is; nil if the program does not state it any more.
  public let current: String?
  /// What the difference means.
  public let grade: ResumeContract.Grade
}

/// Which differences from the contract of a checkpoint stop a resume.
public enum ResumeCheck: Hashable, Sendable {
  /// All that change the trajectory.
  case strict
  /// Those that are graded ``ResumeContract/Grade/refuse``; the others are reported.
  case warn
}

// MARK: In a checkpoint

extension ResumeContract {
  private static let prefix = "contract/"

  func record(in metadata: inout Metadata) {
    for (name, statement) in statements {
      metadata[.environment, Self.prefix + name] = statement.value.map { .string($0) }
    }
  }

  /// Compares with what a checkpoint was saved under; the gravest first, and by name.
  ///
  /// What only one of the two tells is harmless: an older program did not state it, or a newer one
  /// does not need it any more.
  func compared(with metadata: Metadata) -> [ContractDifference] {
    var saved: [String: String] = [:]
    for case (let name, .string(let value)) in metadata.entries(of: .environment)
    where name.hasPrefix(Self.prefix) {
      saved[String(name.dropFirst(Self.prefix.count))] = value
    }
    let names = Set(saved.keys).union(statements.keys)
    return names.compactMap { name -> ContractDifference? in
      let (old, statement) = (saved[name], statements[name])
      let isTaken = statement != nil && statement?.value == nil
      guard let new = isTaken ? old : statement?.value else {
        return isTaken
          ? nil : ContractDifference(name: name, saved: old, current: nil, grade: .harmless)
      }
      let grade: Grade =
        if let old, let statement {
          old == new ? .same : statement.grading(old, new)
        } else {
          .harmless
        }
      return ContractDifference(name: name, saved: old, current: new, grade: grade)
    }.sorted { ($1.grade, $0.name) < ($0.grade, $1.name) }
  }
}

/// An argument as JSON has it.
private enum ArgumentValue: Decodable {
  case object([String: ArgumentValue])
  case text(String)

  init(from decoder: any Decoder) throws {
    if let object = try? [String: ArgumentValue](from: decoder) {
      self = .object(object)
      return
    }
    let container = try decoder.singleValueContainer()
    if container.decodeNil() {
      self = .text("null")
    } else if let value = try? container.decode(Bool.self) {
      self = .text("\(value)")
    } else if let value = try? container.decode(Int64.self) {
      self = .text("\(value)")
    } else if let value = try? container.decode(UInt64.self) {
      self = .text("\(value)")
    } else if let value = try? container.decode(Double.self) {
      self = .text("\(value)")
    } else if let value = try? container.decode(String.self) {
      self = .text(value)
    } else {
      let values = try container.decode([ArgumentValue].self)
      let texts = values.flatMap { value in
        value.flattened("").map { name, text in name.isEmpty ? text : "\(name): \(text)" }
      }
      self = .text("[" + texts.joined(separator: ", ") + "]")
    }
  }

  func flattened(_ name: String) -> [(String, String)] {
    switch self {
    case .text(let text): [(name, text)]
    case .object(let object):
      object.sorted { $0.key < $1.key }.flatMap { key, value in
        value.flattened(name.isEmpty ? key : name + "." + key)
      }
    }
  }
}
