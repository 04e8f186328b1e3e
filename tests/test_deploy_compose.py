"""The compose file: hardened, complete, and consistent with Dockerfile, Prometheus and Grafana. Starts nothing."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.grafana.pages import SERVER_PAGE
from server.settings import setting_rows


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


DEPLOY = Path(__file__).parent.parent / "deploy"
SERVICES: dict[str, dict[str, Any]] = read(DEPLOY / "compose.yaml")["services"]
DOCKERFILE = (DEPLOY.parent / "Dockerfile").read_text(encoding="utf-8")


def mounts(service: str) -> dict[str, tuple[str, str]]:
    """Source and mode of each mount, by its place in the container."""
    found = {}
    for text in SERVICES[service]["volumes"]:
        source, target, mode = re.fullmatch(r"(.+?):(/[^:]*)(?::(ro))?", text).groups()  # type: ignore[union-attr]
        found[target] = (re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", source), mode or "rw")
    return found


@pytest.mark.parametrize("name", ["stillcue", "prometheus", "grafana"])
def test_a_service_is_nobody_and_writes_nothing_but_its_data(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not service["user"].startswith(("0", "root"))
    for source, mode in mounts(name).values():
        if source.startswith("."):
            assert (DEPLOY / source).exists(), source
            assert mode == "ro", source
    for port in service["ports"]:
        assert port.startswith("127.0.0.1:")


@pytest.mark.parametrize("name", ["prometheus", "grafana"])
def test_images_are_pinned(name: str) -> None:
    assert re.search(r":v?\d+\.\d+\.\d+$", SERVICES[name]["image"])


def test_the_server_runs_as_its_image_says() -> None:
    user = re.search(r"^USER (\d+)$", DOCKERFILE, re.MULTILINE)
    assert user is not None
    assert SERVICES["stillcue"]["user"] == f"{user[1]}:{user[1]}"
    assert "/bundle" in mounts("stillcue")
    assert (DEPLOY / mounts("stillcue")["/bundle"][0] / "bundle.json").is_file()


def test_prometheus_finds_the_server_and_its_rules() -> None:
    config = read(DEPLOY / "prometheus" / "prometheus.yml")
    (scrape,) = config["scrape_configs"]
    (target,) = scrape["static_configs"][0]["targets"]
    assert scrape["job_name"] == "stillcue"
    assert f"STILLCUE_METRICS_LISTEN=0.0.0.0:{target.removeprefix('stillcue:')}" in DOCKERFILE
    for name in ("prometheus.yml", *config["rule_files"]):
        assert mounts("prometheus")[f"/etc/prometheus/{name}"] == (f"./prometheus/{name}", "ro")


def test_grafana_finds_the_data_source_and_the_dashboard() -> None:
    provisioning = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text(encoding="utf-8"))[
        "datasources"
    ]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "stillcue.yml").read_text(encoding="utf-8"))[
        "providers"
    ]
    assert source["url"] == "http://prometheus:9090"
    assert SERVICES["prometheus"]["ports"] == ["127.0.0.1:9090:9090"]
    folder = provider["options"]["path"]
    assert mounts("grafana")[folder] == ("./grafana/dashboards", "ro")
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home == f"{folder}/{SERVER_PAGE.file.name}"
    assert mounts("grafana")["/etc/grafana/provisioning"] == ("./grafana/provisioning", "ro")


def stages() -> dict[str, str]:
    """The text of each stage of the Dockerfile by its name; the last one, which is built by default, is ``""``."""
    found = {}
    for text in re.split(r"^(?=FROM )", DOCKERFILE, flags=re.MULTILINE)[1:]:
        name = re.match(r"FROM \S+(?: AS (\S+))?", text)
        assert name is not None
        found[name[1] or ""] = text
    return found


def extras(stage: str, argument: str) -> set[str]:
    """The extras that a stage installs, each of which the project has."""
    project = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    default = re.search(rf"^ARG {argument}=(\S+)$", stages()[stage], re.MULTILINE)
    assert default is not None
    assert f'".[${{{argument}}}]"' in stages()[stage]
    names = set(default[1].split(","))
    assert names <= set(project["optional-dependencies"])
    return names


def test_the_default_image_serves_on_the_cpu() -> None:
    *_, last = stages()
    assert last == ""
    assert stages()[last] == "FROM program\nCOPY --from=libraries /venv /venv\n"
    assert extras("libraries", "EXTRAS") == {"server"}
    assert "STILLCUE_DEVICE" not in stages()["program"]


def test_the_image_for_a_gpu_never_serves_on_the_cpu() -> None:
    card = stages()["card"]
    assert card.startswith("FROM program AS card\nCOPY --from=card-libraries /venv /venv\n")
    assert extras("card-libraries", "CARD_EXTRAS") == {"server", "tensorrt"}
    environment = dict(item.split("=") for item in re.findall(r"\w+=\S+", card.partition("ENV ")[2]))
    assert environment == {
        "NVIDIA_VISIBLE_DEVICES": "all",
        "NVIDIA_DRIVER_CAPABILITIES": "compute,utility,video",
        "STILLCUE_DEVICE": "cuda",
    }
    assert "STILLCUE_DEVICE" in {row.environment for row in setting_rows()}


def test_compose_for_a_gpu_builds_its_image_and_reserves_one_gpu() -> None:
    (name,) = (services := read(DEPLOY / "compose.card.yaml")["services"])
    card = services[name]
    assert name in SERVICES
    assert (DEPLOY / card["build"]["context"] / "Dockerfile").is_file()
    assert card["build"]["target"] in stages()
    assert card["image"] != SERVICES[name]["image"]
    assert card["environment"] == {"STILLCUE_DEVICE": "cuda"}
    (device,) = card["deploy"]["resources"]["reservations"]["devices"]
    assert device == {"driver": "nvidia", "device_ids": ["${STILLCUE_GPU:-0}"], "capabilities": ["gpu"]}


def test_what_a_start_found_out_is_kept_for_the_next() -> None:
    assert "XDG_CACHE_HOME=/cache" in DOCKERFILE
    assert "install -d -o stillcue /cache" in DOCKERFILE
    assert mounts("stillcue")["/cache"] == ("stillcue-cache", "rw")
    assert "stillcue-cache" in read(DEPLOY / "compose.yaml")["volumes"]
