"""Components become ONNX graphs without their weights in memory.

``text_encoder``, ``vae``, ``transformer`` and ``scorer`` say what is traced, ``module_graph`` holds the form in which
they say it, ``trace`` traces a module, ``assemble`` builds a graph from traces, ``verify`` compares it with torch.
``guidance`` writes the graph of guidance and solver, ``preview`` fits the preview's projection.
"""

import os
import tempfile

# torch makes the folder of its compiler as it traces, although it compiles nothing: it gets one that exists.
os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", tempfile.gettempdir())
