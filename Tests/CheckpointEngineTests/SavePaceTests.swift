import CheckpointCodecs
import CheckpointEngine
import CheckpointFormat
import CheckpointStorage
import CheckpointTesting
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

  // MARK: In a store

  /// A clock that goes on with each look at it, and with each write.
  private struct Clock {
    var time: UInt64 = 0
    var writeNanoseconds: UInt64 = 0
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
      clock.withLock { $0.time += $0.writeNanoseconds }
      return try base.write(descriptor, bytes, at: offset)
    }
  }

  /// 4 MiB of few symbols: 16 slots to encode, and a file of a megabyte to write.
  private static let state: SampleState = {
    var generator = SeededGenerator(1)
    let symbols = (0..<64 << 10).map { _ in generator.byte() & 3 }
    var state = SampleState()
    state.add("symbols", .uint8, [4 << 20], (0..<64).flatMap { _ in symbols })
    return state
  }()

  /// The codecs of its chunks, after a save.
  private func codecs(_ store: CheckpointStore, _ disk: SimulatedDisk) throws -> Set<
    CodecIdentifier
  > {
    let path = try store.save(Self.state, step: 1).path
    let reader = try CheckpointReader.open(path: path, on: disk.device, threads: 1)
    return Set(reader.index.chunks.entries.map(\.codec))
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
    // One write for all, so that the disk is as fast as a look at the clock.
    options.output.smallBufferByteCount = 16 << 20
    options.output.largeFileByteCount = .max
    return try CheckpointStore("/run", for: .writing, options: options)
  }

  @Test func automaticStoresWhileTheDiskIsFasterThanTheCoder() throws {
    let (disk, clock) = (SimulatedDisk(), Protected(Clock()))
    let store = try open(disk, clock, .automatic)
    // Nothing is known before the first save.
    #expect(try codecs(store, disk) == [.planes])
    #expect(try codecs(store, disk) == [.stored])
    #expect(try codecs(store, disk) == [.stored])
    clock.withLock { $0.writeNanoseconds = 1_000_000_000 }
    #expect(try codecs(store, disk) == [.stored])
    #expect(try codecs(store, disk) == [.planes])
    #expect(try codecs(store, disk) == [.planes])
    clock.withLock { $0.writeNanoseconds = 0 }
    #expect(try codecs(store, disk) == [.planes])
    #expect(try codecs(store, disk) == [.stored])
  }

  @Test func theOthersDoNotLookAtTheClock() throws {
    for (compression, version, expected) in [
      (Compression.always, FormatVersion.v2, CodecIdentifier.planes), (.none, .v2, .stored),
      (.automatic, .v1, .deflate),
    ] {
      let (disk, clock) = (SimulatedDisk(), Protected(Clock()))
      let store = try open(disk, clock, compression, version)
      for _ in 0..<3 { #expect(try codecs(store, disk) == [expected]) }
    }
  }

  @Test func smallSavesSayNothing() throws {
    let (disk, clock) = (SimulatedDisk(), Protected(Clock()))
    var options = try open(disk, clock, .automatic).options
    options.output.pacedStateByteCount = 4 << 20 + 1
    let store = try CheckpointStore("/run", for: .writing, options: options)
    for _ in 0..<3 { #expect(try codecs(store, disk) == [.planes]) }
  }
}
