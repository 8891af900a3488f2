/// The tensors sorted by the bytes of their names: finds a name, and proves that none stands twice.
///
/// - SeeAlso: docs/format.md, section 8.2.
package struct NameOrder: Hashable, Sendable {
  /// Tensor numbers in ascending byte order of their names.
  package let order: [UInt32]

  /// Sorts the tensors; throws if two have the same name.
  package init(of table: TensorTable) throws(FormatError) {
    let names = table.entries.map(\.descriptor.name)
    order = names.indices.sorted { Self.precedes(names[$0], names[$1]) }.map { UInt32($0) }
    try requireStrictlyAscending(table, at: 0)
  }

  package init(
    decoding bytes: RawSpan, at base: UInt64, of table: TensorTable
  ) throws(FormatError) {
    guard bytes.byteCount == table.entries.count * 4 else {
      throw FormatError(.inconsistent("length of the name order"), at: base)
    }
    var reader = ByteReader(bytes, at: base)
    var order: [UInt32] = []
    order.reserveCapacity(table.entries.count)
    for _ in table.entries {
      let tensor = try reader.read(UInt32.self)
      guard Int(tensor) < table.entries.count else {
        throw FormatError(.inconsistent("a tensor number beyond the table"), at: base)
      }
      order.append(tensor)
    }
    self.order = order
    try requireStrictlyAscending(table, at: base)
  }

  package var encoded: [UInt8] {
    var bytes = ByteWriter(reservingCapacity: order.count * 4)
    for tensor in order { bytes.append(tensor) }
    return bytes.bytes
  }

  /// The number of the tensor called `name`, compared by bytes and not by Unicode equivalence.
  package func tensor(named name: String, in table: TensorTable) -> Int? {
    var low = 0
    var high = order.count
    while low < high {
      let middle = (low + high) / 2
      if Self.precedes(table.entries[Int(order[middle])].descriptor.name, name) {
        low = middle + 1
      } else {
        high = middle
      }
    }
    guard low < order.count else { return nil }
    let tensor = Int(order[low])
    return table.entries[tensor].descriptor.name.hasSameBytes(as: name) ? tensor : nil
  }

  private func requireStrictlyAscending(
    _ table: TensorTable, at base: UInt64
  ) throws(FormatError) {
    for (previous, next) in zip(order, order.dropFirst()) {
      let names = (
        table.entries[Int(previous)].descriptor.name, table.entries[Int(next)].descriptor.name
      )
      guard Self.precedes(names.0, names.1) else {
        throw FormatError(.inconsistent("tensor names are out of order or stand twice"), at: base)
      }
    }
  }

  private static func precedes(_ left: String, _ right: String) -> Bool {
    left.utf8.lexicographicallyPrecedes(right.utf8)
  }
}
