# Two commands do everything on a fresh machine: `make demo` and `make test`. They need Python 3.11+ with venv, and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
# The pure core, held at 100 % branch coverage.
PURE := openadr/*,ven/model.py,ven/session.py,ven/payloads.py,ven/registration.py,ven/events.py,ven/reports.py,ven/portions.py,ven/outbox.py,ven/opts.py,bridge/resources.py,bridge/authority.py,bridge/timetable.py,bridge/modes.py,bridge/limiters.py,bridge/stacking.py,bridge/guard.py,bridge/ocpp/owndelay.py,bridge/program.py,bridge/baserule.py,bridge/rules.py,bridge/fitting.py,bridge/asks.py,bridge/cap.py,bridge/ramp.py,bridge/reference.py,bridge/plan.py,bridge/schedule.py,bridge/steps.py,bridge/arbiter.py,bridge/allocate.py,bridge/groups.py,bridge/agenda.py,bridge/outage.py,bridge/spread.py,bridge/halfhour.py,bridge/points.py,bridge/series.py,bridge/flexibility.py,bridge/figures.py,bridge/watch.py,bridge/location.py,bridge/prices.py,bridge/rates.py,bridge/filling.py,bridge/service.py,bridge/serviceplan.py,bridge/needs.py,bridge/grid.py,bridge/csip.py,bridge/drm.py,bridge/apc.py,bridge/ocpp/needs.py,bridge/downstream.py,bridge/assess.py,bridge/overrides.py,bridge/verify.py,bridge/ocpp/profile.py,bridge/ocpp/frames.py,bridge/ocpp/window.py,bridge/ocpp/deadline.py,bridge/ocpp/repeats.py,bridge/ocpp/readback.py,bridge/ocpp/quirks.py,bridge/evidence.py,bridge/ocpp/proxy_ids.py,bridge/ocpp/proxy_profiles.py,bridge/ocpp/proxy_table.py,bridge/ocpp/proxy_words.py,bridge/cta2045/frames.py,bridge/cta2045/values.py,bridge/cta2045/commands.py,bridge/cta2045/bodies.py,bridge/cta2045/energy.py,bridge/cta2045/intermediate.py,bridge/cta2045/datalink.py,bridge/cta2045/timing.py,bridge/cta2045/receiver.py,bridge/cta2045/link.py,bridge/cta2045/echo.py,bridge/cta2045/inbox.py,bridge/cta2045/orders.py,bridge/cta2045/ladder.py,bridge/cta2045/meter.py,bridge/cta2045/mapping.py,bridge/cta2045/caps.py,bridge/native.py,vtn/packing.py

# Tests that show it: all but the long ones of the shells.
PURE_TESTS := tests/openadr tests/ven tests/bridge tests/conformance tests/vtn/test_signatures.py tests/vtn/test_rendering.py tests/vtn/test_packing.py \
	--ignore tests/bridge/test_outage_fleet.py --ignore tests/bridge/test_kill.py --ignore tests/bridge/store \
	--ignore tests/bridge/simulators --ignore tests/bridge/test_real_chargers.py --ignore tests/bridge/test_upstreams.py \
	--ignore tests/ven/test_state.py

.PHONY: demo test check cover format lint types contracts bench lock schemas docs clean

$(VENV)/.installed: constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed" if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(VENV)/.installed  ## the whole chain on this machine, about two minutes
	$(BIN)/python -m examples.demo $(ARGS)

test: $(VENV)/.installed  ## all tests: first those that start processes of ours and mostly wait, then the rest on every core
	$(BIN)/python -m pytest -m process -n 3 --maxschedchunk 1 $(ARGS) || test $$? -eq 5  # 5: ARGS names none of them
	$(BIN)/python -m pytest -m "not process" -n auto $(ARGS)

check: $(VENV)/.installed lint types contracts cover  ## format, lint, types, contracts, coverage of the pure core

cover: $(VENV)/.installed  ## the pure core is at 100 % branch coverage by its own tests
	$(BIN)/python -m coverage erase
	$(BIN)/python -m pytest -n auto -m "not process" --cov --cov-report= $(PURE_TESTS) $(ARGS)
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
	$(BIN)/oadr-bridge programme-schema > schemas/.new && mv schemas/.new schemas/programme.schema.json
	$(BIN)/oadr-bridge quirks-schema > schemas/.new && mv schemas/.new schemas/quirks.schema.json

docs: $(VENV)/.installed  ## write the generated reference pages anew
	PYTHONPATH=. $(BIN)/python docs/generate.py

lock:  ## resolve the dependencies anew
	$(BIN)/pip-compile --quiet --extra dev --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url \
		--no-emit-find-links --no-emit-trusted-host --no-header --output-file constraints.txt pyproject.toml

clean:
	rm -rf $(VENV) .demo .mypy_cache .ruff_cache .pytest_cache
