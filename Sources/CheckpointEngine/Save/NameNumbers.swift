internal import CheckpointFormat

/// Finds names among those that were given before, and those that only look different.
///
/// Two names that are canonically equivalent in Unicode count as one, as they do for Swift's strings.
/// Names of ASCII are equivalent to no others of ASCII but themselves, so as long as there are no others,
/// their bytes are compared, in a table that needs eight bytes for each; the first name beyond ASCII has
/// all of them put into a dictionary of strings.
struct NameNumbers: Sendable {
  /// Where a name's hash says: 1 + its number, or 0.
  private var slots: [UInt32] = []
  /// By number.
  private var hashes: [UInt32] = []
  /// All names, once there is one beyond ASCII.
  private var equivalents: [String: Int]?

  /// The number of a name, or of one that is equivalent to it.
  ///
  /// - Parameters:
  ///   - name: The name.
  ///   - nameOf: The name of a number that was given.
  /// - Returns: The number; nil if there is none.
  func number(of name: String, named nameOf: (Int) -> String) -> Int? {
    if let equivalents { return equivalents[name] }
    guard !hashes.isEmpty else { return nil }
    guard name.isASCII else {
      // It may be equivalent to one of ASCII: U+212A is to K.
      return hashes.indices.first { nameOf($0) == name }
    }
    return find(name, Self.hash(name), named: nameOf)
  }

  /// The number of a name with the same bytes.
  func exactNumber(of name: String, named nameOf: (Int) -> String) -> Int? {
    guard equivalents != nil || name.isASCII, let number = number(of: name, named: nameOf),
      nameOf(number).hasSameBytes(as: name)
    else { return nil }
    return number
  }

  /// Gives a name the next number, unless it or one that is equivalent is there.
  ///
  /// - Parameters:
  ///   - name: The name.
  ///   - nameOf: The name of a number that was given.
  /// - Returns: The number of the one that is there; nil if this one is new.
  mutating func insert(_ name: String, named nameOf: (Int) -> String) -> Int? {
    if equivalents == nil, !name.isASCII {
      var all: [String: Int] = [:]
      for other in hashes.indices { all[nameOf(other)] = other }
      equivalents = all
      (slots, hashes) = ([], [])
    }
    if let other = equivalents?[name] { return other }
    if let count = equivalents?.count {
      equivalents?[name] = count
      return nil
    }
    let hash = Self.hash(name)
    if !slots.isEmpty, let other = find(name, hash, named: nameOf) { return other }
    hashes.append(hash)
    if slots.count < hashes.count * 2 {
      slots = [UInt32](repeating: 0, count: max(16, slots.count * 2))
      for other in hashes.indices { enter(other) }
    } else {
      enter(hashes.count - 1)
    }
    return nil
  }

  /// The number of a name of ASCII.
  private func find(_ name: String, _ hash: UInt32, named nameOf: (Int) -> String) -> Int? {
    var slot = Int(hash) & (slots.count - 1)
    while slots[slot] != 0 {
      let number = Int(slots[slot]) - 1
      if hashes[number] == hash, nameOf(number).hasSameBytes(as: name) { return number }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }

  private mutating func enter(_ number: Int) {
    var slot = Int(hashes[number]) & (slots.count - 1)
    while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
    slots[slot] = UInt32(number + 1)
  }

  /// Seeded: the names may come from a file.
  private static func hash(_ name: String) -> UInt32 {
    var hasher = Hasher()
    name.hashBytes(into: &hasher)
    return UInt32(truncatingIfNeeded: hasher.finalize())
  }
}
