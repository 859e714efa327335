# Each target first makes .venv from the lock, when it is missing or older than the lock. Prefer your own environment?
# pip install -r requirements.txt, then dvc repro; with -test, pytest: nothing below is needed for them.

STAMP := .venv/requirements$(if $(GPU),-gpu)$(if $(CLUSTER),-cluster).txt.installed
TEST_STAMP := .venv/requirements-test.txt.installed
SUPPORTED := import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c '$(SUPPORTED)' 2>/dev/null && echo $$p && break; done)

OUTSIDE := $(PATH)
export PATH := $(CURDIR)/.venv/bin:$(OUTSIDE)
export TF_CPP_MIN_LOG_LEVEL ?= 2
# DVC runs commands in it, and that of a service is nologin.
export SHELL := /bin/sh
# DVC asks for both, and a user of a container may have neither, nor an entry in its list of users.
export HOME ?= $(or $(shell getent passwd $$(id -u) | cut -d: -f6),$(CURDIR)/.dvc/tmp)
export LOGNAME ?= $(or $(USER),$(shell id -u))
ifdef CLUSTER
export DESCENT_CLUSTER := $(CLUSTER)
endif

.DEFAULT_GOAL := help
.PHONY: help setup mine repro tune race repair lesson test test-all coverage lint bench clean lock readme

help:  ## List the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/make \1\t\2/' | expand -t 14
	@echo "On a Dask cluster (docs/cluster.md): make repro CLUSTER=tls://host:8786, and make tune, make race likewise"
	@echo "With an NVIDIA GPU on Linux: make repro GPU=1. With a Python of your choice (3.11 to 3.13): make repro PYTHON=python3.12"

setup: $(STAMP)  ## Install all packages into .venv, and do no more

mine: $(STAMP)  ## Write params.yaml for your data and network: make mine DATA=data/own.npz NETWORK=networks/mine.py
	@python -m stages.mine "$$DATA" --network "$$NETWORK" --config "$$CONFIG" \
		--optimizer "$$OPTIMIZER" --optimizer-config "$$OPTIMIZER_CONFIG"

repro: $(STAMP)  ## Run what is out of date, independent stages in parallel (JOBS=N); print the answer and what changed
	@python -m stages.repro $(if $(JOBS),--jobs $(JOBS))
	@cat results/report/ranking.md
	@echo "Report: results/report/index.html"
	@git diff --quiet HEAD -- results 2>/dev/null || python -m stages.diff HEAD --brief

tune: $(STAMP)  ## Run the learning-rate study, independent stages in parallel (JOBS=N); print its answer
	@python -m stages.repro $(if $(JOBS),--jobs $(JOBS)) tuning/dvc.yaml
	@cat results/tuning/report/tuned.md
	@echo "Page: results/tuning/index.html"

race: $(STAMP)  ## Run more seeds of the optimizers that may still be the best, until one is left (STUDY=1: at tuned rates)
	@python -m stages.race $(if $(STUDY),--study) $(if $(JOBS),--jobs $(JOBS))
	@cat $(if $(STUDY),results/tuning/report/tuned.md,results/report/ranking.md)
	@echo "Report: results/$(if $(STUDY),tuning,report)/index.html"
	@echo "Back to the same number of runs for all: git checkout params.yaml && dvc repro$(if $(STUDY), tuning/dvc.yaml)"

lesson: $(STAMP)  ## Run the small comparison of docs/lesson.md and print its answer; needs a clean work tree, which it changes
	@git diff --quiet HEAD || { echo "Commit your changes first: the lesson's take their place" >&2; exit 1; }
	@dvc exp remove --quiet lesson 2>/dev/null || true
	@python -c 'from tools import experiments; print("\n".join(experiments.EXPERIMENTS["lesson"]))' | sh -ex
	@echo "Report: results/report/index.html. Back to where you were: git checkout . && dvc checkout"

repair: $(STAMP)  ## Take back what a kill left cut off, while no DVC works here; then run make repro
	@python -m descent.parallel.scheduler
	@rm -f .dvc/tmp/rwlock
	@for lock in dvc.lock tuning/dvc.lock; do git checkout --quiet -- $$lock 2>/dev/null || rm -f $$lock; done
	@find data results '(' -name '.*.part' -o -name '.*.tmp' ')' -delete

test: $(TEST_STAMP)  ## Run the fast tests
	@pytest -m "not slow" --numprocesses 2 --dist loadfile --no-loadscope-reorder

test-all: $(TEST_STAMP)  ## Run all tests: real pipelines, trainings and browsers too
	@pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

coverage: $(TEST_STAMP)  ## Run all tests, and list the lines and branches of descent and stages that none of them reaches
	@pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --cov --cov-report term-missing:skip-covered

lint: $(TEST_STAMP)  ## Check style and formatting
	@ruff check .
	@ruff format --check .

bench: $(TEST_STAMP)  ## Measure speed: pipeline, training, stages (20 to 60 minutes, alone on the machine)
	@python -m tools.bench

clean:  ## Remove what tools leave behind, and the kept runs; results, data, the DVC cache and .venv stay
	@rm -rf .coverage* .pytest_cache .ruff_cache dvc_plots logs .dvc/tmp/runs
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

readme: $(TEST_STAMP)  ## Write the committed results into README.md
	@python -m tools.readme

lock: .venv/bin/uv  ## Renew the locks from pyproject.toml
	@$(COMPILE) --output-file requirements.txt
	@for group in gpu cluster test; do \
		$(COMPILE) --group $$group --constraints requirements.txt --output-file requirements-$$group.txt && \
		sed -i '1i -r requirements.txt' requirements-$$group.txt; done

COMPILE := .venv/bin/uv pip compile --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-annotate \
	--no-emit-index-url --quiet --upgrade --custom-compile-command "make lock"

# uv installs in a fifth of pip's time. It does not read pip's settings, so it is told where pip would look. It also
# compiles: where PYTHONDONTWRITEBYTECODE is set, as in many containers, every stage would compile TensorFlow anew.
.venv/%.installed: % requirements.txt | .venv/bin/uv
	@echo "Installing $< into .venv (TensorFlow is some 600 MB; this is the slow part of the first run)"
	@UV_DEFAULT_INDEX=$${UV_DEFAULT_INDEX:-$${PIP_INDEX_URL:-$$(.venv/bin/python -m pip config get global.index-url 2>/dev/null)}} \
		.venv/bin/uv pip install --quiet --system-certs --compile-bytecode --python .venv/bin/python --require-hashes -r $<
	@touch $@

.venv/bin/uv: PATH := $(OUTSIDE)
.venv/bin/uv:
	@$(or $(PYTHON),false) -c '$(SUPPORTED)' 2>/dev/null || { \
		echo "descent needs Python 3.11, 3.12 or 3.13; name one: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@$(PYTHON) -m venv $$(.venv/bin/python -c '' 2>/dev/null || echo --clear) .venv
	@.venv/bin/python -m pip install --quiet --disable-pip-version-check uv==0.13.9
