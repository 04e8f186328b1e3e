"""A browser tab with ComfyUI's front end, used as a person uses it: by mouse, keyboard and file chooser."""

from __future__ import annotations

import base64
import io
import mimetypes
import re
from typing import TYPE_CHECKING, Any

from PIL import Image as Pillow

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser, Locator

_SIZE_PX = (1400, 900)
_PACK = re.compile("^Stillcue")
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

    def show_template(self, name: str) -> Locator:
        """Opens the template browser at the pack's templates; returns the card of one."""
        dialog = self.page.get_by_role("dialog")
        if not dialog.is_visible():
            self.page.locator(".templates-tab-button").click()
        dialog.get_by_text(_PACK).last.click()
        card = self.page.get_by_test_id(f"template-workflow-{name}")
        card.wait_for()
        return card

    def open_template(self, name: str) -> None:
        """Opens a workflow of the pack from the template browser."""
        self.show_template(name).click()
        self.page.get_by_test_id(f"template-workflow-{name}").wait_for(state="detached")
        self.wait_for_node("SaveVideo")

    def drop_file(self, file: Path) -> None:
        """Drops a file on the canvas: a workflow, or a video that holds one."""
        self.page.evaluate(
            """([name, type, data]) => {
                const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0))
                const files = new DataTransfer()
                files.items.add(new File([bytes], name, { type }))
                document.dispatchEvent(new DragEvent('drop', { dataTransfer: files, bubbles: true }))
            }""",
            [file.name, mimetypes.guess_type(file.name)[0], base64.b64encode(file.read_bytes()).decode()],
        )

    def error(self) -> str:
        """Waits for the dialog of a run that failed and returns its text."""
        dialog = self.page.get_by_role("dialog")
        dialog.wait_for()
        return dialog.inner_text()

    def wait_until_idle(self) -> None:
        """Waits until no node of this tab runs."""
        self.page.wait_for_function("() => window.app.runningNodeId == null")

    def close_dialog(self) -> None:
        """Closes the dialog in front."""
        dialog = self.page.get_by_role("dialog")
        dialog.locator(".p-dialog-close-button").click()
        dialog.wait_for(state="hidden")

    def dialogs(self) -> list[str]:
        """Returns the texts of open dialogs."""
        return self.page.get_by_role("dialog").all_inner_texts()

    def wait_for_node(self, node_type: str) -> None:
        """Waits until a node is on the canvas."""
        self.page.wait_for_function(f"(type) => ({_NODE})(type) !== undefined", arg=node_type)

    def known_types(self) -> set[str]:
        """Returns the types that the front end can make."""
        return set(self.page.evaluate("() => Object.keys(window.LiteGraph.registered_node_types)"))

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
        self.page.get_by_test_id("queue-button").get_by_role("button").first.click()

    def run_to_the_end(self) -> None:
        """Presses Run and waits until the run has succeeded, which it does at once if nothing changed."""
        self.page.evaluate(
            """() => {
                window.succeeded = new Promise((done) => {
                    window.app.api.addEventListener('execution_success', () => done(true), { once: true })
                })
            }"""
        )
        self.run()
        self.page.evaluate("() => window.succeeded")

    def delete(self, node_type: str) -> None:
        """Deletes a node."""
        self.page.evaluate(f"(type) => window.app.graph.remove(({_NODE})(type))", node_type)

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

    def wait_for_preview(self, node_type: str) -> None:
        """Waits until a node shows a picture."""
        self.page.wait_for_function(f"(type) => ({_NODE})(type).imgs?.length > 0", arg=node_type)

    def wait_for_sentence(self, part: str) -> str:
        """Waits until the page shows a text with this part; returns the whole text."""
        found = self.page.get_by_text(part).first
        found.wait_for()
        return found.inner_text()

    def video(self) -> Locator:
        """Waits for the player of the Save Video node."""
        self.look_at("SaveVideo")
        player = self.page.locator("video").last
        player.wait_for()
        return player

    def wait_for_player(self, player: Locator, condition: str) -> None:
        """Waits until a condition of ``video``, an expression of JavaScript, holds."""
        self.page.wait_for_function(f"(video) => {condition}", arg=player.element_handle())

    def look_at(self, *node_types: str) -> None:
        """Moves the canvas so that these nodes fill it; without any, all nodes."""
        self.page.evaluate(
            """(types) => {
                const { canvas, graph } = window.app
                const nodes = graph.nodes.filter((node) => !types.length || types.includes(node.type))
                const left = Math.min(...nodes.map((node) => node.pos[0]))
                const top = Math.min(...nodes.map((node) => node.pos[1] - 40))
                const right = Math.max(...nodes.map((node) => node.pos[0] + node.size[0]))
                const bottom = Math.max(...nodes.map((node) => node.pos[1] + node.size[1]))
                canvas.ds.fitToBounds([left, top, right - left, bottom - top], { zoom: 0.94 })
                canvas.setDirty(true, true)
            }""",
            list(node_types),
        )
        self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def screenshot(self, name: str) -> Path:
        """Writes the page as ``NAME.png`` and returns the file."""
        file = self._pictures / f"{name}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        with Pillow.open(io.BytesIO(self.page.screenshot())) as picture:
            picture.convert("RGB").save(file, optimize=True)
        return file
