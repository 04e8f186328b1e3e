"""The cases that `full_size_engine` compiles: component, precision, GPU, size and length."""

from dataclasses import dataclass

from benchmarks.true_size import layer_count


@dataclass(frozen=True)
class Case:
    """A component of a model, in one precision, for one GPU, at one size and length.

    ``part_count`` is the number of graphs that a transformer is split into. ``batch_count`` is the largest batch of one
    transformer call: 2 runs both predictions of classifier-free guidance together.
    """

    model: str
    component: str
    precision: str
    gpu: str
    width_px: int
    height_px: int
    frame_count: int
    layer_count: int
    part_count: int = 1
    batch_count: int = 2

    @property
    def prefix(self) -> str:
        """Prefix of the names of the case's figures."""
        depth = f"_{self.layer_count}_layers" if self.component == "transformer" else ""
        alone = "_batch_1" if self.batch_count == 1 else ""
        return f"{self.model}_{self.component}_{self.precision}_{self.gpu}{alone}{depth}"


CASES = {
    "a14b-int4": Case("a14b", "transformer", "int4", "rtx3090", 832, 480, 81, layer_count("a14b")),
    "a14b-fp8": Case("a14b", "transformer", "fp8", "rtx4090", 832, 480, 81, layer_count("a14b"), part_count=4),
    "5b-fp8": Case("5b", "transformer", "fp8", "rtx4090", 1280, 704, 121, layer_count("5b")),
    "5b-int8": Case("5b", "transformer", "int8", "rtx4090", 1280, 704, 121, layer_count("5b")),
    "a14b-vae-rtx3090": Case("a14b", "vae", "fp16", "rtx3090", 832, 480, 81, 1),
    "a14b-vae-rtx4090": Case("a14b", "vae", "fp16", "rtx4090", 832, 480, 81, 1),
    "5b-vae": Case("5b", "vae", "fp16", "rtx4090", 1280, 704, 121, 1),
    "text-rtx3090": Case("a14b", "text_encoder", "int8", "rtx3090", 832, 480, 81, 1),
    "text-rtx4090": Case("a14b", "text_encoder", "int8", "rtx4090", 832, 480, 81, 1),
    "solver-rtx3090": Case("a14b", "guide_and_step", "fp32", "rtx3090", 832, 480, 81, 1),
    "solver-rtx4090": Case("a14b", "guide_and_step", "fp32", "rtx4090", 832, 480, 81, 1),
    "5b-solver": Case("5b", "guide_and_step", "fp32", "rtx4090", 1280, 704, 121, 1),
}
