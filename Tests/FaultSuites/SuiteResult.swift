/// A broken promise: where it broke, and how.
package struct Violation: Error, Hashable, Sendable, CustomStringConvertible {
  /// What was played, and where it was disturbed; enough to play it again.
  package var place: String
  package var message: String

  package init(_ message: String, at place: String = "") {
    self.message = message
    self.place = place
  }

  package var description: String { place.isEmpty ? message : "\(place): \(message)" }

  /// The same violation, with where it happened in front.
  func within(_ outer: String) -> Violation {
    Violation(message, at: place.isEmpty ? outer : "\(outer), \(place)")
  }
}

/// What a suite did, and what it found.
package struct SuiteResult: Sendable {
  package var name: String
  /// Plays of a scenario that were disturbed in a way of their own.
  package var caseCount = 0
  /// Disks after a crash that were opened, examined and saved to.
  package var stateCount = 0
  package var violations: [Violation] = []

  package init(_ name: String) { self.name = name }

  package mutating func add(_ other: SuiteResult, within place: String = "") {
    caseCount += other.caseCount
    stateCount += other.stateCount
    violations += other.violations.map { place.isEmpty ? $0 : $0.within(place) }
  }

  /// Notes what `body` throws, with where it happened.
  ///
  /// - Returns: whether nothing was thrown.
  @discardableResult
  mutating func expect(
    _ place: @autoclosure () -> String, _ body: (inout SuiteResult) throws -> Void
  ) -> Bool {
    var inner = SuiteResult(name)
    do {
      try body(&inner)
    } catch let violation as Violation {
      inner.violations.append(violation)
    } catch {
      inner.violations.append(Violation("an unexpected error: \(error)"))
    }
    add(inner, within: inner.violations.isEmpty ? "" : place())
    return inner.violations.isEmpty
  }
}

/// Throws a violation unless `condition` holds.
func require(_ condition: Bool, _ message: @autoclosure () -> String) throws(Violation) {
  if !condition { throw Violation(message()) }
}
