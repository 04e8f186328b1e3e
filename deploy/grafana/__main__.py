"""``python -m deploy.grafana`` writes the dashboards; with ``--check`` it only compares the files."""

from __future__ import annotations

import argparse
import sys

from deploy.grafana.dashboard import dashboard_json
from deploy.grafana.pages import PAGES


def main() -> int:
    """Writes or checks the dashboards; returns the exit code: 1 if ``--check`` finds an outdated or missing file."""
    parser = argparse.ArgumentParser(prog="python -m deploy.grafana", description="Writes the dashboards.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a file is outdated")
    is_check: bool = parser.parse_args().check
    outdated = []
    for page in PAGES:
        text = dashboard_json(page)
        if not is_check:
            partial = page.file.with_suffix(".partial")
            partial.write_text(text, encoding="utf-8")
            partial.replace(page.file)
        elif not page.file.is_file() or page.file.read_text(encoding="utf-8") != text:
            outdated.append(page.file)
    for file in outdated:
        sys.stderr.write(f"{file} differs from what deploy/grafana generates; run make dashboard\n")
    return 1 if outdated else 0


if __name__ == "__main__":
    sys.exit(main())
