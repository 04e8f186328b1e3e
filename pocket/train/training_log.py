"""The log of a training run: a JSON line of mean figures every few steps, and a plot of the loss."""

import json
import math
from pathlib import Path

from PIL import Image, ImageDraw

_PLOT_PX = (720, 360)
_MARGIN_PX = 40
_INK = (60, 60, 80)


class TrainingLog:
    """Averages figures between flushes and appends them to `folder/<name>.jsonl`.

    When a run resumes at `first_step`, lines after that step are dropped: the interrupted run wrote them for steps that
    are trained again.
    """

    def __init__(self, folder: Path, name: str, first_step: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{name}.jsonl"
        self._sums: dict[str, list[float]] = {}
        self._step = first_step
        self._forget_after(first_step)

    def add(self, step: int, figures: dict[str, float]) -> None:
        """Add the figures of one step."""
        self._step = step
        for key, value in figures.items():
            self._sums.setdefault(key, []).append(value)

    def flush(self) -> str:
        """Write the means since the last flush as one line and return them as short text."""
        if not self._sums:
            return ""
        means = {key: sum(values) / len(values) for key, values in self._sums.items()}
        self._sums.clear()
        with self._path.open("a") as lines:
            lines.write(json.dumps({"step": self._step + 1, **means}) + "\n")
        return " ".join(f"{key} {value:.4g}" for key, value in means.items())

    def _forget_after(self, step: int) -> None:
        """Drop the lines after the given step."""
        if self._path.exists():
            lines = self._path.read_text().splitlines(keepends=True)
            self._path.write_text("".join(line for line in lines if json.loads(line)["step"] <= step))

    def plot(self) -> None:
        """Draw the loss over the steps on a logarithmic scale to `folder/<name>.png`."""
        if not self._path.exists():
            return
        rows = [json.loads(line) for line in self._path.read_text().splitlines()]
        points = [(row["step"], math.log10(row["loss"])) for row in rows if row["loss"] > 0]
        if len(points) < 2:
            return
        width, height = _PLOT_PX
        steps, losses = zip(*points, strict=True)
        low, high = min(losses), max(losses)
        span = max(high - low, 1e-6)
        picture = Image.new("RGB", _PLOT_PX, "white")
        draw = ImageDraw.Draw(picture)
        inner_width, inner_height = width - 2 * _MARGIN_PX, height - 2 * _MARGIN_PX
        curve = [
            (
                _MARGIN_PX + inner_width * step / max(steps),
                _MARGIN_PX + inner_height * (high - loss) / span,
            )
            for step, loss in points
        ]
        draw.line(curve, fill=(62, 116, 214), width=2)
        draw.text((_MARGIN_PX, 12), f"{self._path.stem}: loss (log)", fill=_INK)
        draw.text((4, _MARGIN_PX - 6), f"{10**high:.3g}", fill=_INK)
        draw.text((4, height - _MARGIN_PX - 6), f"{10**low:.3g}", fill=_INK)
        draw.text((width - 2 * _MARGIN_PX, height - 24), f"{max(steps)} steps", fill=_INK)
        picture.save(self._path.with_suffix(".png"))
