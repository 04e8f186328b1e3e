"""The cases that `full_size_engine` compiles: component, precision, GPU, size and length."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.true_size import layer_count

# Part of the file names of graphs with attention in FP8.
ATTENTION_MARK = "_fp8_part"


@dataclass(frozen=True)
class Case:
    """A component of a model, in one precision, for one GPU, at one size and length.

    ``depths`` are the numbers of blocks that a transformer is compiled with, fewer than it has: every block adds the
    same bytes of weights, and the deepest one's scratch counts. With one depth, what a block adds is that of the case
    ``like``. ``part_count`` is the number of graphs that a transformer is split into. ``batch_count`` is the
    largest batch of one transformer call: 2 runs both predictions of classifier-free guidance together. ``attention``
    is half or fp8.
    """

    model: str
    component: str
    precision: str
    gpu: str
    width_px: int
    height_px: int
    frame_count: int
    depths: tuple[int, ...] = (1,)
    like: str | None = None
    part_count: int = 1
    batch_count: int = 1
    attention: str = "half"

    @property
    def prefix(self) -> str:
        """Prefix of the names of the case's figures."""
        attention = "_fp8_attention" if self.attention == "fp8" else ""
        together = "_batch_2" if self.batch_count == 2 else ""
        parts = f"_{self.part_count}_parts" if self.part_count > 1 else ""
        size = "" if self.component == "text_encoder" else f"_{self.width_px}x{self.height_px}"
        length = f"x{self.frame_count}" if self.component in {"transformer", "guide_and_step"} else ""
        return f"{self.model}_{self.component}_{self.precision}{attention}_{self.gpu}{size}{length}{together}{parts}"

    @property
    def full_depth(self) -> int:
        """Blocks of the whole transformer; 1 for other components."""
        return layer_count(self.model) if self.component == "transformer" else 1


def _expert(precision: str, gpu: str, size: tuple[int, int, int], *, attention: str = "half", like: str = "") -> Case:
    depths = (4,) if like else (2, 4)
    return Case("a14b", "transformer", precision, gpu, *size, depths=depths, like=like or None, attention=attention)


_480P, _720P, _LONG = (832, 480, 81), (1280, 720, 81), (832, 480, 121)
_5B = (1280, 704, 121)

CASES = {
    "a14b-int4": _expert("int4", "rtx3090", _480P),
    "a14b-fp8-attention": _expert("fp8", "rtx4090", _480P, attention="fp8"),
    "a14b-fp8": _expert("fp8", "rtx4090", _480P, like="a14b-fp8-attention"),
    "a14b-int4-720p": _expert("int4", "rtx3090", _720P, like="a14b-int4"),
    "a14b-fp8-attention-720p": _expert("fp8", "rtx4090", _720P, attention="fp8", like="a14b-fp8-attention"),
    "a14b-fp8-720p": _expert("fp8", "rtx4090", _720P, like="a14b-fp8-attention"),
    "a14b-int4-121": _expert("int4", "rtx3090", _LONG, like="a14b-int4"),
    "a14b-fp8-121": _expert("fp8", "rtx4090", _LONG, like="a14b-fp8-attention"),
    "5b-int8": Case("5b", "transformer", "int8", "rtx4090", *_5B, depths=(6, 12)),
    "a14b-vae-rtx3090": Case("a14b", "vae", "fp16", "rtx3090", *_480P),
    "a14b-vae-rtx4090": Case("a14b", "vae", "fp16", "rtx4090", *_480P),
    "a14b-vae-720p-rtx3090": Case("a14b", "vae", "fp16", "rtx3090", *_720P),
    "a14b-vae-720p-rtx4090": Case("a14b", "vae", "fp16", "rtx4090", *_720P),
    "5b-vae": Case("5b", "vae", "fp16", "rtx4090", *_5B),
    "text-rtx3090": Case("a14b", "text_encoder", "int8", "rtx3090", *_480P),
    "text-rtx4090": Case("a14b", "text_encoder", "int8", "rtx4090", *_480P),
    **{
        f"solver-{name}-{gpu}": Case("a14b", "guide_and_step", "fp32", gpu, *size)
        for name, size in (("480p", _480P), ("720p", _720P), ("121", _LONG))
        for gpu in ("rtx3090", "rtx4090")
    },
    "5b-solver": Case("5b", "guide_and_step", "fp32", "rtx4090", *_5B),
}
