"""Graph runtimes. ``base`` defines the protocol, ``ort`` and ``trt`` implement it, ``choice`` picks one."""
