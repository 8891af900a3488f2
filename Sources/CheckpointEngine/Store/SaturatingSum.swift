extension Sequence<UInt64> {
  /// The sum, or the largest number if that is less: the sizes of a few sparse files can exceed it.
  package var saturatingSum: UInt64 {
    reduce(0) { sum, next in
      let (result, overflowed) = sum.addingReportingOverflow(next)
      return overflowed ? .max : result
    }
  }
}
