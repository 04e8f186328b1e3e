"""Exports a checkpoint to a bundle that the engine serves. Beside ``pocket`` and the benchmarks the only torch code.

The life of an export (``bundle/exporter.py`` holds the same order in code):

1. ``__main__`` turns the command line into an ``ExportPlan``.
2. ``check`` refuses what cannot be done: options, checkpoint, disk, memory. It constructs each component once, without
   weights, and plans its weights. A dry run ends here.
3. For each component: its weights are written, or referenced where they are; its graphs are traced and written; the
   graphs are compared with torch; and they are compiled to engines if a GPU was named. A plans-only bundle keeps the
   engines alone.
4. The solver's graph, the preview's projection and the scorer follow.
5. ``bundle.json``, the manifest, is written last. Until then the build log lets an interrupted export resume.

Folders, each importing only from folders below it:

* ``calibrate``: the command that fits a bundle's scorer on labelled pairs.
* ``bundle``: the export itself: plan, check, order of the steps, manifest.
* ``tracing``: components become ONNX graphs. ``tensorrt``: graphs become engines.
* ``quantise``: encodings of weights, and the command that measures the inputs of linears.
* ``weights``: checkpoint in any layout, tensors of its files, parameters, LoRA adapters.

Vocabulary:

* checkpoint: a model in one of the layouts that people have; its components are the transformers, the VAE and the text
  encoder.
* shard: a file of a component, and ``Shards`` the tensors of all of them under the names of Diffusers.
* weight source: weights by name, read one at a time, from shards or with adapters fused.
* encoding: how one weight is stored: passed through, or quantised.
* component weights: the stored weights of a component in the form that its graphs read.
* module graph: a model as segments that exchange named values; it is traced to a graph.
* graph: an ONNX file, which points at weights outside.
* engine: a graph compiled for one GPU by TensorRT.
"""

import engine  # noqa: F401  sets what libraries read as they are imported
