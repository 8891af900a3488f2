import CheckpointCodecs
import CheckpointEngine
import CheckpointFormat
import CheckpointStorage
import CheckpointTesting
import Testing

// Goal: the automatic compression stores where that is faster, encodes where it is not, and notices a change.
@Suite struct SavePaceTests {
  private static let byteCount: UInt64 = 1 << 30

  /// Milliseconds of a save of 1 GiB, and of the disk alone for its bytes, of which encoding leaves 80 %.
  private func encoded(_ milliseconds: UInt64, disk: UInt64) -> SavePace.Sample {
    SavePace.Sample(
      stateByteCount: Self.byteCount, isEncoded: true, nanoseconds: milliseconds * 1_000_000,
      fileByteCount: Self.byteCount * 4 / 5, writingNanoseconds: disk * 1_000_000)
  }

  private func stored(_ milliseconds: UInt64, disk: UInt64) -> SavePace.Sample {
    SavePace.Sample(
      stateByteCount: Self.byteCount, isEncoded: false, nanoseconds: milliseconds * 1_000_000,
      fileByteCount: Self.byteCount, writingNanoseconds: disk * 1_000_000)
  }

  private func pace(_ samples: SavePace.Sample...) -> SavePace {
    var pace = SavePace()
    for sample in samples { pace.note(sample) }
    return pace
  }

  @Test func nothingKnownMeansEncoding() {
    #expect(SavePace().encodes)
    #expect(pace(stored(1000, disk: 10)).encodes)
  }

  @Test func storingIsTriedOnlyWhereTheDiskCouldBeFaster() {
    // 400 ms for 80 % of the bytes are 500 for all.
    #expect(pace(encoded(500, disk: 400)).encodes)
    #expect(pace(encoded(520, disk: 400)).encodes, "not for less than 5 %")
    #expect(!pace(encoded(530, disk: 400)).encodes)
  }

  @Test func theFasterOfBothIsTaken() {
    #expect(!pace(encoded(600, disk: 300), stored(500, disk: 400)).encodes)
    #expect(pace(encoded(600, disk: 300), stored(700, disk: 400)).encodes)
    // What is nearly as fast and smaller is better.
    #expect(pace(encoded(600, disk: 300), stored(580, disk: 400)).encodes)
    #expect(pace(encoded(600, disk: 300), stored(700, disk: 400), encoded(600, disk: 300)).encodes)
  }

  @Test func aDiskThatBecomesSlowerIsNoticedWhileNothingIsEncoded() {
    var pace = pace(encoded(600, disk: 300), stored(400, disk: 400))
    for _ in 0..<3 { pace.note(stored(800, disk: 800)) }
    #expect(pace.encodes)
  }

  @Test func aCoderThatBecomesSlowerIsNoticed() {
    var pace = pace(encoded(600, disk: 300), stored(700, disk: 400))
    for _ in 0..<3 { pace.note(encoded(900, disk: 300)) }
    #expect(!pace.encodes)
  }

  /// Plays saves that take so long, and returns how often chunks were encoded.
  private func encodedCount(
    _ pace: inout SavePace, of count: Int, encoded encodedTime: (Int) -> UInt64,
    stored storedTime: (Int) -> UInt64, disk: UInt64 = 100
  ) -> Int {
    (0..<count).count { number in
      let encodes = pace.encodes
      pace.note(
        encodes
          ? encoded(encodedTime(number), disk: disk) : stored(storedTime(number), disk: disk))
      return encodes
    }
  }

  @Test func oneSlowSaveDoesNotKeepTheSlowerWay() {
    // The first save is slow, as where memory is fresh.
    var first = SavePace()
    let count = encodedCount(&first, of: 20) {
      $0 == 0 ? 2000 : 1000
    } stored: { _ in
      1500
    }
    #expect(count >= 13)
    // And one in twenty later on.
    for isEncodingBetter in [true, false] {
      var pace = SavePace()
      let encoded = encodedCount(&pace, of: 1000) {
        (isEncodingBetter ? 1000 : 1500) * ($0 % 20 == 19 ? 2 : 1)
      } stored: {
        (isEncodingBetter ? 1500 : 1000) * ($0 % 20 == 19 ? 2 : 1)
      }
      #expect(isEncodingBetter ? encoded > 940 : encoded < 60)
    }
  }

