"""Pictures in, frames out: decoding, cropping, encoding, rendering."""
