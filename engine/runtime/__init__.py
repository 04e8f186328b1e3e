"""What runs graphs. ``base`` is the seam; each other file is one runtime, imported only when it is chosen."""
