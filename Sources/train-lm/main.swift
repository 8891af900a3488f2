TrainCommand.run(Array(CommandLine.arguments.dropFirst()))
