"""Pictures that a node shows in itself."""

from __future__ import annotations

import hashlib

from .. import host


def temporary_picture(data: bytes) -> dict[str, str]:
    """Writes a PNG file into ComfyUI's temporary folder and returns what the front end shows."""
    folder = host.temporary_folder()
    folder.mkdir(parents=True, exist_ok=True)
    name = f"stillcue_{hashlib.sha256(data).hexdigest()[:16]}.png"
    (folder / name).write_bytes(data)
    return {"filename": name, "subfolder": "", "type": "temp"}
