import CheckpointStorage
import Testing

// Goal: memory is given or refused, and never ends the program.
@Suite struct MemoryTests {
  @Test func memoryThatNoMachineHasIsRefused() throws {
    #expect(unsafe Memory.map(1 << 60) == nil)
    #expect(!Memory.isAvailable(1 << 60))
    let mapping = try unsafe #require(Memory.map(4096))
    defer { unsafe Memory.unmap(mapping) }
    #expect(unsafe mapping.count == 4096 && mapping.allSatisfy { $0 == 0 })
  }

  @Test func nothingCanBeCopiedToAnyPlaceOfABuffer() {
    let buffer = PageBuffer(byteCount: 4096)
    let parts: [([UInt8], Int)] = [([1, 2, 3], 0), ([], 0), ([], 1), ([], 4096), ([4], 2)]
    for (bytes, offset) in parts {
      // SAFETY: bytes have no padding that could be uninitialised.
      unsafe buffer.copy(bytes.span.bytes, to: offset)
    }
    buffer.withBytes(first: 3) { bytes in
      #expect(unsafe bytes.withUnsafeBytes { unsafe [UInt8]($0) } == [1, 2, 4])
    }
  }
}
