"""A running ComfyUI, the stub's or the real one, seen through its front door: HTTP and a web socket.

``stub_comfy`` and ``real_comfy`` start one; both give this class.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.comfyui.listener import Listener

if TYPE_CHECKING:
    from pathlib import Path

Graph = dict[str, dict[str, Any]]
PATIENCE_SECONDS = 60.0


class Refused(Exception):
    """POST /prompt answered 400; ``node_errors`` maps node ids to their errors."""

    def __init__(self, answer: dict[str, Any]) -> None:
        super().__init__(json.dumps(answer))
        self.error: dict[str, Any] = answer["error"]
        self.node_errors: dict[str, Any] = answer["node_errors"]

    def details(self, node_id: str) -> list[str]:
        """Returns the message and details of every error of a node."""
        return [f"{item['message']}: {item['details']}" for item in self.node_errors[node_id]["errors"]]


@dataclass(frozen=True)
class Finished:
    """The end of a prompt, from /history: ``messages`` are pairs of type and data."""

    prompt_id: str
    status: str
    messages: list[tuple[str, dict[str, Any]]]
    outputs: dict[str, dict[str, Any]]

    @property
    def error(self) -> str:
        """The message of the node that failed; empty if none did."""
        return "".join(data["exception_message"] for kind, data in self.messages if kind == "execution_error").rstrip()

    @property
    def is_interrupted(self) -> bool:
        """True if the prompt was interrupted."""
        return any(kind == "execution_interrupted" for kind, _ in self.messages)

    @property
    def cached_nodes(self) -> set[str]:
        """Ids of nodes whose earlier outputs were used."""
        return {node for kind, data in self.messages if kind == "execution_cached" for node in data["nodes"]}


class Comfy:
    """``url`` is that of a running ComfyUI, ``folder`` its base directory (custom_nodes/, input/, output/, temp/)."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.folder = folder

    def get(self, path: str, **query: str) -> Any:
        """Returns the JSON of a GET request. Raises ``urllib.error.HTTPError`` for a status of 400 or more."""
        question = f"?{urllib.parse.urlencode(query)}" if query else ""
        with urllib.request.urlopen(f"{self.url}{path}{question}", timeout=PATIENCE_SECONDS) as response:
            return json.load(response)

    def post(self, path: str, body: object) -> Any:
        """Posts JSON and returns the JSON of the answer; None if the answer is empty."""
        request = urllib.request.Request(
            f"{self.url}{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as response:
            answer = response.read()
        return json.loads(answer) if answer else None

    def object_info(self) -> dict[str, Any]:
        """Returns the description of every node."""
        info: dict[str, Any] = self.get("/object_info")
        return info

    def put_picture(self, name: str, data: bytes) -> str:
        """Writes a picture file into the input folder and returns its name for LoadImage."""
        (self.folder / "input" / name).write_bytes(data)
        return name

    def submit(self, graph: Graph, *, client_id: str = "", extra_data: dict[str, Any] | None = None) -> str:
        """Queues a graph in its API form and returns its prompt id. Raises ``Refused`` if it is not valid."""
        body = {"prompt": graph, "client_id": client_id or str(uuid.uuid4()), "extra_data": extra_data or {}}
        try:
            answer = self.post("/prompt", body)
        except urllib.error.HTTPError as error:
            if error.code != 400:
                raise
            raise Refused(json.loads(error.read())) from None
        prompt_id: str = answer["prompt_id"]
        return prompt_id

    def listen(self) -> Listener:
        """Opens a web socket: a context manager that keeps every message for its ``client_id``."""
        return Listener(self.url)

    def run(self, graph: Graph, *, timeout_seconds: float = PATIENCE_SECONDS) -> Finished:
        """Runs a graph to its end."""
        with self.listen() as listener:
            prompt_id = self.submit(graph, client_id=listener.client_id)
            return self.wait(prompt_id, listener, timeout_seconds=timeout_seconds)

    def wait(self, prompt_id: str, listener: Listener, *, timeout_seconds: float = PATIENCE_SECONDS) -> Finished:
        """Waits until a prompt that was submitted with the listener's ``client_id`` has ended."""
        listener.wait_for(lambda message: message.ends(prompt_id), timeout_seconds=timeout_seconds)
        # The last message leaves before the history has the prompt; the next status message follows the history.
        listener.wait_for(lambda _: bool(self.get(f"/history/{prompt_id}")), timeout_seconds=timeout_seconds)
        return self.finished(prompt_id)

    def finished(self, prompt_id: str) -> Finished:
        """Returns the end of a prompt that has ended."""
        entry = self.get(f"/history/{prompt_id}")[prompt_id]
        messages = [(kind, data) for kind, data in entry["status"]["messages"]]
        return Finished(prompt_id, entry["status"]["status_str"], messages, entry["outputs"])

    def interrupt(self) -> None:
        """Interrupts the running prompt, as Cancel in the front end does."""
        self.post("/interrupt", {})

    def queue(self) -> tuple[list[Any], list[Any]]:
        """Returns the running and the waiting prompts."""
        answer = self.get("/queue")
        return answer["queue_running"], answer["queue_pending"]
