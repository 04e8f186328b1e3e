"""Output of the command line: mp4 files, contact sheets, previews, progress."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageFont
from rich.console import Console

import stillcue
from stillcue.cli import sheet
from stillcue.cli.files import replacing
from stillcue.cli.frames import Pixels, decode_frame
from stillcue.cli.preview import PreviewBlocks, can_show_previews
from stillcue.cli.progress import progress_display
from stillcue.cli.video import open_mp4
from tests.client_values import CLIP
from tests.scripted_server import PREVIEW_JPEG


def plain(width_px: int, height_px: int, colour: tuple[int, int, int]) -> Pixels:
    return np.full((height_px, width_px, 3), colour, dtype=np.uint8)


def noise(frame_count: int) -> list[Pixels]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (32, 48, 3), dtype=np.uint8) for _ in range(frame_count)]


COLOURS = [(200, 30, 40), (20, 200, 60), (10, 40, 220), (250, 250, 20), (128, 128, 128)]


def write(path: Path, frames: list[Pixels], *, crf: int | None, frame_rate: float = 8.0) -> None:
    height_px, width_px, _ = frames[0].shape
    with open_mp4(path, width_px=width_px, height_px=height_px, frame_rate=frame_rate, crf=crf) as clip:
        for pixels in frames:
            clip.add(pixels)


def read(path: Path) -> list[Pixels]:
    with av.open(str(path)) as container:
        return [frame.to_ndarray(format="rgb24").astype(np.uint8) for frame in container.decode(video=0)]


def test_colours_and_count_come_back(tmp_path: Path) -> None:
    frames = [plain(64, 48, colour) for colour in COLOURS]
    write(tmp_path / "clip.mp4", frames, crf=16)
    decoded = read(tmp_path / "clip.mp4")
    assert [pixels.shape for pixels in decoded] == [(48, 64, 3)] * len(COLOURS)
    for before, after in zip(frames, decoded, strict=True):
        assert np.abs(before.astype(int) - after.astype(int)).max() <= 4


def test_the_file_is_what_players_expect(tmp_path: Path) -> None:
    write(tmp_path / "clip.mp4", [plain(64, 48, colour) for colour in COLOURS], crf=16)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        assert (context.name, context.pix_fmt, stream.frames) == ("h264", "yuv420p", len(COLOURS))
        assert (context.colorspace, context.color_range, context.color_primaries, context.color_trc) == (1, 1, 1, 1)
    data = (tmp_path / "clip.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_lossless_is_lossless(tmp_path: Path) -> None:
    frames = noise(4)
    write(tmp_path / "clip.mp4", frames, crf=None)
    for before, after in zip(frames, read(tmp_path / "clip.mp4"), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize(
    ("frame_rate", "expected"),
    [
        (23.976, Fraction(24_000, 1001)),
        (29.97, Fraction(30_000, 1001)),
        (59.94, Fraction(60_000, 1001)),
        (119.88, Fraction(120_000, 1001)),
        (47.952, Fraction(48_000, 1001)),
        (16.0, Fraction(16)),
        (24.0, Fraction(24)),
        (25.0, Fraction(25)),
        (23.9, Fraction(239, 10)),
    ],
)
def test_frame_rates(tmp_path: Path, frame_rate: float, expected: Fraction) -> None:
    write(tmp_path / "clip.mp4", noise(3), crf=16, frame_rate=frame_rate)
    with av.open(str(tmp_path / "clip.mp4")) as container:
        assert container.streams.video[0].average_rate == expected


def test_a_single_frame_is_a_clip(tmp_path: Path) -> None:
    write(tmp_path / "clip.mp4", noise(1), crf=16)
    assert len(read(tmp_path / "clip.mp4")) == 1


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_nothing_is_left_of_a_clip_that_failed(tmp_path: Path, failure: type[BaseException]) -> None:
    existing = tmp_path / "clip.mp4"
    existing.write_bytes(b"the clip before")

    def fail_half_way() -> None:
        with open_mp4(existing, width_px=48, height_px=32, frame_rate=8.0, crf=16) as clip:
            clip.add(noise(1)[0])
            assert len(list(tmp_path.iterdir())) == 2
            raise failure

    with pytest.raises(failure):
        fail_half_way()
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]
    assert existing.read_bytes() == b"the clip before"


def test_a_folder_that_cannot_be_written_to_shows_before_the_frames(tmp_path: Path) -> None:
    opening = open_mp4(tmp_path / "no folder" / "clip.mp4", width_px=48, height_px=32, frame_rate=8.0, crf=16)
    with pytest.raises(FileNotFoundError):
        opening.__enter__()


def test_a_file_appears_complete_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "summary.json"
    with replacing(path) as temporary:
        temporary.write_text("{}")
        assert not path.exists()
    assert path.read_text() == "{}"

    def fail_half_way() -> None:
        with replacing(path) as temporary:
            temporary.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_half_way()
    assert [item.name for item in tmp_path.iterdir()] == ["summary.json"]
    assert path.read_text() == "{}"


@pytest.mark.parametrize("encoding", [stillcue.FrameEncoding.PNG, stillcue.FrameEncoding.WEBP])
def test_frames_are_decoded_from_any_encoding(encoding: stillcue.FrameEncoding) -> None:
    pixels = noise(1)[0]
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, encoding.name, lossless=True)
    frame = stillcue.Frame(0, encoding, buffer.getvalue(), 48, 32)
    np.testing.assert_array_equal(decode_frame(frame), pixels)
    raw = stillcue.Frame(0, stillcue.FrameEncoding.RAW_RGB, pixels.tobytes(), 48, 32)
    np.testing.assert_array_equal(decode_frame(raw), pixels)


@pytest.mark.parametrize(
    ("frame_count", "expected"),
    [(1, {0}), (5, {0, 1, 2, 3, 4}), (9, {0, 1, 3, 4, 5, 7, 8}), (81, {0, 13, 27, 40, 53, 67, 80})],
)
def test_a_sheet_shows_the_first_frame_the_last_and_even_ones_between(frame_count: int, expected: set[int]) -> None:
    assert sheet.sheet_indices(frame_count) == expected


def test_a_sheet_holds_the_picture_and_the_frames(tmp_path: Path) -> None:
    Image.fromarray(plain(30, 60, (1, 2, 3))).save(tmp_path / "boat.png")
    frames = {index: plain(48, 32, colour) for index, colour in enumerate(COLOURS)}
    path = tmp_path / "sheet.png"
    prompt = "A boat leaves the harbour, " * 10
    for font, expected_rows in ((sheet.caption_font(prompt), True), (None, False)):
        sheet.write_sheet(path, picture=tmp_path / "boat.png", frames=frames, frame_rate=8.0, caption=prompt, font=font)
        with Image.open(path) as image:
            # Tiles of 6 x (48, 32) = (288, 192), four in a row, 10 apart.
            assert image.width == 4 * 298 + 10
            assert image.getpixel((10 + 144, 10 + 96)) == (1, 2, 3)
            for tile, colour in enumerate(COLOURS, start=1):
                row, column = divmod(tile, 4)
                assert image.getpixel((10 + column * 298 + 144, 10 + row * 219 + 96)) == colour
            assert (image.height > 2 * 219 + 10) is expected_rows


def test_a_caption_needs_a_font_that_has_its_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheet, "_SYSTEM_FONTS", ("no such font.ttf",))
    assert sheet.caption_font("A boat leaves the harbour.") is not None
    assert sheet.caption_font("一只小船离开港口。") is None
    with pytest.raises(OSError, match="open"):
        sheet.caption_font("A boat.", Path("no such font.ttf"))


def test_a_sentence_is_wrapped_without_losing_characters() -> None:
    font = ImageFont.load_default(sheet.CAPTION_SIZE_PX)
    prompt = "A boat leaves, " + "x" * 200 + " gulls rise."
    lines = sheet._wrap(prompt, font, 300)
    assert "".join(lines).replace(" ", "") == prompt.replace(" ", "")
    assert all(font.getlength(line) <= 300 for line in lines)


def terminal(*, color_system: str | None = "truecolor", is_terminal: bool = True) -> Console:
    return Console(
        file=io.StringIO(),
        force_terminal=is_terminal,
        color_system=color_system,  # type: ignore[arg-type]
        width=40,
        height=20,
        legacy_windows=False,
        _environ={},
    )


def output_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_preview_is_drawn_in_half_blocks() -> None:
    buffer = io.BytesIO()
    pixels = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [9, 9, 9]]], dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    console = terminal()
    console.height = 7  # leaves one row
    console.print(PreviewBlocks(stillcue.Preview(buffer.getvalue(), 2, 2)))
    assert output_of(console) == ("\x1b[38;2;255;0;0;48;2;0;0;255m▀\x1b[0m\x1b[38;2;0;255;0;48;2;9;9;9m▀\x1b[0m\n")


def test_a_preview_fits_the_terminal() -> None:
    console = terminal()
    console.print(PreviewBlocks(stillcue.Preview(PREVIEW_JPEG, 6, 4)))
    lines = output_of(console).rstrip("\n").split("\n")
    assert [line.count("▀") for line in lines] == [40] * 13


def test_previews_need_a_terminal_of_all_colours() -> None:
    assert can_show_previews(terminal())
    assert not can_show_previews(terminal(color_system="256"))
    assert not can_show_previews(terminal(is_terminal=False))


def test_progress_in_a_terminal() -> None:
    console = terminal()
    console.width = 80
    with progress_display(console) as display:
        for event in CLIP:
            display.show(event)
            if isinstance(event, stillcue.DenoiseProgress):
                display._live.refresh()  # type: ignore[union-attr]
    text = output_of(console)
    assert "note: soft picture" in text
    assert "match 62 of 100, doubtful (uncalibrated score)" in text
    assert "1/2, 1.25 s/step " in text
    assert "2/2, 1.25 s/step, 1 with reuse " in text
    assert "▀" in text


def test_progress_in_a_pipe_is_one_line_for_each_stage() -> None:
    console = terminal(is_terminal=False, color_system=None)
    with progress_display(console) as display:
        for event in CLIP:
            display.show(event)
    assert output_of(console).splitlines() == [
        "note: soft picture",
        "next in the queue",
        "matching picture and sentence",
        "match 62 of 100, doubtful (uncalibrated score), a clip succeeds with 88 % (measured)",
        "W09 Nobody can film epic.",
        "W19 Guidance 12.",
        "denoising",
        "decoding frames",
    ]
