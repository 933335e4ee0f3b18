# make alone lists the targets. Nothing needs an activated environment.
PYTHON ?= python3
UV ?= uv
PORT ?= 5000
ARGS ?=
PIP_ARGS ?=
LOCK_ARGS ?=

VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install lock lint type test test-slow train ui bench mini clean

help: ## list these targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | awk -F'|' '{ printf "  make %-10s %s\n", $$1, $$2 }'

install: $(STAMP) ## make .venv from requirements.lock (PYTHON=..., PIP_ARGS=...)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || \
	  { echo "gpt2lab needs Python 3.11, 3.12 or 3.13, and '$(PYTHON)' is not one: make install PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install $(PIP_ARGS) -r requirements.lock
	$(PY) -m pip install $(PIP_ARGS) --no-deps --no-build-isolation -e .
	@touch $(STAMP)

# Dropped from the lock: CUDA's packages (torch's metadata names them where they apply), systems we do not support.
lock: ## resolve pyproject.toml into requirements.lock (needs uv; LOCK_ARGS=--upgrade)
	@command -v $(UV) >/dev/null || { echo "make lock needs uv: pip install uv, or make lock UV=path/to/uv" >&2; exit 1; }
	$(UV) pip compile pyproject.toml --extra dev --universal --python-version 3.11 --fork-strategy fewest \
	  --no-annotate --no-header $(LOCK_ARGS) --output-file requirements.lock
	@{ echo "# Made by: make lock. For Python 3.11 to 3.13 on Linux and macOS."; grep -Ev \
	  -e '^(#|nvidia-|cuda-|triton)' -e "(; |and )sys_platform == '(win32|emscripten)'( or sys_platform == '(win32|emscripten)')*$$" \
	  requirements.lock; } > requirements.lock.new
	@mv requirements.lock.new requirements.lock

lint: install ## ruff: rules, import walls, format
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .

type: install ## mypy
	$(PY) -m mypy

test: install ## the fast tests (ARGS="-n 2 -k lora")
	$(PY) -m pytest $(ARGS)

test-slow: install ## the fast and the slow tests
	$(PY) -m pytest -m "not gpu and not realdata" $(ARGS)

train: install ## the quick start: a LoRA on generated SQuAD and the bundled base (ARGS="rank=8")
	$(PY) -m gpt2lab +experiment=squad_mini $(ARGS)

ui: install ## the runs in MLflow, on 127.0.0.1 (PORT=5000)
	$(PY) -m mlflow ui --host 127.0.0.1 --port $(PORT) --backend-store-uri "sqlite:///$(CURDIR)/outputs/mlflow.db"

bench: install ## measure speed on this machine
	$(PY) -m gpt2lab.bench $(ARGS)

mini: install ## pretrain the bundled base again
	bash experiments/mini/make.sh

clean: ## remove caches and build products, never outputs/
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . \( -path ./$(VENV) -o -path ./outputs -o -path ./.git \) -prune -o -name __pycache__ -type d -prune -exec rm -rf {} +
