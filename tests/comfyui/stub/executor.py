"""Runs a graph: each node once, in the order of its links, with the outputs of equal nodes of the run before."""

from __future__ import annotations

import traceback
from typing import Any

import torch

from . import registry
from .blocking import ExecutionBlocker
from .interruption import (
    InterruptProcessingException,
    interrupt_current_processing,
    throw_exception_if_processing_interrupted,
)
from .prompt_server import PromptServer
from .results import split_result
from .signatures import hidden_of, signatures_of
from .validation import Graph, is_link


class Executor:
    """``messages`` and ``shown`` are those of the last run."""

    def __init__(self, server: PromptServer) -> None:
        self._server = server
        self._outputs: dict[str, tuple[Any, ...]] = {}
        self._shown_by_signature: dict[str, dict[str, Any]] = {}
        self._objects: dict[tuple[str, str], Any] = {}
        self.messages: list[tuple[str, dict[str, Any]]] = []
        self.shown: dict[str, dict[str, Any]] = {}

    def execute(self, prompt_id: str, graph: Graph, outputs: list[str]) -> bool:
        """Runs the output nodes and all before them; returns True if they all ran."""
        interrupt_current_processing(False)
        self.messages, self.shown = [], {}
        self._tell("execution_start", {"prompt_id": prompt_id})
        with torch.inference_mode():
            signatures = signatures_of(graph)
            kept = set(signatures.values())
            self._outputs = {key: value for key, value in self._outputs.items() if key in kept}
            self._shown_by_signature = {key: value for key, value in self._shown_by_signature.items() if key in kept}
            cached = [node_id for node_id in graph if signatures[node_id] in self._outputs]
            self._tell("execution_cached", {"nodes": cached, "prompt_id": prompt_id})
            run = _Run(prompt_id, graph, signatures)
            is_good = all(self._run_to(run, node_id) for node_id in outputs)
        if is_good:
            self._tell("execution_success", {"prompt_id": prompt_id})
        self._server.last_node_id = None
        return is_good

    def _run_to(self, run: _Run, node_id: str) -> bool:
        """Runs a node after those that it uses; False if one failed."""
        node, signature = run.graph[node_id], run.signatures[node_id]
        if signature in self._outputs:
            self._show(run, node_id, self._shown_by_signature.get(signature))
            return True
        links = [value[0] for value in node["inputs"].values() if is_link(value)]
        if not all(self._run_to(run, before) for before in links):
            return False
        self._server.last_node_id = node_id
        self._send("executing", {"node": node_id, "display_node": node_id, "prompt_id": run.prompt_id})
        identity = {"prompt_id": run.prompt_id, "node_id": node_id, "node_type": node["class_type"]}
        try:
            throw_exception_if_processing_interrupted()
            values, shown = self._call(run, node_id)
        except InterruptProcessingException:
            self._tell("execution_interrupted", identity)
            return False
        except Exception as error:  # noqa: BLE001 - a node may raise anything
            kind = f"{type(error).__module__}.{type(error).__qualname__}"
            text = {"exception_message": f"{error}\n", "exception_type": kind, "traceback": traceback.format_exc()}
            self._tell("execution_error", {**identity, **text})
            return False
        self._outputs[signature] = values
        if shown:
            self._shown_by_signature[signature] = shown
        self._show(run, node_id, shown)
        return True

    def _call(self, run: _Run, node_id: str) -> tuple[tuple[Any, ...], dict[str, Any]]:
        node = run.graph[node_id]
        kind = registry.NODE_CLASS_MAPPINGS[node["class_type"]]
        values = {
            name: self._outputs[run.signatures[value[0]]][value[1]] if is_link(value) else value
            for name, value in node["inputs"].items()
        }
        for value in values.values():
            if isinstance(value, ExecutionBlocker):
                if value.message is not None:
                    text = f"Execution Blocked: {value.message}"
                    self._send("execution_error", {"node_id": node_id, "exception_message": text})
                return (ExecutionBlocker(None),) * len(kind.RETURN_TYPES), {}
        hidden = {name: {"UNIQUE_ID": node_id, "PROMPT": run.graph}[what] for name, what in hidden_of(kind).items()}
        key = node_id, node["class_type"]
        node_object = self._objects.setdefault(key, kind())
        return split_result(getattr(node_object, kind.FUNCTION)(**values, **hidden), kind)

    def _show(self, run: _Run, node_id: str, shown: dict[str, Any] | None) -> None:
        if shown:
            self.shown[node_id] = shown
            self._send("executed", {"node": node_id, "output": shown, "prompt_id": run.prompt_id})

    def _tell(self, kind: str, data: dict[str, Any]) -> None:
        """Sends a message that the history keeps."""
        self.messages.append((kind, data))
        self._send(kind, data)

    def _send(self, kind: str, data: dict[str, Any]) -> None:
        if self._server.client_id is not None:
            self._server.send_sync(kind, data, self._server.client_id)


class _Run:
    """A graph that runs, with the signatures of its nodes."""

    def __init__(self, prompt_id: str, graph: Graph, signatures: dict[str, str]) -> None:
        self.prompt_id = prompt_id
        self.graph = graph
        self.signatures = signatures
