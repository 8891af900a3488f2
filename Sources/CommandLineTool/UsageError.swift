/// What a person typed and the program cannot use.
package struct UsageError: Error, Hashable, Sendable, CustomStringConvertible {
  /// What is wrong, naming the option, and what would be right; safe to print on a terminal.
  package let description: String

  /// - Parameter description: One or two sentences; everything in it that could steer a terminal
  ///   is escaped here.
  package init(_ description: String) { self.description = printable(description) }
}
