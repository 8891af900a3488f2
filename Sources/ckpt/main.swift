CheckpointCommand.main()
