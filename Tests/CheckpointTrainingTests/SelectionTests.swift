import CheckpointTesting
import CheckpointTraining
import Testing

// Goal: a part of a state is restored exactly, all else stays as the program has it, and the report
// lists both; whatever was asked for and does not fit is refused, unless that was asked for too.
@Suite("Restoring a part")
struct SelectionTests {
  private let disk = SimulatedDisk()

  /// Weights with a tied head, moments, a step, all of a type.
  private struct Net: Checkpointable, Equatable {
    var step = 0
    var weight: [Float] = [1, 2, 3]
    var bias: [Float] = [4]
    var moment: [Float] = [0, 0, 0]
    var extra: [Float]?

    func save(to state: inout StateWriter) throws {
      try state.value("step", step)
      try state.tensor("model/weight", weight)
      try state.alias("model/head", of: "model/weight")
      try unsafe state.tensor("model/bias", dtype: .float32, shape: [bias.count]) {
        offset, target in
        // Made on demand, as by a device.
        unsafe target.storeBytes(of: bias[Int(offset) / 4], as: Float.self)
      }
      try state.tensor("optimizer/weight", moment)
      if let extra { try state.tensor("model/extra", extra) }
    }

    mutating func restore(from state: StateReader) throws {
      step = try state.value("step")
      weight = try state.tensor("model/weight")
      bias = try state.tensor("model/bias")
      moment = try state.tensor("optimizer/weight")
      if extra != nil { extra = try state.tensor("model/extra") }
    }
  }

  private let trained = Net(step: 9, weight: [5, 6, 7], bias: [8], moment: [0.5, 0.25, 0])

  private func save(_ net: Net) throws { try disk.manager().saved(net, step: net.step) }

  @Test func aPartIsRestoredAndTheRestStays() throws {
    try save(trained)
    var net = Net(step: 2, moment: [9, 9, 9])
    let result = try disk.manager().resume(
      &net, from: .latest, strictness: .selected(.matching("model/**")))
    #expect(net == Net(step: 2, weight: [5, 6, 7], bias: [8], moment: [9, 9, 9]))
    let report = try #require(result.restored)
    #expect(report.restored == ["model/bias", "model/head", "model/weight"])
    #expect(report.left == ["optimizer/weight", "step"])
    #expect(report.missing.isEmpty && report.unexpected.isEmpty)
  }

  @Test func valuesAreSelectedAsTensorsAre() throws {
    try save(trained)
    var net = Net()
    try disk.manager().resume(
      &net, from: .latest, strictness: .selected(.everything.excluding("model/**", "optimizer/*")))
    #expect(net == Net(step: 9))
  }

  @Test func everythingIsReportedForAWholeRestore() throws {
    try save(trained)
    var net = Net()
    let report = try disk.manager().resume(&net, from: .latest).restored
    #expect(net == trained)
    #expect(Set(report?.restored ?? []).count == 5 && report?.left.isEmpty == true)
    let partial = try disk.manager().resume(&net, from: .latest, strictness: .partial).restored
    #expect(partial == nil)
  }

  @Test func whatIsMissingOrUnexpectedIsRefused() throws {
    try save(trained)
    var net = Net(extra: [1])
    let whole = StateSelection.matching("model/**")
    let missing = try checkpointError {
      try disk.manager().resume(&net, from: .latest, strictness: .selected(whole))
    }
    #expect(missing.code == .incompatibleState)
    #expect(missing.message.contains("'model/extra' is missing"))
    #expect(net == Net(extra: [1]))
    let other = SimulatedDisk()
    try other.manager().saved(net, step: 1)
    var smaller = Net()
    let unexpected = try checkpointError {
      try other.manager().resume(&smaller, from: .latest, strictness: .selected(whole))
    }
    #expect(unexpected.message.contains("'model/extra' is unknown"))
    // Outside of the selection nothing needs to fit.
    try other.manager().resume(
      &smaller, from: .latest, strictness: .selected(.matching("model/weight", "model/head")))
    #expect(smaller == Net())
  }

