"""The configuration of the application: ``args`` of the Serve config, and the settings of the server.

The settings of the server come from ``STILLCUE_…`` variables, as for ``python -m server``; ``runtime_env.env_vars`` of
the Serve config sets them. Imports nothing of Ray.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

from server.settings import SettingInvalid, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping

_LARGEST = 10_000
_JOBS_PER_REPLICA = 1
_WAITING_LIMIT = 32
# Settings of the server that Ray Serve has in its own hands.
_WITHOUT_EFFECT = ("tls_certificate_chain", "tls_private_key", "tls_client_ca", "health_listen")


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetArgs:
    """``jobs_per_replica``: jobs that a replica has at a time, further ones wait in the proxy.

    ``waiting_limit``: how many wait there before further ones are refused. ``targets_folder``: where replicas write the
    addresses of their metrics for Prometheus; None: nowhere.
    """

    jobs_per_replica: int = _JOBS_PER_REPLICA
    waiting_limit: int = _WAITING_LIMIT
    targets_folder: Path | None = None

    @classmethod
    def read(cls, args: Mapping[str, object]) -> FleetArgs:
        """Reads ``args`` of the Serve config. Raises ``SettingInvalid``."""
        names = [item.name for item in fields(cls)]
        unknown = sorted(set(args) - set(names))
        if unknown:
            raise SettingInvalid(f"args.{unknown[0]} of the Serve config is unknown; args are {', '.join(names)}")
        folder = args.get("targets_folder")
        if folder is not None and not isinstance(folder, str):
            raise SettingInvalid("args.targets_folder of the Serve config is not the path of a folder")
        return cls(
            jobs_per_replica=_whole_number(args, "jobs_per_replica", 1, _JOBS_PER_REPLICA),
            waiting_limit=_whole_number(args, "waiting_limit", 0, _WAITING_LIMIT),
            targets_folder=Path(folder) if folder else None,
        )


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Reads the settings of the server. Raises ``SettingInvalid``, also for what has no effect behind Ray's proxy."""
    settings = Settings.load((), environment)
    for name in _WITHOUT_EFFECT:
        if getattr(settings, name) is not None:
            raise SettingInvalid(
                f"STILLCUE_{name.upper()} has no effect: Ray's proxy listens, in plain text; unset it, and put a proxy "
                "with TLS before Ray's"
            )
    if not settings.allow_insecure:
        raise SettingInvalid(
            "Ray's proxy serves plain text on every address of the machine; set STILLCUE_ALLOW_INSECURE=true if only a "
            "trusted network reaches its port"
        )
    return settings


def named(settings: Settings, replica_id: str) -> Settings:
    """The settings of one replica; its name in the fleet is that of the setting, and Ray's id."""
    return replace(settings, replica=f"{settings.replica or 'ray'}/{replica_id}")


def _whole_number(args: Mapping[str, object], name: str, lowest: int, default: int) -> int:
    value = args.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not lowest <= value <= _LARGEST:
        raise SettingInvalid(f"args.{name} of the Serve config is not a whole number from {lowest} to {_LARGEST}")
    return value
