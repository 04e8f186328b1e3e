"""Figures of the page, drawn with Matplotlib. All have a white ground, so that dark pages show them as well."""
