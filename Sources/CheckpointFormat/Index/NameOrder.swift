/// The tensors sorted by the bytes of their names: finds a name, and proves that none stands twice.
///
/// - SeeAlso: docs/format.md, section 8.2.
package struct NameOrder: Hashable, Sendable {
  /// The number of a tensor.
  package static let entryByteCount = 4

  /// Tensor numbers in ascending byte order of their names.
  package let order: [UInt32]

  /// Sorts the tensors; throws if two have the same name.
  package init(of table: TensorTable) throws(FormatError) {
    let names = table.encoded.rawSpan
    let shared = Self.sharedPrefixByteCount(table)
    // Most pairs differ in the first bytes behind what all have in common.
    var keys: [(word: UInt64, number: UInt32)] = []
    keys.reserveCapacity(table.records.count)
    for number in table.records.indices {
      let name = names.extracting(table.records[number].name)
      keys.append((name.leadingWord(from: shared), UInt32(number)))
    }
    keys.sort { left, right in
      if left.word != right.word { return left.word < right.word }
      return Self.precedes(left.number, right.number, table)
    }
    order = keys.map(\.number)
    try requireStrictlyAscending(table, at: 0)
  }

  package init(
    decoding bytes: RawSpan, at base: UInt64, of table: TensorTable
  ) throws(FormatError) {
    let count = table.records.count
    guard bytes.byteCount == count * Self.entryByteCount else {
      throw FormatError(.inconsistent("length of the name order"), at: base)
    }
    var reader = ByteReader(bytes, at: base)
    var order: [UInt32] = []
    order.reserveCapacity(count)
    for _ in 0..<count {
      let tensor = try reader.read(UInt32.self)
      guard Int(tensor) < count else {
        throw FormatError(.inconsistent("a tensor number beyond the table"), at: base)
      }
      order.append(tensor)
    }
    self.order = order
    try requireStrictlyAscending(table, at: base)
  }

  package var encoded: [UInt8] {
    var bytes = ByteWriter(reservingCapacity: order.count * Self.entryByteCount)
    for tensor in order { bytes.append(tensor) }
    return bytes.bytes
  }

  /// The number of the tensor called `name`, compared by bytes and not by Unicode equivalence.
  ///
  /// - Parameters:
  ///   - name: The name.
  ///   - table: The table whose names these are.
  ///   - guess: A number to look at first: whoever reads in the order of saving knows the next one.
  /// - Returns: The number; nil if there is no such tensor.
  /// - Complexity: O(1) if the guess is right, else O(log tensors).
  package func tensor(named name: String, in table: TensorTable, trying guess: Int = -1) -> Int? {
    name.withNameBytes { name in
      let names = table.encoded.rawSpan
      if table.records.indices.contains(guess),
        names.extracting(table.records[guess].name).elementsEqual(name)
      {
        return guess
      }
      var low = 0
      var high = order.count
      while low < high {
        let middle = (low + high) / 2
        if names.extracting(table.records[Int(order[middle])].name).precedes(name) {
          low = middle + 1
        } else {
          high = middle
        }
      }
      guard low < order.count else { return nil }
      let tensor = Int(order[low])
      return names.extracting(table.records[tensor].name).elementsEqual(name) ? tensor : nil
    }
  }

  private func requireStrictlyAscending(
    _ table: TensorTable, at base: UInt64
  ) throws(FormatError) {
    guard order.count > 1 else { return }
    for place in 1..<order.count where !Self.precedes(order[place - 1], order[place], table) {
      throw FormatError(.inconsistent("tensor names are out of order or stand twice"), at: base)
    }
  }

  private static func precedes(_ left: UInt32, _ right: UInt32, _ table: TensorTable) -> Bool {
    let names = table.encoded.rawSpan
    return names.extracting(table.records[Int(left)].name)
      .precedes(names.extracting(table.records[Int(right)].name))
  }

  /// How many bytes all names begin with alike.
  private static func sharedPrefixByteCount(_ table: TensorTable) -> Int {
    let names = table.encoded.rawSpan
    guard let first = table.records.first else { return 0 }
    var shared = names.extracting(first.name)
    for record in table.records {
      let name = names.extracting(record.name)
      if let difference = shared.firstDifference(from: name) {
        shared = shared.extracting(first: min(difference, shared.byteCount))
      }
    }
    return shared.byteCount
  }
}
