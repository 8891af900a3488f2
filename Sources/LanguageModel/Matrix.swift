/// A view of floats in a ``FloatStorage`` as rows and columns, with any strides.
// SAFETY: the view holds its storage alive, init checks that every element lies inside it, and
// every access is checked against the elements left behind the base address.
@safe struct Matrix {
  let rowCount: Int
  let columnCount: Int
  /// The distance between rows and between columns, in elements.
  let rowStride, columnStride: Int
  private let storage: FloatStorage
  private let offset: Int
  private let base: UnsafeMutablePointer<Float>
  /// The number of elements from the base to the end of the storage.
  private let limit: Int

  /// Views `storage` from `offset` on.
  init(
    _ storage: FloatStorage, at offset: Int = 0, rows: Int, columns: Int,
    strides: (row: Int, column: Int)
  ) {
    precondition(
      rows >= 0 && columns >= 0 && offset >= 0 && offset <= storage.count
        && max(rows - 1, 0) * strides.row + max(columns - 1, 0) * strides.column
          <= storage.count - offset - min(rows * columns, 1),
      "The matrix does not fit into its storage.")
    self.storage = storage
    self.offset = offset
    (rowCount, columnCount) = (rows, columns)
    (rowStride, columnStride) = strides
    // SAFETY: the stored reference keeps the memory alive as long as this address.
    unsafe base = storage.pointer(at: offset)
    limit = storage.count - offset
  }

  /// Makes a matrix of zeros with a storage of its own, its rows padded to whole vectors.
  init(rows: Int, columns: Int) {
    let stride = Matrix.padded(columns)
    self.init(
      FloatStorage(count: rows * stride), rows: rows, columns: columns, strides: (stride, 1))
  }

  /// The number of elements in whole vectors that hold `count` elements.
  static func padded(_ count: Int) -> Int { (count + 7) / 8 * 8 }

  /// The same elements with rows and columns exchanged.
  var transposed: Matrix {
    Matrix(
      storage, at: offset, rows: columnCount, columns: rowCount,
      strides: (columnStride, rowStride))
  }

  /// The rows of `range`.
  func rows(_ range: Range<Int>) -> Matrix {
    precondition(range.lowerBound >= 0 && range.upperBound <= rowCount, "No such rows.")
    return Matrix(
      storage, at: offset + range.lowerBound * rowStride, rows: range.count,
      columns: columnCount, strides: (rowStride, columnStride))
  }

  /// The columns of `range`.
  func columns(_ range: Range<Int>) -> Matrix {
    precondition(range.lowerBound >= 0 && range.upperBound <= columnCount, "No such columns.")
    return Matrix(
      storage, at: offset + range.lowerBound * columnStride, rows: rowCount,
      columns: range.count, strides: (rowStride, columnStride))
  }

  /// One element.
  subscript(row: Int, column: Int) -> Float {
    @inline(__always) get {
      let index = row &* rowStride &+ column &* columnStride
      precondition(index >= 0 && index < limit, "The element lies outside the storage.")
      // SAFETY: checked above.
      return unsafe base[index]
    }
    @inline(__always) nonmutating set {
      let index = row &* rowStride &+ column &* columnStride
      precondition(index >= 0 && index < limit, "The element lies outside the storage.")
      // SAFETY: checked above.
      unsafe base[index] = newValue
    }
  }

  /// Eight neighbouring elements of a row, starting at `column`; the last may be padding.
  subscript(vector row: Int, column: Int) -> SIMD8<Float> {
    @inline(__always) get {
      let index = row &* rowStride &+ column
      precondition(index >= 0 && index <= limit &- 8, "The vector lies outside the storage.")
      // SAFETY: checked above; the load asks for no alignment.
      return unsafe UnsafeRawPointer(base + index).loadUnaligned(as: SIMD8<Float>.self)
    }
    @inline(__always) nonmutating set {
      let index = row &* rowStride &+ column
      precondition(index >= 0 && index <= limit &- 8, "The vector lies outside the storage.")
      // SAFETY: checked above; the store asks for no alignment.
      unsafe UnsafeMutableRawPointer(base + index).storeBytes(of: newValue, as: SIMD8<Float>.self)
    }
  }

  /// The address of element (0, 0); valid while the storage lives.
  // SAFETY: marked unsafe, so that each user has to say why its accesses stay inside.
  @unsafe var pointer: UnsafeMutablePointer<Float> { unsafe base }
}
