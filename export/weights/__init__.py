"""Stored weights: the checkpoint, its shards, the parameters of its components, and LoRA adapters fused into them."""
