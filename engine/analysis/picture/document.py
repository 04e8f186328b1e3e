"""``python -m engine.analysis.picture.document`` rewrites the table of pictures in docs/findings.md.

The page can only be out of date, never wrong; a test refuses the former.
"""

from __future__ import annotations

from pathlib import Path

from engine.analysis.picture.findings import PictureFindingRow, picture_finding_table
from engine.api.prompt_report import Language

PAGE = Path(__file__).parent.parent.parent.parent / "docs" / "findings.md"
_BEGIN = "<!-- pictures: python -m engine.analysis.picture.document -->\n"
_END = "<!-- end of pictures -->\n"
_HEAD = "| code | severity | what is looked for | message | suggestion |\n| --- | --- | --- | --- | --- |\n"


def with_picture_findings(page: str) -> str:
    """A page with the part between its marks replaced."""
    before, _, rest = page.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}{_HEAD}{''.join(map(_row, picture_finding_table().values()))}{_END}{after}"


def main() -> None:
    """Rewrites the page in place."""
    partial = PAGE.with_name(PAGE.name + ".partial")
    partial.write_text(with_picture_findings(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    partial.replace(PAGE)


def _row(row: PictureFindingRow) -> str:
    message = f"{row.message[Language.EN]}<br>{row.message[Language.ZH]}"
    suggestion = f"{row.suggestion[Language.EN]}<br>{row.suggestion[Language.ZH]}"
    return f"| `{row.code}` | {row.severity.value} | {row.check} | {message} | {suggestion} |\n"


if __name__ == "__main__":
    main()
