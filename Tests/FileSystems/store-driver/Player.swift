internal import CheckpointEngine
internal import CheckpointStorage

/// A training program without the training.
struct Player {
  /// What it does next.
  enum Word {
    case save(step: UInt64)
    case retain(count: Int)
    case finishRetention(count: Int)
    case forget

    init?(_ text: String) {
      let parts = text.split(separator: ":")
      let number = parts.count == 2 ? Int(parts[1]) : nil
      switch (parts.first, number) {
      case ("save", let step?): self = .save(step: UInt64(step))
      case ("retain", let count?) where count > 0: self = .retain(count: count)
      case ("owed", let count?) where count > 0: self = .finishRetention(count: count)
      case ("forget", nil): self = .forget
      default: return nil
      }
    }
  }

  let path: String
  let backend: MeddlingBackend
  let marks: Marks
  let attemptCount: Int
  let stateByteCount: Int

  /// Whether everything succeeded; the first failure ends it, as it ends a training program.
  func play(_ words: [Word]) -> Bool {
    defer { marks.write("calls \(backend.count)") }
    do {
      let posix = StorageDevice.posix
      var options = StoreOptions(
        device: StorageDevice(
          backend: backend, timeSource: posix.timeSource, randomBits: posix.randomBits),
        chunkByteCount: 16384, threads: 1)
      // As large files are written, and in several portions.
      options.output.largeFileByteCount = 0
      options.output.portionByteCountMax = 16384
      let store = try CheckpointStore(path, for: .writing, options: options)
      if let recovery = try store.recover() {
        store.continueRun(from: recovery.reader, choice: .automatic)
      }
      var generation = try store.entries().compactMap(\.generation).max() ?? 0
      for word in words {
        switch word {
        case .save(let step): try save(step, in: store, &generation)
        case .retain(let count):
          marks.write("retain \(count)")
          report(store.retain(last: count))
        case .finishRetention(let count):
          marks.write("retain \(count)")
          report(store.finishRetention(.last(count)))
        case .forget:
          for entry in try store.entries() {
            let directory = try StoreDirectory.open(path, on: store.options.device)
            try backend.unlink(entry.name, in: directory.descriptor)
          }
        }
      }
      return true
    } catch let error as CheckpointError {
      tell(error)
    } catch {
      marks.write("untyped \(error)")
    }
    return false
  }

  private func save(
    _ step: UInt64, in store: CheckpointStore, _ generation: inout UInt64
  ) throws {
    let plan = try Payload.plan(step: step, byteCount: stateByteCount)
    for attempt in 1...attemptCount {
      generation += 1
      marks.write("attempt \(generation) \(step)")
      do {
        let receipt = try store.save(plan, step: step) { sink in
          for entry in plan.entries {
            let descriptor = entry.descriptor
            let bytes = Payload.bytes(
              of: descriptor.name, step: step, byteCount: stateByteCount / 2)
            try sink.append(bytes.rawSpan)
          }
        }
        // The promise begins here.
        marks.write("acknowledged \(receipt.generation) \(step) \(receipt.byteCount)")
        precondition(receipt.generation == generation, "a generation was counted otherwise")
        return
      } catch let error as CheckpointError where attempt < attemptCount {
        tell(error)
      }
    }
  }

  private func tell(_ error: CheckpointError) {
    marks.write(
      "failed \(error.code) \(error.systemCall ?? "-") \(error.errno.map(String.init) ?? "-") "
        + error.message.replacing("\n", with: " "))
  }

  private func report(_ report: RetentionReport) {
    marks.write("removed \(report.removed.count)")
    for warning in report.warnings { marks.write("warning " + warning.replacing("\n", with: " ")) }
  }
}
