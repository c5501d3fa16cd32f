# Two commands do all the set-up on a bare machine with Python >= 3.11: `make serve` and `make test`.
PYTHON ?= python3
HOST ?= 127.0.0.1
PORT ?= 8000

# Where the CPU build of torch is: the build of the usual index brings gigabytes of CUDA libraries.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
TORCH := $(shell grep -o '^torch==[0-9.]*' requirements-dev.lock)

SERVE := .venv
DEV := .venv-dev
BIN := $(DEV)/bin
# Hugging Face libraries never look for a network in tests.
export HF_HUB_OFFLINE ?= 1
export TOKENIZERS_PARALLELISM ?= false
# Threads that wait by spinning starve the others on a small or busy machine.
export OMP_WAIT_POLICY ?= PASSIVE

.DEFAULT_GOAL := help
.PHONY: help serve dev train-env test test-fast test-slow lint format train-tiny bench-serve bench-pretrain soak docker-check lock clean

help: ## say what the targets do
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 18

serve: $(SERVE)/.ready ## start the service with the bundles in models/ (HOST=127.0.0.1 PORT=8000)
	@ELECTRA_HOST=$(HOST) ELECTRA_PORT=$(PORT) exec $(SERVE)/bin/python -m app

dev: $(DEV)/.ready ## the same from the full environment, restarted whenever a file under app/ changes
	@ELECTRA_HOST=$(HOST) ELECTRA_PORT=$(PORT) $(BIN)/python -m tests.reload

train-env: $(DEV)/.ready ## .venv-dev, with everything that training on a processor needs: . .venv-dev/bin/activate

test: lint test-fast ## lint, types and every test that needs seconds

test-fast: $(DEV)/.ready
	$(BIN)/pytest -m "not slow" --ignore tests/training
	$(BIN)/pytest -m "not slow" tests/training

test-slow: $(DEV)/.ready ## the tests that need minutes
	$(BIN)/pytest -m slow

lint: $(DEV)/.ready ## ruff, formatting, and mypy in strict mode
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(DEV)/.ready ## put the code in the project's form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

train-tiny: $(DEV)/.ready ## raw text to bundles on the sample that the repository ships
	$(BIN)/electra-train run training/recipes/tiny.yaml

bench-pretrain: $(DEV)/.ready ## training speed beside a plain reference loop
	$(BIN)/electra-train bench pretrain

bench-serve: $(DEV)/.ready ## the service beside its peers, into docs/benchmarks.md (BENCH="--peers none --quick")
	$(BIN)/python -m training.bench.serve $(BENCH)

soak: $(DEV)/.ready ## ten minutes of good and bad traffic (SOAK="--seconds 60")
	$(BIN)/python -m training.bench.serve.soak $(SOAK)

docker-check: ## build and try the images on a real engine (root)
	docker/check.sh

lock: $(DEV)/.ready ## pin both environments anew
	$(BIN)/pip install -q pip-tools
	$(BIN)/pip-compile -q --upgrade --generate-hashes --strip-extras --no-emit-options -o requirements.lock pyproject.toml
	$(BIN)/pip-compile -q --upgrade --strip-extras --no-emit-options --extra train --extra dev --extra openvino \
		--extra otel -c requirements.lock -o requirements-dev.lock pyproject.toml
	sed -i 's/^\(torch==[0-9.]*\)+cpu/\1/' requirements-dev.lock
	$(BIN)/python -c 'import tomllib; print(*("onnxruntime-gpu[cuda,cudnn]" if d.startswith("onnxruntime") else d \
		for d in tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"]), sep="\n")' | \
		$(BIN)/pip-compile -q --upgrade --generate-hashes --strip-extras --no-emit-options -c requirements.lock \
		-o docker/image/gpu.lock -

clean: ## remove both environments
	rm -rf $(SERVE) $(DEV)

# The service's environment: its runtime dependencies, each file checked against its hash, and nothing else.
$(SERVE)/.ready: requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; $(PYTHON) is older. Try: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make environments; on Debian: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(SERVE)
	$(SERVE)/bin/pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

# The full environment: training, tests and tools on top.
$(DEV)/.ready: requirements-dev.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; $(PYTHON) is older. Try: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make environments; on Debian: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(DEV)
	@# The CPU build of torch comes from its own index; where that cannot be reached, from the usual one.
	@$(BIN)/pip install -q --disable-pip-version-check --retries 0 --timeout 15 --no-deps \
		--extra-index-url $(TORCH_INDEX) "$(TORCH)+cpu" 2>/dev/null || echo "no CPU build of $(TORCH) at $(TORCH_INDEX)"
	$(BIN)/pip install -q --disable-pip-version-check -r requirements-dev.lock
	$(BIN)/pip install -q --disable-pip-version-check --no-deps -e .
	@touch $@
