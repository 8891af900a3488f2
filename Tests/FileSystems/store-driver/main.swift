StoreDriver.main()
