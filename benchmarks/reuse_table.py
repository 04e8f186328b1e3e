"""Writes the table of ``docs/reuse.md`` from the figures of ``benchmarks.reuse``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

RESULTS = Path("benchmarks/results/reuse.json")
PAGE = Path("docs/reuse.md")
_BEGIN, _END = "<!-- table: python -m benchmarks.reuse_table -->\n", "<!-- end of table -->"
_NAMES = {
    "off": "`OFF`",
    "balanced": "`BALANCED`",
    "fast": "`FAST`",
    "fewer_steps": "as many full steps as `BALANCED` computes",
}
_HEADER = (
    "| steps | reuse | full, guidance reused, reused | time | denoising | PSNR, dB | lowest | motion | subject |\n"
    "|---|---|---|---|---|---|---|---|---|\n"
)


def main() -> None:
    """Rewrites the table in the page."""
    figures = json.loads(RESULTS.read_text(encoding="utf-8"))["figures"]
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8"), figures), encoding="utf-8")


def with_table(page: str, figures: Mapping[str, float]) -> str:
    """The page with the table of these figures."""
    before, _, rest = page.partition(_BEGIN)
    return f"{before}{_BEGIN}{_table(figures)}{_END}{rest.partition(_END)[2]}"


def _table(figures: Mapping[str, float]) -> str:
    step_counts = sorted({int(name.split("_")[1]) for name in figures if name.startswith("off_")})
    rows = [_row(figures, name, count) for count in step_counts for name in _NAMES]
    return f"{_HEADER}{''.join(rows)}\n{figures['clip_count']:.0f} pairs.\n"


def _row(figures: Mapping[str, float], name: str, step_count: int) -> str:
    def figure(what: str) -> float:
        return figures[f"{name}_{step_count}_{what}"]

    works = ", ".join(f"{figure(f'{work}_step_count'):.0f}" for work in ("full", "guidance_reused", "reused"))
    shares = [f"{100.0 * figure(f'{what}_share'):.1f} %" for what in ("motion", "subject")]
    compared = ["1", "1", "", ""]
    if name != "off":
        compared = [f"{figure(ratio):.2f}" for ratio in ("time_ratio", "denoise_ratio")]
        compared += [f"{figure(psnr):.1f}" for psnr in ("psnr_db", "lowest_psnr_db")]
    return f"| {' | '.join([str(step_count), _NAMES[name], works, *compared, *shares])} |\n"


if __name__ == "__main__":
    main()
