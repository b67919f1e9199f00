# Two commands do everything on a fresh machine: make demo, make test.
.DEFAULT_GOAL := help
SHELL := bash -euo pipefail
PYTHON ?= python3.11
BIN := .venv/bin
UV := $(BIN)/uv pip
LOCKED := .venv/locked
CLUSTER := PYTHONPATH=cluster $(BIN)/python -m refit_cluster
EXTRAS := --extra operator --extra trainer --extra predictor --extra monitor --extra mlflow --extra report --extra ui --group dev

.PHONY: help setup demo test test-unit check bench cluster-up cluster-down cluster-status kubeconfig images monitoring deploy generate verify lock

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

$(LOCKED): requirements.lock pyproject.toml
	@test -x $(BIN)/uv || { $(PYTHON) -m venv .venv && $(BIN)/pip install --quiet --disable-pip-version-check uv==0.13.8; }
	@$(UV) sync --quiet --system-certs --require-hashes requirements.lock
	@$(UV) install --quiet --no-deps --no-build-isolation --editable . && touch $@

setup: $(LOCKED) ## the Python environment, as locked

demo: cluster-up images monitoring deploy ## the main job on real data, from nothing to an answer
	@KUBECONFIG="$$($(CLUSTER) kubeconfig)" PATH="$$($(CLUSTER) path):$(CURDIR)/$(BIN):$$PATH" examples/demo.sh

test: cluster-up images monitoring deploy ## all tests: unit, contract (live API server), end to end (kind)
	@$(BIN)/pytest -n 2

test-unit: setup ## the tests that need no cluster
	@$(BIN)/pytest -m "not contract and not cluster"

check: setup ## lint, types, layers, locked dependencies
	@$(BIN)/ruff check && $(BIN)/ruff format --check && $(BIN)/mypy && PYTHONPATH=. $(BIN)/lint-imports && $(UV) check

bench: cluster-up images deploy ## every figure, beside what it is compared with
	@$(BIN)/python benchmarks/run.py

cluster-up: setup ## a real cluster: kind with KServe, or the context in REFIT_CONTEXT
	@$(CLUSTER) up

cluster-down: setup ## the kind cluster, its registry and whatever was started for them, gone
	@$(CLUSTER) down

cluster-status: setup ## what runs, and where the API server's audit log is
	@$(CLUSTER) status

kubeconfig: setup ## the path of the kubeconfig
	@$(CLUSTER) kubeconfig

images: setup ## build and push the images that changed
	@$(CLUSTER) images

monitoring: setup ## Prometheus and Alertmanager in the cluster, with our rules, alerts sent to the operator
	@$(CLUSTER) monitoring

deploy: setup ## install the chart with these images
	@$(CLUSTER) deploy

generate: setup ## crds/, the guard, the PrometheusRule, charts/refit/templates/ and docs/api.md, from their sources
	@for file in crds manifests manifests/monitoring charts docs; do $(BIN)/python $$file/generate.py; done

verify: generate ## fails if a generated file was stale, or the chart is not the manifests
	@git diff --exit-code -- crds manifests charts docs && $(BIN)/pytest -q tests/chart tests/docs tests/rules

lock: setup ## resolve again
	@$(UV) compile --quiet --generate-hashes --no-emit-index-url --no-header --python-version 3.11 $(EXTRAS) pyproject.toml -o requirements.lock
