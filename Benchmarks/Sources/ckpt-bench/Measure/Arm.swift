/// One of the things that are measured in turns.
struct Arm {
  var name: String
  /// What its rate is counted in: bytes of the state, or of the file for a raw read and a verification.
  let byteCount: Int
  /// Whether it waits until the disk is quiet, before the clock starts.
  var needsQuietDisk = true
  /// Is done before the clock starts.
  var prepare: () throws -> Void = {}
  let run: () throws -> Void
  /// Is done after the clock has stopped.
  var cleanUp: () throws -> Void = {}

  /// Measures it once.
  func measured() throws -> Sample {
    try prepare()
    let isQuiet = !needsQuietDisk || Machine.waitForQuietDisk()
    let resident = Machine.residentByteCount(resettingPeak: true)
    let before = (cpu: Machine.usedCPUSeconds, stolen: Machine.stolenSeconds)
    let seconds = try Benchmark.seconds(run)
    let sample = Sample(
      arm: name, byteCount: byteCount, seconds: seconds,
      cpuSeconds: Machine.usedCPUSeconds - before.cpu,
      stolenSeconds: Machine.stolenSeconds - before.stolen,
      extraByteCount: max(0, Machine.peakByteCount - resident), isQuiet: isQuiet)
    try cleanUp()
    return sample
  }
}

/// What an arm took, once.
struct Sample {
  let arm: String
  let byteCount: Int
  let seconds: Double
  /// User and system time of all threads.
  let cpuSeconds: Double
  /// What other guests of the host took from all cores meanwhile.
  let stolenSeconds: Double
  /// How far resident memory rose above what it was before.
  let extraByteCount: Int
  /// Whether nothing waited to be written before it began.
  let isQuiet: Bool

  /// Bytes a second.
  var rate: Double { Double(byteCount) / seconds }

  /// One JSON object.
  ///
  /// - Parameter fields: What stands before the numbers.
  /// - Returns: Those fields, then the numbers.
  func json(_ fields: [(String, JSONLine.Value)]) -> JSONLine {
    JSONLine(
      fields + [
        ("arm", .text(arm)), ("bytes", .integer(byteCount)), ("seconds", .number(seconds)),
        ("cpu_seconds", .number(cpuSeconds)), ("stolen_seconds", .number(stolenSeconds)),
        ("extra_bytes", .integer(extraByteCount)), ("quiet", .truth(isQuiet)),
      ])
  }
}
