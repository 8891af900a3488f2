import Testing

// Goal: damage in a large file is named where it is, and costs nothing else.
// Method: the command that flips 10,000 bits of 256 MiB, on a small scale; its --help says what it
// checks.

@Suite("Flips in a large checkpoint")
struct CorruptionSoakTests {
  @Test func everyFlipIsFoundInItsPlaceAndSparesTheRest() throws {
    let result = try TrainingProgram.run(
      "corruption-soak", ["--mebibytes", "8", "--copies", "4", "--flips", "50", "--seed", "1"])
    #expect(result.status == 0, "\(result.output)\(result.errors)")
    #expect(result.output.contains("flips 200, detected 200, wrong place 0"), "\(result.output)")
  }
}
