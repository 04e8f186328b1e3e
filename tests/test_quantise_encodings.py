"""Encodings of weights: exactness of each format, packing, zeros, and values that cannot be encoded."""

from __future__ import annotations

import itertools

import ml_dtypes
import numpy as np
import pytest
import torch
from torch import Tensor

from export.errors import ExportError
from export.quantise.encodings import Encoding, Float8, Int4, Int8, PassThrough, int4_block_size
from export.quantise.rounding import block_scales, round_to_nearest, round_with_feedback
from tests.quantising import weight


def _unpack(packed: Tensor, shape: tuple[int, int]) -> Tensor:
    """By the rule of the ONNX standard, through another library's four-bit type."""
    halves = np.stack([packed.numpy() & 0x0F, packed.numpy() >> 4], axis=-1).reshape(shape)
    return torch.from_numpy(halves.astype(np.uint8).view(ml_dtypes.uint4).view(ml_dtypes.int4).astype(np.int8))


def _decoded(encoding: Encoding, original: Tensor) -> Tensor:
    """The weight [outputs, inputs] that a graph will see."""
    values, scales = encoding.encode("w", original)
    if isinstance(encoding, Int4):
        integers = _unpack(values, (original.shape[1], original.shape[0])).float()
        return (integers * scales.float().repeat_interleave(encoding.block_size, dim=0)).T
    return (values.float() * scales.float()).T


@pytest.mark.parametrize("scale_dtype", [torch.float16, torch.bfloat16], ids=str)
class TestEachValueIsWithinHalfAStep:
    def test_of_eight_bit_integers(self, scale_dtype: torch.dtype) -> None:
        original = weight(48, 64)
        steps = original.abs().amax(1, keepdim=True) / 127
        error = (_decoded(Int8(scale_dtype), original) - original).abs()
        # A scale that was rounded down to bfloat16's eight bits cuts off the largest value a little.
        assert bool((error <= steps * (0.52 if scale_dtype is torch.float16 else 1.0)).all())

    def test_of_eight_bit_floats(self, scale_dtype: torch.dtype) -> None:
        original = weight(48, 64)
        error = (_decoded(Float8(scale_dtype), original) - original).abs()
        # Half a unit of three bits of mantissa, down to half the smallest step of the format.
        assert bool((error <= original.abs() / 16 + original.abs().max() / 448 / 512 / 2 * 1.01).all())

    def test_of_blocks_of_four_bits(self, scale_dtype: torch.dtype) -> None:
        original = weight(48, 64)
        blocks = original.reshape(48, 2, 32)
        error = (_decoded(Int4(scale_dtype, block_size=32), original).reshape(48, 2, 32) - blocks).abs()
        scales = block_scales(original, 32, scale_dtype).unsqueeze(2)
        inside = blocks.abs() <= 7.5 * scales
        assert bool((error <= scales * 0.5001)[inside].all())
        assert bool((error <= blocks.abs() - 7 * scales + 1e-6)[~inside].all())  # what the scale cuts off
        assert inside.float().mean() > 0.9


def test_four_bit_values_are_packed_as_the_standard_says() -> None:
    original = torch.tensor([[-8.0, 7.0], [1.0, -1.0]]) * 0.5  # [outputs, inputs]
    values, scales = Int4(torch.float32, block_size=2).encode("w", original)
    assert values.shape == (2,)
    assert scales.shape == (1, 2)
    stored = _unpack(values, (2, 2)).float() * scales
    assert ((stored.T - original).abs() <= scales.T / 2 + 1e-6).all()
    # The first of two values is in the low half: input 0 of outputs 0 and 1.
    integers = _unpack(values, (2, 2))
    assert int(values[0]) == (int(integers[0, 0]) & 0x0F) | ((int(integers[0, 1]) & 0x0F) << 4)
    assert integers[0, 0] < 0 < integers[1, 0]


def test_the_search_never_errs_more_than_rounding_to_the_largest_value() -> None:
    original = weight(64, 256)
    largest = (original.reshape(64, 2, 128).abs().amax(2) / 7).half().float()
    searched = block_scales(original, 128, torch.float16)

    def error(scales: Tensor) -> Tensor:
        spread = scales.repeat_interleave(128, dim=1)
        return ((round_to_nearest(original, scales) * spread - original) ** 2).reshape(64, 2, 128).sum(2)

    assert bool((error(searched) <= error(largest)).all())
    assert error(searched).sum() < 0.95 * error(largest).sum()
    assert torch.equal(searched, searched.half().float())  # exact in the type in which they are stored


