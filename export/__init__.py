"""From a checkpoint to a bundle. The only code beside ``pocket`` and ``evaluation`` that imports torch."""
