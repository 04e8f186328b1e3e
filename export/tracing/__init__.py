"""Model components become ONNX graphs: modules, tracing, assembly, verification."""
