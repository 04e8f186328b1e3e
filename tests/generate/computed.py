"""A runtime whose graphs are Python functions, so that tests compute every result by hand. Nothing is loaded.

The model that the graphs stand for has two latent channels, 8 pixels and 4 frames for each latent cell, and prompt
embeddings of three numbers for each token.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np

from engine.api.cancellation import CancelFlag
from engine.bundle.graph_spec import GraphSpec, TensorSpec
from engine.runtime.base import CallShapes
from engine.runtime.execution import Execution

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from engine.bundle.graph_spec import GraphName
    from engine.runtime.base import Array, Tensor

PEAK_MEMORY_BYTES = 1_234


class HostTensor:
    """A buffer on the host."""

    def __init__(self, array: Array) -> None:
        self.array = array

    def to_host(self) -> Array:
        return self.array.copy()

    def row(self, index: int) -> HostTensor:
        return HostTensor(self.array[index : index + 1])

    def update(self, array: Array) -> None:
        self.array[...] = array


class ComputedRuntime:
    """Owns the buffers, and records the names of the graphs that were called."""

    name = "by hand"

    def __init__(self, call_shapes: CallShapes = CallShapes()) -> None:
        self.call_shapes = call_shapes
        self.calls: list[str] = []
        self.is_closed = False

    def upload(self, array: Array) -> HostTensor:
        return HostTensor(np.array(array))

    def zeros(self, shape: tuple[int, ...], dtype: str = "float32") -> HostTensor:
        return HostTensor(np.zeros(shape, dtype))

    def peak_memory_bytes(self) -> int:
        return PEAK_MEMORY_BYTES

    def close(self) -> None:
        self.is_closed = True


class ComputedGraph:
    """A graph that is a function of arrays. A call binds every input and output in its shape, and none as both."""

    def __init__(
        self,
        runtime: ComputedRuntime,
        name: GraphName,
        inputs: Mapping[str, tuple[int | str, ...]],
        outputs: Mapping[str, tuple[int | str, ...]],
        function: Callable[[dict[str, Array]], dict[str, Array]],
    ) -> None:
        self._runtime, self._function = runtime, function
        self.inputs: list[dict[str, Array]] = []
        self.spec = GraphSpec(
            stage=name,
            file=f"{name}.onnx",
            inputs=_tensors(inputs),
            outputs=_tensors(outputs),
            max_abs_error=None,
            max_abs_value=None,
        )

    def run(self, inputs: Mapping[str, Tensor], outputs: Mapping[str, Tensor]) -> None:
        assert set(inputs) == {item.name for item in self.spec.inputs}
        assert set(outputs) == {item.name for item in self.spec.outputs}
        arrays = {name: cast("HostTensor", tensor).array for name, tensor in inputs.items()}
        buffers = {name: cast("HostTensor", tensor).array for name, tensor in outputs.items()}
        for item in self.spec.inputs:
            array = arrays[item.name]
            assert array.dtype == item.dtype, item
            assert len(array.shape) == len(item.shape), item
            assert all(
                isinstance(axis, str) or axis == actual for axis, actual in zip(item.shape, array.shape, strict=True)
            )
        assert not any(array is buffer for array in arrays.values() for buffer in buffers.values())
        self._runtime.calls.append(self.spec.stage)
        self.inputs.append({name: array.copy() for name, array in arrays.items()})
        for name, result in self._function(arrays).items():
            assert buffers[name].shape == np.shape(result), name
            buffers[name][...] = result


def _tensors(shapes: Mapping[str, tuple[int | str, ...]]) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(name=name, dtype="int64" if name in {"input_ids", "attention_mask"} else "float32", shape=shape)
        for name, shape in shapes.items()
    )


def execution_on(runtime: ComputedRuntime, cancel: CancelFlag | None = None) -> Execution:
    anything: Any = runtime
    return Execution(anything, cancel or CancelFlag())


def accumulating_graphs(
    runtime: ComputedRuntime,
    kind: str,
    chunk: tuple[int, ...],
    next_chunk: tuple[int, ...],
    result: tuple[int, ...],
    next_result: tuple[int, ...],
) -> tuple[ComputedGraph, ComputedGraph]:
    """The two graphs of a causal VAE: a result is the mean of its chunk plus the sum of the means before.

    ``cache_0`` holds that sum; ``cache_1`` counts the calls after the first, which does not output it.
    """

    def init(inputs: dict[str, Array]) -> dict[str, Array]:
        mean = inputs["first"].mean()
        return {"begun": np.full(result, mean), "next_cache_0": np.full((1, 2), mean)}

    def step(inputs: dict[str, Array]) -> dict[str, Array]:
        total, count = inputs["cache_0"][0, 0], inputs["cache_1"][0]
        mean = inputs["following"].mean()
        return {
            "next_cache_0": np.full((1, 2), total + mean),
            "continued": np.full(next_result, total + mean + 100.0 * count),
            "next_cache_1": np.array([count + 1.0]),
        }

    init_name, step_name = cast("tuple[GraphName, GraphName]", (f"vae_{kind}_init", f"vae_{kind}_step"))
    return (
        ComputedGraph(runtime, init_name, {"first": chunk}, {"begun": result, "next_cache_0": (1, 2)}, init),
        ComputedGraph(
            runtime,
            step_name,
            {"cache_0": (1, 2), "following": next_chunk, "cache_1": (1,)},
            {"next_cache_0": (1, 2), "continued": next_result, "next_cache_1": (1,)},
            step,
        ),
    )


def solver_graph(
    runtime: ComputedRuntime,
    latents: tuple[int, ...],
    order: int,
    batch_count: int,
    *,
    has_magnitude: bool = True,
    keeps: bool = True,
) -> ComputedGraph:
    """``guide_and_step``: the matrix times the tensors of the solver's state, then the predictions.

    Graphs of earlier exports do not have ``has_magnitude``, the mean of all absolute values, and those of later ones
    do not ``keeps`` tensors for later steps.
    """
    kept = ("velocity_1", "velocity_2", "guidance") if keeps else ()
    state = ("latents", "last_sample", *(f"x0_{back}" for back in range(1, order + 1)), *kept)
    results = ("next_latents", "sample", "x0", *(f"next_{name}" for name in kept))
    shape = len(results), len(state) + batch_count

    def step(inputs: dict[str, Array]) -> dict[str, Array]:
        stacked = np.stack([*(inputs[name][0] for name in state), *inputs["prediction"]])
        assert inputs["matrix"].shape == shape
        rows = np.tensordot(inputs["matrix"], stacked, axes=1)[:, None]
        magnitude = {"magnitude": np.abs(rows).mean(keepdims=True).ravel()} if has_magnitude else {}
        return {**dict(zip(results, rows, strict=True)), **magnitude}

    return ComputedGraph(
        runtime,
        "guide_and_step",
        {**dict.fromkeys(state, latents), "prediction": (batch_count, *latents[1:]), "matrix": shape},
        dict.fromkeys(results, latents) | ({"magnitude": (1,)} if has_magnitude else {}),
        step,
    )


def transformer_graph(
    runtime: ComputedRuntime, name: GraphName, factor: float, shapes: Mapping[str, tuple[int | str, ...]]
) -> ComputedGraph:
    """A transformer: ``factor`` · latents + timestep / 1000 + mean of conditioning + a row's embeddings and bias."""

    def predict(inputs: dict[str, Array]) -> dict[str, Array]:
        assert inputs["timestep"].dtype == np.float32
        everywhere = inputs["timestep"][0] / 1000.0 + inputs["condition"].mean()
        rows = [
            factor * inputs["latents"][0] + everywhere + embeds.mean() + bias.max() / 10.0
            for embeds, bias in zip(inputs["prompt_embeds"], inputs["prompt_bias"], strict=True)
        ]
        return {"prediction": np.stack(rows)}

    batch = shapes["prompt_embeds"][0]
    return ComputedGraph(
        runtime, name, {**shapes, "timestep": (1,)}, {"prediction": (batch, *shapes["latents"][1:])}, predict
    )
