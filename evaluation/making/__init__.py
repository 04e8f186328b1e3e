"""Makes clips: with a bundle in this process, or with a server."""
