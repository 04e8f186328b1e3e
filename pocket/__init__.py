"""Pocket: a very small Wan2.2-I2V-A14B-shaped model and the drawn world it is trained on."""
