"""Quantisation of weights and of the inputs of linears.

``recipes`` chooses an encoding for each weight, ``encodings`` and ``rounding`` encode it, ``writer`` streams a
component through them into one safetensors file, ``stored`` opens that file, ``rewrite`` makes a graph read it.
``calibrate`` is the command that measures inputs of linears (``samples``, ``observe``) and stores them
(``calibration``).
"""
