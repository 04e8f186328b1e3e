"""Generation of a clip: preparation, text encoding, denoising, decoding."""
