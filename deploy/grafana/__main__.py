"""``python -m deploy.grafana`` writes the dashboard; with ``--check`` it only compares the file and writes nothing."""

from __future__ import annotations

import argparse
import sys

from deploy.grafana.dashboard import FILE, dashboard_json
from deploy.grafana.questions import QUESTIONS


def main() -> int:
    """Writes or checks the dashboard; returns the exit code: 1 if ``--check`` finds an outdated or missing file."""
    parser = argparse.ArgumentParser(prog="python -m deploy.grafana", description="Writes the dashboard.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail if the file is outdated")
    is_check: bool = parser.parse_args().check
    text = dashboard_json(QUESTIONS)
    if not is_check:
        partial = FILE.with_suffix(".partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(FILE)
    elif not FILE.is_file() or FILE.read_text(encoding="utf-8") != text:
        sys.stderr.write(f"{FILE} differs from what deploy/grafana generates; run make dashboard\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
