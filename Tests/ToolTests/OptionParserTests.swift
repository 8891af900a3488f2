import CommandLineTool
import Testing

@Suite("Option parser")
struct OptionParserTests {
  private let parser = Parser()

  /// The options that the tests declare.
  private struct Parser {
    func parse(_ words: [String]) throws(UsageError) -> OptionParser {
      try OptionParser(
        words,
        kinds: [
          "json": .flag, "output_dir": .value, "learning-rate": .value, "jobs": .value,
          "rename": .repeated, "resume_from_checkpoint": .optionalValue,
          "overwrite": .optionalValue,
        ])
    }
  }

  private func message(_ arguments: [String]) -> String? {
    message { () throws(UsageError) in try parser.parse(arguments) }
  }

  private func message<Value>(_ body: () throws(UsageError) -> Value) -> String? {
    do throws(UsageError) {
      _ = try body()
      return nil
    } catch {
      return error.description
    }
  }

  @Test func valueIsTheNextWordOrStandsBehindAnEqualsSign() throws {
    #expect(try parser.parse(["--output_dir", "a"]).string("output_dir") == "a")
    #expect(try parser.parse(["--output_dir=a=b"]).string("output_dir") == "a=b")
    #expect(try parser.parse(["--output_dir="]).string("output_dir") == "")
  }

  @Test func underscoresAndHyphensAreAlikeInNamesOnly() throws {
    for word in ["--output_dir", "--output-dir"] {
      #expect(try parser.parse([word, "a_b-c"]).string("output-dir") == "a_b-c")
    }
    #expect(try parser.parse(["--learning_rate=1"]).string("learning_rate") == "1")
    #expect(message(["--Output_dir", "a"]) != nil)
  }

  @Test func doubleHyphenEndsTheOptions() throws {
    let parsed = try parser.parse(["a", "--json", "--", "--json", "-x", "--"])
    #expect(parsed.positionals == ["a", "--json", "-x", "--"])
    #expect(try !parser.parse(["--", "--json"]).has("json"))
  }

  @Test func optionsAndPositionalArgumentsMix() throws {
    let parsed = try parser.parse(["a", "--output_dir", "b", "c", "-", "", "--json", "d"])
    #expect(parsed.positionals == ["a", "c", "-", "", "d"])
    #expect(parsed.has("json"))
  }

  @Test func optionalValueIsTheNextWordUnlessItBeginsWithAHyphen() throws {
    let name = "resume_from_checkpoint"
    let bare = try parser.parse(["--resume_from_checkpoint", "--json"])
    #expect(bare.has(name) && bare.string(name) == nil && bare.has("json"))
    let last = try parser.parse(["--resume_from_checkpoint"])
    #expect(last.has(name) && last.string(name) == nil)
    #expect(try parser.parse(["--resume_from_checkpoint", "500"]).string(name) == "500")
    #expect(try parser.parse(["--resume_from_checkpoint=-5"]).string(name) == "-5")
    #expect(try !parser.parse([]).has(name))
  }

