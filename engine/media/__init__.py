"""Pictures in, frames out. Knows Pillow; does not know the model."""
