# Two commands: `make up` starts the platform, `make test` runs the whole suite.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: up test lint clean

up: .venv/.serve
	$(BIN)/polyclinic up

test: .venv/.develop lint
	$(BIN)/pytest -n 2

lint: .venv/.develop
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

.venv/bin/pip:
	$(PYTHON) -m venv .venv

.venv/.serve: .venv/bin/pip pyproject.toml constraints.txt
	$(BIN)/pip install --disable-pip-version-check -c constraints.txt -e .
	touch $@

.venv/.develop: .venv/bin/pip pyproject.toml constraints.txt
	$(BIN)/pip install --disable-pip-version-check -c constraints.txt -e '.[train,notes,scale,dev]'
	touch $@ .venv/.serve

clean:
	rm -rf .venv
