"""Reports on picture files: format, quality, text in the picture, findings."""
