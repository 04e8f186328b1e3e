"""One component of a checkpoint: its files, opened under the names that the exporter knows, and its configuration.

Opening judges a component before any work: which layout its names have, whether all names are known, whether its
weights are quantised and how. Only headers are read.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.errors import ExportError
from export.weights.configuration import read_configuration
from export.weights.files.stored_tensor import StoredTensor
from export.weights.files.tensor_files import read_tensors, weight_files
from export.weights.names.configurations import text_encoder_configuration, transformer_configuration
from export.weights.names.layout import ComponentKind, FoundNames, find_layout
from export.weights.names.other_models import other_transformer, recognised
from export.weights.names.vae_configuration import vae_configuration
from export.weights.quantised_forms import dequantised
from export.weights.shards import Shards

_KIND_WORDS: Mapping[ComponentKind, str] = {
    "transformer": "a Wan2.2 transformer",
    "vae": "a Wan VAE",
    "text_encoder": "the umT5 text encoder",
}
_FLAGS: Mapping[ComponentKind, str] = {
    "transformer": "--transformer-high or --transformer-low",
    "vae": "--vae",
    "text_encoder": "--text-encoder",
}
_MAX_NAMED = 3


@dataclass(frozen=True)
class ComponentFiles:
    """Where one component lies: a file or a folder of weights, and the file of its configuration.

    ``configuration_file`` None: the shapes of the weights say the configuration. ``option`` is the option of the
    command line that chose the component; None: the layout of the checkpoint's folder.
    """

    kind: ComponentKind
    path: Path
    configuration_file: Path | None = None
    option: str | None = None

    @property
    def label(self) -> str:
        """The component for messages: its path, with the option that gave it."""
        return str(self.path) if self.option is None else f"{self.option} {self.path}"

    @property
    def files(self) -> Sequence[Path]:
        """The files of weights. Raises ``ExportError`` for a path that is missing and a folder without any."""
        if not self.path.exists() and not self.path.is_symlink():
            raise ExportError(
                f"{self.label} is missing; download it, or give {_KIND_WORDS[self.kind]} as {_FLAGS[self.kind]}"
            )
        return weight_files(self.path)

    def open(self) -> OpenComponent:
        """Reads the headers of all files, once. Raises ``ExportError`` for what the exporter cannot use."""
        return self._opened

    @functools.cached_property
    def _opened(self) -> OpenComponent:
        tensors = read_tensors(self.files)
        shapes = {name: tensor.shape for name, tensor in tensors.items()}
        found = find_layout(self.kind, tuple(tensors))
        other = other_transformer(shapes) if self.kind == "transformer" else None
        if other is not None:
            raise ExportError(f"{self.label} {other}")
        if found is None:
            what = recognised(shapes)
            raise ExportError(
                f"{self.label} is not {_KIND_WORDS[self.kind]}{f' but {what}' if what else ''}; "
                + ("give the file of that component" if self.option else "download the component again")
            )
        return OpenComponent(self, found, tensors, *dequantised(self.label, found, tensors))

    def configuration(self) -> dict[str, Any]:
        """The configuration in Diffusers' terms, transformers' for the text encoder. Raises ``ExportError``."""
        if self.configuration_file is None:
            return self.open().configuration()
        return read_configuration(self.kind, self.configuration_file)


@dataclass(frozen=True)
class OpenComponent:
    """A component with its headers read: tensors under the names of the exporter in ``shards``.

    ``form`` says how the weights are stored, for example ``F8_E4M3 with scales``.
    """

    place: ComponentFiles
    names: FoundNames
    stored: Mapping[str, StoredTensor]
    shards: Shards
    form: str

    def configuration(self) -> dict[str, Any]:
        """The configuration that the shapes of the weights say. Raises ``ExportError``."""
        shapes = {name: self.shards.shape(name) for name in self.shards.names()}
        match self.names.kind:
            case "transformer":
                return transformer_configuration(shapes, self.place.label)
            case "vae":
                return vae_configuration(shapes, self.place.label)
            case "text_encoder":
                return text_encoder_configuration(shapes, self.place.label)

    def require_known_names(self) -> None:
        """Refuses names that the component does not have: they belong to another model. Raises ``ExportError``."""
        unknown = self.names.unknown
        if unknown:
            named = ", ".join(unknown[:_MAX_NAMED])
            more = f" and {len(unknown) - _MAX_NAMED} more" if len(unknown) > _MAX_NAMED else ""
            raise ExportError(
                f"{self.place.label}: holds {named}{more}, which {_KIND_WORDS[self.names.kind]} does not have; give "
                "the weights of Wan2.2 image-to-video"
            )

    @property
    def tokenizer_model(self) -> bytes | None:
        """The SentencePiece model that ComfyUI's text encoders carry; None without one."""
        name = self.names.tokenizer
        return None if name is None else self.stored[name].read().numpy().tobytes()
