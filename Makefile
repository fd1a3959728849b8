# Two commands do everything on a fresh machine: `make demo` and `make test`. They need Python 3.11+ with venv, and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# The pure core, held at 100 % branch coverage.
PURE := openadr/*,ven/model.py,ven/session.py,ven/registration.py,ven/events.py,ven/reports.py,ven/outbox.py,ven/opts.py,bridge/resources.py,bridge/program.py,bridge/plan.py,bridge/schedule.py,bridge/arbiter.py,bridge/allocate.py,bridge/assess.py,bridge/overrides.py,bridge/verify.py,bridge/ocpp/profile.py,bridge/ocpp/frames.py

.PHONY: demo test check format lint types contracts bench lock schemas docs clean

$(VENV)/.installed: constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(VENV)/.installed  ## the whole chain on this machine, about two minutes
	$(BIN)/python -m examples.demo $(ARGS)

test: $(VENV)/.installed  ## all tests
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/.installed lint types contracts  ## format, lint, types, contracts, and the tests of one process with coverage
	$(BIN)/python -m coverage erase
	$(BIN)/python -m pytest -m "not process" --cov --cov-report=term $(ARGS)
	$(BIN)/python -m coverage report --include='$(PURE)' --fail-under=100

lint: $(VENV)/.installed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.installed
	$(BIN)/mypy

contracts: $(VENV)/.installed
	$(BIN)/lint-imports

format: $(VENV)/.installed  ## rewrite the sources in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.installed  ## measured comparisons; ARGS="--quick --only NAME,NAME"
	$(BIN)/python -m benchmarks $(ARGS)

schemas: $(VENV)/.installed  ## write schemas/ anew from the code
	$(BIN)/oadr-vtn schema > schemas/.new && mv schemas/.new schemas/vtn-settings.schema.json
	$(BIN)/oadr-bridge schema > schemas/.new && mv schemas/.new schemas/bridge-settings.schema.json

docs: $(VENV)/.installed  ## write the generated reference pages anew
	PYTHONPATH=. $(BIN)/python docs/generate.py

lock:  ## resolve the dependencies anew
	$(BIN)/pip-compile --quiet --extra dev --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url \
		--no-emit-find-links --no-emit-trusted-host --no-header --output-file constraints.txt pyproject.toml

clean:
	rm -rf $(VENV) .demo .mypy_cache .ruff_cache .pytest_cache
