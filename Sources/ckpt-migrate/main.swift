MigrateCommand.main()
