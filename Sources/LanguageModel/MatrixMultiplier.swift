// Matrix multiplication.
//
// Invariants
//   M1  Each element of the result is the sum of its products in the order of the inner index,
//       starting from zero. So neither tiling nor padding changes a bit.
//   M2  Both operands are first copied into the order in which the kernel reads them. Any strides
//       will do, and the inner loop touches only consecutive memory.

/// Multiplies matrices; owns the memory it packs the operands into, so one per thread.
final class MatrixMultiplier {
  /// The result is computed in tiles of this many rows and columns: eight four-lane registers of
  /// sums, which leaves room for the operands in the sixteen registers every x86-64 has.
  private static let tileRows = 4
  private static let tileColumns = 8

  private var packedLeft = FloatStorage(count: 0)
  private var panel = FloatStorage(count: 0)

  /// Sets `result` to the product of `left` and `right`.
  ///
  /// - Precondition: the shapes agree, and neighbouring columns of `result` are adjacent.
  func multiply(_ left: Matrix, _ right: Matrix, into result: Matrix) {
    let depth = left.columnCount
    precondition(
      right.rowCount == depth && result.rowCount == left.rowCount
        && result.columnCount == right.columnCount && result.columnStride == 1,
      "The shapes of the matrices do not agree.")
    pack(left)
    reserve(&panel, depth * Self.tileColumns)
    for column in stride(from: 0, to: right.columnCount, by: Self.tileColumns) {
      let width = min(Self.tileColumns, right.columnCount - column)
      packPanel(right.columns(column..<column + width))
      multiplyPanel(depth: depth, into: result.columns(column..<column + width))
    }
  }

  private func reserve(_ storage: inout FloatStorage, _ count: Int) {
    if storage.count < count { storage = FloatStorage(count: count) }
  }

  /// Copies `left` as blocks of four rows, each block column by column, padded with zero rows.
  private func pack(_ left: Matrix) {
    let depth = left.columnCount
    let blockCount = (left.rowCount + Self.tileRows - 1) / Self.tileRows
    reserve(&packedLeft, blockCount * depth * Self.tileRows)
    for block in 0..<blockCount {
      let first = block * Self.tileRows
      let height = min(Self.tileRows, left.rowCount - first)
      // SAFETY: the storage holds `blockCount` blocks of `depth * tileRows` elements, and
      // rows `first..<first + height` exist in `left`.
      unsafe Self.interleave(
        left.pointer + first * left.rowStride, stride: left.rowStride, step: left.columnStride,
        (lanes: height, lanesPadded: Self.tileRows, count: depth),
        into: packedLeft.pointer(at: first * depth))
    }
  }

  /// Copies up to eight columns of the right operand row by row, padded with zero columns.
  private func packPanel(_ columns: Matrix) {
    // SAFETY: `panel` was reserved for `rowCount * tileColumns` elements.
    unsafe Self.interleave(
      columns.pointer, stride: columns.columnStride, step: columns.rowStride,
      (lanes: columns.columnCount, lanesPadded: Self.tileColumns, count: columns.rowCount),
      into: panel.pointer(at: 0))
  }

  /// Writes `count` groups of `lanesPadded` elements: group g holds source[g * step + l * stride].
  @unsafe @inline(__always)
  private static func interleave(
    _ source: UnsafeMutablePointer<Float>, stride: Int, step: Int,
    _ shape: (lanes: Int, lanesPadded: Int, count: Int), into target: UnsafeMutablePointer<Float>
  ) {
    // SAFETY: the caller vouches that `source` has `count` groups of `lanes` elements at these
    // distances, and that `target` has room for `count` groups of `lanesPadded`.
    if shape.lanes == shape.lanesPadded && stride == 1 {
      for group in 0..<shape.count {
        let from = unsafe source + group &* step
        let to = unsafe target + group &* shape.lanesPadded
        for lane in 0..<shape.lanesPadded { unsafe to[lane] = from[lane] }
      }
      return
    }
    for lane in 0..<shape.lanesPadded {
      let from = unsafe source + lane &* stride
      let to = unsafe target + lane
      if lane < shape.lanes {
        for group in 0..<shape.count {
          unsafe to[group &* shape.lanesPadded] = from[group &* step]
        }
      } else {
        for group in 0..<shape.count { unsafe to[group &* shape.lanesPadded] = 0 }
      }
    }
  }

  /// Multiplies all packed rows with the packed panel.
  private func multiplyPanel(depth: Int, into result: Matrix) {
    for row in stride(from: 0, to: result.rowCount, by: Self.tileRows) {
      // SAFETY: pack and packPanel filled `depth` groups of four rows and of eight columns.
      let tile = unsafe Self.tile(
        packedLeft.pointer(at: row * depth), panel.pointer(at: 0), depth: depth)
      let height = min(Self.tileRows, result.rowCount - row)
      if height == Self.tileRows && result.columnCount == Self.tileColumns {
        result[vector: row, 0] = tile.0
        result[vector: row + 1, 0] = tile.1
        result[vector: row + 2, 0] = tile.2
        result[vector: row + 3, 0] = tile.3
      } else {
        let rows = [tile.0, tile.1, tile.2, tile.3]
        for r in 0..<height {
          for c in 0..<result.columnCount { result[row + r, c] = rows[r][c] }
        }
      }
    }
  }

  /// Four rows of eight sums of products.
  @unsafe @inline(__always)
  private static func tile(
    _ left: UnsafeMutablePointer<Float>, _ right: UnsafeMutablePointer<Float>, depth: Int
  ) -> (SIMD8<Float>, SIMD8<Float>, SIMD8<Float>, SIMD8<Float>) {
    var c0 = SIMD8<Float>.zero
    var c1 = SIMD8<Float>.zero
    var c2 = SIMD8<Float>.zero
    var c3 = SIMD8<Float>.zero
    // SAFETY: the caller vouches for `4 * depth` and `8 * depth` elements; the panel is aligned
    // to a cache line, so each of its groups is aligned to a vector.
    unsafe right.withMemoryRebound(to: SIMD8<Float>.self, capacity: depth) { vectors in
      for k in 0..<depth {
        let b = unsafe vectors[k]
        let a = unsafe left + 4 &* k
        unsafe c0 += b * a[0]
        unsafe c1 += b * a[1]
        unsafe c2 += b * a[2]
        unsafe c3 += b * a[3]
      }
    }
    return (c0, c1, c2, c3)
  }
}
