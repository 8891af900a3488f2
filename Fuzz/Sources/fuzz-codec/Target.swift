import CLibFuzzer
import FuzzHarness

/// Tries one input.
@c(LLVMFuzzerTestOneInput)
public func test(_ bytes: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
  unsafe FuzzTarget.codec.run(bytes, count)
}

/// Changes one input.
@c(LLVMFuzzerCustomMutator)
public func mutate(
  _ bytes: UnsafeMutablePointer<UInt8>?, _ count: Int, _ capacity: Int, _ seed: UInt32
) -> Int {
  unsafe FuzzTarget.codec.mutate(bytes, count, capacity, seed) {
    unsafe LLVMFuzzerMutate($0, $1, $2)
  }
}
