"""The life of a clip: text and image encoding, denoising, decoding. ``pipeline`` runs the steps in order."""
