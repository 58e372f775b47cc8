# Each target does its own set-up first (scripts/set-up), which is quick when there is nothing to do.
# PYTHON=/path/to/python chooses the interpreter of a new .venv; PORT=8001 the port; ARGS="..." is passed on.
.PHONY: help up test check fix bench fuzz lock
.DEFAULT_GOAL := help

export MAKE_GOAL := $(firstword $(MAKECMDGOALS))
BIN := .venv/bin

help:
	@echo "make up      start everything on this machine (PORT=8000, ARGS=--no-demo)"
	@echo "make test    run all tests that this machine can run (ARGS='-k words')"
	@echo "make check   lint, types, imports, templates, migrations"
	@echo "make fix     repair what can be repaired by itself"
	@echo "make bench   measure (QUICK=1: a minute)"
	@echo "make fuzz    throw random messages at the bridge (FUZZ=1000: so many of each kind)"
	@echo "make lock    pin requirements*.in into requirements*.txt"

up:
	@scripts/set-up run
	@exec $(BIN)/python manage.py up $(if $(PORT),--port $(PORT)) $(ARGS)

test:
	@scripts/set-up dev
	@$(BIN)/python scripts/run_tests.py $(ARGS)

check:
	@scripts/set-up dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy .
	$(BIN)/lint-imports
	git ls-files -z -- '*.html' | xargs -0 $(BIN)/djade --target-version 6.1 --check
	$(BIN)/python manage.py makemigrations --check --dry-run
	$(BIN)/python manage.py check

fix:
	@scripts/set-up dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format
	$(BIN)/python scripts/settings_table.py
	$(BIN)/python scripts/error_table.py
	$(BIN)/python scripts/rule_table.py
	$(BIN)/python scripts/bridge_settings_table.py
	-git ls-files -z -- '*.html' | xargs -0 $(BIN)/djade --target-version 6.1

bench:
	@scripts/set-up dev
	@$(BIN)/python -m bench $(ARGS)

fuzz:
	@scripts/set-up dev
	@FUZZ_EXAMPLES=$(or $(FUZZ),500) $(BIN)/python -m pytest bridge/tests/test_hub_fuzz.py bridge/tests/test_messages_differential.py $(ARGS)

lock:
	@scripts/set-up dev
	$(BIN)/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-header requirements.in -o requirements.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.12 --generate-hashes --no-header -c requirements.txt requirements.in requirements-dev.in -o requirements-dev.txt
