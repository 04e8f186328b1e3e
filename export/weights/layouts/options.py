"""The components that options of the command line give, in place of those of the checkpoint's folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from export.errors import ExportError
from export.options import ComponentOptions
from export.weights.component_files import ComponentFiles
from export.weights.names.layout import ComponentKind

# Component and kind of each option.
_COMPONENTS: Mapping[str, tuple[str, ComponentKind]] = {
    "transformer_high": ("transformer", "transformer"),
    "transformer_low": ("transformer_2", "transformer"),
    "text_encoder": ("text_encoder", "text_encoder"),
    "vae": ("vae", "vae"),
}


def given_components(options: ComponentOptions) -> Iterator[tuple[str, ComponentFiles]]:
    """The components that options give, by name. Raises ``ExportError`` for a path that is missing."""
    for option, (name, kind) in _COMPONENTS.items():
        path = getattr(options, option)
        if path is None:
            continue
        flag = f"--{option.replace('_', '-')}"
        if not path.exists():
            raise ExportError(f"{flag} {path}: no such file or folder")
        configuration = path / "config.json" if path.is_dir() else None
        is_there = configuration is not None and configuration.is_file()
        yield name, ComponentFiles(kind, path, configuration if is_there else None, flag)
