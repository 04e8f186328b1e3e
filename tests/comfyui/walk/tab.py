"""A browser tab with ComfyUI's front end, used as a person uses it: by mouse, keyboard and file chooser."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from PIL import Image as Pillow

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Locator

_SIZE_PX = (1400, 900)
_PATIENCE_MS = 60_000
_NODE = "(type) => window.app.graph.nodes.find((node) => node.type === type)"
_UPLOAD_BUTTON = f"""(type) => {{
    const node = ({_NODE})(type)
    const button = node.widgets.find((widget) => widget.name === 'upload')
    return window.app.canvasPosToClientPos([node.pos[0] + node.size[0] / 2, node.pos[1] + button.y + 10])
}}"""


class Tab:
    """One tab. Every wait ends after a minute with Playwright's ``TimeoutError``."""

    def __init__(self, browser: Browser, url: str, pictures: Path, language: str = "en") -> None:
        width, height = _SIZE_PX
        self.page = browser.new_page(viewport={"width": width, "height": height}, locale=language)
        self.page.set_default_timeout(_PATIENCE_MS)
        self.errors: list[str] = []
        """Exceptions of the page's scripts."""
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self._pictures = pictures
        self._url = url

    def open(self) -> None:
        """Opens the front end and waits until it can be used."""
        self.page.goto(self._url)
        self.page.wait_for_function("() => window.app?.vueAppReady && window.app.graph")
        self.page.get_by_test_id("queue-button").wait_for()

    def open_template(self, pack: str, name: str) -> None:
        """Opens a workflow from the template browser."""
        dialog = self.page.get_by_role("dialog")
        if not dialog.is_visible():
            self.page.get_by_role("button", name="Templates").click()
        dialog.get_by_text(pack, exact=True).first.click()
        self.page.get_by_test_id(f"template-workflow-{name}").click()
        dialog.wait_for(state="hidden")

    def drop_file(self, file: Path) -> None:
        """Drops a workflow file on the canvas."""
        self.page.evaluate(
            """async ([name, text]) => {
                const files = new DataTransfer()
                files.items.add(new File([text], name, { type: 'application/json' }))
                document.dispatchEvent(new DragEvent('drop', { dataTransfer: files, bubbles: true }))
            }""",
            [file.name, file.read_text(encoding="utf-8")],
        )

    def close_dialog(self) -> None:
        """Closes the dialog in front."""
        dialog = self.page.get_by_role("dialog")
        dialog.locator(".p-dialog-close-button").click()
        dialog.wait_for(state="hidden")

    def node_types(self) -> list[str]:
        """Returns the types of the nodes on the canvas."""
        types: list[str] = self.page.evaluate("() => window.app.graph.nodes.map((node) => node.type)")
        return types

    def upload(self, file: Path, node_type: str = "LoadImage") -> str:
        """Uploads a picture by the button of a node and the browser's file chooser; returns the picture's name."""
        x, y = self.page.evaluate(_UPLOAD_BUTTON, node_type)
        with self.page.expect_file_chooser() as choosing:
            self.page.mouse.move(x, y, steps=2)  # the canvas finds what is under the pointer as it moves
            self.page.mouse.click(x, y)
        with self.page.expect_response(lambda response: "/upload/image" in response.url) as uploaded:
            choosing.value.set_files(file)
        name: str = uploaded.value.json()["name"]
        self.page.wait_for_function(
            f"([type, name]) => ({_NODE})(type).widgets[0].value === name", arg=[node_type, name]
        )
        return name

    def text_box(self, current: str) -> Locator:
        """Returns the multiline field with this text."""
        for box in self.page.locator("textarea").all():
            if box.input_value() == current:
                return box
        raise LookupError(f"no field of the canvas holds {current!r}")

    def set_widget(self, node_type: str, widget: str, value: Any) -> None:
        """Sets a widget as its editor does, its callback included."""
        self.page.evaluate(
            f"""([type, name, value]) => {{
                const node = ({_NODE})(type)
                const widget = node.widgets.find((widget) => widget.name === name)
                widget.value = value
                widget.callback?.(value, window.app.canvas, node)
                window.app.graph.setDirtyCanvas(true, true)
            }}""",
            [node_type, widget, value],
        )

    def widget(self, node_type: str, widget: str) -> Any:
        """Returns the value of a widget."""
        return self.page.evaluate(
            f"([type, name]) => ({_NODE})(type).widgets.find((widget) => widget.name === name).value",
            [node_type, widget],
        )

    def run(self) -> None:
        """Presses Run."""
        self.page.get_by_test_id("queue-button").get_by_role("button", name="Run").click()

    def cancel(self) -> None:
        """Presses the cross that cancels the current run."""
        self.page.get_by_role("button", name="Cancel current run").click()

    def progress(self, node_type: str) -> float:
        """Returns the share that the bar of a node shows, 0 to 1; 0 while it has none."""
        share: float = self.page.evaluate(f"(type) => ({_NODE})(type).progress ?? 0", node_type)
        return share

    def wait_for_progress(self, node_type: str, share: float) -> None:
        """Waits until a node's bar has reached a share."""
        self.page.wait_for_function(
            f"([type, share]) => (({_NODE})(type).progress ?? 0) >= share", arg=[node_type, share]
        )

    def wait_for_sentence(self, part: str) -> str:
        """Waits until the page shows a text with this part; returns the whole text."""
        found = self.page.get_by_text(part).first
        found.wait_for()
        return found.inner_text()

    def video(self) -> Locator:
        """Waits for the player of the Save Video node."""
        player = self.page.locator("video").last
        player.wait_for()
        return player

    def screenshot(self, name: str) -> Path:
        """Writes the page as ``NAME.png`` with 256 colours and returns the file."""
        file = self._pictures / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        with Pillow.open(io.BytesIO(self.page.screenshot())) as picture:
            picture.convert("RGB").quantize(256, dither=Pillow.Dither.NONE).save(file, optimize=True)
        return file
