"""The export of a checkpoint to a bundle: options, plan, resource estimate, steps, manifest."""
