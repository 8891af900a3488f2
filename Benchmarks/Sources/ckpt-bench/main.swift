Benchmark.main(CommandLine.arguments)
