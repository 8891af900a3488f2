internal import CPlanes

#if _endian(big)
  #error("Elements are split and merged as little-endian numbers, as they lie in a file.")
#endif

// Kernels: pointers inside.
//
// SAFETY: each plane has `count` bytes and the elements together `count * width`, none of them
// overlap, and all are lent for the call; that is the duty of PlaneEncoder and PlaneDecoder, which call them.
// Every index below is less than `count`, and a vector is taken only where all of its lanes are. The functions
// in C do as many elements as they say, which are never more than `count`, and keep no pointer.
//
// Never more than 16 lanes, which the compiler would take one by one. Shifts are by variables, also where
// they are constant: the compiler knows a rotation when it sees one, and takes that lane by lane too.

/// Takes elements apart into planes, one for each of their bytes, and puts them together again.
///
/// Plane k holds byte k of every element, the least significant first. Where elements are rotated, they are
/// so by one bit to the left: that puts the sign of a float behind its mantissa and leaves the exponent of a
/// bfloat16 or float32 as one whole byte, in the last plane.
///
/// Elements of 2 and 4 bytes are left to `CPlanes` where the processor has a way of its own, but for the last few
/// of them. What is here is the portable way, and all that there is for elements of 8 bytes.
package enum BytePlanes {
  package typealias Plane = UnsafeMutablePointer<UInt8>
  package typealias ConstantPlane = UnsafePointer<UInt8>

  /// The fastest way that this processor has, as `CPlanes` counts them: 0 is the portable one.
  package static let bestWay = checkpoint_planes_best_way()

  // MARK: Splitting

  /// A plane that is nil is not wanted.
  @unsafe package static func split2(
    _ raw: UnsafeRawPointer, count: Int, isRotated: Bool, _ plane0: Plane?, _ plane1: Plane?,
    way: Int32 = bestWay
  ) {
    let (left, right, mask): (UInt16, UInt16, UInt16) = isRotated ? (1, 15, 1) : (0, 0, 0)
    var index = unsafe checkpoint_split2(way, raw, count, isRotated ? 1 : 0, plane0, plane1)
    while index &+ 16 <= count {
      let loaded = unsafe raw.loadUnaligned(fromByteOffset: index &* 2, as: SIMD16<UInt16>.self)
      let word = (loaded &<< left) | ((loaded &>> right) & mask)
      unsafe store(SIMD16<UInt8>(truncatingIfNeeded: word), plane0, index)
      unsafe store(SIMD16<UInt8>(truncatingIfNeeded: word &>> 8), plane1, index)
      index &+= 16
    }
    while index < count {
      let loaded = unsafe raw.loadUnaligned(fromByteOffset: index &* 2, as: UInt16.self)
      let word = (loaded &<< left) | ((loaded &>> right) & mask)
      unsafe plane0?[index] = UInt8(truncatingIfNeeded: word)
      unsafe plane1?[index] = UInt8(truncatingIfNeeded: word &>> 8)
      index &+= 1
    }
  }

  /// A plane that is nil is not wanted.
  @unsafe package static func split4(
    _ raw: UnsafeRawPointer, count: Int, isRotated: Bool, _ plane0: Plane?, _ plane1: Plane?,
    _ plane2: Plane?, _ plane3: Plane?, way: Int32 = bestWay
  ) {
    let (left, right, mask): (UInt32, UInt32, UInt32) = isRotated ? (1, 31, 1) : (0, 0, 0)
    var index = unsafe checkpoint_split4(
      way, raw, count, isRotated ? 1 : 0, plane0, plane1, plane2, plane3)
    while index &+ 16 <= count {
      let loaded = unsafe raw.loadUnaligned(fromByteOffset: index &* 4, as: SIMD16<UInt32>.self)
      let word = (loaded &<< left) | ((loaded &>> right) & mask)
      unsafe store(SIMD16<UInt8>(truncatingIfNeeded: word), plane0, index)
      unsafe store(SIMD16<UInt8>(truncatingIfNeeded: word &>> 8), plane1, index)
      unsafe store(SIMD16<UInt8>(truncatingIfNeeded: word &>> 16), plane2, index)
      unsafe store(SIMD16<UInt8>(truncatingIfNeeded: word &>> 24), plane3, index)
      index &+= 16
    }
    while index < count {
      let loaded = unsafe raw.loadUnaligned(fromByteOffset: index &* 4, as: UInt32.self)
      let word = (loaded &<< left) | ((loaded &>> right) & mask)
      unsafe plane0?[index] = UInt8(truncatingIfNeeded: word)
      unsafe plane1?[index] = UInt8(truncatingIfNeeded: word &>> 8)
      unsafe plane2?[index] = UInt8(truncatingIfNeeded: word &>> 16)
      unsafe plane3?[index] = UInt8(truncatingIfNeeded: word &>> 24)
      index &+= 1
    }
  }

  /// Eight planes, of which the caller gives a pointer to each, or nil for one that is not wanted.
  @unsafe static func split8(
    _ raw: UnsafeRawPointer, count: Int, isRotated: Bool, _ planes: UnsafePointer<Plane?>
  ) {
    let (left, right, mask): (UInt64, UInt64, UInt64) = isRotated ? (1, 63, 1) : (0, 0, 0)
    var index = 0
    while index &+ 8 <= count {
      let loaded = unsafe raw.loadUnaligned(fromByteOffset: index &* 8, as: SIMD8<UInt64>.self)
      let word = (loaded &<< left) | ((loaded &>> right) & mask)
      var shift: UInt64 = 0
      for plane in 0..<8 {
        let bytes = SIMD8<UInt8>(truncatingIfNeeded: word &>> shift)
        if let start = unsafe planes[plane] {
          unsafe UnsafeMutableRawPointer(start + index)
            .storeBytes(of: bytes, as: SIMD8<UInt8>.self)
        }
        shift &+= 8
      }
      index &+= 8
    }
    while index < count {
      let loaded = unsafe raw.loadUnaligned(fromByteOffset: index &* 8, as: UInt64.self)
      let word = (loaded &<< left) | ((loaded &>> right) & mask)
      for plane in 0..<8 {
        unsafe planes[plane]?[index] = UInt8(truncatingIfNeeded: word &>> UInt64(plane &* 8))
      }
      index &+= 1
    }
  }

  // MARK: Merging

  @unsafe package static func merge2(
    _ plane0: ConstantPlane, _ plane1: ConstantPlane, count: Int, isRotated: Bool,
    into raw: UnsafeMutableRawPointer, way: Int32 = bestWay
  ) {
    let (left, right, mask): (UInt16, UInt16, UInt16) = isRotated ? (15, 1, 0x8000) : (0, 0, 0)
    var index = unsafe checkpoint_merge2(way, plane0, plane1, count, isRotated ? 1 : 0, raw)
    while index &+ 8 <= count {
      let word = unsafe zip(load(plane0 + index), load(plane1 + index))
      let element = (word &>> right) | ((word &<< left) & mask)
      unsafe raw.storeBytes(of: element, toByteOffset: index &* 2, as: SIMD8<UInt16>.self)
      index &+= 8
    }
    while index < count {
      let word = unsafe UInt16(plane0[index]) | UInt16(plane1[index]) &<< 8
      let element = (word &>> right) | ((word &<< left) & mask)
      unsafe raw.storeBytes(of: element, toByteOffset: index &* 2, as: UInt16.self)
      index &+= 1
    }
  }

  @unsafe package static func merge4(
    _ plane0: ConstantPlane, _ plane1: ConstantPlane, _ plane2: ConstantPlane,
    _ plane3: ConstantPlane, count: Int, isRotated: Bool, into raw: UnsafeMutableRawPointer,
    way: Int32 = bestWay
  ) {
    let (left, right, mask): (UInt32, UInt32, UInt32) =
      isRotated ? (31, 1, 0x8000_0000) : (0, 0, 0)
    var index = unsafe checkpoint_merge4(
      way, plane0, plane1, plane2, plane3, count, isRotated ? 1 : 0, raw)
    while index &+ 8 <= count {
      let low = unsafe zip(load(plane0 + index), load(plane1 + index))
      let high = unsafe zip(load(plane2 + index), load(plane3 + index))
      let word = zip(low, high)
      let element = (word &>> right) | ((word &<< left) & mask)
      unsafe raw.storeBytes(of: element, toByteOffset: index &* 4, as: SIMD8<UInt32>.self)
      index &+= 8
    }
    while index < count {
      let low = unsafe UInt32(plane0[index]) | UInt32(plane1[index]) &<< 8
      let high = unsafe UInt32(plane2[index]) | UInt32(plane3[index]) &<< 8
      let word = low | high &<< 16
      let element = (word &>> right) | ((word &<< left) & mask)
      unsafe raw.storeBytes(of: element, toByteOffset: index &* 4, as: UInt32.self)
      index &+= 1
    }
  }

  /// Eight planes, of which the caller gives a pointer to each.
  @unsafe static func merge8(
    _ planes: UnsafePointer<ConstantPlane>, count: Int, isRotated: Bool,
    into raw: UnsafeMutableRawPointer
  ) {
    let (left, right, mask): (UInt64, UInt64, UInt64) = isRotated ? (63, 1, 1 << 63) : (0, 0, 0)
    var index = 0
    while index &+ 8 <= count {
      let pair0 = unsafe zip(load(planes[0] + index), load(planes[1] + index))
      let pair1 = unsafe zip(load(planes[2] + index), load(planes[3] + index))
      let pair2 = unsafe zip(load(planes[4] + index), load(planes[5] + index))
      let pair3 = unsafe zip(load(planes[6] + index), load(planes[7] + index))
      let word = zip(zip(pair0, pair1), zip(pair2, pair3))
      let element = (word &>> right) | ((word &<< left) & mask)
      unsafe raw.storeBytes(of: element, toByteOffset: index &* 8, as: SIMD8<UInt64>.self)
      index &+= 8
    }
    while index < count {
      var word: UInt64 = 0
      for plane in 0..<8 {
        unsafe word |= UInt64(planes[plane][index]) &<< UInt64(plane &* 8)
      }
      let element = (word &>> right) | ((word &<< left) & mask)
      unsafe raw.storeBytes(of: element, toByteOffset: index &* 8, as: UInt64.self)
      index &+= 1
    }
  }

  // MARK: Lanes

  @inline(__always) @unsafe
  private static func load(_ plane: ConstantPlane) -> SIMD8<UInt8> {
    unsafe UnsafeRawPointer(plane).loadUnaligned(as: SIMD8<UInt8>.self)
  }

  @inline(__always) @unsafe
  private static func store(_ bytes: SIMD16<UInt8>, _ plane: Plane?, _ index: Int) {
    guard let plane = unsafe plane else { return }
    unsafe UnsafeMutableRawPointer(plane + index).storeBytes(of: bytes, as: SIMD16<UInt8>.self)
  }

  // SAFETY: the casts are between vectors of the same size without padding, whose every bit pattern is a value.

  @inline(__always)
  private static func zip(_ low: SIMD8<UInt8>, _ high: SIMD8<UInt8>) -> SIMD8<UInt16> {
    var both = SIMD16<UInt8>()
    both.evenHalf = low
    both.oddHalf = high
    return unsafe unsafeBitCast(both, to: SIMD8<UInt16>.self)
  }

  @inline(__always)
  private static func zip(_ low: SIMD8<UInt16>, _ high: SIMD8<UInt16>) -> SIMD8<UInt32> {
    var both = SIMD16<UInt16>()
    both.evenHalf = low
    both.oddHalf = high
    return unsafe unsafeBitCast(both, to: SIMD8<UInt32>.self)
  }

  @inline(__always)
  private static func zip(_ low: SIMD8<UInt32>, _ high: SIMD8<UInt32>) -> SIMD8<UInt64> {
    var both = SIMD16<UInt32>()
    both.evenHalf = low
    both.oddHalf = high
    return unsafe unsafeBitCast(both, to: SIMD8<UInt64>.self)
  }
}
