"""Pictures of every kind through Prepare Picture: exact pixels, sizes, fits, limits."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from engine.api.capabilities import Geometry
from engine.media.fitting import center_crop, fit_picture, pad_picture
from engine.testing.fake_engine import FAKE_CAPABILITIES, FakeEngine
from stillcue.v1 import capabilities_pb2, generate_pb2, match_pb2
from tests.comfyui.conftest import gradient
from tests.comfyui.graphs import LOAD, PREPARE, capture, generate_node, node, prepare_graph
from tests.comfyui.scripted import PackServer
from tests.comfyui.stillcue_server import ServerThread, serving
from tests.scripted_server import serving as serving_script

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.comfyui.comfy import Comfy, Graph

WITHOUT_SCORER = replace(FAKE_CAPABILITIES, match_supported=False)


@pytest.fixture
def prepare(comfy: Comfy, server: ServerThread) -> Callable[..., Graph]:
    """Returns a graph that prepares an IMAGE of any shape and captures preview and report."""

    def graph_of(image: np.ndarray[Any, Any], **inputs: Any) -> Graph:
        np.save(comfy.folder / "input" / "image.npy", image.astype(np.float32))
        address = inputs.pop("address", server.address)
        return {
            **prepare_graph(address, "", **inputs),
            LOAD: node("StillcueTestImage", name="image"),
            **capture("preview", PREPARE, 1),
            **capture("report", PREPARE, 2),
        }

    return graph_of


def unit(pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return pixels.astype(np.float32) / np.float32(255)


def test_every_level_of_eight_bits_is_kept(
    comfy: Comfy, prepare: Callable[..., Graph], captured: Callable[[str], Any]
) -> None:
    levels = np.arange(32 * 32, dtype=np.int64).reshape(32, 32) % 256
    image = unit(np.stack([levels, 255 - levels, levels // 2], axis=-1).astype(np.uint8))[None]
    assert comfy.run(prepare(image, size="32x32")).error == ""
    assert np.array_equal(captured("preview"), image)


def test_values_beside_the_levels_are_rounded_and_cut(
    comfy: Comfy, prepare: Callable[..., Graph], captured: Callable[[str], Any]
) -> None:
    image = np.zeros((1, 32, 32, 3), np.float32)
    image[0, 0, 0] = [-0.5, 1.5, 100.4 / 255]
    assert comfy.run(prepare(image, size="32x32")).error == ""
    assert np.array_equal(captured("preview")[0, 0, 0], unit(np.array([0, 255, 100], np.uint8)))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((2, 4, 4, 3)), "image is a batch of 2 pictures; link one, for example by Image From Batch"),
        (
            np.zeros((1, 4, 4, 2)),
            "image has the shape (1, 4, 4, 2); link an IMAGE of one picture, [1, height, width, 1, 3 or 4]",
        ),
        (
            np.full((1, 4, 4, 3), np.nan),
            "image holds values that are no numbers (NaN or infinity); link another picture",
        ),
    ],
    ids=["batch", "two channels", "nan"],
)
def test_what_is_no_picture_is_refused(
    comfy: Comfy, prepare: Callable[..., Graph], image: np.ndarray[Any, Any], message: str
) -> None:
    assert comfy.run(prepare(image)).error == message


def test_a_grey_picture_has_three_equal_channels(
    comfy: Comfy, prepare: Callable[..., Graph], captured: Callable[[str], Any]
) -> None:
    grey = gradient(32, 32)[None, :, :, :1]
    assert comfy.run(prepare(unit(grey), size="32x32")).error == ""
    assert np.array_equal(captured("preview"), unit(np.repeat(grey, 3, axis=3)))


def test_what_is_transparent_becomes_white(
    comfy: Comfy, prepare: Callable[..., Graph], captured: Callable[[str], Any]
) -> None:
    image = np.concatenate([gradient(32, 32), np.full((32, 32, 1), 255, np.uint8)], axis=2)
    image[:16, :, 3] = 0
    assert comfy.run(prepare(unit(image)[None], size="32x32")).error == ""
    expected = gradient(32, 32)
    expected[:16] = 255
    assert np.array_equal(captured("preview")[0], unit(expected))


def test_a_picture_of_one_pixel_fills_the_clip(
    comfy: Comfy, prepare: Callable[..., Graph], captured: Callable[[str], Any]
) -> None:
    image = unit(np.array([[[[10, 20, 30]]]], np.uint8))
    assert comfy.run(prepare(image, size="32x32")).error == ""
    assert np.array_equal(captured("preview"), np.broadcast_to(image, (1, 32, 32, 3)))


@pytest.mark.parametrize(("width_px", "height_px", "size"), [(90, 60, (48, 32)), (70, 80, (32, 32))])
def test_the_size_by_the_picture_has_the_nearest_shape(
    comfy: Comfy,
    prepare: Callable[..., Graph],
    captured: Callable[[str], Any],
    width_px: int,
    height_px: int,
    size: tuple[int, int],
) -> None:
    assert comfy.run(prepare(unit(gradient(width_px, height_px))[None])).error == ""
    assert captured("preview").shape == (1, size[1], size[0], 3)


@pytest.mark.parametrize("has_scorer", [True, False], ids=["server", "comfyui"])
@pytest.mark.parametrize("fit", ["crop_center", "pad"])
def test_the_preview_is_the_picture_that_the_engine_prepares(
    comfy: Comfy, prepare: Callable[..., Graph], captured: Callable[[str], Any], fit: str, has_scorer: bool
) -> None:
    pixels = gradient(77, 101)
    picture, geometry = Image.fromarray(pixels), Geometry(48, 32, 9)
    expected = (
        pad_picture(picture, geometry)
        if fit == "pad"
        else fit_picture(picture, center_crop(picture, geometry), geometry)
    )
    with serving(FakeEngine(capabilities=FAKE_CAPABILITIES if has_scorer else WITHOUT_SCORER)) as server:
        graph = prepare(unit(pixels)[None], size="48x32", fit=fit, address=server.address)
        assert comfy.run(graph).error == ""
    assert np.array_equal(captured("preview")[0], unit(expected))


@pytest.mark.parametrize("has_scorer", [True, False], ids=["server", "comfyui"])
def test_another_shape_is_refused_if_asked(comfy: Comfy, prepare: Callable[..., Graph], has_scorer: bool) -> None:
    with serving(FakeEngine(capabilities=FAKE_CAPABILITIES if has_scorer else WITHOUT_SCORER)) as server:
        graph = prepare(unit(gradient(40, 32))[None], size="48x32", fit="refuse", address=server.address)
        error = comfy.run(graph).error
    assert "40x32" in error
    assert "48x32" in error
    assert "fit" in error


def test_a_size_that_the_server_does_not_offer_is_told(
    comfy: Comfy, server: ServerThread, prepare: Callable[..., Graph]
) -> None:
    finished = comfy.run(prepare(unit(gradient(40, 32))[None], size="64x64"))
    assert finished.error == (f"size is 64x64, but the server at {server.address} offers 32x32, 48x32; choose one")


def test_crop_to_the_subject_needs_a_sentence(comfy: Comfy, prepare: Callable[..., Graph]) -> None:
    finished = comfy.run(prepare(unit(gradient(40, 32))[None], fit="crop_subject", prompt=" "))
    assert finished.error == (
        "prompt is empty, and crop_subject crops around the subject that it names; write the sentence, or choose "
        "crop_center or pad"
    )


def test_the_other_fits_need_no_sentence(
    comfy: Comfy, prepare: Callable[..., Graph], captured: Callable[[str], Any]
) -> None:
    assert comfy.run(prepare(unit(gradient(48, 32))[None], prompt="")).error == ""
    assert "subject at" not in captured("report")


def test_a_large_picture_is_shrunk_and_that_is_told(
    comfy: Comfy, prepare: Callable[..., Graph], captured: Callable[[str], Any]
) -> None:
    with serving_script(PackServer()) as server:
        assert comfy.run(prepare(unit(gradient(90, 60))[None], address=server.target)).error == ""
    sent = next(item for item in server.requests if isinstance(item, match_pb2.ScoreMatchRequest)).image.data
    with Image.open(io.BytesIO(sent)) as picture:
        assert picture.format == "PNG"
        assert picture.width * picture.height <= 2000
        assert len(sent) <= 1000
        size = f"{picture.width}x{picture.height}"
    line = captured("report").splitlines()[1]
    assert line.startswith("shrunk from 90x60 px, ")
    assert f" to {size} px, " in line
    assert line.endswith("this server takes up to 0.002 million pixels and 0.000954 MiB")


def test_a_large_picture_is_refused_if_asked(comfy: Comfy, prepare: Callable[..., Graph]) -> None:
    with serving_script(PackServer()) as server:
        graph = prepare(unit(gradient(90, 60))[None], large_pictures="refuse", address=server.target)
        error = comfy.run(graph).error
    assert error.startswith("the picture is too large: 90x60 px, ")
    assert error.endswith("Set large_pictures to “shrink”, or link a smaller picture")
    assert not any(isinstance(item, match_pb2.ScoreMatchRequest) for item in server.requests)


def test_the_clip_starts_from_the_preview(comfy: Comfy, prepare: Callable[..., Graph]) -> None:
    limits = capabilities_pb2.Limits(max_image_bytes=10**6, max_image_pixel_count=10**6)
    with serving_script(PackServer(capability_changes={"limits": limits})) as server:
        graph = {
            **prepare(unit(gradient(90, 60))[None], fit="crop_subject", address=server.target),
            **generate_node(),
            **capture("frames", "generate", 1),
        }
        assert comfy.run(graph).error == ""
    request = next(item for item in server.requests if isinstance(item, generate_pb2.GenerateRequest))
    assert request.image.data == server.crop_png
    assert (request.video.width_px, request.video.height_px) == (48, 32)
