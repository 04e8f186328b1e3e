# The same targets serve a person and CI.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
BUF_VERSION := 1.75.0
BUF := node_modules/.bin/buf
STUBS := clients/python

.PHONY: setup demo serve export check test proto bench clean

setup: $(VENV)/.ready ## everything for development, in .venv

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --upgrade "pip>=25.1"
	$(PIP) install -c constraints.txt torch
	$(PIP) install -c constraints.txt -e ".[server,export,cli]" --group dev
	touch $@

.venv-proto/.ready: proto/toolchain.txt
	$(PYTHON) -m venv .venv-proto
	.venv-proto/bin/python -m pip --disable-pip-version-check -q install -r proto/toolchain.txt
	touch $@

$(BUF):
	npm install --no-save --no-audit --no-fund --loglevel=error @bufbuild/buf@$(BUF_VERSION)

PROTOC := PATH="$(CURDIR)/.venv-proto/bin:$$PATH" .venv-proto/bin/python -m grpc_tools.protoc -Iproto

proto: .venv-proto/.ready ## regenerate the stubs from proto/
	rm -f $(STUBS)/stillcue/v1/*_pb2*
	$(PROTOC) --python_out=$(STUBS) --pyi_out=$(STUBS) proto/stillcue/v1/*.proto
	$(PROTOC) --grpc_python_out=$(STUBS) --mypy_grpc_out=quiet:$(STUBS) proto/stillcue/v1/service.proto
