package enum CommandLineTool {}
