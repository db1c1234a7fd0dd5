# The front door. Everything is installed into .venv; nothing outside this folder is changed.
# The newest Python that runs here: pyenv leaves commands in the PATH that only say that they are not there.
PYTHON ?= $(shell for name in python3.14 python3.13 python3.12 python3.11 python3; do \
	"$$name" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && command -v "$$name" && break; done)
BIN := .venv/bin
ARGS ?=
# Each worker takes tests that stand together, so that what they share is started once, and then half of what another has.
PYTEST := -m pytest -n auto --dist worksteal
ASSETS := $(wildcard frontend/src/* frontend/package.json frontend/package-lock.json frontend/build.mjs)

.DEFAULT_GOAL := help
.PHONY: help demo test oldest check format bench requirements clean

help: ## Show what can be made
	@echo "Tollkeeper: what can be made (all set-up is done on the way; Python >= 3.11 is all it needs)"
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/run ## Start the service, import a log, run a shop with traffic; ARGS=--once checks the figures and ends
	$(BIN)/python examples/demo.py $(ARGS)

test: .venv/dev ## Run all tests with coverage; ARGS=tests/store runs some
	$(BIN)/coverage erase
	$(BIN)/coverage run $(PYTEST) $(ARGS)
	$(BIN)/coverage combine --quiet
	$(if $(ARGS),,$(BIN)/coverage report)

oldest: .venv/dev .venv-oldest/done .venv-oldest-apart/done ## Run the doors on the oldest frameworks that are supported
	TOLLKEEPER_TEST_OLDEST=$(CURDIR)/.venv-oldest/bin/python $(BIN)/python $(PYTEST) \
		tests/conformance/capture/test_servers.py -k "not flask and not litestar"
	TOLLKEEPER_TEST_OLDEST=$(CURDIR)/.venv-oldest-apart/bin/python $(BIN)/python $(PYTEST) \
		tests/conformance/capture/test_servers.py -k "flask or litestar"

check: .venv/dev ## Check format, lint, types and the import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/dev ## Put the code into its format
	$(BIN)/ruff check --fix --exit-zero --quiet .
	$(BIN)/ruff format .

bench: .venv/dev ## Measure beside peers and limits; ARGS=--write renews docs/benchmarks.md
	$(BIN)/python -m benchmarks $(ARGS)

requirements: .venv/dev ## Resolve the pinned requirement files anew
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		pyproject.toml --extra all --output-file requirements/run.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		pyproject.toml --extra all --group dev --output-file requirements/dev.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.13 --generate-hashes --no-header --no-annotate \
		--group mongoeco --output-file requirements/mongoeco.txt
	for group in oldest oldest-apart; do \
		$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-header \
			--no-annotate --group $$group --output-file requirements/$$group.txt || exit 1; done

clean: ## Remove what was installed and built
	rm -rf .venv .venv-* build dist frontend/node_modules src/tollkeeper/dashboard/static/dist src/tollkeeper/service/documents/fonts .coverage*

.venv/bin/python:
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Tollkeeper needs Python >= 3.11: install it, or name one: make PYTHON=/path/to/python"; exit 1; }
	@echo "Making a virtual environment in .venv with $$("$(PYTHON)" --version)"
	@"$(PYTHON)" -m venv .venv || { echo "This Python has no venv: install it (Debian: apt install python3-venv)"; exit 1; }

.venv/run: .venv/bin/python requirements/run.txt pyproject.toml hatch_build.py $(ASSETS)
	@echo "Installing what Tollkeeper needs to run, and building the dashboard (a minute, the first time)"
	@test -e .venv/dev || $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/run.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

.venv/dev: .venv/run requirements/dev.txt
	@echo "Installing what the tests and checks need"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@touch $@

.venv-%/done: requirements/%.txt .venv/bin/python
	@"$(PYTHON)" -m venv .venv-$*
	@.venv-$*/bin/pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@
