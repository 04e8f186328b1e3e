"""Starts a real Prometheus with one of the project's configurations, for targets of a test."""

from __future__ import annotations

import asyncio
import json
import math
import shutil
import socket
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.settings import Address

FOLDER = Path(__file__).parent.parent / "deploy" / "prometheus"
SCRAPE_SECONDS = 1
# Some 8 s on an idle machine; the limit is for a busy one.
PATIENCE_SECONDS = 240


@dataclass(frozen=True)
class Prometheus:
    """A running Prometheus, asked over HTTP."""

    url: str

    async def ask(self, path: str, **parameters: str) -> Any:
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"

        def get() -> Any:
            try:
                with urllib.request.urlopen(url) as response:
                    return json.load(response)
            except urllib.error.HTTPError as error:
                raise AssertionError(f"{parameters}: {error.read().decode()}") from error

        answer = await asyncio.to_thread(get)
        assert answer["status"] == "success", answer
        return answer["data"]

    async def has(self, expression: str) -> bool:
        """Returns True for an expression whose value is a number."""
        found = (await self.ask("query", query=expression))["result"]
        return any(math.isfinite(float(item["value"][1])) for item in found)

    async def values(self, expression: str) -> dict[tuple[str, ...], float]:
        """The values of an expression by the values of its labels, which are ordered by their names."""
        found = (await self.ask("query", query=expression))["result"]
        return {
            tuple(value for name, value in sorted(item["metric"].items()) if name != "__name__"): float(
                item["value"][1]
            )
            for item in found
        }

    async def alerts(self, state: str) -> dict[str, list[dict[str, str]]]:
        """The labels of alerts in a state, by name. Fails if a rule cannot be evaluated."""
        rules = [rule for group in (await self.ask("rules"))["groups"] for rule in group["rules"]]
        assert {rule["health"] for rule in rules} <= {"ok", "unknown"}, [rule.get("lastError") for rule in rules]
        found = {
            rule["name"]: [alert["labels"] for alert in rule["alerts"] if alert["state"] == state]
            for rule in rules
            if rule["type"] == "alerting"
        }
        return {name: labels for name, labels in found.items() if labels}


@asynccontextmanager
async def prometheus(
    folder: Path, configuration: str, targets: dict[str, list[dict[str, Any]]]
) -> AsyncIterator[Prometheus]:
    """Scrapes targets with one of the project's configurations, but more often. ``targets`` are by scrape job."""
    program = shutil.which("prometheus")
    if program is None:
        pytest.skip("prometheus is not installed")
    config = yaml.safe_load((FOLDER / configuration).read_text(encoding="utf-8"))
    every = f"{SCRAPE_SECONDS}s"
    config["global"] = {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every}
    config["rule_files"] = [str(FOLDER / name) for name in config["rule_files"]]
    assert {scrape["job_name"] for scrape in config["scrape_configs"]} == set(targets)
    for scrape in config["scrape_configs"]:
        scrape["static_configs"] = targets[scrape["job_name"]]
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = Address(*probe.getsockname())
    flags = (f"--config.file={file}", f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={address}")
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            program, *flags, "--enable-feature=exemplar-storage", "--log.level=warn", stdout=log, stderr=log
        )
    try:
        await answering(f"http://{address}/-/ready", process, folder / "log")
        yield Prometheus(f"http://{address}")
    finally:
        process.terminate()
        await process.wait()


async def answering(url: str, process: asyncio.subprocess.Process, log: Path) -> None:
    """Waits until the process answers at this URL; fails with its log if it ends."""

    def answers() -> bool:
        try:
            with urllib.request.urlopen(url) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, ConnectionError):
            return False

    async with asyncio.timeout(PATIENCE_SECONDS):
        while not await asyncio.to_thread(answers):
            assert process.returncode is None, log.read_text(encoding="utf-8")
            await asyncio.sleep(0.05)
