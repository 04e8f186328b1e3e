"""Evaluation of the trained model: generated clips are compared with the drawn clips of the same spec."""
