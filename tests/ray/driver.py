"""``python -m tests.ray.driver JSON``: a Ray of its own with the application. Runs in Ray's environment.

The settings of the server come from the environment. Prints ``ready``, then obeys lines of stdin, and prints ``done``
after each: ``redeploy`` replaces every replica, as a new version does. Ends with its input.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import ray
from ray import serve

from deploy.ray.application import deployment
from deploy.ray.settings import FleetArgs, read_settings
from tests.ray.engines import launch_steered


def main() -> None:
    config: dict[str, Any] = json.loads(sys.argv[1])
    ray.init(
        address="local",
        num_cpus=64,  # places for actors, not cores
        include_dashboard=False,
        object_store_memory=config["store_bytes"],
        _temp_dir=config["folder"],
    )
    serve.start(
        proxy_location="HeadOnly",
        http_options={"host": "127.0.0.1", "port": config["http_port"]},
        grpc_options={
            "port": config["grpc_port"],
            "grpc_servicer_functions": ["deploy.ray.gateway.add_services"],
        },
    )
    version = 0

    def deploy() -> None:
        fleet = FleetArgs.read(config["args"])
        made = deployment(fleet, read_settings(os.environ)).options(
            **config["options"],
            ray_actor_options={
                "num_cpus": 1,
                "runtime_env": {"env_vars": {"STILLCUE_TEST_VERSION": str(version)}},
            },
        )
        serve.run(made.bind(fleet, launch_steered), name="stillcue")

    deploy()
    print("ready", flush=True)  # noqa: T201
    for line in sys.stdin:
        if line.strip() == "redeploy":
            version += 1
            deploy()
        print("done", flush=True)  # noqa: T201
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main()
