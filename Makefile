# Two commands on a machine with only Python 3.11 and make: `make demo` and `make test`.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready

.PHONY: demo test docs clients bench clean

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "gatewatch needs Python 3.11 or newer, this is " + sys.version)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

demo: $(READY)
	BIN=$(BIN) sh demo/run

test: $(READY)
	tests/lab/install-tools curl dig openssl tshark pgrep
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	tests/probe/install-oonidata $(PYTHON) $(VENV)/oonidata
	$(BIN)/pytest -n $$((1 + $$(nproc)))

docs: $(READY)
	$(BIN)/python -m gatewatch.model.document > docs/tables.md

clients: $(READY)
	tests/lab/install-tools curl dig openssl chromium chromedriver certutil
	$(BIN)/python -m benchmarks.clients > docs/lab-clients.md

bench: $(READY)
	$(BIN)/python -m benchmarks.speed
	$(BIN)/python -m benchmarks.speed.router
	$(BIN)/python -m benchmarks.accuracy

clean:
	rm -rf $(VENV) .demo
