internal import CheckpointFormat

extension CheckpointReader {
  /// Throws unless all that the file holds is known to this build, so that a tool that writes it anew loses
  /// nothing.
  ///
  /// Reading needs less: what an unknown preserve feature or section means may be ignored.
  ///
  /// - Throws: ``CheckpointError``: `.unsupported`, naming what is not known.
  /// - SeeAlso: docs/format.md, sections 4 and 12.
  public func requireRewritable() throws(CheckpointError) {
    let bits = header.preserveFeatures.subtracting(.known)
    let kinds = index.trailer.sections.map(\.kind).filter { !SectionKind.required.contains($0) }
    guard !bits.isEmpty || !kinds.isEmpty else { return }
    let parts =
      (bits.isEmpty ? [] : ["the features " + bits.names.joined(separator: ", ")])
      + (kinds.isEmpty
        ? [] : ["sections of the kinds " + kinds.map { "\($0.rawValue)" }.joined(separator: ", ")])
    throw CheckpointError(
      .unsupported,
      "\(escaped(path)) cannot be written anew without loss: this build does not know "
        + parts.joined(separator: " and ")
        + ". It can be read. Use the version of the tool that wrote it.",
      at: CheckpointError.Location(path: path))
  }
}
