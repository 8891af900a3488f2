SoakCommand.main()
