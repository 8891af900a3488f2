import CheckpointStorage
import CheckpointTesting
import Testing

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// The storage that a shared claim is checked on.
enum StorageKind: CaseIterable {
  case posix, simulated

  /// Calls `body` with an empty directory, which is gone afterwards.
  func withDirectory(_ body: (Place) throws -> Void) throws {
    switch self {
    case .posix:
      try withTemporaryDirectory { path in
        try body(Place(StorageDevice.posix.backend, path: path))
      }
    case .simulated:
      let disk = SimulatedDisk()
      try body(Place(disk, path: "/"))
      #expect(disk.openDescriptorCount <= 1)  // the directory of the place itself
    }
  }
}

/// An open directory of a backend, with shorthand for the calls that tests make again and again.
final class Place {
  let backend: any StorageBackend
  let path: String
  let directory: Descriptor

  init(_ backend: any StorageBackend, path: String) throws {
    self.backend = backend
    self.path = path
    directory = try backend.openDirectory(path)
  }

  convenience init(_ disk: SimulatedDisk, path: String = "/") throws {
    try self.init(disk.device.backend, path: path)
  }

  deinit { try? backend.close(directory) }  // a disk that has crashed refuses, which is fine

  func create(_ name: String) throws -> Descriptor {
    try backend.open(name, in: directory, for: .creating(permissions: 0o600))
  }

  /// Creates a file with these contents, unsynced.
  func put(_ name: String, _ bytes: [UInt8]) throws {
    let file = try create(name)
    try backend.writeAll(file, bytes, at: 0)
    try backend.close(file)
  }

  func get(_ name: String) throws -> [UInt8] {
    let file = try backend.open(name, in: directory, for: .reading)
    let count = Int(try backend.status(file).byteCount)
    let bytes = try read(file, count: count + 1)
    try backend.close(file)
    return bytes
  }

  func read(_ file: Descriptor, count: Int, at offset: UInt64 = 0) throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0xee, count: count)
    // SAFETY: the buffer is only used during the call.
    let filled = try unsafe bytes.withUnsafeMutableBytes {
      try unsafe backend.readFully(file, into: $0, at: offset)
    }
    return Array(bytes[..<filled])
  }

  func names() throws -> [String] { try backend.list(directory).sorted() }
}

extension StorageBackend {
  /// One write, of an array.
  func write(_ file: Descriptor, _ bytes: [UInt8], at offset: UInt64) throws -> Int {
    // SAFETY: bytes have no padding that could be uninitialised.
    try unsafe write(file, bytes.span.bytes, at: offset)
  }

  func writeAll(_ file: Descriptor, _ bytes: [UInt8], at offset: UInt64) throws {
    // SAFETY: as above.
    try unsafe writeAll(file, bytes.span.bytes, at: offset)
  }
}

/// Calls `body` with the path of a fresh directory, and removes it and its files afterwards.
func withTemporaryDirectory(_ body: (String) throws -> Void) throws {
  var template = Array("/tmp/checkpoint-storage-XXXXXX".utf8CString)
  // SAFETY: the template ends with NUL, and mkdtemp changes only its last characters.
  let made = unsafe template.withUnsafeMutableBufferPointer { buffer in
    guard let start = buffer.baseAddress else { return false }
    return unsafe mkdtemp(start) != nil
  }
  try #require(made)
  let path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  defer {
    let backend = StorageDevice.posix.backend
    // Best effort: what is left stays in /tmp.
    if let directory = try? backend.openDirectory(path) {
      for name in (try? backend.list(directory)) ?? [] {
        if (try? backend.unlink(name, in: directory)) == nil { unsafe _ = rmdir(path + "/" + name) }
      }
      try? backend.close(directory)
    }
    unsafe _ = rmdir(path)
  }
  try body(path)
}

func pattern(_ count: Int) -> [UInt8] {
  (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ 7) }
}
