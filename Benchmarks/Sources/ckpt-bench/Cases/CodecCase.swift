internal import CheckpointTraining
internal import CodecHarness

#if canImport(Glibc)
  internal import Glibc
#elseif canImport(Darwin)
  internal import Darwin
#endif

/// The codec by itself: how fast it encodes and decodes on one thread, and how small chunks become.
///
/// The chunks lie in memory larger than the caches; what is made of them goes into one buffer that is used
/// again and again, as the library's threads do it.
// SAFETY (@safe): the buffers are made in `init`, freed in `deinit` and never exchanged.
@safe
final class CodecCase {
  static let chunkByteCount = 1 << 20
  /// Of noise and of zeros: more than a cache holds.
  private static let plainByteCount = 128 << 20

  private let options: Options
  private let state: WorkloadState
  private let copyTarget: WorkloadState
  private let codec = ChunkCodec()
  private let output = UnsafeMutableRawBufferPointer.allocate(
    byteCount: chunkByteCount, alignment: 4096)
  private let stored: UnsafeMutableRawBufferPointer
  private let plain: UnsafeMutableRawBufferPointer
  private var chunks: [Chunk] = []

  /// A chunk of the state, and where its encoded form is; nil if it stays as it is.
  private struct Chunk {
    let offset: Int
    let byteCount: Int
    let dtype: DType
    var encoded: Range<Int>?
  }

  init(_ options: Options) throws {
    self.options = options
    state = try options.makeState()
    let workload = state.workload
    copyTarget = WorkloadState(workload)
    unsafe stored = .allocate(byteCount: workload.tensorByteCount, alignment: 4096)
    unsafe plain = .allocate(byteCount: Self.plainByteCount, alignment: 4096)
    for tensor in workload.tensors {
      for offset in stride(from: 0, to: tensor.byteCount, by: Self.chunkByteCount) {
        chunks.append(
          Chunk(
            offset: tensor.byteOffset + offset,
            byteCount: min(Self.chunkByteCount, tensor.byteCount - offset), dtype: tensor.dtype))
      }
    }
  }

  deinit {
    unsafe output.deallocate()
    unsafe stored.deallocate()
    unsafe plain.deallocate()
  }

  func run() throws {
    print(try StateCase.description(of: state, json: options.printsJSON))
    let storedByteCount = encodeAll()
    checkAll()
    showSize(storedByteCount)
    try BlockReport(options: options).measure(arms())
  }

  // MARK: Arms

  private func arms() -> [Arm] {
    let byteCount = state.workload.tensorByteCount
    return [
      arm("copy", byteCount) { [self] in
        for chunk in chunks {
          // SAFETY: both mappings hold the workload's tensors.
          unsafe UnsafeMutableRawBufferPointer(
            rebasing: copyTarget.memory[chunk.offset..<chunk.offset + chunk.byteCount]
          ).copyMemory(from: raw(chunk))
        }
      },
      arm("encode", byteCount) { [self] in encodeChunks() },
      arm("encode-again", byteCount) { [self] in encodeChunks() },
      arm("decode", byteCount) { [self] in
        for chunk in chunks { unsafe _ = decode(chunk) }
      },
      arm(
        "encode-noise", Self.plainByteCount, prepare: { [self] in fillWithNoise() },
        run: { [self] in encodePlain(isNoise: true) }),
      arm(
        "encode-zeros", Self.plainByteCount,
        prepare: { [self] in unsafe plain.initializeMemory(as: UInt8.self, repeating: 0) },
        run: { [self] in encodePlain(isNoise: false) }),
    ]
  }

  private func arm(
    _ name: String, _ byteCount: Int, prepare: @escaping () -> Void = {},
    run: @escaping () -> Void
  ) -> Arm {
    Arm(name: name, byteCount: byteCount, needsQuietDisk: false, prepare: prepare, run: run)
  }

