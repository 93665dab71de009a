# `make run` starts the demo station, `make test` runs everything that is tested. Each does its own set-up.
# `make wheel` makes the package that plants install. `make producer` builds our GenTL producer, for GigE Vision cameras (docs/cameras.md).
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test wheel producer clean

run: $(VENV)/.run
	@$(BIN)/python scripts/fetch_web_libraries.py
	@exec $(BIN)/lynceus demo

test: $(VENV)/.test
	@$(BIN)/python scripts/fetch_web_libraries.py
	@scripts/test.sh

wheel: $(VENV)/bin/python
	@$(BIN)/python scripts/fetch_web_libraries.py
	@$(BIN)/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir dist .
	@ls dist/*.whl

producer:
	@$(MAKE) --no-print-directory -C cameras/gentl

clean:
	rm -rf $(VENV) services/web/static/vendor var cameras/gentl/build

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[gige]"
	touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	touch $@ $(VENV)/.run

include models/training/training.mk
include benchmarks/benchmarks.mk
