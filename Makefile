# Each target does its own set-up in .venv; it needs Python 3.11 or newer and make, nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
SEED ?= 1

.DEFAULT_GOAL := help
.PHONY: help setup tools demo up test check lint types layers infra-check audit docs format bench soak crashes package cloud-test clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(READY) ## the virtual environment, installed from the pinned requirements

$(READY): requirements.txt requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Vertex Rollouts needs Python 3.11 or newer; found " + sys.version.split()[0] + ". Try: make PYTHON=python3.12 ...") if sys.version_info < (3, 11) else 0'
	@echo "Setting up $(VENV) (once, about a minute) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt 2>&1 | grep -v '^WARNING: Location' || true
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . 2>&1 | grep -v '^WARNING: Location' || true
	@$(BIN)/python -c 'import google.cloud.pubsub_v1, pytest, shared'
	@touch $(READY)

demo: $(READY) ## the whole lifecycle on this machine, in about 100 seconds (SEED=7: another run of luck; SCENARIO=shadow|experiment|blue-green|dual: another story)
	@$(BIN)/python -m local.demo --seed $(SEED) $(if $(SCENARIO),--scenario $(SCENARIO))

up: $(READY) ## the same system, left running to play with
	@$(BIN)/python -m local.up

test: export PYTHONDONTWRITEBYTECODE =# tests are hundreds of processes: what one has compiled, the next one need not
test: $(READY) ## all tests
	@$(BIN)/python -m pytest -n auto --dist worksteal --durations=30

check: lint types layers infra-check audit ## lint, types, layers, Terraform, checkov, known vulnerabilities (test is apart)

lint: $(READY)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(READY)
	@$(BIN)/mypy
	@for main in functions/*/main.py; do $(BIN)/mypy $$main || exit 1; done

layers: $(READY)
	@$(BIN)/lint-imports

infra-check: $(READY) ## terraform fmt, validate and test, and checkov; nothing when infra/ is unchanged
	@$(BIN)/python -m infra.check

audit: $(READY) ## known vulnerabilities of what is pinned, once a day; says so where the advisories cannot be reached
	@$(BIN)/python -m infra.audit

tools: .venv-checkov/.ready .venv-audit/.ready ## checkov and pip-audit, in environments of their own (once, about a minute)

.venv-audit/.ready: infra/requirements-audit.txt
	@echo "Setting up .venv-audit (once) ..."
	@$(PYTHON) -m venv .venv-audit
	@.venv-audit/bin/python -m pip install --quiet --disable-pip-version-check -r infra/requirements-audit.txt 2>&1 | grep -v '^WARNING: Location' || true
	@.venv-audit/bin/pip-audit --version >/dev/null
	@touch $@

.venv-checkov/.ready: infra/requirements-checkov.txt
	@echo "Setting up .venv-checkov (once, about a minute) ..."
	@$(PYTHON) -m venv .venv-checkov
	@.venv-checkov/bin/python -m pip install --quiet --disable-pip-version-check -r infra/requirements-checkov.txt 2>&1 | grep -v '^WARNING: Location' || true
	@.venv-checkov/bin/checkov --version >/dev/null
	@touch $@

docs: $(READY) .venv-docs/.ready ## the documentation as a site in build/site (REPOSITORY_URL=...: links to files lead there)
	@$(BIN)/python -m docs.site
	@NO_MKDOCS_2_WARNING=1 .venv-docs/bin/mkdocs build --quiet --strict
	@echo "open build/site/index.html"

.venv-docs/.ready: docs/requirements-docs.txt
	@echo "Setting up .venv-docs (once, about half a minute) ..."
	@$(PYTHON) -m venv .venv-docs
	@.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check -r docs/requirements-docs.txt 2>&1 | grep -v '^WARNING: Location' || true
	@.venv-docs/bin/mkdocs --version >/dev/null
	@touch $@

format: $(READY) ## format the code
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix --quiet . || true

bench: $(READY) ## all measurements, about half an hour (writes bench/results and docs/performance.md)
	@$(BIN)/python -m bench --save

soak: $(READY) ## 600 rollouts, 10,000 events, 100,000 malformed requests, 200,000 interleaved steps, kills, fuzzing: hours (writes docs/*.json)
	@$(BIN)/python -m bench.soak --seed $(SEED)
	@$(BIN)/python -m bench.load --seed $(SEED) --write
	@$(BIN)/python -m bench.webhook --seed $(SEED) --write
	@$(BIN)/python -m bench.interleavings --steps 200000 --seed $(SEED) --out docs/interleavings.json
	@$(BIN)/python -m bench.killed --seed $(SEED) --out docs/killed.json
	@FUZZ_EXAMPLES=3000 $(BIN)/python -m pytest -n auto --timeout 3000 tests/fuzz
	@$(BIN)/python -m docs.generate

crashes: $(READY) ## every outgoing call of every flow gone wrong, alone and in pairs of deaths: hours (writes docs/crashes.json)
	@CRASH_CALLS=all $(BIN)/python -m pytest -n auto --timeout 3000 tests/faults/test_crash_between_calls.py
	@$(BIN)/python -m bench.crashes
	@$(BIN)/python -m docs.generate

package: $(READY) ## one zip per function in build/functions
	@$(BIN)/python -m infra.package

cloud-test: $(READY) ## the lifecycle on a real project: PROJECT=... (opt-in; costs a few dollars, takes over an hour)
	@test -n "$(PROJECT)" || { echo 'say which project: make cloud-test PROJECT=my-test-project' >&2; exit 1; }
	@$(BIN)/python -m infra.cloud_test --project $(PROJECT)

clean: ## remove what was built
	@rm -rf build dist .run .coverage* .mypy_cache .ruff_cache
