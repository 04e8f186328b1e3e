"""Pocket: a very small model of Wan2.2-I2V-A14B's shape, and the synthetic drawn clips that it is trained on."""

import engine  # noqa: F401  sets what libraries read as they are imported
