internal import CPlanes

/// Finds out which bytes a plane has, about how often, and how long their codes are together.
///
/// To count a byte takes a cycle, longer than all else that coding begins with. So of a large plane some
/// thousand words are counted, each anywhere in its part of the plane; what they do not show is looked for by
/// comparison, which takes dozens of bytes in a cycle and so does adding up lengths. A code from a sample of
/// that size is longer by less than 0.1 % where the bytes are of one kind.
///
/// One instance serves one thread at a time.
@safe
package final class LiteralCounter {
  /// Planes from here on are sampled.
  package static let sampledByteCountMin = 64 << 10
  /// Words of eight bytes in a sample.
  private static let sampleCount = 4096

  /// How often each byte occurs in each of four parts of the plane.
  private let counts: UnsafeMutablePointer<UInt32>
  private let seen: UnsafeMutablePointer<UInt8>

  package init() {
    unsafe counts = .allocate(capacity: 4 * 256)
    unsafe seen = .allocate(capacity: 256)
  }

  deinit {
    // SAFETY: this instance alone holds the pointers, and it ends here.
    unsafe counts.deallocate()
    unsafe seen.deallocate()
  }

  // MARK: How often

  /// How often each byte occurs.
  package func all(_ plane: UnsafeBufferPointer<UInt8>) -> [UInt32] {
    unsafe counts.initialize(repeating: 0, count: 4 * 256)
    guard let start = plane.baseAddress else { return totals(of: 1) }
    let quarter = plane.count / 4
    // SAFETY: each quarter has that many whole words.
    for offset in stride(from: 0, to: quarter & ~7, by: 8) {
      unsafe count(start + offset, quarter, quarter, quarter)
    }
    for place in 0..<4 {
      let end = place == 3 ? plane.count : (place + 1) * quarter
      for index in place * quarter + quarter & ~7..<end {
        // SAFETY: the index lies in the plane.
        unsafe counts[Int(plane[index])] &+= 1
      }
    }
    return totals(of: 1)
  }

  /// About how often each byte occurs, in as many bytes as the plane has or somewhat fewer.
  ///
  /// - Parameters:
  ///   - plane: As many bytes as are sampled, or more.
  ///   - way: How bytes are looked for; what comes of it is the same.
  /// - Returns: 1 or more for each byte that occurs, and 0 for the others.
  package func sampled(
    _ plane: UnsafeBufferPointer<UInt8>, way: Int32 = BytePlanes.bestWay
  ) -> [UInt32] {
    precondition(plane.count >= Self.sampledByteCountMin, "only large planes are sampled")
    unsafe counts.initialize(repeating: 0, count: 4 * 256)
    guard let start = plane.baseAddress else { return totals(of: 1) }
    let partByteCount = plane.count / Self.sampleCount
    let quarter = Self.sampleCount / 4
    for part in 0..<quarter {
      let first = Self.sampledOffset(part, partByteCount)
      let second = Self.sampledOffset(part + quarter, partByteCount)
      let third = Self.sampledOffset(part + 2 * quarter, partByteCount)
      let fourth = Self.sampledOffset(part + 3 * quarter, partByteCount)
      // SAFETY: each word lies in its part.
      unsafe count(start + first, second - first, third - second, fourth - third)
    }
    var totals = totals(of: UInt32(partByteCount / 8))
    unsafe seen.initialize(repeating: 0, count: 256)
    for byte in 0..<256 where totals[byte] > 0 { unsafe seen[byte] = 1 }
    unsafe Self.mark(plane, in: seen, way: way)
    for byte in 0..<256 where unsafe totals[byte] == 0 && seen[byte] > 0 { totals[byte] = 1 }
    return totals
  }

  /// Where the word lies that is counted of a part: not in the same place of each, since a plane may have columns.
  @inline(__always)
  package static func sampledOffset(_ part: Int, _ partByteCount: Int) -> Int {
    // By the golden ratio, which is far from all fractions.
    let share = UInt64(truncatingIfNeeded: part) &* 0x9E37_79B9 & 0xFFFF_FFFF
    let place = (share &* UInt64(truncatingIfNeeded: partByteCount &- 7)) &>> 32
    return part &* partByteCount &+ Int(truncatingIfNeeded: place)
  }

  /// Counts four words, each so far behind the one before: a count that was just written is slow to read.
  @inline(__always) @unsafe
  private func count(
    _ place: UnsafePointer<UInt8>, _ second: Int, _ third: Int, _ fourth: Int
  ) {
    let start = unsafe UnsafeRawPointer(place)
    var words = unsafe (
      start.loadUnaligned(as: UInt64.self),
      start.loadUnaligned(fromByteOffset: second, as: UInt64.self),
      start.loadUnaligned(fromByteOffset: second &+ third, as: UInt64.self),
      start.loadUnaligned(fromByteOffset: second &+ third &+ fourth, as: UInt64.self)
    )
    for _ in 0..<8 {
      unsafe counts[Int(truncatingIfNeeded: words.0 & 0xFF)] &+= 1
      unsafe counts[256 &+ Int(truncatingIfNeeded: words.1 & 0xFF)] &+= 1
      unsafe counts[512 &+ Int(truncatingIfNeeded: words.2 & 0xFF)] &+= 1
      unsafe counts[768 &+ Int(truncatingIfNeeded: words.3 & 0xFF)] &+= 1
      words = (words.0 &>> 8, words.1 &>> 8, words.2 &>> 8, words.3 &>> 8)
    }
  }

  private func totals(of weight: UInt32) -> [UInt32] {
    (0..<256).map { byte in
      let sum =
        unsafe counts[byte] &+ counts[256 + byte] &+ counts[512 + byte] &+ counts[768 + byte]
      return sum &* weight
    }
  }

  // MARK: Whole planes

  /// Marks the bytes that there are, beside those that are marked, by 1.
  package static func mark(
    _ bytes: UnsafeBufferPointer<UInt8>, in seen: UnsafeMutablePointer<UInt8>,
    way: Int32 = BytePlanes.bestWay
  ) {
    guard let start = bytes.baseAddress else { return }
    // SAFETY: an index below the count, and 256 marks.
    var index = unsafe checkpoint_mark(way, start, bytes.count, seen)
    while index < bytes.count {
      unsafe seen[Int(bytes[index])] = 1
      index &+= 1
    }
  }

  /// Adds the lengths of the codes of all bytes.
  ///
  /// - Parameters:
  ///   - bytes: A plane or a piece of one.
  ///   - lengths: The length of the code of each of the 256 bytes.
  ///   - way: How they are looked up.
  /// - Returns: Bits of all codes together.
  package static func bitCount(
    _ bytes: UnsafeBufferPointer<UInt8>, by lengths: UnsafePointer<UInt8>,
    way: Int32 = BytePlanes.bestWay
  ) -> Int {
    guard let start = bytes.baseAddress else { return 0 }
    var sum: UInt64 = 0
    // SAFETY: an index below the count, and 256 lengths.
    var index = unsafe checkpoint_add_lengths(way, start, bytes.count, lengths, &sum)
    // Four at once: two tables' entries are read in a cycle, and one sum would wait for itself.
    var sums: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
    while index &+ 4 <= bytes.count {
      unsafe sums.0 &+= UInt64(lengths[Int(start[index])])
      unsafe sums.1 &+= UInt64(lengths[Int(start[index &+ 1])])
      unsafe sums.2 &+= UInt64(lengths[Int(start[index &+ 2])])
      unsafe sums.3 &+= UInt64(lengths[Int(start[index &+ 3])])
      index &+= 4
    }
    while index < bytes.count {
      unsafe sum &+= UInt64(lengths[Int(start[index])])
      index &+= 1
    }
    return Int(sum &+ sums.0 &+ sums.1 &+ sums.2 &+ sums.3)
  }
}
