"""``python -m server.reference`` rewrites the tables of docs/settings.md, docs/metrics.md and docs/errors.md.

The tables come from the code, so that a page can only be out of date, never wrong; a test refuses the former.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from server.errors.rules import INTERNAL, RULES
from server.observability.metrics import Metrics
from server.settings import setting_rows

if TYPE_CHECKING:
    from collections.abc import Iterable

DOCUMENTATION = Path(__file__).parent.parent / "docs"
_BEGIN = "<!-- table: python -m server.reference -->\n"
_END = "<!-- end of table -->\n"


def tables() -> dict[str, str]:
    """The table of each page, in Markdown, by the page's file name."""
    return {
        "settings.md": _table(
            ("flag", "environment", "default", "meaning"),
            (
                (f"`{row.flag}`", f"`{row.environment}`", f"`{row.default}`" if row.default else "", row.meaning)
                for row in setting_rows()
            ),
        ),
        "metrics.md": _table(
            ("metric", "type", "labels", "meaning"),
            (
                (f"`{row.name}`", row.kind, ", ".join(f"`{label}`" for label in row.labels), row.meaning)
                for row in Metrics().rows
            ),
        ),
        "errors.md": _table(
            ("reason", "status", "retry after", "meaning"),
            (
                (
                    f"`{rule.reason}`",
                    f"`{rule.code.name}`",
                    f"{rule.retry_seconds:g} s" if rule.retry_seconds else "",
                    rule.meaning,
                )
                for rule in [*RULES.values(), INTERNAL]
            ),
        ),
    }


def with_table(page: str, table: str) -> str:
    """A page with the table between its marks replaced."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}{table}{_END}{after}"


def main() -> None:
    """Rewrites the pages in place."""
    for name, table in tables().items():
        path = DOCUMENTATION / name
        path.write_text(with_table(path.read_text(encoding="utf-8"), table), encoding="utf-8")


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    main()
