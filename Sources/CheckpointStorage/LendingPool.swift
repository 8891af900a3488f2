/// Tools that one thread at a time may use, kept for the next that needs one.
///
/// There come to be as many as are in use at the same time.
// SAFETY (@unchecked Sendable): `idle` is only touched under the lock, and a tool is either in it or lent to
// one caller, who gives it back before the call ends. `make` never changes.
package final class LendingPool<Tool>: @unchecked Sendable {
  private let lock = Protected(())
  private let make: @Sendable () -> Tool
  private var idle: [Tool] = []

  /// - Parameter make: Makes a tool where none is idle.
  package init(_ make: @escaping @Sendable () -> Tool) { self.make = make }

  /// Lends a tool for one call.
  ///
  /// - Parameter body: What to do with it; it must not escape.
  /// - Returns: What `body` returned.
  /// - Throws: What `body` threw.
  package func withTool<Result, Failure: Error>(
    _ body: (Tool) throws(Failure) -> Result
  ) throws(Failure) -> Result {
    let tool = lock.withLock { _ in idle.popLast() } ?? make()
    defer { lock.withLock { _ in idle.append(tool) } }
    return try body(tool)
  }
}
