internal import CheckpointFormat

// Taking tensors apart and putting them together along an axis, range by range.
//
// Row-major, a tensor is a number of rows, one for each index of the dimensions before the axis. In a
// row, what belongs to one part lies in one piece.

/// How the bytes of a tensor lie, seen from an axis.
private struct Rows {
  /// Bytes that one step along the axis takes.
  let stepByteCount: UInt64
  /// Bytes of a row.
  let rowByteCount: UInt64

  init(_ descriptor: TensorDescriptor, axis: Int) {
    stepByteCount = descriptor.shape[(axis + 1)...].reduce(UInt64(descriptor.dtype.byteCount)) {
      $0 * UInt64($1)
    }
    rowByteCount = stepByteCount * UInt64(descriptor.shape[axis])
  }
}

/// As many rows are put together at once as fit in this, so that small pieces cost no read of their own.
private let blockByteCount: UInt64 = 4 << 20

extension TensorSource {
  /// Reads a range of the part of `source` that this tensor is.
  func readSlice(
    of source: TensorSource, axis: Int, start: Int, _ range: Range<UInt64>,
    into target: UnsafeMutableRawBufferPointer, noting log: CastLog?
  ) throws(CheckpointError) {
    // Where there are no bytes, the dimensions may have any product.
    if range.isEmpty { return }
    let (own, other) = (Rows(descriptor, axis: axis), Rows(source.descriptor, axis: axis))
    let offset = UInt64(start) * own.stepByteCount
    var done = range.lowerBound
    while done < range.upperBound {
      let row = done / own.rowByteCount
      let column = done - row * own.rowByteCount
      // Whole rows as many as fit, or what is left of this one.
      let rowCount = min(
        blockByteCount / max(other.rowByteCount, 1), (range.upperBound - done) / own.rowByteCount)
      let place = Int(done - range.lowerBound)
      if column == 0, rowCount > 1 {
        let count = rowCount * own.rowByteCount
        // SAFETY: the rows lie in the range, and so in the target.
        let part = unsafe UnsafeMutableRawBufferPointer(
          rebasing: target[place..<place + Int(count)])
        let first = row * other.rowByteCount + offset
        let bytes = try source.bytes(
          in: first..<first + (rowCount - 1) * other.rowByteCount + own.rowByteCount, noting: log)
        for index in 0..<Int(rowCount) {
          let (to, from) = (index * Int(own.rowByteCount), index * Int(other.rowByteCount))
          unsafe UnsafeMutableRawBufferPointer(
            rebasing: part[to..<to + Int(own.rowByteCount)]
          ).copyBytes(from: bytes[from..<from + Int(own.rowByteCount)])
        }
        done += count
      } else {
        let count = min(own.rowByteCount - column, range.upperBound - done)
        let first = row * other.rowByteCount + offset + column
        // SAFETY: the piece lies in the range, and so in the target.
        unsafe try source.read(
          first..<first + count,
          into: UnsafeMutableRawBufferPointer(rebasing: target[place..<place + Int(count)]),
          noting: log)
        done += count
      }
    }
  }

  /// Reads a range of what `sources` are, put together.
  func readJoined(
    _ sources: [TensorSource], axis: Int, _ range: Range<UInt64>,
    into target: UnsafeMutableRawBufferPointer, noting log: CastLog?
  ) throws(CheckpointError) {
    if range.isEmpty { return }
    let rowByteCount = Rows(descriptor, axis: axis).rowByteCount
    var done = range.lowerBound
    while done < range.upperBound {
      let row = done / rowByteCount
      let isBorder = done == row * rowByteCount
      let rowCount = min(
        blockByteCount / rowByteCount, (range.upperBound - done) / rowByteCount)
      let end =
        isBorder && rowCount > 1
        ? done + rowCount * rowByteCount : min((row + 1) * rowByteCount, range.upperBound)
      let place = Int(done - range.lowerBound)
      // SAFETY: from one place of the range to a later one.
      let part = unsafe UnsafeMutableRawBufferPointer(
        rebasing: target[place..<place + Int(end - done)])
      if isBorder, rowCount > 1 {
        unsafe try joinRows(sources, axis: axis, row..<row + rowCount, into: part, noting: log)
      } else {
        let column = done - row * rowByteCount
        unsafe try joinPiece(
          sources, axis: axis, row: row, column..<column + (end - done), into: part, noting: log)
      }
      done = end
    }
  }

  /// Whole rows, each of which begins with a piece of the first.
  private func joinRows(
    _ sources: [TensorSource], axis: Int, _ rows: Range<UInt64>,
    into target: UnsafeMutableRawBufferPointer, noting log: CastLog?
  ) throws(CheckpointError) {
    let rowByteCount = target.count / rows.count
    var column = 0
    for source in sources {
      let width = Rows(source.descriptor, axis: axis).rowByteCount
      let bytes = try source.bytes(
        in: rows.lowerBound * width..<rows.upperBound * width, noting: log)
      for index in 0..<rows.count {
        let (to, from) = (index * rowByteCount + column, index * Int(width))
        // SAFETY: a row has room for a row of each of the sources.
        unsafe UnsafeMutableRawBufferPointer(rebasing: target[to..<to + Int(width)])
          .copyBytes(from: bytes[from..<from + Int(width)])
      }
      column += Int(width)
    }
  }

  /// Columns of one row.
  private func joinPiece(
    _ sources: [TensorSource], axis: Int, row: UInt64, _ columns: Range<UInt64>,
    into target: UnsafeMutableRawBufferPointer, noting log: CastLog?
  ) throws(CheckpointError) {
    var start: UInt64 = 0
    for source in sources {
      let width = Rows(source.descriptor, axis: axis).rowByteCount
      let piece = columns.clamped(to: start..<start + width)
      if !piece.isEmpty {
        let place = Int(piece.lowerBound - columns.lowerBound)
        let first = row * width + piece.lowerBound - start
        // SAFETY: the piece lies within the columns, of which the target has as many bytes.
        unsafe try source.read(
          first..<first + UInt64(piece.count),
          into: UnsafeMutableRawBufferPointer(rebasing: target[place..<place + piece.count]),
          noting: log)
      }
      start += width
    }
  }
}
