import CPlanes
import CheckpointCodecs
import CheckpointTesting
import Foundation
import Testing

// Goal: every way of taking elements apart and putting them together gives what the definition says, at every
// count and alignment, and touches no byte beside it.
// Method: planes by the definition, a byte at a time; the ways of this processor beside them, in memory in front
// of a page that cannot be touched, with bytes around it that are looked at afterwards.
@Suite struct BytePlanesTests {
  /// Elements and their planes, by the definition.
  private struct Example {
    let width: Int
    let isRotated: Bool
    let raw: [UInt8]
    let planes: [[UInt8]]

    init(width: Int, isRotated: Bool, count: Int) {
      let raw = SampleBytes.random(width * count, seed: UInt64(count + 1))
      var planes = [[UInt8]](repeating: [], count: width)
      for element in 0..<count {
        var word: UInt64 = 0
        for byte in 0..<width { word |= UInt64(raw[element * width + byte]) << UInt64(8 * byte) }
        if isRotated { word = word << 1 | word >> UInt64(8 * width - 1) }
        for byte in 0..<width { planes[byte].append(UInt8(word >> UInt64(8 * byte) & 0xFF)) }
      }
      (self.width, self.isRotated, self.raw, self.planes) = (width, isRotated, raw, planes)
    }

    var count: Int { raw.count / width }
  }

  /// Memory for so many bytes, with some in front of and behind them that nobody may change.
  private final class Place {
    private static let margin = 64
    private static let mark: UInt8 = 0xA5
    private let memory: GuardedBytes

    init(byteCountMax: Int) { memory = GuardedBytes(capacity: byteCountMax + 2 * Self.margin) }

    /// Memory for `count` bytes, the last of them `gap` in front of the guard.
    func make(_ count: Int, gap: Int) -> UnsafeMutableRawPointer {
      let all = unsafe memory.bytes(Self.margin + count + gap)
      unsafe all.initializeMemory(as: UInt8.self, repeating: Self.mark)
      guard let start = all.baseAddress else { preconditionFailure("a margin is memory") }
      return unsafe start + Self.margin
    }

    /// What is there now; nil if bytes beside it have changed.
    func contents(_ count: Int, gap: Int) -> [UInt8]? {
      let all = unsafe [UInt8](memory.bytes(Self.margin + count + gap))
      let around = all.prefix(Self.margin) + all.suffix(gap)
      return around.allSatisfy { $0 == Self.mark }
        ? [UInt8](all[Self.margin..<Self.margin + count]) : nil
    }
  }

  /// All that this processor has.
  private let ways = 0...BytePlanes.bestWay
  private static let countMax = 70_001
  private let element = Place(byteCountMax: 4 * countMax)
  private let bytes = (0..<4).map { _ in Place(byteCountMax: countMax) }

  // MARK: One example by one way

  /// The planes that come of an example, each where `wanted` says so; nil where bytes beside it have changed.
  private func split(
    _ example: Example, _ way: Int32, gap: Int, wanted: [Bool]
  ) -> [[UInt8]?] {
    let count = example.count
    let raw = unsafe element.make(example.raw.count, gap: gap)
    unsafe raw.copyMemory(from: example.raw, byteCount: example.raw.count)
    // Each plane is aligned in its own way.
    let planes = unsafe (0..<example.width).map { plane -> BytePlanes.Plane? in
      let place = unsafe bytes[plane].make(count, gap: gap + plane)
      return wanted[plane] ? unsafe place.assumingMemoryBound(to: UInt8.self) : nil
    }
    if example.width == 2 {
      unsafe BytePlanes.split2(
        raw, count: count, isRotated: example.isRotated, planes[0], planes[1], way: way)
    } else {
      unsafe BytePlanes.split4(
        raw, count: count, isRotated: example.isRotated, planes[0], planes[1], planes[2],
        planes[3], way: way)
    }
    return (0..<example.width).map { bytes[$0].contents(count, gap: gap + $0) }
  }

