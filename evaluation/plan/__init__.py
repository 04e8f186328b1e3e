"""The plan of an evaluation: arms, pairs, seeds and settings, as data."""
