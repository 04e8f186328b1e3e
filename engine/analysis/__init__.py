"""Reports on prompts, pictures and finished clips, by rules and measurements, without a model."""
