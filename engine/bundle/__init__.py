"""The bundle: a folder with a manifest, the graphs and the tokenizers of one model."""

from __future__ import annotations

from engine.bundle.folder import *  # noqa: F403