  @Test func whatDoesNotFitStaysAndIsReportedIfThatWasAsked() throws {
    var saved = trained
    saved.bias = [8, 8]
    saved.extra = [3]
    let device = SimulatedDisk()
    let odd = ScriptedState(onSave: { state in
      try state.tensor("model/weight", saved.weight)
      try state.tensor("model/bias", saved.bias)
      try state.tensor("model/extra", [Float]([3]))
      try state.value("step", "nine")
    })
    try device.manager().saved(odd, step: 1)
    var net = Net()
    let report = try #require(
      try device.manager().resume(
        &net, from: .latest, strictness: .selected(.everything, misfits: .leave)
      ).restored)
    #expect(net == Net(weight: [5, 6, 7]))
    // The head is tied to the weight: it comes with it, whether the file has its name or not.
    #expect(report.restored == ["model/head", "model/weight"])
    #expect(report.unexpected == ["model/bias", "model/extra", "step"])
    #expect(report.missing == ["model/bias", "optimizer/weight", "step"])
    #expect(report.left.isEmpty)
  }

  @Test func aPatternThatFindsNothingIsAnError() throws {
    try save(trained)
    for strictness in [
      RestoreStrictness.selected(.matching("modle/**")), .selected(.matching([])),
      .selected(.matching("modle/**"), misfits: .leave),
    ] {
      var net = Net()
      let error = try checkpointError {
        try disk.manager().resume(&net, from: .latest, strictness: strictness)
      }
      #expect(error.code == .incompatibleState && error.message.contains("Check the patterns"))
      #expect(net == Net())
    }
  }

  @Test func tiedNamesAreRestoredTogetherWhicheverIsSelected() throws {
    try save(trained)
    for selection in [
      StateSelection.matching("model/head"), .matching("model/weight"),
      .matching("model/**").excluding("model/head", "model/bias"),
    ] {
      var net = Net()
      let report = try disk.manager().resume(
        &net, from: .latest, strictness: .selected(selection)
      ).restored
      #expect(net == Net(weight: [5, 6, 7]))
      #expect(report?.restored == ["model/head", "model/weight"])
    }
  }

  @Test func whatIsTiedOnOneSideOnlyStaysWhereThatWasAsked() throws {
    let untied = ScriptedState(onSave: { state in
      try state.tensor("model/weight", [Float]([5, 6, 7]))
      try state.tensor("model/head", [Float]([8, 9, 9]))
      try state.tensor("model/bias", [Float]([8]))
    })
    try disk.manager().saved(untied, step: 1)
    var net = Net()
    let part = StateSelection.matching("model/**")
    let error = try checkpointError {
      try disk.manager().resume(&net, from: .latest, strictness: .selected(part))
    }
    #expect(error.message.contains("is tied to"))
    let report = try disk.manager().resume(
      &net, from: .latest, strictness: .selected(part, misfits: .leave)
    ).restored
    #expect(net == Net(bias: [8]))
    #expect(report?.restored == ["model/bias"])
    #expect(report?.unexpected == ["model/weight", "model/head"])
    #expect(report?.missing == ["model/head", "model/weight"])
  }

  @Test(arguments: [
    ("model/**", "model/a/b", true), ("model/**", "model", true), ("model/**", "models/a", false),
    ("**/bias", "bias", true), ("**/bias", "a/b/bias", true), ("**/bias", "a/bias/c", false),
    ("a/*/c", "a/b/c", true), ("a/*/c", "a/b/b/c", false), ("a/*", "a/", true),
    ("*.weight", "blocks.3.weight", true), ("*a*b*", "xxaxxbxx", true), ("*a*b", "abab", true),
    ("*a*b", "aba", false), ("**", "", true), ("é", "e\u{301}", false), ("a/**/**/b", "a/b", true),
    ("**/a/**/a/**/b", "a/a/a/a/a/a/b", true), ("**/a/**/c", "a/b/a/b", false),
  ])
  func patternsMatchPaths(_ pattern: String, _ name: String, _ isMatch: Bool) {
    #expect(StateSelection.matching(pattern).contains(name) == isMatch)
  }

  @Test func aDamagedCandidateIsReplacedByThePartOfTheNext() throws {
    let manager = try disk.manager()
    try manager.saved(trained, step: 1)
    var second = trained
    second.weight = [10, 11, 12]
    try manager.saved(second, step: 2)
    try disk.damage(checkpointPath(step: 2, generation: 2), in: second.weight)
    var net = Net(moment: [3, 3, 3])
    let reopened = try disk.copy().manager()
    let result = try reopened.resume(
      &net, from: .latest, strictness: .selected(.matching("model/**")))
    #expect(result.skipped.count == 1)
    #expect(net == Net(weight: [5, 6, 7], bias: [8], moment: [3, 3, 3]))
  }

  // MARK: Warm start

  @Test func aWarmStartBeginsAFreshRun() throws {
    let base = SimulatedDisk.store + "-base"
    try disk.manager(base).saved(trained, step: 9, metrics: ["loss": 1])
    var net = Net()
    let manager = try disk.manager()
    #expect(try manager.resume(&net, from: .latest).checkpoint == nil)
    let report = try manager.warmStart(&net, from: base, restoring: .matching("model/**"))
    #expect(report.restored.count == 3 && report.left == ["optimizer/weight", "step"])
    #expect(net == Net(weight: [5, 6, 7], bias: [8]))
    net.step = 1
    let receipt = try manager.saved(net, step: 1)
    let reader = try CheckpointReader.open(path: receipt.path, on: disk.device)
    let source = try CheckpointReader.open(
      path: checkpointPath(step: 9, generation: 1, in: base), on: disk.device)
    #expect(reader.header.parentIdentifier == nil)
    #expect(reader.header.runIdentifier != source.header.runIdentifier)
    let identifier = source.header.checkpointIdentifier.description
    #expect(reader.metadata[.environment, "warm_started_from"] == .string(identifier))
    // It stands in the checkpoints of a run that goes on as well.
    try manager.finish()
  }

  @Test func whatAWarmStartBeganWithStandsInLaterCheckpoints() throws {
    try disk.manager("/base").saved(trained, step: 9)
    do {
      let manager = try disk.manager()
      var net = Net()
      // From a file, and without a resume before.
      try manager.warmStart(
        &net, from: checkpointPath(step: 9, generation: 1, in: "/base"), restoring: .everything)
      #expect(net == trained)
      try manager.saved(net, step: 10)
      let again = try checkpointError {
        try manager.warmStart(&net, from: "/base", restoring: .everything)
      }
      #expect(again.code == .invalidState)
    }
    let manager = try disk.manager()
    var net = Net()
    try manager.resume(&net, from: .latest)
    let receipt = try manager.saved(net, step: 11)
    let reader = try CheckpointReader.open(path: receipt.path, on: disk.device)
    #expect(reader.metadata[.environment, "warm_started_from"] != nil)
    let late = try checkpointError {
      try manager.warmStart(&net, from: "/base", restoring: .everything)
    }
    #expect(late.code == .invalidState)
  }

  @Test func aWarmStartRefusesWhatDoesNotFitAndAStoreThatIsInUse() throws {
    try disk.manager("/base").saved(trained, step: 9)
    var larger = Net(extra: [1])
    do {
      let manager = try disk.manager()
      let error = try checkpointError {
        try manager.warmStart(&larger, from: "/base", restoring: .matching("model/**"))
      }
      #expect(error.code == .incompatibleState && larger == Net(extra: [1]))
      let report = try manager.warmStart(
        &larger, from: "/base", restoring: .matching("model/**"), misfits: .leave)
      #expect(report.missing == ["model/extra"] && larger.weight == [5, 6, 7])
      try manager.saved(larger, step: 1)
    }
    let manager = try disk.manager()
    let inUse = try checkpointError {
      try manager.warmStart(&larger, from: "/base", restoring: .everything)
    }
    #expect(inUse.code == .notEmpty)
    let nowhere = try checkpointError {
      try disk.manager("/third").warmStart(&larger, from: "/nowhere", restoring: .everything)
    }
    #expect(nowhere.code == .notFound)
  }
}
