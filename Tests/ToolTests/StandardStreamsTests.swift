import CommandLineTool
import Synchronization
import Testing

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

@Suite("Standard descriptors")
struct StandardDescriptorTests {
  /// Whoever starts us with standard output closed must not have events written into a checkpoint.
  @Test func fileOpenedLaterIsNeverStandardOutput() async {
    for descriptor in Int32(0)...2 {
      await #expect(processExitsWith: .exitCode(7)) { [descriptor = descriptor as Int32] in
        close(descriptor)
        StandardStreams.prepare()
        let file = unsafe open("/dev/zero", O_RDWR)
        if file <= 2 { exit(8) }
        exit(7)
      }
    }
  }
}

@Suite("Writing to a descriptor")
struct DescriptorWriterTests {
  /// Takes at most three bytes a call, after the errors it was given.
  private final class Reluctant: Sendable {
    private let errors: Mutex<[Int32]>
    private let taken = Mutex<[UInt8]>([])

    init(errors: [Int32]) { self.errors = Mutex(errors) }

    var text: String { String(decoding: taken.withLock { $0 }, as: UTF8.self) }

    func write(_ bytes: RawSpan) -> Int {
      if let error = errors.withLock({ $0.isEmpty ? nil : $0.removeFirst() }) { return -Int(error) }
      let count = min(3, bytes.byteCount)
      for offset in 0..<count {
        // SAFETY: every bit pattern is a byte.
        let byte = unsafe bytes.unsafeLoad(fromByteOffset: offset, as: UInt8.self)
        taken.withLock { $0.append(byte) }
      }
      return count
    }
  }

  private func write(_ text: String, errors: [Int32]) -> (error: Int32?, text: String) {
    let target = Reluctant(errors: errors)
    let writer = DescriptorWriter(descriptor: -1, call: { _, bytes in target.write(bytes) })
    return (writer.write(text), target.text)
  }

  @Test func shortWritesAndInterruptsLoseNothing() {
    let result = write("a whole line\n", errors: [EINTR, EAGAIN, EINTR])
    #expect(result.error == nil)
    #expect(result.text == "a whole line\n")
  }

  @Test(arguments: [ENOSPC, EPIPE, EIO, EBADF])
  func refusalIsReported(error: Int32) {
    #expect(write("a line\n", errors: [EINTR, error]).error == error)
  }

  @Test func fullDeviceRefuses() throws {
    let full = unsafe open("/dev/full", O_WRONLY)
    try #require(full >= 0)
    defer { close(full) }
    #expect(DescriptorWriter(descriptor: full).write("a line\n") == ENOSPC)
    #expect(!StandardStreams.isTerminal(full))
  }
}