  private func encodeChunks() {
    for chunk in chunks {
      _ = unsafe codec.encode(raw(chunk), dtype: chunk.dtype.rawValue, into: output)
    }
  }

  private func encodePlain(isNoise: Bool) {
    for offset in unsafe stride(from: 0, to: plain.count, by: Self.chunkByteCount) {
      // SAFETY: the memory has whole chunks.
      let raw = unsafe UnsafeRawBufferPointer(
        rebasing: plain[offset..<offset + Self.chunkByteCount])
      let count = unsafe codec.encode(raw, dtype: DType.float32.rawValue, into: output)
      guard isNoise == (count == nil) else {
        Benchmark.fail("ckpt-bench: noise was encoded, or zeros were not", status: 1)
      }
    }
  }

  private func fillWithNoise() {
    var random = RandomStream(options.seed, 0x9015E)
    for offset in unsafe stride(from: 0, to: plain.count, by: 8) {
      unsafe plain.storeBytes(of: random.next(), toByteOffset: offset, as: UInt64.self)
    }
  }

  private func raw(_ chunk: Chunk) -> UnsafeRawBufferPointer {
    // SAFETY: chunks lie in the tensors that the mapping was sized for.
    unsafe UnsafeRawBufferPointer(
      rebasing: state.memory[chunk.offset..<chunk.offset + chunk.byteCount])
  }

  // MARK: Encoded chunks

  /// Encodes every chunk into memory for the decoder, and returns how many bytes all would take in a file.
  private func encodeAll() -> Int {
    var (end, total) = (0, 0)
    for index in chunks.indices {
      let chunk = chunks[index]
      guard
        let count = unsafe codec.encode(
          raw(chunk), dtype: chunk.dtype.rawValue, into: output)
      else {
        total += chunk.byteCount
        continue
      }
      // SAFETY: encoded chunks are shorter than the chunks, which all fit.
      unsafe UnsafeMutableRawBufferPointer(rebasing: stored[end..<end + count])
        .copyMemory(from: UnsafeRawBufferPointer(rebasing: output[..<count]))
      chunks[index].encoded = end..<end + count
      end += count
      total += count
    }
    return total
  }

  /// Decodes a chunk into the common buffer, or copies it if it is stored; returns what is there then.
  private func decode(_ chunk: Chunk) -> UnsafeMutableRawBufferPointer {
    let target = unsafe UnsafeMutableRawBufferPointer(rebasing: output[..<chunk.byteCount])
    guard let encoded = chunk.encoded else {
      unsafe target.copyMemory(from: raw(chunk))
      return unsafe target
    }
    guard
      unsafe codec.decode(UnsafeRawBufferPointer(rebasing: stored[encoded]), into: target)
    else { Benchmark.fail("ckpt-bench: a chunk was refused", status: 1) }
    return unsafe target
  }

  private func checkAll() {
    for chunk in chunks {
      let back = unsafe decode(chunk)
      // SAFETY: both have the bytes of the chunk.
      guard unsafe zip(back, raw(chunk)).allSatisfy({ $0 == $1 }) else {
        Benchmark.fail("ckpt-bench: a chunk came back different", status: 1)
      }
    }
  }

  private func showSize(_ byteCount: Int) {
    let total = Double(state.workload.tensorByteCount)
    let (share, floor) = (
      Double(byteCount) / total,
      chunks.reduce(0) { unsafe $0 + PlaneEntropy.byteCount(raw($1), $1.dtype) } / total
    )
    guard options.printsJSON else {
      print(
        "chunks of 1 MiB become \(Benchmark.rounded(100 * share)) % of the state; the entropy of the "
          + "planes is \(Benchmark.rounded(100 * floor)) %")
      return
    }
    print(
      JSONLine([
        ("event", .text("size")), ("schema", .integer(1)), ("compression", .text("planes")),
        ("bytes", .integer(byteCount)), ("share", .number(share)), ("floor", .number(floor)),
      ]).text)
  }
}
