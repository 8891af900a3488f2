internal import CheckpointEngine

/// The state of a step: every byte follows from step, tensor and position.
enum Payload {
  /// A part that is stored and one that is encoded, about as many bytes of each.
  static func plan(step: UInt64, byteCount: Int) throws(CheckpointError) -> SavePlan {
    var plan = SavePlan()
    for name in ["weight", "moment"] {
      try plan.append(TensorDescriptor(name: name, dtype: .uint8, shape: [byteCount / 2]))
    }
    plan.metadata[.state, "step"] = .uint64(step)
    return plan
  }

  static func bytes(of name: String, step: UInt64, byteCount: Int) -> [UInt8] {
    if name == "moment" {
      return Array(repeating: UInt8(truncatingIfNeeded: step), count: byteCount)
    }
    var state = step &* 0x9E37_79B9_7F4A_7C15
    var bytes = [UInt8]()
    bytes.reserveCapacity(byteCount + 8)
    while bytes.count < byteCount {
      state ^= state >> 12
      state ^= state << 25
      state ^= state >> 27
      let word = (state | 1) &* 0x2545_F491_4F6C_DD1D
      for shift in stride(from: 0, to: 64, by: 8) {
        bytes.append(UInt8(truncatingIfNeeded: word >> shift))
      }
      state &+= 0x9E37_79B9_7F4A_7C15
    }
    bytes.removeLast(bytes.count - byteCount)
    return bytes
  }

  /// What is wrong with the contents of a checkpoint, if anything.
  static func problem(in reader: CheckpointReader) throws(CheckpointError) -> String? {
    let step = reader.header.step
    guard reader.metadata[.state, "step"] == .uint64(step) else { return "another step's metadata" }
    guard reader.tensors.map(\.name) == ["weight", "moment"] else { return "other tensors" }
    for tensor in reader.tensors {
      let found = try reader.read(tensor.name)
      guard found == bytes(of: tensor.name, step: step, byteCount: found.count) else {
        return "\(tensor.name) has other bytes than were saved"
      }
    }
    return nil
  }
}

/// Checkpoints by generation, with the step of each.
struct SavedSet {
  var steps: [UInt64: UInt64] = [:]

  /// Parses `GENERATION:STEP,GENERATION:STEP`.
  init?(_ text: String) {
    for item in text.split(separator: ",") {
      let numbers = item.split(separator: ":").compactMap { UInt64($0) }
      guard numbers.count == 2 else { return nil }
      steps[numbers[0]] = numbers[1]
    }
  }
}
