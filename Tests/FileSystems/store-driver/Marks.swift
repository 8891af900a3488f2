/// Tells what is tried and what was acknowledged, at once: on standard output, and in the log of
/// block writes if there is one.
struct Marks {
  private var files = [SystemCalls.standardOutput]

  init(path: String?) {
    guard let path else { return }
    let file = SystemCalls.openForWriting(path, creating: false)
    precondition(file >= 0, "cannot open \(path)")
    files.append(file)
  }

  func write(_ text: String) {
    for file in files {
      precondition(SystemCalls.append(Array((text + "\n").utf8), to: file), "a mark was lost")
    }
  }
}
