public import CheckpointFormat

/// What a cast did to the elements of a tensor.
public struct CastReport: Hashable, Sendable {
  /// The tensor, by its name before later steps.
  public let name: String
  /// Its dtype before, and after.
  public let source: DType
  /// What the elements were converted to.
  public let target: DType
  /// How many elements were converted.
  public fileprivate(set) var elementCount: UInt64 = 0
  /// How many of them became another number.
  public fileprivate(set) var roundedCount: UInt64 = 0
  /// How many of them were not zero and are now.
  public fileprivate(set) var vanishedCount: UInt64 = 0
  /// How many of them are no number.
  public fileprivate(set) var nanCount: UInt64 = 0
  /// The least and the greatest finite element before the cast; nil if there is none.
  public fileprivate(set) var range: ClosedRange<Double>?
  /// The largest difference that rounding made.
  public fileprivate(set) var errorMax = 0.0
}

extension CastReport {
  /// What this cast and another of the same dtypes did together, under the name of this one.
  package func joined(with other: CastReport) -> CastReport {
    var all = self
    all.elementCount += other.elementCount
    all.roundedCount += other.roundedCount
    all.vanishedCount += other.vanishedCount
    all.nanCount += other.nanCount
    all.errorMax = max(errorMax, other.errorMax)
    if let range = other.range {
      let own = self.range ?? range
      all.range =
        min(own.lowerBound, range.lowerBound)...max(own.upperBound, range.upperBound)
    }
    return all
  }
}

/// Collects what casts do while a state is read; used by one thread.
final class CastLog {
  private struct Key: Hashable {
    let name: StateName
    let source: DType
    let target: DType
  }

  private var reports: [Key: CastReport] = [:]

  /// In the order of the names.
  var all: [CastReport] {
    reports.values.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
  }

  /// Notes some elements of a tensor that was made by a cast, before and after.
  func note(_ tensor: TensorSource, _ before: RawSpan, _ after: RawSpan) {
    guard case .cast(let source) = tensor.origin else { return }
    let (from, to) = (source.descriptor.dtype, tensor.descriptor.dtype)
    let key = Key(name: StateName(tensor.descriptor.name), source: from, target: to)
    var report =
      reports[key] ?? CastReport(name: key.name.text, source: from, target: to)
    let (old, new) = (TensorCast(from: from, to: .float64), TensorCast(from: to, to: .float64))
    report.elementCount += UInt64(before.byteCount / from.byteCount)
    for index in 0..<before.byteCount / from.byteCount {
      let value = old.value(of: before, at: index)
      if value.isNaN {
        report.nanCount += 1
        continue
      }
      let result = new.value(of: after, at: index)
      if value.isFinite {
        let range = report.range ?? value...value
        report.range = min(range.lowerBound, value)...max(range.upperBound, value)
      }
      guard !old.isExactly(result, of: before, at: index) else { continue }
      report.roundedCount += 1
      if result == 0 { report.vanishedCount += 1 }
      report.errorMax = max(report.errorMax, abs(result - value))
    }
    reports[key] = report
  }
}
