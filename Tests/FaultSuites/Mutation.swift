import CheckpointStorage
import Dispatch

#if Mutants
  import CheckpointMutants
#endif

// T6: each protection is taken away in turn, and some suite must notice. What stands between engine
// and disk is taken away by a liar there; what the engine decides, by a mutant that only a build
// with the package trait "Mutants" holds.

package struct Mutation: Sendable {
  package var name: String
  /// What is wrong, for a person.
  package var sentence: String
  private var lie: StorageLie?
  #if Mutants
    private var mutant: Mutant?
  #endif

  /// The liars, and in a build with the trait the mutants.
  package static var all: [Mutation] {
    var all = StorageLie.allCases.map {
      Mutation(name: $0.rawValue, sentence: $0.sentence, lie: $0)
    }
    #if Mutants
      all += Mutant.allCases.map {
        Mutation(name: $0.rawValue, sentence: $0.sentence, mutant: $0)
      }
    #endif
    return all
  }

  /// Whether this build holds the mutants of the engine.
  package static var holdsMutants: Bool {
    #if Mutants
      true
    #else
      false
    #endif
  }

  /// Runs the suites, the cheap ones first and several at once, until one notices.
  ///
  /// - Returns: the suite that went red, and what it said; nil if all stay green.
  package func killer() -> (suite: String, violation: Violation)? {
    #if Mutants
      // No other thread is running yet, or any more.
      unsafe Mutant.active = mutant
      defer { unsafe Mutant.active = nil }
    #endif
    let harness = Harness(lie: lie, statesPerCrash: 40, isThorough: false)
    let tasks = Suites.all
    let killer = Protected<(suite: String, violation: Violation)?>(nil)
    DispatchQueue.concurrentPerform(iterations: tasks.count) { index in
      if killer.withLock({ $0 != nil }) { return }
      guard let violation = tasks[index].body(harness).violations.first else { return }
      killer.withLock { if $0 == nil { $0 = (tasks[index].name, violation) } }
    }
    return killer.withLock { $0 }
  }
}
