# Two commands do everything: `make book` and `make test`. `make help` lists the rest.
# Variables: PYTHON=python3.12  TORCH_INDEX=https://download.pytorch.org/whl/cpu  SLOW=1  LABUTILS_BUDGET=smoke|quick|full

SHELL := /bin/sh
.DEFAULT_GOAL := help
.PHONY: help setup book pdf screenshot test check lab bench mlflow clean

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LAB := $(CURDIR)/$(VENV)/jupyter
PYTHON ?=
TORCH_INDEX ?=
SLOW ?=
LABUTILS_BUDGET ?= quick
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=1

help: ## list what make can do
	@grep -hE '^[a-z]+:.*## ' Makefile | sed -E 's/^([a-z]+):.*## (.*)/  make \1|\2/' | awk -F'|' '{printf "%-14s %s\n", $$1, $$2}'
	@echo "  Without an NVIDIA GPU, install a smaller torch: make book TORCH_INDEX=https://download.pytorch.org/whl/cpu"

# the scripts of a virtual environment hold its path: a folder that was moved is set up again
ifneq ($(shell cat $(STAMP) 2>/dev/null),$(CURDIR))
.PHONY: $(STAMP)
endif

setup: $(STAMP) ## create .venv and install the pinned packages

$(STAMP): pyproject.toml constraints.txt
	@PYTHON="$(PYTHON)" VENV="$(VENV)" TORCH_INDEX="$(TORCH_INDEX)" sh .ci/setup
	@echo "$(CURDIR)" > $(STAMP)

book: $(STAMP) ## run every chapter and build the HTML book; prints its path
	@echo "book: running the chapters ($(LABUTILS_BUDGET) budget) and building the pages"
	@LABUTILS_BUDGET=$(LABUTILS_BUDGET) $(BIN)/python book/build.py

pdf: book ## print the book into one file, _build/book.pdf; needs Chromium or Chrome
	@echo "pdf: printing the pages"
	@LABUTILS_BUDGET=$(LABUTILS_BUDGET) $(BIN)/python -m book.pdf

screenshot: book ## take the picture in README.md anew, .github/landing.png; needs Chromium or Chrome
	@LABUTILS_BUDGET=$(LABUTILS_BUDGET) $(BIN)/python -m book.screenshot

test: book ## build the book, run the tests and every chapter in the smoke budget; SLOW=1 adds the slow tests
	@echo "test: running the tests$(if $(SLOW),, (without the slow ones))"
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(if $(SLOW),,-m "not slow")

check: $(STAMP) ## lint, formatting, types, import order
	@echo "check: ruff" && $(BIN)/ruff check . && $(BIN)/ruff format --check .
	@echo "check: hooks" && PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pre-commit run --all-files
	@echo "check: mypy" && $(BIN)/mypy
	@echo "check: rules of the repository" && $(BIN)/python -m pytest -q tests/test_layers.py tests/test_no_pickle.py tests/test_pins.py

lab: $(STAMP) ## open the chapters in JupyterLab, on this computer only
	@echo "lab: JupyterLab opens in your browser, with settings of its own below $(LAB); Ctrl-C ends it"
	@env -u JUPYTER_TOKEN JUPYTER_CONFIG_DIR="$(LAB)/config" JUPYTER_DATA_DIR="$(LAB)/data" IPYTHONDIR="$(LAB)/ipython" \
	  JUPYTERLAB_SETTINGS_DIR="$(LAB)/settings" JUPYTERLAB_WORKSPACES_DIR="$(LAB)/workspaces" \
	  $(BIN)/jupyter lab --config="$(CURDIR)/book/jupyter/jupyter_lab_config.py"

bench: $(STAMP) ## measure the benchmarks, one thread
	@$(ONE_THREAD) $(BIN)/python -m tests.bench

mlflow: $(STAMP) ## show recorded runs on http://127.0.0.1:5000
	@mkdir -p runs
	@MLFLOW_DISABLE_TELEMETRY=true MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false $(BIN)/mlflow server \
	  --host 127.0.0.1 --port 5000 --workers 1 --backend-store-uri sqlite:///runs/mlflow.db

clean: ## remove the built book and tool caches; keeps .venv and runs
	@rm -rf _build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find labutils tests book nbs -name __pycache__ -type d -prune -exec rm -rf {} +
	@echo "clean: removed _build and the tool caches"
