print("train-lm")
