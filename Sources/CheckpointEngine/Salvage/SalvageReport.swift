package import CheckpointFormat

/// What was salvaged of a damaged file, and what was not.
package struct SalvageReport: Sendable {
  /// A part of a file that is no chunk.
  package enum Part: String, Hashable, Sendable, CaseIterable {
    case header
    case frontTable = "front table"
    case tensorTable = "tensor table"
    case nameOrder = "name order"
    case chunkTable = "chunk table"
    case metadata
    case trailer
  }

  /// A tensor of the damaged file.
  package struct Tensor: Hashable, Sendable {
    /// Its own, or made up as `salvaged/<number>` where no table tells it.
    package var descriptor: TensorDescriptor
    /// The tensor whose bytes this name shares.
    package var original: String?
    /// Chunks that it has, or at least has.
    package var chunkCount: Int
    package var lostChunkCount: Int
    /// Which bytes of it are lost; of more than 1,000 ranges the first.
    package var lostRanges: [Range<UInt64>]
    /// Whether it is in the new file.
    package var isRecovered: Bool
  }

  /// The damaged file.
  package let path: String
  /// The new file; nil if nothing was there to be written.
  package var target: String?
  /// Bytes of the new file.
  package var byteCount: UInt64 = 0
  /// Of the damaged file.
  package let saveIdentifier: Identifier
  package let formatVersion: FormatVersion
  /// The parts that are missing or damaged, in the order of the file.
  package var damagedParts: [Part] = []
  /// The tensors, in the order of saving.
  package var tensors: [Tensor] = []
  /// Whether names, dtypes and shapes are lost, so that tensors are bytes under made-up names.
  package var areTablesLost = false
  /// Values that were recovered; nil if they are lost.
  package var valueCount: Int?
  /// What else the file holds and this build does not know, in words.
  package var unknownParts: [String] = []
  /// Bytes that the system did not give while frames were searched for.
  package var unreadableByteCount: UInt64 = 0
  /// Whether chunks stayed unexamined since frames that overlap had used up what may be read.
  package var isReadingCutShort = false
  /// The header of the new file.
  package var header: CheckpointHeader?

  package init(path: String, saveIdentifier: Identifier, formatVersion: FormatVersion) {
    self.path = path
    self.saveIdentifier = saveIdentifier
    self.formatVersion = formatVersion
  }

  /// Tensors that are not in the new file.
  package var lostTensorCount: Int { tensors.count { !$0.isRecovered } }

  /// Whether the new file holds everything: all tensors, all values, and its place in its run.
  package var isComplete: Bool { losses.isEmpty }

  /// What is lost, in words; empty if nothing is.
  package var losses: [String] {
    var losses: [String] = []
    if areTablesLost { losses.append("names, dtypes and shapes of all tensors") }
    if lostTensorCount > 0 { losses.append("\(lostTensorCount) of \(tensors.count) tensors") }
    if valueCount == nil { losses.append("all values") }
    if damagedParts.contains(.header) { losses.append("step and place in the run") }
    if isReadingCutShort {
      losses.append("chunks that were not looked at, since too many frames claim the same bytes")
    }
    return losses + unknownParts
  }
}
