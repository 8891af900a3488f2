import CheckpointStorage
import Foundation
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

  @Test(arguments: [0, 1, 5, 4095, 4096, 5 << 20, (9 << 20) + 7])
  func anArrayHasWhatItsBodyFilledIn(count: Int) throws {
    let bytes = unsafe [UInt8](filling: count) { memory in
      unsafe memory.initializeMemory(as: UInt8.self, repeating: 7)
      if count > 0 { unsafe memory[count - 1] = 8 }
    }
    #expect(bytes.count == count && bytes.dropLast().allSatisfy { $0 == 7 })
    #expect(bytes.last == (count > 0 ? 8 : nil))
    let words = unsafe [UInt32](filling: count) { memory in
      #expect(memory.count == count * 4)
      unsafe memory.initializeMemory(as: UInt8.self, repeating: 1)
    }
    #expect(words.count == count && words.allSatisfy { $0 == 0x0101_0101 })
    // Also for nothing.
    #expect(throws: CancellationError.self) {
      unsafe try [UInt8](filling: count) { _ in throw CancellationError() }
    }
  }

  #if os(Linux)
    /// Any part of any memory may be told of: what is in it stays, and large parts get large pages.
    @Test func muchMemoryIsFilledInLargePages() throws {
      let mapping = try unsafe #require(Memory.map(32 << 20))
      defer { unsafe Memory.unmap(mapping) }
      for part in [0..<0, 5..<5, 1..<4096, 0..<(4 << 20) - 1] {
        unsafe Memory.willFill(UnsafeMutableRawBufferPointer(rebasing: mapping[part]))
      }
      #expect(unsafe try !hasLargePages(mapping))
      unsafe mapping[77] = 1
      for part in [3..<(32 << 20) - 3, 4097..<(9 << 20) + 1] {
        unsafe Memory.willFill(UnsafeMutableRawBufferPointer(rebasing: mapping[part]))
      }
      let isThere = FileManager.default.fileExists(atPath: "/sys/kernel/mm/transparent_hugepage")
      #expect(unsafe try hasLargePages(mapping) == isThere)
      #expect(unsafe mapping[77] == 1 && mapping.reduce(0) { $0 + Int($1) } == 1)
    }

    /// Whether the mapping that holds the middle of some memory is one of large pages, if it can be.
    private func hasLargePages(_ memory: UnsafeMutableRawBufferPointer) throws -> Bool {
      let middle = UInt(bitPattern: memory.baseAddress) + UInt(memory.count / 2)
      var isOurs = false
      // Whose size is said to be 0.
      let maps = try #require(FileHandle(forReadingAtPath: "/proc/self/smaps"))
      let text = String(decoding: try maps.readToEnd() ?? Data(), as: UTF8.self)
      for line in text.split(separator: "\n") {
        let words = line.split(separator: " ")
        let ends = words[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
        if ends.count == 2 { isOurs = (ends[0]..<ends[1]).contains(middle) }
        if isOurs, words[0] == "VmFlags:" { return words.contains("hg") }
      }
      return false
    }
  #endif
}
