internal import CheckpointTesting
internal import Synchronization

#if canImport(Darwin)
  internal import Darwin
#else
  internal import Glibc
#endif

/// One thing that is fuzzed: how bytes are tried, and how they are changed.
///
/// The programs in `Fuzz` call ``run(_:_:)`` and ``mutate(_:_:_:_:_:)``; ordinary tests replay files
/// through ``replay(_:)``. Not API of the library.
public struct FuzzTarget: Sendable {
  /// libFuzzer's own mutation: changes bytes in place and returns their new count.
  public typealias NativeMutation =
    @convention(c) (UnsafeMutablePointer<UInt8>?, Int, Int) -> Int

  /// The name of its corpus, and of its program.
  public let name: String
  /// Tries some bytes; throws what is wrong with the library.
  ///
  /// The result only keeps the compiler from leaving the work out.
  let test: @Sendable ([UInt8]) throws -> UInt64
  let mutate: @Sendable (inout [UInt8], inout MutationSource) -> Void

  /// Every target, in the order of their layers.
  public static let all = [header, index, codec, chunk, file, roundTrip, store]

  /// Tries one input, as an ordinary test does.
  ///
  /// - Parameter input: the input's bytes.
  /// - Throws: what is wrong with the library.
  public func replay(_ input: [UInt8]) throws {
    Self.sink.wrappingAdd(try test(input), ordering: .relaxed)
  }

  /// Tries one input, as libFuzzer does: what is wrong ends the process.
  ///
  /// - Parameters:
  ///   - bytes: the input's first byte.
  ///   - count: how many bytes it has.
  /// - Returns: 0, which has the input join the corpus if it reached new code.
  public func run(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    // SAFETY: libFuzzer lends `count` bytes for this call; they are copied.
    let input = unsafe [UInt8](UnsafeBufferPointer(start: bytes, count: count))
    do {
      try replay(input)
    } catch {
      let text = Array("FINDING: \(error)\n".utf8)
      unsafe _ = text.withUnsafeBytes { unsafe write(2, $0.baseAddress, $0.count) }
      abort()
    }
    return 0
  }

  /// Changes an input in place, as libFuzzer asks for it.
  ///
  /// - Parameters:
  ///   - bytes: the input's first byte.
  ///   - count: how many bytes it has.
  ///   - capacity: how many it may have afterwards.
  ///   - seed: decides the change, together with libFuzzer's own chance.
  ///   - native: libFuzzer's own mutation.
  /// - Returns: how many bytes it has afterwards.
  public func mutate(
    _ bytes: UnsafeMutablePointer<UInt8>?, _ count: Int, _ capacity: Int, _ seed: UInt32,
    _ native: @escaping NativeMutation
  ) -> Int {
    guard let bytes = unsafe bytes else { return 0 }
    // SAFETY: libFuzzer lends `capacity` bytes, of which `count` hold the input.
    var input = unsafe [UInt8](UnsafeBufferPointer(start: bytes, count: count))
    var source = MutationSource(
      generator: SplitMix64(state: UInt64(seed)), byteCountMax: capacity
    ) { part, count in
      // SAFETY: libFuzzer changes at most as many bytes as the array has, and keeps no pointer.
      unsafe part.withUnsafeMutableBufferPointer {
        unsafe native($0.baseAddress, count, $0.count)
      }
    }
    mutate(&input, &source)
    let newCount = min(input.count, capacity)
    for index in 0..<newCount { unsafe bytes[index] = input[index] }
    return newCount
  }

  private static let sink = Atomic<UInt64>(0)
}

/// Tells what is being done, for whoever wants to understand an artifact: `FUZZ_TRACE=1`.
func trace(_ text: @autoclosure () -> String) {
  guard Trace.isOn else { return }
  let line = Array((text() + "\n").utf8)
  unsafe _ = line.withUnsafeBytes { unsafe write(2, $0.baseAddress, $0.count) }
}

private enum Trace {
  static let isOn = unsafe getenv("FUZZ_TRACE") != nil
}

/// Something that should not have happened.
struct Finding: Error, CustomStringConvertible {
  var description: String

  init(_ description: String) { self.description = description }
}

/// Throws a finding unless `condition` holds.
func require(
  _ condition: Bool, _ description: @autoclosure () -> String
) throws(Finding) {
  guard condition else { throw Finding(description()) }
}

/// Gathers results, so that no work is left out as useless.
struct Digest {
  private(set) var value: UInt64 = 0

  mutating func add(_ number: some BinaryInteger) {
    value = (value ^ UInt64(truncatingIfNeeded: number)) &* 0x100_0000_01b3
  }

  mutating func add(_ error: some Error & CustomStringConvertible) {
    add(error.description.utf8.count)
  }

  mutating func add(_ bytes: [UInt8]) {
    add(bytes.count)
    if let last = bytes.last { add(last) }
  }
}

/// What a mutation may draw on.
struct MutationSource {
  var generator: SplitMix64
  /// How many bytes the input may have afterwards.
  var byteCountMax: Int
  /// libFuzzer's own change of the first bytes of an array; returns how many they are then.
  var native: (inout [UInt8], _ count: Int) -> Int

  mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
  mutating func below(_ count: Int) -> Int { Int.random(in: 0..<count, using: &generator) }
  mutating func pick<Element>(_ elements: [Element]) -> Element { elements[below(elements.count)] }

  /// Has libFuzzer change some bytes, which may become more if `limit` allows it.
  mutating func mutate(_ bytes: inout [UInt8], atMost limit: Int) {
    guard limit > 0 else { return }
    let count = min(bytes.count, limit)
    bytes.removeLast(bytes.count - count)
    bytes.append(contentsOf: repeatElement(0, count: limit - count))
    let newCount = native(&bytes, count)
    bytes.removeLast(limit - min(newCount, limit))
  }

  /// Has libFuzzer change a part of some bytes, and leaves their count as it is.
  mutating func mutate(_ range: Range<Int>, of bytes: inout [UInt8]) {
    var part = Array(bytes[range])
    mutate(&part, atMost: range.count)
    part.append(contentsOf: repeatElement(0, count: range.count - part.count))
    bytes.replaceSubrange(range, with: part)
  }
}
