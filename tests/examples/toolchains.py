"""The example programs in other languages: the tools that build each, and the command that runs it."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "examples"
REQUIRED = "EXAMPLES"
"""Environment variable: the languages that must be there, separated by spaces. ``.ci/run`` sets it."""


@dataclass(frozen=True)
class Toolchain:
    """A language. ``builds`` run in its folder. Debian's ``packages`` have the ``programs`` and ``files``."""

    language: str
    programs: tuple[str, ...]
    packages: str
    builds: tuple[tuple[str, ...], ...]
    run: tuple[str, ...]
    files: tuple[str, ...] = ()
    untested: tuple[tuple[str, str], ...] = ()
    """Tests that cannot run with these packages, each with the reason."""

    @property
    def folder(self) -> Path:
        """The folder of the example."""
        return FOLDER / self.language

    @property
    def missing(self) -> tuple[str, ...]:
        """Programs and files that are not on this machine; empty if the example can be built."""
        programs = [name for name in self.programs if shutil.which(name) is None]
        return (*programs, *(name for name in self.files if not Path(name).exists()))

    @property
    def command(self) -> list[str]:
        """The words that start the program, from any folder."""
        return [str(self.folder / word) if (self.folder / word).exists() else word for word in self.run]

    def build(self) -> None:
        """Builds the program anew. Raises ``AssertionError`` with what the tools print if one of them fails."""
        for words in self.builds:
            done = subprocess.run(
                words, cwd=self.folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, text=True
            )
            assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}"


TOOLCHAINS = (
    Toolchain(
        language="node",
        programs=("node", "npm"),
        packages="nodejs npm",
        builds=(("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"), ("npm", "run", "--silent", "build")),
        run=("node", "build/src/main.js"),
    ),
    Toolchain(
        language="go",
        programs=("go", "protoc", "protoc-gen-go", "protoc-gen-go-grpc"),
        packages="golang-go protobuf-compiler protoc-gen-go-1-5 protoc-gen-go-grpc golang-google-grpc-dev"
        " golang-github-golang-protobuf-1-5-dev",
        builds=(("sh", "debian.sh"),),
        run=("build/generate",),
        files=("/usr/share/gocode/src/google.golang.org/grpc", "/usr/share/gocode/src/google.golang.org/protobuf"),
    ),
    Toolchain(
        language="java",
        programs=("java", "javac", "protoc", "grpc_java_plugin"),
        packages="default-jdk-headless protobuf-compiler protobuf-compiler-grpc-java-plugin libgrpc-java libnetty-java"
        " libprotobuf-java libperfmark-java libguava-java libgoogle-gson-java libgeronimo-annotation-1.3-spec-java",
        builds=(("sh", "debian.sh"),),
        run=("./generate",),
        files=tuple(
            f"/usr/share/java/{name}.jar" for name in ("grpc-netty", "netty-codec-http2", "perfmark-api", "gson")
        ),
        untested=(("test_a_token_goes_over_tls", "Debian's Netty has no ALPN"),),
    ),
)


def absent() -> dict[str, str]:
    """The languages whose example cannot be built here, each with what is missing and the packages that have it."""
    return {
        item.language: f"{' '.join(item.missing)} missing; apt-get install {item.packages}"
        for item in TOOLCHAINS
        if item.missing
    }


def required() -> set[str]:
    """The languages that must not be missing."""
    return set(os.environ.get(REQUIRED, "").split())
