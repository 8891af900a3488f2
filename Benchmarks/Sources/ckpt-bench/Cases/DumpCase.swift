internal import CheckpointTraining

/// A state as raw bytes and a description, for programs in other languages.
enum DumpCase {
  static func run(_ options: Options) throws {
    let state = WorkloadState.generated(options.workload())
    RawFile.makeDirectory(options.directory)
    unsafe RawFile.write(
      UnsafeRawBufferPointer(state.memory), to: options.directory + "/state.bin")
    let workload = state.workload
    let tensors = workload.tensors.map { tensor in
      JSONLine([
        ("name", .text(tensor.name)), ("dtype", .text(tensor.dtype.name)),
        ("shape", .integers(tensor.shape)), ("offset", .integer(tensor.byteOffset)),
        ("bytes", .integer(tensor.byteCount)),
      ])
    }
    let description = JSONLine(
      [("schema", .integer(1)), ("state", .text(workload.name))]
        + StateCase.fields(workload.origin) + [
          ("bytes", .integer(workload.tensorByteCount)),
          ("state_sha256", .text(try stateDigest(of: state))), ("tensors", .array(tensors)),
        ])
    let text = Array(description.text.utf8)
    unsafe text.withUnsafeBytes { unsafe RawFile.write($0, to: options.directory + "/state.json") }
    print(try StateCase.description(of: state, json: options.printsJSON))
  }
}
