internal import CheckpointTraining

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// A state, memory to load it into and a directory: what the arms of save, load and verify share.
final class Workbench {
  let options: Options
  let directory: String
  let state: WorkloadState
  /// What is loaded or copied into; made when it is asked for first, unless it was given before.
  lazy var target = WorkloadState(state.workload.spread())

  /// The state that the options ask for, in their directory.
  convenience init(_ options: Options) throws {
    RawFile.makeDirectory(options.directory)  // or fail, before a state is made
    self.init(options, try options.makeState(), in: options.directory)
    // Here rather than by the first arm that needs it, whose clock would run.
    _ = target
  }

  init(_ options: Options, _ state: WorkloadState, in directory: String) {
    self.options = options
    self.state = state
    self.directory = directory
    RawFile.makeDirectory(directory)
  }

  var byteCount: Int { state.workload.tensorByteCount }
  var compressions: [(name: String, value: Compression)] {
    [("none", Compression.none), ("always", .always), ("automatic", .automatic)].filter {
      options.compressions.contains($0.0)
    }
  }

  /// A copy of the whole state into memory that was touched before: M.
  var copyArm: Arm {
    Arm(name: "copy", byteCount: byteCount) { [self] in
      // SAFETY: both are mappings of the same size.
      unsafe target.memory.copyMemory(from: UnsafeRawBufferPointer(state.memory))
    }
  }

  // MARK: Saving

  /// The raw durable writes of the same bytes, the fastest of which is W, and the saves.
  func saveArms() -> [Arm] {
    // The system takes larger pages for larger pieces, which cost more where the host has to provide them.
    var arms = [
      copyArm,
      rawWriteArm("write-64k") { [self] path in
        unsafe RawFile.write(
          UnsafeRawBufferPointer(state.memory), to: path, piecesOf: 64 << 10)
      },
      rawWriteArm("write-8m") { [self] path in
        unsafe RawFile.write(UnsafeRawBufferPointer(state.memory), to: path, piecesOf: 8 << 20)
      },
    ]
    if RawFile.canWriteDirect(in: directory) {
      arms.append(
        rawWriteArm("write-direct") { [self] path in
          unsafe RawFile.writeDirect(UnsafeRawBufferPointer(state.memory), to: path)
        })
    }
    for (name, compression) in compressions {
      arms.append(saveArm("save-\(name)", compression))
    }
    if let first = compressions.first {
      arms.append(saveArm("save-\(first.name)-again", first.value))
    }
    return arms
  }

  private func rawWriteArm(_ name: String, _ write: @escaping (String) -> Void) -> Arm {
    let path = directory + "/raw.bin"
    return Arm(
      name: name, byteCount: byteCount, run: { write(path) },
      cleanUp: { [self] in
        unsafe unlink(path)
        RawFile.syncDirectory(directory)
      })
  }

  /// A save into a store of its own, so that no retention is measured.
  ///
  /// What the automatic compression does depends on the saves before: after four it knows both ways, and the next
  /// trial is four saves away.
  private func saveArm(_ name: String, _ compression: Compression) -> Arm {
    let store = directory + "/store"
    var manager: CheckpointManager?
    return Arm(
      name: name, byteCount: byteCount,
      prepare: { [self] in
        RawFile.removeDirectory(store)
        manager = try newManager(store, compression)
        guard compression == .automatic else { return }
        for _ in 0..<4 { unsafe unlink(try save(manager).path) }
      },
      run: { [self] in _ = try save(manager) },
      cleanUp: { [self] in
        manager = nil
        RawFile.removeDirectory(store)
        RawFile.syncDirectory(directory)
      })
  }

  private func newManager(
    _ store: String, _ compression: Compression
  ) throws -> CheckpointManager {
    let manager = try CheckpointManager(
      directory: store, saving: .manual, onSaveFailure: .stop,
      options: StoreOptions(compression: compression, threads: options.threads))
    try manager.resume(state, from: .never)
    return manager
  }

  private func save(_ manager: CheckpointManager?) throws -> SaveReceipt {
    guard let manager, case .saved(let receipt, _) = try manager.save(state, step: 1) else {
      Benchmark.fail("ckpt-bench: the save failed", status: 1)
    }
    return receipt
  }

  // MARK: Files to read

  /// A checkpoint that is there to be read.
  struct File {
    let name: String
    let path: String
    let store: String
    let byteCount: Int
  }

  /// One checkpoint for each compression, until `removeFiles`.
  func makeFiles() throws -> [File] {
    try compressions.map { name, compression in
      let store = directory + "/" + name
      RawFile.removeDirectory(store)
      let receipt = try save(try newManager(store, compression))
      return File(
        name: name, path: receipt.path, store: store, byteCount: Int(receipt.byteCount))
    }
  }

  /// One line, or one JSON object.
  func description(of file: File) -> String {
    let share = Double(file.byteCount) / Double(byteCount)
    guard options.printsJSON else {
      return "size with compression \(file.name): \(Benchmark.rounded(share)) of "
        + "\(Benchmark.rounded(Double(byteCount) / 1e6)) MB in \(state.workload.tensors.count) tensors"
    }
    return JSONLine([
      ("event", .text("size")), ("schema", .integer(1)), ("compression", .text(file.name)),
      ("bytes", .integer(file.byteCount)), ("share", .number(share)),
      ("state_bytes", .integer(byteCount)), ("tensors", .integer(state.workload.tensors.count)),
    ]).text
  }

  func removeFiles() {
    for (name, _) in compressions { RawFile.removeDirectory(directory + "/" + name) }
    RawFile.removeDirectory(directory + "/store")
  }
}
