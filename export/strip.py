"""``python -m export.strip BUNDLE --out FOLDER``: a copy of a bundle without graphs and weights, for GPUs alone.

The copy is like one of ``python -m export --plans-only``. Files are hard links where the file system allows them, so
that it takes no space beside the bundle. The bundle itself stays as it is.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from engine.api.errors import BundleInvalid
from engine.bundle.folder import MANIFEST_NAME, named_files, open_manifest
from engine.bundle.manifest import Manifest
from export.atomic_file import PARTIAL_SUFFIX
from export.errors import ExportError


def main(arguments: list[str] | None = None) -> int:
    """Returns 0, or 1 with a message where the bundle cannot be cut down."""
    parser = argparse.ArgumentParser(
        prog="python -m export.strip", description="Copies a bundle without what only a CPU needs: graphs and weights."
    )
    parser.add_argument("bundle", type=Path, help="folder that `python -m export --gpu` wrote")
    parser.add_argument("--out", type=Path, required=True, help="new folder; it must not exist")
    options = parser.parse_args(arguments)
    try:
        before, after = strip(options.bundle, options.out)
    except (ExportError, BundleInvalid) as error:
        sys.stderr.write(f"export.strip: {error}\n")
        return 1
    sys.stdout.write(f"{options.out}: {after} bytes of {before}, {after / before:.0%}\n")
    return 0


def strip(bundle: Path, out: Path) -> tuple[int, int]:
    """Writes the copy, whole or not at all. Returns the bytes of the bundle and of the copy. Raises ``ExportError``."""
    if out.exists():
        raise ExportError(f"--out {out}: exists; give a new folder")
    manifest, _ = open_manifest(bundle)
    stripped = _without_graphs(bundle, manifest)
    partial = out.with_name(out.name + PARTIAL_SUFFIX)
    shutil.rmtree(partial, ignore_errors=True)  # of a run that was killed
    try:
        for name in stripped.files:
            _take(bundle / name, partial / name, stripped.files[name].byte_count)
        (partial / MANIFEST_NAME).write_text(stripped.to_json(indent=1) + "\n", encoding="utf-8")
        partial.rename(out)
    except OSError as error:
        raise ExportError(f"--out {out}: cannot be written: {error.strerror}; give another folder") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    before, after = (sum(spec.byte_count for spec in item.files.values()) for item in (manifest, stripped))
    return before, after


def _without_graphs(bundle: Path, manifest: Manifest) -> Manifest:
    if manifest.plans_only:
        raise ExportError(f"{bundle}: holds plans alone already; copy it as it is")
    missing = [graph.file for graph in manifest.graphs if not graph.engines]
    if missing:
        raise ExportError(
            f"{bundle}: {missing[0]} was compiled for no GPU, so it is needed; export the checkpoint with --gpu"
        )
    stripped = manifest.with_changes(plans_only=True)
    return stripped.with_changes(files={name: manifest.files[name] for name in sorted(set(named_files(stripped)))})


def _take(source: Path, target: Path, byte_count: int) -> None:
    """Links or copies a file. Content is not compared: a server does that at its first start."""
    source = source.resolve()
    if not source.is_file() or source.stat().st_size != byte_count:
        raise ExportError(f"{source}: is missing or not whole; copy or export the bundle again")
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


if __name__ == "__main__":
    sys.exit(main())
