"""The bundle: the folder that the exporter writes, with a manifest, graphs and tokenizers of one model."""
