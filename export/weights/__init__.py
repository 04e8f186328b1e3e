"""Stored weights: checkpoint folders, safetensors shards, parameter names, LoRA adapters."""
