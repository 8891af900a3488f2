internal import CheckpointTraining

extension Workbench {
  /// Raw reads of the same file, from the page cache (K) and from the disk (D), and the loads.
  func loadArms(_ files: [File]) -> [Arm] {
    var arms = [copyArm] + rawReadArms(files)
    for file in files {
      arms.append(loadArm("load-\(file.name)", file, isCold: false) { try self.read(file) })
      arms.append(loadArm("load-\(file.name)-cold", file, isCold: true) { try self.read(file) })
      arms.append(loadArm("resume-\(file.name)", file, isCold: false) { try self.resume(file) })
    }
    if let file = files.first {
      arms.append(loadArm("load-\(file.name)-again", file, isCold: false) { try self.read(file) })
    }
    return arms
  }

  /// Raw reads of the same file, and verification of what is in the page cache.
  func verifyArms(_ files: [File]) -> [Arm] {
    var arms = rawReadArms(files).filter { $0.name == "read" }
    for file in files {
      for level in [VerificationLevel.stored, .full] {
        arms.append(verifyArm("verify-\(file.name)-\(level.rawValue)", file, level))
      }
    }
    if let file = files.first {
      arms.append(verifyArm("verify-\(file.name)-full-again", file, .full))
    }
    return arms
  }

  private func rawReadArms(_ files: [File]) -> [Arm] {
    guard let file = files.first else { return [] }
    return [("read", false), ("read-cold", true)].map { name, isCold in
      Arm(
        name: name, byteCount: file.byteCount,
        prepare: { self.prepare(file, isCold: isCold) },
        run: { _ = RawFile.read(file.path) })
    }
  }

  /// Brings a file into the page cache or out of it.
  private func prepare(_ file: File, isCold: Bool) {
    guard isCold else {
      _ = RawFile.read(file.path)
      return
    }
    let share = RawFile.drop(file.path)
    if share > 0.01 {
      Benchmark.note("\(Int(share * 100)) % of \(file.name) stayed in the page cache: not cold")
    }
  }

  /// Loads into memory that was touched and holds something else, and compares what came.
  private func loadArm(
    _ name: String, _ file: File, isCold: Bool, _ load: @escaping () throws -> Void
  ) -> Arm {
    Arm(
      name: name, byteCount: byteCount,
      prepare: { [self] in
        target.scribble()
        prepare(file, isCold: isCold)
      },
      run: load,
      cleanUp: { [self] in
        guard target.hasSameTensors(as: state) else {
          Benchmark.fail("ckpt-bench: \(name) gave other bytes than were saved", status: 1)
        }
      })
  }

  /// Every tensor, checked on its way into the memory for it: what a reader of one file does.
  private func read(_ file: File) throws {
    let reader = try CheckpointReader.open(path: file.path, threads: options.threads)
    // SAFETY: each memory is as large as its tensor, which `read` checks, and no two overlap.
    let targets = unsafe target.workload.tensors.map {
      unsafe (name: $0.name, target: target.bytes(of: $0))
    }
    unsafe try reader.read(targets)
  }

  /// What a training program does: it opens a store, verifies the newest checkpoint and restores it.
  private func resume(_ file: File) throws {
    let manager = try CheckpointManager(
      directory: file.store, for: .reading, saving: .manual,
      options: StoreOptions(threads: options.threads))
    try manager.resume(target, from: .latest)
  }

  private func verifyArm(_ name: String, _ file: File, _ level: VerificationLevel) -> Arm {
    Arm(
      name: name, byteCount: file.byteCount,
      prepare: { self.prepare(file, isCold: false) },
      run: { [self] in
        let report = Verifier(threads: options.threads).verify(file.path, level: level)
        guard report.isIntact else {
          Benchmark.fail("ckpt-bench: \(file.path) is not intact", status: 1)
        }
      })
  }
}
