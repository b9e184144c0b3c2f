# Everything runs in .venv, made on first use. `make help` lists the targets.
SHELL := /bin/bash
PYTHON ?= python3
SHARE ?= 1
SECONDS ?= 60
SEEDS ?= 5
POLICY ?= artifacts/fleet/policy
TIERWISE_TABLES ?= ../shared/data
TABLES ?= routellm_mmlu,routellm_gsm8k,mmlu_pro,llmrouter_mixed,mint_episodes
STAMP := .venv/.installed
PEERS := .venv-peers/.installed
LITELLM := .venv-litellm/.installed
FRAMEWORKS := .venv-examples/.installed
NODE := examples/node/node_modules/.package-lock.json

export PATH := $(CURDIR)/.venv/bin:$(PATH)
export TRACES TIERS MAP
# One thread and one hash seed: the same input gives the same bytes.
export OMP_NUM_THREADS := 1
export OPENBLAS_NUM_THREADS := 1
export MKL_NUM_THREADS := 1
export PYTHONHASHSEED := 0
# Nothing is reported to anyone.
export DVC_NO_ANALYTICS := 1
export DO_NOT_TRACK := true
export MLFLOW_DISABLE_TELEMETRY := true

.PHONY: help install repro test lint guarantees scoreboard bench fuzz ui clean peers
.PHONY: litellm test-litellm test-examples
.PHONY: sidecar-bench from-logs
.PHONY: swaps gadgets
.DEFAULT_GOAL := help

help:
	@echo 'make repro                                the pipeline on the simulated fleet'
	@echo 'make repro TRACES=path                    the pipeline on your traces, a run of its own'
	@echo '  [TIERS=tiers.yaml] [MAP=text=prompt]    with a tier catalogue, with other column names'
	@echo 'make test                                 the test suite'
	@echo 'make lint                                 ruff and mypy'
	@echo 'make guarantees [SHARE=0.1]               how often the promises hold, on worlds of known truth'
	@echo 'make scoreboard [SEEDS=5]                 the router beside every control, on real tables'
	@echo 'make from-logs                            learning from logs of one tier a step, on real tables'
	@echo 'make bench [POLICY=folder]                what a decision costs, against an empty call'
	@echo 'make sidecar-bench [POLICY=folder]        what tierwise serve bears for a minute, on one core'
	@echo 'make fuzz [SECONDS=60]                    random input against readers and loaders'
	@echo 'make swaps                                a thousand policies replaced under load'
	@echo 'make gadgets                              prompt gadgets against budgets and pins'
	@echo 'make peers                                LiteLLM and UncommonRoute, in an environment of their own'
	@echo 'make litellm                              the LiteLLM proxy, in an environment of its own'
	@echo 'make test-litellm [POLICY=folder]         a LiteLLM proxy on this machine, routed by a policy'
	@echo 'make test-examples [POLICY=folder]        examples/: Node, Rust, LangGraph, CrewAI and others'
	@echo 'make ui                                   the MLflow server, on this machine only'
	@echo 'make clean                                remove what runs and tools wrote; .venv* stay'

install: $(STAMP)

# torch comes first and with the pip that venv brings, so that a pip configuration which pins a
# CPU build is honored; after that the newest pip resolves the rest.
$(STAMP): pyproject.toml
	test -x .venv/bin/python || $(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet 'torch==2.13.0'
	.venv/bin/python -m pip install --quiet --upgrade pip
	.venv/bin/python -m pip install --quiet --editable '.[train,dev]'
	touch $(STAMP)

# Only what the extra `peers` names: beside the training stack LiteLLM would change its versions.
peers: $(PEERS)

$(PEERS): pyproject.toml
	test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	$(PYTHON) -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["peers"], sep="\n")' > .venv-peers/requirements.txt
	.venv-peers/bin/python -m pip install --quiet --requirement .venv-peers/requirements.txt
	touch $(PEERS)

# The proxy pins versions that the training stack does not share.
litellm: $(LITELLM)

$(LITELLM): pyproject.toml
	test -x .venv-litellm/bin/python || $(PYTHON) -m venv .venv-litellm
	.venv-litellm/bin/python -m pip install --quiet --editable '.[litellm]' 'onnx>=1.21' 'pytest>=9'
	touch $(LITELLM)

$(FRAMEWORKS): pyproject.toml
	test -x .venv-examples/bin/python || $(PYTHON) -m venv .venv-examples
	.venv-examples/bin/python -m pip install --quiet --editable '.[examples]'
	touch $(FRAMEWORKS)

# Its .npmrc leaves install scripts out: the one of onnxruntime-node fetches a CUDA library.
$(NODE): examples/node/package-lock.json
	cd examples/node && npm ci --silent
	touch $(NODE)

repro: $(STAMP)
	@python -m tierwise.data.runs --traces "$$TRACES" --tiers "$$TIERS" --map "$$MAP"

test: $(STAMP)
	python -m pytest

# What is tested stands in tests/litellm; `make test` leaves it out.
test-litellm: $(LITELLM)
	TIERWISE_POLICY=$(abspath $(POLICY)) .venv-litellm/bin/python -m pytest tests/litellm

# What is tested stands in tests/integrations; needs node 20 or newer with npm, and cargo.
test-examples: $(FRAMEWORKS) $(NODE)
	TIERWISE_POLICY=$(abspath $(POLICY)) .venv-examples/bin/python -m pytest tests/integrations

lint: $(STAMP)
	ruff check .
	ruff format --check .
	mypy

guarantees: $(STAMP)
	mkdir -p artifacts
	python tests/guarantees/run.py --share $(SHARE) --json artifacts/guarantees.json

scoreboard: $(STAMP)
	tierwise scoreboard $(TIERWISE_TABLES) --tables $(TABLES) --seeds $(SEEDS) --peers

from-logs: $(STAMP)
	python -m tierwise.eval.from_logs $(TIERWISE_TABLES)

bench: $(STAMP)
	tierwise bench $(POLICY)
	python tests/bench/decide.py $(POLICY)

sidecar-bench: $(STAMP)
	python tests/bench/sidecar.py $(POLICY)

fuzz: $(STAMP)
	python -m tests.faults.fuzz --seconds $(SECONDS)

swaps: $(STAMP)
	python -m tests.faults.swaps

# On the default run: its graph, and texts of its traces.
gadgets: $(STAMP)
	python -m tests.attacks.gadgets

ui: $(STAMP)
	@echo 'open http://127.0.0.1:5000/#/experiments/1/runs?workflowType=machine_learning'
	MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false LITELLM_LOCAL_MODEL_COST_MAP=True \
	mlflow server --workers 1 --host 127.0.0.1 --port 5000 \
	  --backend-store-uri sqlite:///artifacts/mlflow.db

clean:
	rm -rf artifacts runs build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .dvc/tmp .dvc/cache
	find . -path './.venv*' -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
