import CommandLineTool
import Foundation
import Testing

@Suite("JSON text")
struct JSONValueTests {
  /// What an independent reader makes of a value.
  private func parsed(_ value: JSONValue) throws -> Any {
    try JSONSerialization.jsonObject(with: Data(value.text.utf8), options: .fragmentsAllowed)
  }

  @Test func keysKeepTheirOrderOnOneLine() {
    let event: JSONValue = .object([
      ("event", .string("step")), ("step", .int(510)), ("loss", .float(2.31)),
      ("lr", .double(0.0003)), ("skipped", .array([.bool(true), .null, .object([])])),
    ])
    #expect(
      event.text == #"{"event":"step","step":510,"loss":2.31,"lr":0.0003,"#
        + #""skipped":[true,null,{}]}"#)
  }

  @Test func notFiniteNumbersAreStrings() {
    #expect(JSONValue.double(.nan).text == #""NaN""#)
    #expect(JSONValue.double(-.infinity).text == #""-Infinity""#)
    #expect(JSONValue.float(.infinity).text == #""Infinity""#)
  }

  @Test(arguments: [
    0.1, -0.0, 1e-5, 1e16, 1e22, .leastNonzeroMagnitude, .greatestFiniteMagnitude, 1 / 3,
    123_456_789.123,
  ])
  func numbersReadBackAsTheSameBits(number: Double) throws {
    let text = JSONValue.double(number).text
    #expect(Double(text)?.bitPattern == number.bitPattern)
    let value = try #require(try parsed(.double(number)) as? NSNumber)
    #expect(value.doubleValue == number)
  }

  @Test func integersKeepAllDigits() {
    #expect(JSONValue.uint(.max).text == "18446744073709551615")
    #expect(JSONValue.int(.min).text == "-9223372036854775808")
  }

  @Test func everyScalarThatCouldActIsEscapedAndReadsBack() throws {
    let string =
      "a\"\\/\n\r\t\u{0}\u{1B}[2J\u{7F}\u{85}\u{202E}\u{2028}\u{FEFF}\u{E0001}\u{E000}é語👍"
    let text = JSONValue.string(string).text
    #expect(try parsed(.string(string)) as? String == string)
    #expect(
      text == #""a\"\\/\n\r\t\u0000\u001b[2J\u007f\u0085\u202e\u2028\ufeff"#
        + #"\udb40\udc01\ue000é語👍""#)
  }

  @Test func keysAreEscapedToo() {
    #expect(JSONValue.object([("a\"\u{1B}", .null)]).text == #"{"a\"\u001b":null}"#)
  }
}
