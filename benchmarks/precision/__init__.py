"""What each recipe of ``export.quantise`` costs in fidelity, on a bundle that holds its checkpoint.

``variants`` makes bundles whose transformers are quantised, ``half`` lets a CPU round as a card does, ``runs`` measures
them against the bundle in float32, ``table`` writes docs/precision.md.
"""
