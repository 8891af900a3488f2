/// Arms measured one at a time as another program asks for them, so that it can take turns with them.
///
/// After the lines that describe the state, the files and the arms comes one answer for each line of
/// standard input, which names an arm. It ends with standard input.
enum ServeCase {
  static func run(_ options: Options) throws {
    let workbench = try Workbench(options)
    defer { workbench.removeFiles() }
    print(try StateCase.description(of: workbench.state, json: true))
    let files = try workbench.makeFiles()
    var arms = workbench.saveArms()
    arms += workbench.loadArms(files).filter { arm in !arms.contains { $0.name == arm.name } }
    let sizes = files.map { file in
      JSONLine([("compression", .text(file.name)), ("bytes", .integer(file.byteCount))])
    }
    let names = arms.map { JSONLine([("arm", .text($0.name))]) }
    print(
      JSONLine([
        ("event", .text("ready")), ("schema", .integer(1)), ("files", .array(sizes)),
        ("arms", .array(names)),
      ]).text)
    while let name = readLine() {
      guard let arm = arms.first(where: { $0.name == name }) else {
        Benchmark.fail("ckpt-bench: there is no arm \(name)", status: 64)
      }
      print(try arm.measured().json([("event", .text("sample")), ("schema", .integer(1))]).text)
    }
  }
}
