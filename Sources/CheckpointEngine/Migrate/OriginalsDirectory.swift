internal import CheckpointFormat
internal import CheckpointStorage

/// Where the files that a migration replaces are kept, byte for byte and under their names.
struct OriginalsDirectory {
  private let directory: StoreDirectory
  private let options: StoreOptions
  private let resources: SaveResources

  private static let portionByteCount: UInt64 = 4 << 20

  /// Opens the directory, or makes it.
  ///
  /// - Throws: ``CheckpointError``: `.incompatibleState` if it is the store's own.
  init(_ path: String, beside store: CheckpointStore) throws(CheckpointError) {
    options = store.options
    directory = try StoreDirectory.openCreating(
      path, permissions: options.permissions, on: options.device)
    resources = SaveResources(
      options.output, beside: store.pool, now: options.device.timeSource.monotonic)
    let backend = directory.backend
    let isStore: Bool
    do {
      isStore = try backend.status(directory.descriptor)
        .isSameFile(as: backend.status(store.directory.descriptor))
    } catch {
      throw CheckpointError(reading: path, error)
    }
    guard !isStore else {
      throw CheckpointError(
        .incompatibleState,
        "The originals cannot be kept in \(escaped(path)), which is the store itself. Name another "
          + "directory.", at: CheckpointError.Location(path: path))
    }
  }

  /// Makes a durable copy of a file; one that is there already from a migration that was cut off stays.
  func keep(_ reader: CheckpointReader) throws {
    let (file, header) = (reader.file, reader.header)
    let name = StoreDirectory.split(file.path).name
    if let kept = try existing(name) {
      guard try isCopy(kept, of: file) else {
        throw CheckpointError(
          .alreadyExists,
          "\(escaped(kept.path)) exists and is another file than the one to be kept. Name another "
            + "directory for the originals.", at: CheckpointError.Location(path: kept.path))
      }
      return try directory.syncPublished(name)
    }
    let temporary = try TemporaryFile(
      step: header.step, generation: header.generation, permissions: options.permissions,
      in: directory, resources: resources)
    do {
      try temporary.setPermissions(file.status.permissions)
      temporary.begin(byteCountMax: file.byteCount)
      for portion in Self.portions(of: file) {
        let bytes = try file.read(portion.count, at: portion.lowerBound)
        try write(bytes, to: temporary)
      }
      try seal(temporary, byteCount: file.byteCount)
      guard try isCopy(temporary.reopened(), of: file) else {
        throw CheckpointError(
          .corrupted,
          "The copy \(escaped(temporary.path)) differs from \(escaped(file.path)) and was removed; "
            + "nothing was migrated. Check the disk.",
          at: CheckpointError.Location(path: temporary.path))
      }
      try temporary.publish(as: name, saveIdentifier: header.saveIdentifier)
    } catch {
      temporary.abandon()
      throw error
    }
    try directory.syncPublished(name)
  }

  private static func portions(of file: OpenFile) -> [Range<UInt64>] {
    stride(from: 0, to: file.byteCount, by: UInt64.Stride(portionByteCount)).map {
      $0..<min($0 + portionByteCount, file.byteCount)
    }
  }

  private func write(_ bytes: [UInt8], to temporary: TemporaryFile) throws(CheckpointError) {
    do {
      try temporary.output.append(bytes.rawSpan)
    } catch {
      throw CheckpointError(writing: temporary.path, error)
    }
  }

  private func seal(_ temporary: TemporaryFile, byteCount: UInt64) throws(CheckpointError) {
    do {
      try temporary.seal(byteCount: byteCount)
    } catch {
      throw CheckpointError(writing: temporary.path, error)
    }
  }

  private func existing(_ name: String) throws(CheckpointError) -> OpenFile? {
    do {
      return try OpenFile.open(name, in: directory)
    } catch {
      guard error.code == .notFound else { throw error }
      return nil
    }
  }

  private func isCopy(_ copy: OpenFile, of file: OpenFile) throws(CheckpointError) -> Bool {
    guard copy.byteCount == file.byteCount else { return false }
    for portion in Self.portions(of: file) {
      let other = try copy.read(portion.count, at: portion.lowerBound)
      guard try file.read(portion.count, at: portion.lowerBound) == other else { return false }
    }
    return true
  }
}
