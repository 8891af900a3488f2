/// The cases save, load and verify: arms in turns, each beside its physical limit.
struct BlockCase {
  private let options: Options
  private let workbench: Workbench

  init(_ options: Options) throws {
    self.options = options
    workbench = try Workbench(options)
  }

  func run() throws {
    print(try StateCase.description(of: workbench.state, json: options.printsJSON))
    defer { workbench.removeFiles() }
    let arms: [Arm]
    switch options.command {
    case "save": arms = workbench.saveArms()
    case "load": arms = workbench.loadArms(try makeFiles())
    default: arms = workbench.verifyArms(try makeFiles())
    }
    try BlockReport(options: options).measure(arms)
  }

  private func makeFiles() throws -> [Workbench.File] {
    let files = try workbench.makeFiles()
    for file in files { print(workbench.description(of: file)) }
    return files
  }
}
