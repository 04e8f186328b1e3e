"""Loss of fidelity of each quantisation recipe of ``export.quantise``, measured on a bundle that holds its checkpoint.

``variants`` writes bundles with quantised transformers, ``half`` emulates a GPU's half precision on a CPU, ``runs``
measures variants against the float32 bundle, ``table`` writes docs/precision.md.
"""