def test_chunks_of_rows_do_not_change_the_result(monkeypatch: pytest.MonkeyPatch) -> None:
    original, moments = weight(64, 64), torch.eye(32).repeat(2, 1, 1) + 0.5
    scales = block_scales(original, 32, torch.float16)
    whole = round_with_feedback(original, scales, moments)
    monkeypatch.setattr("export.quantise.rounding._CHUNK_VALUE_COUNT", 64)
    assert torch.equal(block_scales(original, 32, torch.float16), scales)
    assert (round_with_feedback(original, scales, moments) != whole).float().mean() < 1e-3  # products in another order


def _correlated_inputs(count: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    mixing = torch.randn(width // 4, width, generator=generator)
    return torch.randn(count, width // 4, generator=generator) @ mixing + 0.1 * torch.randn(
        count, width, generator=generator
    )


def test_feedback_lowers_the_error_of_outputs_on_inputs_it_has_not_seen() -> None:
    original, inputs = weight(96, 128), _correlated_inputs(4096, 128)
    seen, unseen = inputs.split(2048)
    grouped = seen.reshape(len(seen), 2, 64)
    moments = torch.einsum("ngi,ngj->gij", grouped, grouped) / len(seen)
    scales = block_scales(original, 64, torch.float16)
    spread = scales.repeat_interleave(64, dim=1)

    def error(integers: Tensor) -> float:
        return float(((integers * spread - original) @ unseen.T).square().sum().sqrt())

    nearest, fed_back = round_to_nearest(original, scales), round_with_feedback(original, scales, moments)
    assert fed_back.abs().max() <= 8
    assert error(fed_back) < 0.6 * error(nearest)


def test_feedback_without_correlation_is_round_to_nearest() -> None:
    original = weight(32, 128)
    scales = block_scales(original, 128, torch.float16)
    expected = round_to_nearest(original, scales)
    assert torch.equal(round_with_feedback(original, scales, torch.eye(64).repeat(2, 1, 1)), expected)
    assert torch.equal(round_with_feedback(original, scales, torch.zeros(2, 64, 64)), expected)


@pytest.mark.parametrize("encoding", [Int8(torch.float16), Float8(torch.float16), Int4(torch.float16, block_size=64)])
def test_zeros_stay_zeros(encoding: Encoding) -> None:
    original = weight(8, 64)
    original[3] = 0
    assert bool((_decoded(encoding, original)[3] == 0).all())
    assert bool((_decoded(encoding, torch.zeros(8, 64)) == 0).all())
    _, scales = encoding.encode("w", torch.zeros(8, 64))
    assert bool((scales > 0).all())  # TensorRT refuses a scale of zero


@pytest.mark.parametrize("encoding", [Int8(torch.float16), Float8(torch.float16), Int4(torch.float16, block_size=64)])
@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_a_damaged_weight_is_refused_by_name(encoding: Encoding, value: float) -> None:
    original = weight(8, 64)
    original[2, 5] = value
    with pytest.raises(ExportError, match=r"blocks\.0\.attn1\.to_q\.weight: holds infinities .* download it again"):
        encoding.encode("blocks.0.attn1.to_q.weight", original)


def test_a_cast_that_would_overflow_is_refused() -> None:
    with pytest.raises(ExportError, match=r"ffn: has values beyond float16's 65504; keep it in bfloat16"):
        PassThrough(torch.float16).encode("ffn", torch.tensor([1e5]))
    (kept,) = PassThrough(torch.bfloat16).encode("ffn", torch.tensor([1e5]))
    assert kept.dtype is torch.bfloat16


def test_parts_tell_shapes_before_anything_is_encoded() -> None:
    shape = (48, 128)
    for encoding, dtype in itertools.product((Int8, Float8, Int4), (torch.float16, torch.bfloat16)):
        made = encoding(dtype)
        parts, tensors = made.parts("w", shape), made.encode("w", weight(*shape))
        assert [(part.dtype, part.shape) for part in parts] == [(item.dtype, tuple(item.shape)) for item in tensors]


def test_blocks_divide_the_width() -> None:
    assert [int4_block_size(width) for width in (5120, 13824, 192, 96, 48, 24)] == [128, 128, 64, 32, 16, None]