  /// What is put together of the planes of an example; nil if bytes beside it have changed.
  private func merge(_ example: Example, _ way: Int32, gap: Int) -> [UInt8]? {
    let count = example.count
    let planes = unsafe (0..<example.width).map { plane -> BytePlanes.ConstantPlane in
      let place = unsafe bytes[plane].make(count, gap: gap + plane)
      unsafe place.copyMemory(from: example.planes[plane], byteCount: count)
      return unsafe UnsafePointer(place.assumingMemoryBound(to: UInt8.self))
    }
    let raw = unsafe element.make(example.raw.count, gap: gap)
    if example.width == 2 {
      unsafe BytePlanes.merge2(
        planes[0], planes[1], count: count, isRotated: example.isRotated, into: raw, way: way)
    } else {
      unsafe BytePlanes.merge4(
        planes[0], planes[1], planes[2], planes[3], count: count, isRotated: example.isRotated,
        into: raw, way: way)
    }
    return element.contents(example.raw.count, gap: gap)
  }

  // MARK: Claims

  @Test(arguments: [2, 4], [false, true])
  func everyWayIsTheDefinitionAtEveryCountAndAlignment(width: Int, isRotated: Bool) {
    for count in Array(0...300) + [1021, 4095, 4099, 65_537, Self.countMax] {
      let example = Example(width: width, isRotated: isRotated, count: count)
      for gap in [0, 1, 2, 13] {
        for way in ways {
          let planes = split(
            example, way, gap: gap, wanted: [Bool](repeating: true, count: width))
          #expect(planes == example.planes, "\(count) elements split by way \(way), gap \(gap)")
          let merged = merge(example, way, gap: gap)
          #expect(merged == example.raw, "\(count) elements merged by way \(way), gap \(gap)")
        }
      }
    }
  }

  @Test(arguments: [2, 4], [false, true])
  func planesThatAreNotWantedAreLeftAlone(width: Int, isRotated: Bool) {
    for count in [0, 1, 15, 16, 31, 64, 200, 1021] {
      let example = Example(width: width, isRotated: isRotated, count: count)
      let untouched = [UInt8](repeating: 0xA5, count: count)
      for set in 0..<1 << width {
        let wanted = (0..<width).map { set >> $0 & 1 == 1 }
        let expected = (0..<width).map { wanted[$0] ? example.planes[$0] : untouched }
        for way in ways {
          let planes = split(example, way, gap: 3, wanted: wanted)
          #expect(planes == expected, "\(count) elements by way \(way), wanted: \(wanted)")
        }
      }
    }
  }

  #if os(Linux) && arch(x86_64)
    /// Otherwise all of this would be about ways that nobody takes.
    @Test func theBestWayIsWhatTheSystemSaysOfTheProcessor() throws {
      let text = try String(contentsOfFile: "/proc/cpuinfo", encoding: .utf8)
      let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("flags") })
      let flags = Set(line.split(separator: " "))
      let isWide = flags.isSuperset(of: ["avx512f", "avx512bw", "avx512vbmi"])
      #expect(BytePlanes.bestWay == (isWide ? 2 : flags.contains("avx2") ? 1 : 0))
    }
  #endif

  /// Otherwise all of the above would be about the portable way.
  @Test func theWaysOfTheProcessorDoAllWholeRegisters() {
    let raw = [UInt8](repeating: 1, count: 400)
    var elements = [UInt8](repeating: 0, count: 400)
    var plane = [UInt8](repeating: 0, count: 100)
    for (way, expected) in zip(ways, [0, 96, 64]) {
      let done = unsafe [
        checkpoint_split2(way, raw, 100, 1, nil, &plane),
        checkpoint_split4(way, raw, 100, 1, nil, nil, nil, &plane),
        checkpoint_merge2(way, raw, raw, 100, 1, &elements),
        checkpoint_merge4(way, raw, raw, raw, raw, 100, 1, &elements),
      ]
      #expect(done == [expected, expected, expected, expected], "way \(way)")
    }
  }
}
