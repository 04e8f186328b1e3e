"""Pictures and prompts on their way to the transformer: VAE chunk by chunk, mask channels, joined prompts, caching."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from engine.generate.causal_vae_stream import CausalVaeStream
from engine.generate.decoding import MAX_PSNR_DB, decode_frames, psnr_db
from engine.generate.image_conditioning import (
    frames_as_latents,
    picture_as_channels,
    picture_as_first_frame,
    to_model_range,
)
from engine.generate.preview import preview_of, to_pixels
from engine.generate.prompt_encoder import PromptEncoder, join_prompts
from engine.generate.prompt_tensors import upload_prompts
from engine.runtime.base import CallShapes
from tests.generate.computed import ComputedGraph, ComputedRuntime, accumulating_graphs, execution_on

if TYPE_CHECKING:
    from engine.runtime.base import Array

HEIGHT, WIDTH = 8, 16
LATENT = (1, 2, 1, 1, 2)
FRAME, FRAMES = (1, 3, 1, HEIGHT, WIDTH), (1, 3, 4, HEIGHT, WIDTH)


def encoder_on(runtime: ComputedRuntime) -> CausalVaeStream:
    graphs: Any = accumulating_graphs(runtime, "encoder", FRAME, FRAMES, LATENT, LATENT)
    return CausalVaeStream(execution_on(runtime), *graphs)


def picture_of(value: int) -> Any:
    return np.full((HEIGHT, WIDTH, 3), value, np.uint8)


def test_caches_go_from_each_chunk_to_the_next_one() -> None:
    runtime = ComputedRuntime()
    stream = encoder_on(runtime)
    results = [stream.run(np.full(FRAME, 1.0, np.float32))]
    results += [stream.run(np.full(FRAMES, value, np.float32)) for value in (2.0, 4.0, 8.0)]
    # The sum of the means so far, and a hundred for each call between the first and this one.
    assert [result.ravel().tolist() for result in results] == [[1.0] * 4, [3.0] * 4, [107.0] * 4, [215.0] * 4]
    assert runtime.calls == ["vae_encoder_init"] + ["vae_encoder_step"] * 3


def test_streams_do_not_share_their_caches() -> None:
    runtime = ComputedRuntime()
    graphs: Any = accumulating_graphs(runtime, "encoder", FRAME, FRAMES, LATENT, LATENT)
    first, second = (CausalVaeStream(execution_on(runtime), *graphs) for _ in range(2))
    first.run(np.full(FRAME, 1.0, np.float32))
    second.run(np.full(FRAME, 5.0, np.float32))
    assert first.run(np.full(FRAMES, 1.0, np.float32)).max() == 2.0
    assert second.run(np.full(FRAMES, 1.0, np.float32)).max() == 6.0


def test_a_stream_without_a_step_takes_one_chunk() -> None:
    runtime = ComputedRuntime()

    def mean(inputs: dict[str, Array]) -> dict[str, Array]:
        return {"latent": np.full(LATENT, inputs["picture"].mean())}

    graph: Any = ComputedGraph(runtime, "vae_encoder_init", {"picture": FRAME}, {"latent": LATENT}, mean)
    stream = CausalVaeStream(execution_on(runtime), graph, None)
    assert stream.run(np.full(FRAME, 3.0, np.float32)).tolist() == np.full(LATENT, 3.0).tolist()
    with pytest.raises(ValueError, match=r"^this stream was opened for one chunk$"):
        stream.run(np.full(FRAME, 3.0, np.float32))


def test_a_cache_keeps_the_type_of_its_graph() -> None:
    runtime = ComputedRuntime()
    asked: list[tuple[tuple[int, ...], str]] = []
    zeros = runtime.zeros

    def recording(shape: tuple[int, ...], dtype: str = "missing") -> Any:
        asked.append((shape, dtype))
        return zeros(shape, dtype)

    runtime.zeros = recording  # type: ignore[method-assign]
    encoder_on(runtime)
    assert asked == [((1, 2), "float32"), ((1,), "float32")] * 2


def test_a_picture_in_the_models_range() -> None:
    picture = np.zeros((2, 3, 3), np.uint8)
    picture[0, 1] = (255, 51, 102)
    result = to_model_range(picture)
    assert result.shape == (1, 3, 1, 2, 3)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result[0, :, 0, 0, 1], [1.0, -0.6, -0.2], atol=1e-6)
    np.testing.assert_allclose(result[0, :, 0, 1], np.full((3, 3), -1.0))


def test_the_first_family_gets_mask_channels_and_the_latents_of_the_picture_and_grey_frames() -> None:
    runtime = ComputedRuntime()
    conditioning = picture_as_channels(picture_of(255), 4, encoder_on(runtime))
    assert conditioning.shape == (1, 4 + 2, 4, 1, 2)
    assert conditioning.dtype == np.float32
    mask, latents = conditioning[0, :4], conditioning[0, 4:]
    assert mask[:, 0].tolist() == np.ones((4, 1, 2)).tolist()
    assert mask[:, 1:].tolist() == np.zeros((4, 3, 1, 2)).tolist()
    # The picture's mean is 1; grey frames, at 0, add nothing to the sum of the means.
    np.testing.assert_allclose(latents, np.broadcast_to([[[1.0]], [[1.0]], [[101.0]], [[201.0]]], (2, 4, 1, 2)))
    assert runtime.calls == ["vae_encoder_init"] + ["vae_encoder_step"] * 3


def test_the_second_family_gets_the_latent_of_the_picture() -> None:
    runtime = ComputedRuntime()
    conditioning = picture_as_first_frame(picture_of(0), encoder_on(runtime))
    np.testing.assert_allclose(conditioning, np.full(LATENT, -1.0))
    assert runtime.calls == ["vae_encoder_init"]


def test_frames_are_encoded_as_one_clip() -> None:
    runtime = ComputedRuntime()
    latents = frames_as_latents([picture_of(value) for value in (255, 0, 0, 255, 255)], encoder_on(runtime))
    assert latents.dtype == np.float32
    np.testing.assert_allclose(latents, np.broadcast_to([[[1.0]], [[1.0]]], (1, 2, 2, 1, 2)))  # 0 of the last four
    assert runtime.calls == ["vae_encoder_init", "vae_encoder_step"]
    mixed = frames_as_latents([picture_of(value) for value in (255, 0, 0, 0, 0)], encoder_on(runtime))
    np.testing.assert_allclose(mixed[0, 0, :, 0, 0], [1.0, 0.0])


def test_one_frame_is_encoded_as_a_picture() -> None:
    runtime = ComputedRuntime()
    np.testing.assert_allclose(frames_as_latents([picture_of(0)], encoder_on(runtime)), np.full(LATENT, -1.0))
    assert runtime.calls == ["vae_encoder_init"]


def test_frames_come_in_order_one_of_the_first_latent_frame_and_four_of_each_other() -> None:
    runtime = ComputedRuntime()
    graphs: Any = accumulating_graphs(runtime, "decoder", LATENT, LATENT, FRAME, FRAMES)
    latents = np.zeros((1, 2, 3, 1, 2), np.float32)
    latents[:, :, 0], latents[:, :, 1], latents[:, :, 2] = -0.5, 0.75, -99.5  # -0.5, 0.25, 0.75 in all
    frames = decode_frames(latents, CausalVaeStream(execution_on(runtime), *graphs), 9)
    first = next(frames)
    assert runtime.calls == ["vae_decoder_init"]  # the first frame leaves before the second latent frame is decoded
    rest = list(frames)
    assert [pixels.shape for pixels in (first, *rest)] == [(HEIGHT, WIDTH, 3)] * 9
    assert [np.unique(pixels).tolist() for pixels in (first, *rest)] == [[64]] + [[159]] * 4 + [[223]] * 4


@pytest.mark.parametrize(("frame_count", "call_count"), [(1, 1), (2, 2), (5, 2), (6, 3)])
def test_no_latent_frame_after_the_last_frame_is_decoded(frame_count: int, call_count: int) -> None:
    runtime = ComputedRuntime()
    graphs: Any = accumulating_graphs(runtime, "decoder", LATENT, LATENT, FRAME, FRAMES)
    latents = np.zeros((1, 2, 3, 1, 2), np.float32)
    frames = list(decode_frames(latents, CausalVaeStream(execution_on(runtime), *graphs), frame_count))
    assert len(frames) == frame_count
    assert len(runtime.calls) == call_count


def test_fidelity_in_decibels() -> None:
    expected = picture_of(100)
    assert psnr_db(expected, expected) == MAX_PSNR_DB == 100.0
    assert psnr_db(picture_of(101), expected) == pytest.approx(20.0 * math.log10(255.0))
    assert psnr_db(picture_of(99), expected) == pytest.approx(20.0 * math.log10(255.0))
    assert psnr_db(picture_of(255), picture_of(0)) == pytest.approx(0.0)
    assert psnr_db(picture_of(0), picture_of(255)) == pytest.approx(0.0)


def test_a_fidelity_above_the_maximum_is_the_maximum() -> None:
    """One pixel of 2.7 million that errs by 1 would have 112 dB."""
    actual, expected = np.zeros((1_500, 600, 3), np.uint8), np.zeros((1_500, 600, 3), np.uint8)
    actual[0, 0, 0] = 1
    assert psnr_db(actual, expected) == 100.0


def test_a_preview_is_the_middle_latent_frame_in_colour() -> None:
    spec: Any = type("Spec", (), {"matrix": ((1.0, 0.0, 0.0), (0.0, 0.5, 0.25)), "bias": (0.2, 0.2, 0.0)})
    latents = np.full((1, 2, 5, 1, 2), 9.0, np.float32)
    latents[0, :, 2] = 0.0
    latents[0, :, 2, 0, 1] = 0.4, 0.8
    assert preview_of(latents, spec).tolist() == [[[51, 51, 0], [153, 153, 51]]]
    assert preview_of(latents[:, :, 1:], spec).tolist() == [[[255, 255, 255]] * 2]  # the later one of two


def test_colours_are_rounded_to_the_nearest_byte_and_never_wrap() -> None:
    colours = np.array([-1.0, 0.4 / 255, 0.6 / 255, 127.6 / 255, 1.0, 300.0], np.float32)
    pixels = to_pixels(colours)
    assert pixels.dtype == np.uint8
    assert pixels.tolist() == [0, 0, 1, 128, 255, 255]


def embeddings(token_count: int, value: float) -> Array:
    return np.full((1, token_count, 3), value, np.float32)


def test_one_prompt_gets_one_row_for_all_of_its_padding() -> None:
    joined, bias = join_prompts([embeddings(2, 5.0)], row_count=10)
    assert joined.dtype == bias.dtype == np.float32
    assert joined.tolist() == [[[5.0] * 3, [5.0] * 3, [0.0] * 3]]
    np.testing.assert_allclose(bias, [[0.0, 0.0, math.log(8)]], rtol=1e-6)


def test_rows_that_a_shorter_prompt_does_not_have_are_masked() -> None:
    joined, bias = join_prompts([embeddings(1, 5.0), embeddings(3, 7.0)], row_count=10)
    assert joined[:, :, 0].tolist() == [[5.0, 0.0, 0.0, 0.0], [7.0, 7.0, 7.0, 0.0]]
    np.testing.assert_allclose(bias, [[0.0, math.log(9), -1e4, -1e4], [0.0, 0.0, 0.0, math.log(7)]], rtol=1e-6)


def test_a_prompt_that_fills_every_row_has_no_padding() -> None:
    joined, bias = join_prompts([embeddings(4, 5.0), embeddings(3, 7.0)], row_count=4)
    assert joined.shape == (2, 4, 3)
    assert bias.tolist() == [[0.0] * 4, [0.0] * 4]  # ln 1 for the one row of padding


@pytest.mark.parametrize(("row_counts", "length"), [((2, 6, 8), 6), ((2, 3), 4), ((4,), 4), ((16,), 10), ((), 4)])
def test_rows_are_padded_to_the_next_length_with_masked_ones(row_counts: tuple[int, ...], length: int) -> None:
    """Never beyond the rows of the tokenizer, and not at all where no length is long enough."""
    prompts = [embeddings(3, 5.0), embeddings(1, 7.0)]
    plain, plain_bias = join_prompts(prompts, row_count=10)
    joined, bias = join_prompts(prompts, 10, row_counts)
    assert joined.shape == (2, length, 3)
    np.testing.assert_array_equal(joined[:, :4], plain)
    np.testing.assert_array_equal(bias[:, :4], plain_bias)
    assert (joined[:, 4:] == 0.0).all()
    assert (bias[:, 4:] == np.float32(-1e4)).all()


@pytest.mark.parametrize(
    ("shapes", "counts", "rows"),
    [(CallShapes(2), [2], [4]), (CallShapes(1), [1, 1], [4, 2]), (CallShapes(1, (3, 6)), [1, 1], [6, 3])],
)
def test_prompts_are_uploaded_as_the_runtime_calls(shapes: CallShapes, counts: list[int], rows: list[int]) -> None:
    runtime: Any = ComputedRuntime(shapes)
    uploaded: Any = upload_prompts([embeddings(3, 5.0), embeddings(1, 7.0)], 10, runtime)
    assert [prompts.count for prompts in uploaded] == counts
    assert [prompts.embeds.array.shape for prompts in uploaded] == [
        (count, length, 3) for count, length in zip(counts, rows, strict=True)
    ]
    assert [prompts.bias.array.shape for prompts in uploaded] == [
        (count, length) for count, length in zip(counts, rows, strict=True)
    ]
    assert uploaded[-1].embeds.array[-1, 0].tolist() == [7.0] * 3  # the negative prompt is the last one
    (alone,) = upload_prompts([embeddings(3, 5.0)], 10, runtime)
    assert alone.count == 1


class StubTokenizer:
    """One token for each character, with the id of the character; eight rows."""

    length = 8

    def __init__(self, folder: Path, spec: object) -> None:
        self.opened = (folder, spec)

    def token_count(self, text: str) -> int:
        return len(text)

    def encode(self, text: str) -> tuple[Array, Array]:
        ids = np.zeros((1, self.length), np.int64)
        ids[0, : len(text)] = [ord(letter) for letter in text]
        return ids, (ids > 0).astype(np.int64)


class Prompts:
    """A prompt encoder whose graph gives every token its id, twice and three times its id."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, entry_count: int = 2) -> None:
        monkeypatch.setattr("engine.generate.prompt_encoder.TextTokenizer", StubTokenizer)
        self.runtime = ComputedRuntime()
        shapes: dict[str, tuple[int | str, ...]] = {"input_ids": (1, 8), "attention_mask": (1, 8)}
        self.graph = ComputedGraph(self.runtime, "text_encoder", shapes, {"prompt_embeds": (1, 8, 3)}, self._embed)
        spec: Any = "tokenizer"
        graph: Any = self.graph
        self.encoder = PromptEncoder(Path("bundle"), spec, graph, entry_count)

    @staticmethod
    def _embed(inputs: dict[str, Array]) -> dict[str, Array]:
        ids = inputs["input_ids"][0].astype(np.float32)
        return {"prompt_embeds": np.stack([ids, 2 * ids, 3 * ids + 7.0], axis=1)[None]}

    def encode(self, prompt: str) -> Array:
        return self.encoder.encode(prompt, execution_on(self.runtime))

    @property
    def call_count(self) -> int:
        return len(self.runtime.calls)


