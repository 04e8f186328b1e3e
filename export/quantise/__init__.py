"""Weights in fewer bits: which, how, and what it costs. Reads weight sources and graphs; loads no model.

``recipes`` says which weights of a component become what, ``encodings`` and ``rounding`` how, ``writer`` streams a
component through them into one file, ``rewrite`` lets a graph read that file, and ``calibration`` keeps what was seen
at the inputs of its linears.
"""
