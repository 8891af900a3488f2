/// A hyper-parameter that cannot work.
package struct TrainerConfigurationError: Error, Equatable, CustomStringConvertible {
  /// The argument to change, by its name on the command line.
  package let property: String
  /// What its value has to be.
  package let requirement: String
  /// What it was.
  package let value: String

  /// What to change.
  package var description: String { "\(property) is \(value). It must be \(requirement)." }
}
