import CheckpointEngine
import CheckpointFormat
import CheckpointTesting
import Testing

// Goal: the head of a .npy file is what the format's specification says.
@Suite struct NumPyHeaderTests {
  private func text(_ header: NumPyHeader) -> String {
    String(decoding: header.bytes.dropFirst(10), as: UTF8.self)
  }

  @Test(arguments: [
    ([], "()"), ([3], "(3,)"), ([2, 0, 5], "(2, 0, 5)"), ([1 << 40, 1], "(1099511627776, 1)"),
  ])
  func shapesAreTuples(shape: [Int], tuple: String) {
    let header = NumPyHeader(.float32, shape: shape)
    #expect(header.bytes.prefix(8) == [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0])
    #expect(header.bytes.count % 64 == 0 && header.bytes.last == 0x0a)
    #expect(Int(header.bytes[8]) + Int(header.bytes[9]) << 8 == header.bytes.count - 10)
    let expected = "{'descr': '<f4', 'fortran_order': False, 'shape': \(tuple), }"
    #expect(text(header).hasPrefix(expected))
    #expect(text(header).dropFirst(expected.count).allSatisfy { " \n".contains($0) })
  }

  @Test(
    arguments: zip(
      DType.allCases,
      [
        "|b1", "|i1", "<i2", "<i4", "<i8", "|u1", "<u2", "<u4", "<u8", "<f2", "<u2", "<f4", "<f8",
        "|u1", "|u1", "<c8",
      ]))
  func eachDTypeHasAType(dtype: DType, type: String) {
    let header = NumPyHeader(dtype, shape: [1])
    #expect(text(header).contains("'descr': '\(type)'"))
    #expect(header.hasBitsOnly == [.bfloat16, .float8e4m3fn, .float8e5m2].contains(dtype))
  }

  @Test(arguments: [1, 3])
  func aTensorIsStreamedInOrder(threads: Int) throws {
    let disk = SimulatedDisk()
    var state = SampleState(1)
    var generator = SeededGenerator(5)
    let bytes = (0..<9 << 20).map { _ in generator.byte() }
    state.add("rows", .uint8, [9 << 10, 1 << 10], bytes)
    let path = try disk.writer(192 * 1024).save(state, step: 1).path
    let reader = try CheckpointReader.open(path: path, on: disk.device, threads: threads)
    for rows in [nil, 0..<0, 5..<9000, 4095..<4097] as [Range<Int>?] {
      var streamed: [UInt8] = []
      try reader.stream("rows", rows: rows) { part in
        #expect(part.byteCount <= 5 << 20)
        streamed += part.copied()
        return true
      }
      let expected = rows.map { Array(bytes[$0.lowerBound << 10..<$0.upperBound << 10]) } ?? bytes
      // The arrays themselves would be compared for hours, to describe how they differ.
      let isSame = streamed == expected
      #expect(isSame, "\(String(describing: rows))")
    }
    var count = 0
    try reader.stream("rows") { _ in
      count += 1
      return false
    }
    #expect(count == 1)
    #expect(errorCode { try reader.stream("rows", rows: 0..<9217) { _ in true } } == .notFound)
    #expect(errorCode { try reader.stream("step", rows: 0..<1) { _ in true } } == .notFound)
  }
}
