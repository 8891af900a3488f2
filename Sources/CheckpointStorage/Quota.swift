/// What quotactl(2) says of a quota, in bytes that are left.
package enum Quota {
  /// Bytes of a block in which limits are told.
  private static let blockByteCount: UInt64 = 1024

  /// Bytes that may still be written; nil without a limit.
  ///
  /// Beyond the soft limit writing fails only after a time of grace; where there is a hard one, that counts.
  ///
  /// - Parameters:
  ///   - hardLimit: In blocks; 0 stands for none.
  ///   - softLimit: In blocks; 0 stands for none.
  ///   - used: In bytes.
  /// - Returns: The number of bytes.
  package static func left(hardLimit: UInt64, softLimit: UInt64, used: UInt64) -> UInt64? {
    guard let blocks = [hardLimit, softLimit].first(where: { $0 > 0 }) else { return nil }
    let limit = blocks.multipliedReportingOverflow(by: blockByteCount)
    guard !limit.overflow else { return nil }
    return limit.partialValue > used ? limit.partialValue - used : 0
  }
}
