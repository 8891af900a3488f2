/// The name that was probably meant: the one that begins with what was typed, else the one that
/// the fewest changed letters lead to, if those are few.
package func closestName(to typed: String, among names: [String]) -> String? {
  // Beyond this it is no mistyped name, and comparing takes time that grows with its length.
  guard (1...64).contains(typed.utf8.count) else { return nil }
  let extended = names.filter { $0.utf8.starts(with: typed.utf8) }
  if typed.utf8.count >= 2, extended.count == 1 { return extended[0] }
  let distances = names.map {
    (name: $0, distance: editDistance(Array($0.utf8), Array(typed.utf8)))
  }
  guard let best = distances.min(by: { $0.distance < $1.distance }),
    best.distance <= max(1, best.name.utf8.count / 3)
  else { return nil }
  return best.name
}

/// How many bytes must be inserted, removed, replaced or swapped with their neighbour.
private func editDistance(_ first: [UInt8], _ second: [UInt8]) -> Int {
  // Optimal string alignment: three rows of its table at a time.
  var beforeLast: [Int] = []
  var last = Array(0...second.count)
  for (row, byte) in first.enumerated() {
    var current = [row + 1]
    for (column, other) in second.enumerated() {
      var cost = min(
        last[column + 1] + 1, current[column] + 1, last[column] + (byte == other ? 0 : 1))
      if row > 0, column > 0, byte == second[column - 1], first[row - 1] == other {
        cost = min(cost, beforeLast[column - 1] + 1)
      }
      current.append(cost)
    }
    (beforeLast, last) = (last, current)
  }
  return last[second.count]
}
