print("ckpt-verify")