  @Test func requiredValueMayBeNegativeButIsNoOption() throws {
    let parsed = try parser.parse(["--learning-rate", "-0.1"])
    #expect(try parsed.number("learning-rate", as: Double.self) == -0.1)
    #expect(
      message(["--output_dir", "--json"])
        == "--output_dir needs a value, and '--json' looks like another option. "
        + "If it is the value, write --output_dir=--json.")
    #expect(try parser.parse(["--output_dir=--json"]).string("output_dir") == "--json")
  }

  @Test func missingValueIsNamed() {
    #expect(message(["--output-dir"]) == "--output_dir needs a value.")
  }

  @Test func flagTakesNoValue() {
    #expect(message(["--json=yes"]) == "--json takes no value; it was given 'yes'.")
  }

  @Test func lastOccurrenceCountsUnlessAllDo() throws {
    let parsed = try parser.parse([
      "--output_dir=a", "--output-dir", "b", "--json", "--json", "--rename", "x=y", "--rename=z=w",
    ])
    #expect(parsed.string("output_dir") == "b")
    #expect(parsed.strings("rename") == ["x=y", "z=w"])
    // Bare after a value: the bare form counts.
    let resume = try parser.parse(["--resume_from_checkpoint=5", "--resume_from_checkpoint"])
    #expect(resume.string("resume_from_checkpoint") == nil)
  }

  @Test(arguments: [
    ("--jsn", "--json"), ("--josn", "--json"), ("--output-dri", "--output_dir"),
    ("--out", "--output_dir"), ("-json", "--json"), ("--resume=5", "--resume_from_checkpoint"),
  ])
  func unknownOptionSuggestsTheClosest(typed: String, meant: String) {
    #expect(message([typed])?.hasSuffix(" Did you mean \(meant)?") == true)
  }

  @Test(arguments: ["--verbose", "-x", "--=x", "-5", "--" + String(repeating: "j", count: 9999)])
  func unknownOptionUnlikeAnyOtherSuggestsNothing(typed: String) throws {
    let found = try #require(message([typed]) as String?)
    #expect(found.hasPrefix("There is no option '-") && !found.contains("Did you mean"))
  }

  // MARK: Values with a type

  @Test func numbersAreReadWithinTheirRange() throws {
    let parsed = try parser.parse(["--jobs", "+8", "--learning-rate", "3e-4"])
    #expect(try parsed.integer("jobs", in: 1...8) == 8)
    #expect(try parsed.integer("jobs", in: 0...UInt64.max) == 8)
    #expect(try parsed.number("learning-rate", as: Double.self) == 3e-4)
    #expect(try parsed.integer("output_dir", in: 0...9) == nil)
    #expect(
      try parser.parse(["--jobs", "18446744073709551615"]).integer("jobs", in: 0...UInt64.max)
        == .max)
    #expect(
      try parser.parse(["--jobs", "-9223372036854775808"]).integer("jobs", in: Int.min...Int.max)
        == .min)
  }

  @Test(arguments: [
    ("abc", "is not a whole number."), ("", "is not a whole number."),
    ("-", "is not a whole number."), ("+-1", "is not a whole number."),
    ("1.5", "is not a whole number."), ("1e3", "is not a whole number."),
    ("１", "is not a whole number."), ("0", "is out of range: 1 to 64."),
    ("65", "is out of range: 1 to 64."), ("-1", "is out of range: 1 to 64."),
    ("99999999999999999999", "is out of range: 1 to 64."),
  ])
  func wrongWholeNumberIsNamed(text: String, expected: String) throws {
    let parsed = try parser.parse(["--jobs=\(text)"])
    let whole = "--jobs: '\(text)' \(expected)"
    #expect(message { () throws(UsageError) in try parsed.integer("jobs", in: 1...64) } == whole)
    #expect(
      message { () throws(UsageError) in
        try parsed.integer("jobs", in: 1...64 as ClosedRange<UInt64>)
      } == whole)
  }

  @Test(arguments: [
    ("abc", "is not a number."), ("nan", "is not a number."), ("", "is not a number."),
    ("1e400", "is out of range: 0.0 to 1.0."), ("inf", "is out of range: 0.0 to 1.0."),
    ("1.5", "is out of range: 0.0 to 1.0."),
  ])
  func wrongNumberIsNamed(text: String, expected: String) throws {
    let parsed = try parser.parse(["--learning_rate=\(text)"])
    let found = message { () throws(UsageError) in
      try parsed.number("learning_rate", as: Double.self, in: 0...1)
    }
    #expect(found == "--learning_rate: '\(text)' \(expected)")
  }

  @Test func infinityIsOutOfRangeOfEveryNumber() throws {
    let parsed = try parser.parse(["--learning_rate=inf"])
    #expect(
      message { () throws(UsageError) in try parsed.number("learning_rate", as: Float.self) } != nil
    )
  }

  @Test func boolIsBareOrSpelledOut() throws {
    #expect(try !parser.parse([]).bool("overwrite"))
    #expect(try parser.parse(["--overwrite"]).bool("overwrite"))
    #expect(try parser.parse(["--overwrite", "True"]).bool("overwrite"))
    #expect(try !parser.parse(["--overwrite=false"]).bool("overwrite"))
    #expect(try !parser.parse(["--overwrite", "0"]).bool("overwrite"))
    #expect(try parser.parse(["--json"]).bool("json"))
    let parsed = try parser.parse(["--overwrite=maybe"])
    #expect(
      message { () throws(UsageError) in try parsed.bool("overwrite") }
        == "--overwrite: 'maybe' is neither true nor false.")
  }

  private enum Level: String, CaseIterable { case low, high }

  @Test func choiceIsOneOfItsWords() throws {
    #expect(try parser.parse(["--jobs=high"]).choice("jobs", of: Level.allCases) == .high)
    let parsed = try parser.parse(["--jobs=High"])
    #expect(
      message { () throws(UsageError) in try parsed.choice("jobs", of: Level.allCases) }
        == "--jobs: 'High' is not one of: low, high.")
  }
}
