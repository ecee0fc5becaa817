# `make` lists the targets. Every target installs what it needs first.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

# Label Studio has pins of its own; it lives apart from the service. Another environment can be named.
LABEL_STUDIO_VERSION := 1.23.2
LABEL_STUDIO_VENV ?= .label-studio/venv
export LABEL_STUDIO_VENV
# a checkout of label-studio-ml-backend 2.x, for `make test-2x`
LABEL_STUDIO_ML ?=

HOST ?= 0.0.0.0
PORT ?= 9090
WORKERS ?= 1
THREADS ?= 16

INSTALLED := $(VENV)/.installed
INSTALLED_2X := .venv-2x/.installed
LABEL_STUDIO_INSTALLED := $(LABEL_STUDIO_VENV)/.installed-$(LABEL_STUDIO_VERSION)
PIP_INSTALL := -m pip --disable-pip-version-check install --quiet --no-warn-conflicts

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install label-studio demo run worker test coverage test-2x e2e screenshots bench simulate calibration label-errors
.PHONY: bounded forest missing-labels load interactive soak growth growth-in-studio long-series simulate-growth many-projects image-test lint hooks audit requirements docs format clean python
.PHONY: checkout-2x

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1|/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "  make %-16s %s\n", $$1, $$2 }'

install: $(INSTALLED) ## make .venv with the service and its tests

label-studio: $(LABEL_STUDIO_INSTALLED) ## install Label Studio (about 1 GB) in an environment of its own

demo: install label-studio ## show an example in a real Label Studio (EXAMPLE=activity, ONCE=1: exit afterwards)
	@$(BIN)/python -m demo $(if $(EXAMPLE),--example $(EXAMPLE)) $(if $(filter-out 0,$(ONCE)),--once)

run: install ## serve on port 9090 for your own Label Studio (HOST, PORT, WORKERS, THREADS)
	@PORT=$(PORT) WORKERS=$(WORKERS) THREADS=$(THREADS) $(BIN)/gunicorn --bind $(HOST):$(PORT) _wsgi:app

worker: install ## train what the service hands out through Redis (REDIS_URL); start as many as you like
	@$(BIN)/python -m timeseries_segmenter worker

# in random order, as pytest-randomly has it, and the tests of a file in one process: they share models
PYTEST := $(BIN)/python -m pytest -m "not e2e and not image" --numprocesses auto --dist loadfile

test: install ## run the tests that need no Label Studio
	@$(PYTEST)

coverage: install ## run them, and fail where they reach less of the code than pyproject.toml asks for
	@$(PYTEST) --cov --cov-report=term

# what label-studio-ml has a part in: requests, authentication, answers, the ways to start
TESTS_2X := tests/test_wsgi.py tests/test_model.py tests/test_logs.py tests/web/test_gunicorn.py \
	$(patsubst %,tests/web/test_%.py,app routes security fuzz predict predict_pairs dashboard cross_origin metrics)

test-2x: checkout-2x $(INSTALLED_2X) ## run the tests that it has a part in under label-studio-ml 2.x (LABEL_STUDIO_ML=checkout)
	@echo "$(abspath $(LABEL_STUDIO_ML))" > "$$(.venv-2x/bin/python -c 'import site; print(site.getsitepackages()[0])')/label_studio_ml.pth"
	@.venv-2x/bin/python -m pytest -m "not e2e" $(TESTS_2X) \
		-W "ignore:Support for class-based:DeprecationWarning"  # its own

e2e: install label-studio ## run the end-to-end tests against a real Label Studio
	@$(BIN)/python -m pytest -m e2e tests/e2e

image-test: install ## build the image and try the compose file, with Docker or Podman (IMAGE_BUILD_OPTIONS)
	@$(BIN)/python -m pytest -m image -s tests/image

screenshots: install label-studio ## take the documentation's pictures anew, in a real browser
	@$(BIN)/python -m pytest -m e2e -p no:randomly tests/e2e/test_browser.py --screenshots docs/images

bench: install ## measure prediction speed, and quality on the data sets in a folder (DATA=folder)
	@$(BIN)/python -m benchmarks.speed
	@$(if $(DATA),$(BIN)/python -m benchmarks.quality $(DATA),echo "For quality, name a folder: make bench DATA=folder")

forest: install ## measure a random forest on the data sets in a folder, for comparison (DATA=folder)
	@$(BIN)/python -m benchmarks.forest $(DATA)

simulate: install ## annotate in the order of the scores, or at random, on the data sets in a folder (DATA=folder QUICK=1; hours without)
	@$(BIN)/python -m benchmarks.annotation_order $(DATA) $(if $(QUICK),--quick)

bounded: install ## measure projects too large for one training run, on the data sets in a folder (DATA=folder)
	@$(BIN)/python -m benchmarks.bounded $(DATA)

