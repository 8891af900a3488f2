import CheckpointEngine
import CheckpointFormat
import Testing

// Goal: no two names of a plan are the same, nor look the same, whatever came before them.
@Suite struct PlanNameTests {
  private func plan(_ names: [String]) throws -> SavePlan {
    var plan = SavePlan()
    for name in names { try plan.append(TensorDescriptor(name: name, dtype: .bool, shape: [])) }
    return plan
  }

  private func refusal(of name: String, after names: [String]) -> CheckpointError? {
    do {
      _ = try plan(names + [name])
      return nil
    } catch {
      return error as? CheckpointError
    }
  }

  @Test func everyOneOfManyNamesIsKnown() throws {
    let names = (0..<5000).map { "layer.\($0)" }
    let plan = try plan(names)
    for (number, name) in names.enumerated() {
      #expect(plan.descriptor(of: name)?.name == name)
      guard number % 500 == 0 else { continue }
      #expect(refusal(of: name, after: names)?.message.contains("Two tensors are called") == true)
    }
    for name in ["", "layer", "layer.5000", "layer.1 ", "é"] {
      #expect(plan.descriptor(of: name) == nil)
    }
  }

  /// U+212A and U+037E are equivalent to letters of ASCII.
  @Test(
    arguments: [
      ("caf\u{E9}", "cafe\u{301}"), ("\u{212A}", "K"), ("a\u{37E}", "a;"),
      ("\u{1100}\u{1161}", "가"),
    ])
  func namesThatOnlyLookDifferentAreRefused(one: String, other: String) throws {
    for others in [[], (0..<300).map { "n\($0)" }, ["ü", "n"]] {
      for (first, second) in [(one, other), (other, one)] {
        for names in [others + [first], [first] + others] {
          let error = refusal(of: second, after: names)
          #expect(error?.code == .invalidState)
          #expect(error?.message.contains("Unicode normal form") == true)
          let plan = try plan(names)
          #expect(plan.descriptor(of: second) == nil)
          #expect(plan.descriptor(of: first) != nil)
        }
      }
    }
  }

  @Test func aliasOfANameThatOnlyLooksDifferentFindsItsTensor() throws {
    var plan = try plan(["J", "K", "L"])
    // U+212A, the sign of kelvin, is equivalent to K; all names so far are of ASCII.
    try plan.appendAlias("tied", of: "\u{212A}")
    #expect(plan.entries.map(\.aliasOf) == [nil, nil, nil, 1])
    #expect(throws: CheckpointError.self) { try plan.appendAlias("other", of: "é") }
    #expect(plan.entries.count == 4)
  }

  @Test func aliasesFindTheirTensorAmongNamesOfAnyScript() throws {
    var plan = try plan((0..<100).map { "n\($0)" })
    try plan.appendAlias("a", of: "n42")
    try plan.append(TensorDescriptor(name: "重み", dtype: .int8, shape: [3]))
    try plan.appendAlias("b", of: "n7")
    try plan.appendAlias("c", of: "重み")
    try plan.appendAlias("d", of: "a")
    #expect(plan.entries.suffix(5).map(\.aliasOf) == [42, nil, 7, 101, 42])
    #expect(throws: CheckpointError.self) { try plan.appendAlias("e", of: "n100") }
    #expect(throws: CheckpointError.self) { try plan.appendAlias("重み", of: "n1") }
  }
}
