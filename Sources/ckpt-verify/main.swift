VerifyCommand.run(Array(CommandLine.arguments.dropFirst()))