calibration: install ## measure what scores mean, and what that costs, on the data sets in a folder (DATA=folder)
	@$(BIN)/python -m benchmarks.calibration $(DATA)

label-errors: install ## measure how many wrong annotations are found, on the data sets in a folder (DATA=folder)
	@$(BIN)/python -m benchmarks.label_errors $(DATA)

missing-labels: install ## measure what missing annotations cost, on the data sets in a folder (DATA=folder)
	@$(BIN)/python -m benchmarks.missing_labels $(DATA)

load: install ## measure answers to eight clients while a training runs (two minutes)
	@$(BIN)/python -m benchmarks.load

interactive: install ## measure what an annotator who draws waits for, alone and beside batches (a minute)
	@$(BIN)/python -m benchmarks.interactive

soak: install ## measure memory over 5000 predictions of 50 projects and 20 trainings (two minutes)
	@$(BIN)/python -m benchmarks.soak

growth: install ## measure what one more annotation costs in projects of 10 to 10000 annotated tasks (ten minutes)
	@$(BIN)/python -m benchmarks.growth

growth-in-studio: install label-studio ## the same in a real Label Studio, with 2000 annotated tasks (half an hour)
	@$(BIN)/python -m benchmarks.studio_growth

long-series: install ## measure a series of up to 100 million rows: predicted, and learned from (half an hour)
	@$(BIN)/python -m benchmarks.long_series

simulate-growth: install ## simulate how many workers, requests and bytes a growing installation needs (a minute)
	@$(BIN)/python -m benchmarks.simulate_growth

many-projects: install ## measure the dashboard, metrics and start of a service with 5000 projects (minutes)
	@$(BIN)/python -m benchmarks.many_projects

lint: install ## check style, format, types, the directions of imports, and words
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/codespell

hooks: install ## run all that pre-commit runs before a commit: lint, spelling, and the form of every file
	@$(BIN)/pre-commit run --all-files

audit: install ## look for known vulnerabilities in what is pinned
	@$(BIN)/python .ci/audit

# direct dependencies alone: their own may follow the platform, as torch's with and without CUDA do
PINS := $(BIN)/uv pip compile --quiet --no-deps --no-annotate --python-version 3.11 --custom-compile-command 'make requirements'
requirements: install ## pin what pyproject.toml names: new packages, and with UPGRADE=1 newer releases
	@$(PINS) $(if $(UPGRADE),--upgrade) pyproject.toml --extra redis --extra service -o requirements.txt
	@$(PINS) $(if $(UPGRADE),--upgrade) pyproject.toml --all-extras -c requirements.txt -o requirements-test.txt

docs: install ## bring the parts of the documentation up to date that follow from the code
	@$(BIN)/python -m tools.docs

format: install ## format the code
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

clean: ## remove environments, caches and the demo's data (never your models)
	rm -rf $(VENV) .venv-2x .label-studio .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

python:
	@test -n "$(PYTHON)" && $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; name one with: make PYTHON=/path/to/python3.11" >&2; exit 1; }

# label-studio-ml goes last and without its dependencies: its metadata names versions from 2021
$(INSTALLED): pyproject.toml requirements-test.txt requirements-base.txt | python
	@echo "Installing the service into $(VENV) (a few minutes the first time) ..."
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python $(PIP_INSTALL) -r requirements-test.txt
	@$(BIN)/python $(PIP_INSTALL) --no-deps -r requirements-base.txt
	@$(BIN)/python $(PIP_INSTALL) --no-deps --no-build-isolation --editable .
	@touch $@

checkout-2x:
	@test -f "$(LABEL_STUDIO_ML)/label_studio_ml/api.py" || { echo "label-studio-ml 2.x is not on PyPI: clone" \
		"HumanSignal/label-studio-ml-backend and name it, make test-2x LABEL_STUDIO_ML=path" >&2; exit 1; }

# a path file instead of an installation: nothing is built in the checkout, and what it holds now is tested
$(INSTALLED_2X): requirements-test.txt | python
	@echo "Installing what label-studio-ml 2.x needs into .venv-2x (a few minutes the first time) ..."
	@$(PYTHON) -m venv .venv-2x
	@.venv-2x/bin/python $(PIP_INSTALL) -r requirements-test.txt semver==3.0.4
	@touch $@

$(LABEL_STUDIO_INSTALLED): | python
	@echo "Installing Label Studio $(LABEL_STUDIO_VERSION) into $(LABEL_STUDIO_VENV) (a few minutes, once) ..."
	@$(PYTHON) -m venv $(LABEL_STUDIO_VENV)
	@$(LABEL_STUDIO_VENV)/bin/python $(PIP_INSTALL) label-studio==$(LABEL_STUDIO_VERSION)
	@touch $@
