import CheckpointEngine
import Testing

// Goal: the automatic compression stores where the disk outran the coder, and encodes where it did not.
@Suite struct SavePaceTests {
  /// A save of 1 GiB: rates in MB/s of one encoding thread and of the disk.
  private func sample(encoding: UInt64?, disk: UInt64) -> SavePace.Sample {
    let byteCount: UInt64 = 1 << 30
    return SavePace.Sample(
      stateByteCount: byteCount, encodingNanoseconds: encoding.map { byteCount * 1000 / $0 },
      fileByteCount: byteCount, writingNanoseconds: byteCount * 1000 / disk)
  }

  @Test func nothingKnownMeansEncoding() {
    #expect(SavePace().encodingPays(threadCount: 1))
  }

  @Test func theSlowerOfCoderAndDiskDecides() {
    var pace = SavePace()
    pace.note(sample(encoding: 1500, disk: 2000))
    #expect(!pace.encodingPays(threadCount: 1))
    #expect(pace.encodingPays(threadCount: 2))
    pace.note(sample(encoding: 1500, disk: 5000))
    #expect(!pace.encodingPays(threadCount: 2))
    #expect(pace.encodingPays(threadCount: 4))
  }

  @Test func aDiskThatBecomesSlowerIsNoticedWhileNothingIsEncoded() {
    var pace = SavePace()
    pace.note(sample(encoding: 1500, disk: 5000))
    pace.note(sample(encoding: nil, disk: 5000))
    #expect(!pace.encodingPays(threadCount: 2))
    pace.note(sample(encoding: nil, disk: 1000))
    #expect(pace.encodingPays(threadCount: 2))
  }

  @Test func theCoderIsMeasuredAgainNowAndThen() {
    var pace = SavePace()
    pace.note(sample(encoding: 100, disk: 5000))
    for number in 1...SavePace.storedCountMax {
      #expect(!pace.encodingPays(threadCount: 2), "\(number)")
      pace.note(sample(encoding: nil, disk: 5000))
    }
    #expect(pace.encodingPays(threadCount: 2))
    pace.note(sample(encoding: 100, disk: 5000))
    #expect(!pace.encodingPays(threadCount: 2))
  }

  @Test func smallSavesSayNothing() {
    var pace = SavePace()
    pace.note(
      SavePace.Sample(
        stateByteCount: SavePace.stateByteCountMin - 1, encodingNanoseconds: .max / 2,
        fileByteCount: 1, writingNanoseconds: 1))
    #expect(pace.encodingPays(threadCount: 1))
  }
}
