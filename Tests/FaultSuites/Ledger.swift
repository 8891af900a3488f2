/// What somebody outside of the machine remembers of a store: which saves were tried, which of them
/// were acknowledged, and what may have gone by now.
package struct Ledger: Sendable {
  /// What a save held: its step, and which of two writers it was.
  struct Content: Hashable, Sendable {
    var step: UInt64
    var writer: UInt8 = 0
  }

  /// What each generation may hold, by the saves that were tried.
  private(set) var attempts: [UInt64: Set<Content>] = [:]
  /// What each generation must hold, by the saves that were acknowledged.
  private(set) var acknowledged: [UInt64: Set<Content>] = [:]
  /// Generations that a disk or a person spoiled: nobody counts on them.
  private(set) var spoiled: Set<UInt64> = []
  /// Of these, the ones that recovery meets and has to pass over.
  private(set) var damaged: Set<UInt64> = []
  private(set) var pinned: Set<UInt64> = []
  /// Of the spoiled ones, those that are being set aside: they have the one name or the other.
  private(set) var moving: Set<UInt64> = []
  /// What runs that failed have left: it must stay, and nothing goes on from it.
  private(set) var emergencies: Set<UInt64> = []
  /// The smallest number that retention was asked to keep.
  private(set) var keptCount: Int?

  mutating func attempt(_ generation: UInt64, _ content: Content) {
    attempts[generation, default: []].insert(content)
  }

  mutating func acknowledge(_ generation: UInt64, _ content: Content) {
    acknowledged[generation] = [content]
  }

  /// Counts saves that nobody was told of as acknowledged: their names are durable by now, and
  /// retention counts them.
  mutating func adopt(_ generations: some Sequence<UInt64>) {
    for generation in generations where acknowledged[generation] == nil {
      if let contents = attempts[generation] { acknowledged[generation] = contents }
    }
  }

  mutating func retain(last count: Int) { keptCount = min(keptCount ?? count, count) }

  mutating func pin(_ generation: UInt64) { pinned.insert(generation) }

  mutating func damage(_ generation: UInt64) {
    forgetWhatIsNotOwed()
    spoiled.insert(generation)
    damaged.insert(generation)
  }

  mutating func quarantine(_ generation: UInt64) {
    forgetWhatIsNotOwed()
    spoiled.insert(generation)
    damaged.remove(generation)
    moving.remove(generation)
  }

  mutating func beginQuarantine(_ generation: UInt64) {
    if damaged.remove(generation) != nil { moving.insert(generation) }
  }

  mutating func acknowledgeEmergency(_ generation: UInt64) { emergencies.insert(generation) }

  /// Whether recovery may pass over a generation.
  func mayBePassedOver(_ generation: UInt64) -> Bool {
    damaged.contains(generation) || moving.contains(generation)
  }

  /// What retention may have removed does not come back when something newer is spoiled.
  private mutating func forgetWhatIsNotOwed() {
    let owed = Set(owed)
    acknowledged = acknowledged.filter { owed.contains($0.key) || spoiled.contains($0.key) }
  }

  /// Acknowledged generations that nobody spoiled, newest first.
  var sound: [UInt64] { acknowledged.keys.filter { !spoiled.contains($0) }.sorted(by: >) }

  /// The generation that recovery must not fall behind; nil before the first acknowledgement.
  var newest: UInt64? { sound.first }

  /// The generations that must be there.
  var owed: [UInt64] {
    let sound = sound
    return sound.prefix(keptCount ?? sound.count) + sound.filter(pinned.contains)
  }

  /// What a file of a generation may hold.
  func mayHold(_ generation: UInt64) -> Set<Content> {
    acknowledged[generation] ?? attempts[generation] ?? []
  }
}
