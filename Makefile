# The same targets serve a person and CI. `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := -m pip --disable-pip-version-check --quiet
BUF := node_modules/.bin/buf
BUF_VERSION := 1.75.0
STUBS := clients/python
PROTOC := PATH="$(CURDIR)/.venv-proto/bin:$$PATH" .venv-proto/bin/python -m grpc_tools.protoc -Iproto
BUNDLE ?= $(shell if [ -f pocket/model/bundle.json ]; then echo pocket/model; else echo out/random/bundle; fi)

# Tests, benchmarks and the demo start many processes, which would each compile the project again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup demo serve export check test walks ray examples comfyui gpu-test proto proto-check dashboard bench soak reliability mutation clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(VENV)/.ready ## install everything for development into .venv

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP) install --upgrade "pip>=25.1"
	$(BIN)/python $(PIP) install -c constraints.txt torch
	$(BIN)/python $(PIP) install -c constraints.txt -e ".[server,export,evaluation,cli,heif,tensorrt,otel,video]" --group dev
	touch $@

demo: $(VENV)/.ready ## generate one clip through a real server: out/demo.mp4, .png, .json
	$(BIN)/python -m scripts.demo --bundle $(BUNDLE)

serve: $(VENV)/.ready ## serve the embedded bundle, or BUNDLE=folder
	$(BIN)/python -m scripts.demo --bundle $(BUNDLE) --prepare-only
	$(BIN)/python -m server --bundle $(BUNDLE)

export: $(VENV)/.ready ## export CHECKPOINT=folder to OUT=folder at SIZE=480x480 FRAMES=81
	$(BIN)/python -m export $(CHECKPOINT) --out $(OUT) --size $(SIZE) --frames $(FRAMES)

check: $(VENV)/.ready proto-check ## ruff, mypy, import-linter, buf lint and breaking, stubs compared
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m deploy.grafana --check
	$(BUF) lint
	$(BUF) breaking --against proto/baseline.binpb

test: $(VENV)/.ready ## every test, on all cores
	$(BIN)/python -m pytest -n auto --dist worksteal

walks: $(VENV)/.ready ## the tests that go the whole way through real parts, minutes each
	$(BIN)/python -m pytest -m walk -n auto --dist worksteal

ray: $(VENV)/.ready .venv-ray/.ready ## the tests of deploy/ray against a real Ray Serve, installed into .venv-ray
	$(BIN)/python -m pytest -m ray tests/ray

.venv-ray/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-ray
	.venv-ray/bin/python $(PIP) install --upgrade "pip>=25.1"
	.venv-ray/bin/python $(PIP) install -c constraints.txt -e ".[server,video,ray]"
	touch $@

examples: $(VENV)/.ready ## build and test examples/ in every language whose tools are here; EXAMPLES="node go" must be here
	EXAMPLES="$(EXAMPLES)" $(BIN)/python -m pytest -m examples -n auto --dist worksteal tests/examples

comfyui: $(VENV)/.ready ## the pack's tests and the walk in a browser, against the ComfyUI in COMFYUI=folder
	$(BIN)/python -m tests.comfyui.installation
	$(BIN)/python -m pytest -m "comfyui or not walk" tests/comfyui

gpu-test: $(VENV)/.ready ## run what needs an NVIDIA card, and write out/gpu.json, worth sending back
	$(BIN)/python -m tests.gpu --json out/gpu.json

bench: $(VENV)/.ready ## run the benchmarks and write their JSON into out/
	mkdir -p out
	$(BIN)/python -m benchmarks.pipeline --json out/pipeline.json
	$(BIN)/python -m benchmarks.decode_memory --json out/decode_memory.json

soak: $(VENV)/.ready ## 10,000 jobs that end in every way and 12,000 mutated requests, at full length, minutes each
	$(BIN)/python -m benchmarks.soak --json benchmarks/results/soak.json
	$(BIN)/python -m benchmarks.fuzz --json benchmarks/results/fuzz.json
	$(BIN)/python -m scripts.reliability --render

reliability: $(VENV)/.ready ## run the tests of every promise and write docs/reliability.md
	$(BIN)/python -m scripts.reliability

mutation: $(VENV)/.ready-mutation ## mutate the code of jobs and generation, and run its fast tests: an hour or so
	$(BIN)/python -m scripts.mutation

$(VENV)/.ready-mutation: $(VENV)/.ready
	$(BIN)/python $(PIP) install -c constraints.txt --group mutation
	touch $@

dashboard: $(VENV)/.ready ## write Grafana's dashboard from deploy/grafana
	$(BIN)/python -m deploy.grafana

proto: .venv-proto/.ready ## regenerate the stubs from proto/
	rm -f $(STUBS)/stillcue/v1/*_pb2*
	$(PROTOC) --python_out=$(STUBS) --pyi_out=$(STUBS) proto/stillcue/v1/*.proto
	$(PROTOC) --grpc_python_out=$(STUBS) --mypy_grpc_out=quiet:$(STUBS) proto/stillcue/v1/service.proto

proto-check: .venv-proto/.ready $(BUF)
	rm -rf build/stubs && mkdir -p build/stubs
	$(MAKE) --no-print-directory proto STUBS=build/stubs
	for stub in build/stubs/stillcue/v1/*; do cmp $$stub clients/python/stillcue/v1/$$(basename $$stub) || exit 1; done

.venv-proto/.ready: proto/toolchain.txt
	$(PYTHON) -m venv .venv-proto
	.venv-proto/bin/python $(PIP) install -r proto/toolchain.txt
	touch $@

$(BUF):
	npm install --no-save --no-audit --no-fund --loglevel=error @bufbuild/buf@$(BUF_VERSION)

clean: ## remove what the other targets made
	rm -rf $(VENV) .venv-proto .venv-ray .venv-server node_modules build dist out