def test_the_embeddings_of_a_prompt_have_no_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = Prompts(monkeypatch)
    tokenizer: Any = prompts.encoder._tokenizer
    assert tokenizer.opened == (Path("bundle"), "tokenizer")
    assert prompts.encode("AB").tolist() == [[[65, 130, 202], [66, 132, 205]]]
    assert prompts.graph.inputs[0]["attention_mask"].tolist() == [[1, 1, 0, 0, 0, 0, 0, 0]]
    assert prompts.encoder.row_count == 8


def test_a_prompt_is_cleaned_before_it_is_counted_encoded_and_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = Prompts(monkeypatch)
    assert prompts.encoder.token_count(" A&amp;amp;\n B ") == 4
    first = prompts.encode("A \n B")
    assert prompts.encode("  A B ") is first
    assert first[0, :, 0].tolist() == [65, 32, 66]
    assert prompts.call_count == 1


def test_the_prompt_used_longest_ago_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    prompts = Prompts(monkeypatch, entry_count=2)
    for prompt in ("A", "B", "A", "C"):
        prompts.encode(prompt)
    assert prompts.call_count == 3
    prompts.encode("A")
    assert prompts.call_count == 3
    prompts.encode("B")
    assert prompts.call_count == 4


def test_cached_embeddings_keep_no_padding_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Prompts(monkeypatch).encode("AB").base is None
