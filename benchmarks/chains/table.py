"""Writes the tables of chains in ``docs/long-clips.md`` from the figures of ``benchmarks.chains`` and ``.cost``."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

from benchmarks.chains.methods import BASELINE, JOIN_METHODS, METHODS, TRUTH

RESULTS = Path("benchmarks/results/chains.json")
COST_RESULTS = Path("benchmarks/results/chains_cost.json")
PAGE = Path("docs/long-clips.md")
_BEGIN, _END = "<!-- table {}: python -m benchmarks.chains.table -->\n", "<!-- end of table -->\n"
_NAMES = {
    TRUTH: "the drawn story",
    BASELINE: "by hand, and by the engine's default: the last frame is the next picture",
    "put_back_2": "the engine with `--given-frame-count 5`: two latent frames put back",
    "put_back_3": "three latent frames put back",
    "blend_2": "two put back, the second by half",
    "mask_2": "two latent frames in the conditioning, with their mask",
    "put_back_2_colour": "two put back, with the colours of the chain's first frame",
    "put_back_2_shared_noise": "two put back, the same noise in every segment",
}
_MAIN = (TRUTH, BASELINE, "put_back_2")
_COUNTS = (2, 3)
_Figures = Mapping[str, float]


def main() -> None:
    """Rewrites the tables in the page."""
    figures, cost = (json.loads(file.read_text(encoding="utf-8"))["figures"] for file in (RESULTS, COST_RESULTS))
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8"), figures, cost), encoding="utf-8")


def with_tables(page: str, figures: _Figures, cost: _Figures) -> str:
    """The page with the tables of these figures. Raises ``ValueError`` if it lacks a table's markers."""
    for name, content in _TABLES.items():
        before, begin, rest = page.partition(_BEGIN.format(name))
        _, end, after = rest.partition(_END)
        if not begin or not end:
            raise ValueError(f"{PAGE} lacks the markers of the table {name}")
        page = f"{before}{begin}{content(figures, cost)}{end}{after}"
    return page


def _outcomes(figures: _Figures, _cost: _Figures) -> str:
    heads = ("segments", "made by", "every motion", "subject kept", "scene kept", "light as asked", "all right")
    return _table(heads, _outcome_rows(figures, ""))


def _lights(figures: _Figures, _cost: _Figures) -> str:
    heads = ("segments", "made by", "every motion", "subject kept", "scene kept", "light as asked", "all right")
    return _table(heads, _outcome_rows(figures, "_light_in_any_stage"))


def _outcome_rows(figures: _Figures, kind: str) -> Iterator[tuple[str, ...]]:
    for count in _COUNTS:
        for method in _MAIN:
            group = f"{method}_{count}{kind}"
            if f"{group}_chain_count" in figures:
                shares = ("motion", "subject", "scene", "light", "is_right")
                yield str(count), _NAMES[method], *(_share(figures, f"{group}_{name}") for name in shares)


def _stages(figures: _Figures, _cost: _Figures) -> str:
    heads = ("made by", "segment 1", "segment 2", "segment 3")
    count = _COUNTS[-1]
    return _table(
        heads,
        (
            (
                _NAMES[method],
                *(_share(figures, f"{method}_{count}_motion_of_stage_{stage}") for stage in range(1, count + 1)),
            )
            for method in _MAIN
        ),
    )


def _seams(figures: _Figures, _cost: _Figures) -> str:
    heads = (
        "segments",
        "made by",
        "motion jump",
        "inside",
        "ratio",
        "colour shift",
        "inside",
        "ratio",
        "change, ratio",
    )
    return _table(heads, (_seam_row(figures, count, method) for count in _COUNTS for method in _MAIN))


def _seam_row(figures: _Figures, count: int, method: str) -> tuple[str, ...]:
    group = f"{method}_{count}"
    cells = [str(count), _NAMES[method]]
    for name in ("motion_jump", "colour_shift"):
        cells += [f"{100.0 * figures[f'{group}_{name}_{where}']:.2f} %" for where in ("at_seam", "inside")]
        cells.append(_ratio(figures, f"{group}_{name}_ratio"))
    return (*cells, _ratio(figures, f"{group}_change_ratio"))


def _joins(figures: _Figures, _cost: _Figures) -> str:
    heads = (
        "made by",
        "chains",
        "every motion",
        "subject kept",
        "all right",
        "to by hand",
        "motion jump",
        "colour shift",
    )
    group = f"_{_COUNTS[-1]}"
    measured = [
        name for name in METHODS if name in (BASELINE, *JOIN_METHODS) and f"{name}{group}_chain_count" in figures
    ]
    return _table(heads, (_join_row(figures, f"{name}{group}", _NAMES[name]) for name in measured))


def _join_row(figures: _Figures, group: str, name: str) -> tuple[str, ...]:
    shares = [_share(figures, f"{group}_{key}") for key in ("motion", "subject", "is_right")]
    points, low, high = (figures.get(f"{group}_is_right_points{end}") for end in ("", "_low", "_high"))
    compared = "" if points is None else f"{points:+.0f} ({low:+.0f} to {high:+.0f})"
    ratios = [f"{figures[f'{group}_{key}_ratio']:.1f}" for key in ("motion_jump", "colour_shift")]
    return (name, f"{figures[f'{group}_chain_count']:.0f}", *shares, compared, *ratios)


def _cost(_figures: _Figures, cost: _Figures) -> str:
    heads = ("size", "segments", "time", "processor time", "first frame", "calls of the text encoder", "peak memory")
    sizes = sorted(
        {name.split("_")[0] for name in cost if name.endswith("_time_ratio")}, key=lambda name: int(name.split("x")[0])
    )
    return _table(heads, (row for size in sizes for row in _cost_rows(cost, size)))


def _cost_rows(cost: _Figures, size: str) -> Iterator[tuple[str, ...]]:
    counts = sorted(int(name.split("_")[1]) for name in cost if name.startswith(size) and name.endswith("_peak_bytes"))
    for count in counts:
        ratios = [f"{cost[f'{size}_{count}_{key}_ratio']:.3f}" for key in ("time", "processor_time", "first_frame")]
        calls, peak = cost[f"{size}_{count}_text_call_count"], cost[f"{size}_{count}_peak_bytes"]
        yield size.replace("x", "×"), str(count), *ratios, f"{calls:.0f}", f"{peak / 2**20:.0f} MiB"


_TABLES: Mapping[str, Callable[[_Figures, _Figures], str]] = {
    "chains": _outcomes,
    "stages of chains": _stages,
    "seams of chains": _seams,
    "joins of chains": _joins,
    "light in any stage of chains": _lights,
    "cost of chains": _cost,
}


def _share(figures: _Figures, name: str) -> str:
    share, low, high = (100.0 * figures[f"{name}_share{end}"] for end in ("", "_low", "_high"))
    return f"{share:.0f} % ({low:.0f} to {high:.0f})"


def _ratio(figures: _Figures, name: str) -> str:
    return f"{figures[name]:.1f} ({figures[f'{name}_low']:.1f} to {figures[f'{name}_high']:.1f})"


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    main()