  @Test func theOtherWayIsTriedAgainNowAndThen() {
    var pace = SavePace()
    // After 2, 4, 8, 16 and then 32 saves.
    #expect(
      encodedCount(&pace, of: 68) { _ in
        600
      } stored: { _ in
        400
      } == 1 + 5)
    #expect(
      encodedCount(&pace, of: 330) { _ in
        600
      } stored: { _ in
        400
      } == 10)
    // The coder has become faster: by the next trial that is known, and soon confirmed.
    #expect(
      encodedCount(&pace, of: 32) { _ in
        300
      } stored: { _ in
        400
      } == 0)
    #expect(
      encodedCount(&pace, of: 2) { _ in
        300
      } stored: { _ in
        400
      } == 2)
    #expect(!pace.encodes)
    #expect(
      encodedCount(&pace, of: 66) { _ in
        300
      } stored: { _ in
        400
      } > 60)
    // A disk that is too slow is not tried, whatever was known of storing.
    _ = encodedCount(&pace, of: 40) { _ in
      300
    } stored: { _ in
      400
    }
    #expect(
      encodedCount(&pace, of: 100, encoded: { _ in 300 }, stored: { _ in 400 }, disk: 290) >= 99)
  }

  // MARK: In a store

  /// A clock that goes on with each look at it, with each byte that is written, and with encoding.
  private struct Clock {
    var time: UInt64 = 0
    var byteNanoseconds: UInt64 = 0
  }

  /// Takes as long for a write as the clock says.
  private final class TimedBackend: ForwardingBackend {
    let base: any StorageBackend
    private let clock: Protected<Clock>

    init(_ base: any StorageBackend, _ clock: Protected<Clock>) {
      self.base = base
      self.clock = clock
    }

    func write(
      _ descriptor: Descriptor, _ bytes: RawSpan, at offset: UInt64
    ) throws(StorageError) -> Int {
      clock.withLock { $0.time += $0.byteNanoseconds * UInt64(bytes.byteCount) }
      return try base.write(descriptor, bytes, at: offset)
    }
  }

  /// 4 MiB of few symbols, and so a file of a megabyte.
  private static let state: SampleState = {
    var generator = SeededGenerator(1)
    let symbols = (0..<64 << 10).map { _ in generator.byte() & 3 }
    var state = SampleState()
    state.add("symbols", .uint8, [4 << 20], (0..<64).flatMap { _ in symbols })
    return state
  }()

  private static let codingNanoseconds: UInt64 = 50_000_000

  /// Saves, which takes the coder's time if chunks are to be encoded, and compares what became of them.
  private func expect(
    _ codec: CodecIdentifier, _ store: CheckpointStore, _ disk: SimulatedDisk,
    _ clock: Protected<Clock>, _ location: SourceLocation = #_sourceLocation
  ) throws {
    let path = try store.save(Self.state.plan(), step: 1) { sink in
      if codec != .stored { clock.withLock { $0.time += Self.codingNanoseconds } }
      try sink.append(Self.state.stream.rawSpan)
    }.path
    let reader = try CheckpointReader.open(path: path, on: disk.device, threads: 1)
    let codecs = Set(reader.index.chunks.entries.map(\.codec))
    #expect(codecs == [codec], sourceLocation: location)
  }

  private func open(
    _ disk: SimulatedDisk, _ clock: Protected<Clock>, _ compression: Compression,
    _ version: FormatVersion = .current
  ) throws -> CheckpointStore {
    let device = StorageDevice(
      backend: TimedBackend(disk.device.backend, clock),
      timeSource: TimeSource(
        now: { 0 },
        monotonic: {
          clock.withLock {
            $0.time += 1_000_000
            return $0.time
          }
        }, sleep: { _ in }), randomBits: disk.device.randomBits)
    var options = StoreOptions(
      device: device, compression: compression, formatVersion: version, chunkByteCount: 64 << 10,
      threads: 1)
    options.output.pacedStateByteCount = 4 << 20
    // One write for all.
    options.output.smallPortionByteCount = 16 << 20
    options.output.largeFileByteCount = .max
    return try CheckpointStore("/run", for: .writing, options: options)
  }

  @Test func automaticStoresWhileThatIsFaster() throws {
    let (disk, clock) = (SimulatedDisk(), Protected(Clock()))
    let store = try open(disk, clock, .automatic)
    // Nothing is known before the first save.
    try expect(.planes, store, disk, clock)
    for _ in 0..<2 { try expect(.stored, store, disk, clock) }
    // The other way is tried.
    try expect(.planes, store, disk, clock)
    // 4 MB of a disk that takes a megabyte in 100 ms are slower than the coder and 1 MB.
    clock.withLock { $0.byteNanoseconds = 100 }
    for _ in 0..<3 { try expect(.stored, store, disk, clock) }
    for _ in 0..<3 { try expect(.planes, store, disk, clock) }
  }

  @Test func onlyTheAutomaticOneGoesByTime() throws {
    for (compression, version, expected) in [
      (Compression.always, FormatVersion.v2, CodecIdentifier.planes), (.none, .v2, .stored),
      (.automatic, .v1, .deflate),
    ] {
      let (disk, clock) = (SimulatedDisk(), Protected(Clock()))
      let store = try open(disk, clock, compression, version)
      for _ in 0..<3 { try expect(expected, store, disk, clock) }
    }
  }

  @Test func smallSavesSayNothing() throws {
    let (disk, clock) = (SimulatedDisk(), Protected(Clock()))
    var options = try open(disk, clock, .automatic).options
    options.output.pacedStateByteCount = 4 << 20 + 1
    let store = try CheckpointStore("/run", for: .writing, options: options)
    for _ in 0..<3 { try expect(.planes, store, disk, clock) }
  }
}
