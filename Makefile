# Every target is one line that calls a tool; `make help` lists them.
PYTHON ?= python3
BIN := .venv/bin
COUNT ?=
DATA ?=
DETECTOR ?=
KEEP ?=
MINUTES ?=
MODEL ?=
ONLY ?=
OUT ?=
SEED ?=
UPGRADE ?=

.DEFAULT_GOAL := help
.PHONY: help init lock lint format types test test-unit test-training test-contract test-integration test-system test-packaging test-services test-models test-without-servers demo up down doctor docs bench bench-faults bench-soak bench-deliveries bench-scaling verify-fuzz bench-robustness bench-contamination bench-shift bench-anomalib bench-witness collector verify-dashboards verify-deploy verify-image lint-deploy bench-replicas versitygw clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 24

init:  ## set everything up; seconds when it is done already
	@$(PYTHON) -m tools.setup

versitygw:  ## build the S3 gateway that tests of the store use; it needs Go and minutes
	@GOBIN=$(CURDIR)/.cache/go/bin nice -n 10 go install github.com/versity/versitygw/cmd/versitygw@v1.8.0

lock: init  ## write the hash-locked requirements anew; UPGRADE=1 takes newer versions too
	@$(BIN)/python -m tools.lock $(if $(UPGRADE),--upgrade)

lint: init  ## ruff: rules and format
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

format: init  ## ruff: mend what it can
	@$(BIN)/ruff check --fix . && $(BIN)/ruff format .

types: init  ## mypy --strict
	@$(BIN)/mypy

test: lint types  ## what CI runs: lint, types, then every test in three parts side by side
	@$(MAKE) --no-print-directory -j3 test-services test-models test-without-servers

test-services: init  ## part one: contract, and integration of the core, the producers and the scorer
	@$(BIN)/pytest tests/contract tests/integration --ignore tests/integration/trainer --ignore tests/integration/bench

test-models: init  ## part two: system, and integration of the trainer and the bench: what trains over servers
	@$(BIN)/pytest tests/system tests/integration/trainer tests/integration/bench

test-without-servers: init  ## part three: unit, training and packaging; at low priority beside the other two
	@nice -n 5 $(BIN)/pytest tests/unit tests/training tests/packaging

test-unit: init  ## pure and in-memory tests, no server
	@$(BIN)/pytest tests/unit

test-training: init  ## what trains nets or starts torchrun, no server
	@$(BIN)/pytest tests/training

test-contract: init  ## each interface to a server, on its in-memory stand-in and on the real one
	@$(BIN)/pytest tests/contract

test-integration: init  ## one service as a process over real servers, also when they fail
	@$(BIN)/pytest tests/integration

test-system: init  ## the whole product, black box
	@$(BIN)/pytest tests/system

test-packaging: init  ## who imports whom, extras, documents, help texts
	@$(BIN)/pytest tests/packaging

demo: init  ## the product on real frames: DATA=folder for your own, DETECTOR=name, KEEP=1 to run on
	@$(BIN)/steadyline demo $(if $(DATA),--data $(DATA)) $(if $(DETECTOR),--detector $(DETECTOR)) $(if $(KEEP),--keep)

up: init  ## start Kafka, Redis and Triton in the background, with the topics and models of the last time
	@$(BIN)/steadyline up --detach

down:  ## stop them
	@test ! -x $(BIN)/steadyline || $(BIN)/steadyline up --stop

doctor: init  ## check the servers, topics, models, bank and store
	@$(BIN)/steadyline doctor

docs: init  ## make docs/configuration.md, metrics.md, contracts.md, asyncapi.yaml and schemas/ from the code
	@$(BIN)/python -m tools.docs

bench: init  ## measure the line on this machine
	@$(BIN)/python -m bench.line

bench-faults: init  ## break a line in every way, as root; ONLY=words of one fault's name
	@$(BIN)/python -m bench.faults $(if $(ONLY),--only "$(ONLY)")

bench-soak: init  ## an hour of swaps and kills, as root; MINUTES=4 for a trial
	@$(BIN)/python -m bench.faults.soak $(if $(MINUTES),--minutes $(MINUTES))

bench-replicas: init  ## kill brokers of a cluster of three below a running line; ONLY=words of one fault's name
	@$(BIN)/python -m bench.replicas $(if $(ONLY),--only "$(ONLY)")

bench-deliveries: init  ## 10,000 alerts to five endpoints over three kills, on both databases; COUNT=120 for a trial
	@$(BIN)/python -m bench.alerts $(if $(COUNT),--alerts $(COUNT))

bench-scaling: init  ## measure a line, predict it, and size lines of 10 to 10,000 cameras
	@$(BIN)/python -m bench.scaling

lint-deploy: init  ## the chart, the rules and the Dockerfiles, without a server
	@$(BIN)/python -m tools.lint_deploy

verify-fuzz: init  ## hostile records to every reader on real servers: SEED=, COUNT= a topic, OUT=file
	@FUZZ_SEED=$(or $(SEED),1) FUZZ_COUNT=$(or $(COUNT),1000) FUZZ_OUT=$(OUT) $(BIN)/pytest -s tests/integration/fuzz

collector: init  ## build the OpenTelemetry Collector that some tests push through: needs Go, takes minutes
	@$(BIN)/python -m tools.collector

verify-dashboards: init  ## every query of the dashboards on a real line, and alerts by their causes; OUT=file
	@VERIFY_ALERTS=1 $(BIN)/pytest -q tests/integration/watching
	@$(BIN)/python -m bench.watching $(if $(OUT),--out $(OUT))

verify-deploy: init  ## the chart on a real Kubernetes control plane; KEEP=1 lets it run on; the first time builds it
	@$(BIN)/python -m tools.verify_deploy $(if $(KEEP),--keep)

verify-image: init  ## build each service's image and run it locked down, as root; ONLY=scorer for one
	@$(BIN)/python -m tools.images build --stand-in $(ONLY)
	@VERIFY_IMAGES="$(or $(ONLY),producers scorer trainer alerts steadyline triton-cpu)" $(BIN)/pytest -s tests/integration/images

bench-robustness: init  ## attack every detector on DATA=folder (MVTec layout); OUT=folder keeps what is done
	@$(BIN)/python -m bench.robustness --data data=$(DATA) --out $(or $(OUT),var/bench-robustness)

bench-contamination: init  ## train on normals with defects among them, with and without the guards; DATA=folder for your own
	@$(BIN)/python -m bench.contamination $(if $(DATA),--data $(DATA))

bench-shift: init  ## shift the light on DATA=folder, for the package MODEL=folder; OUT=folder keeps what is done
	@$(BIN)/python -m bench.shift --data data=$(DATA) --model model=$(MODEL) --out $(or $(OUT),var/bench-shift)

bench-anomalib: init  ## make .venv-anomalib, in which bench.robustness also knows Anomalib's models
	@$(BIN)/python -m tools.anomalib

bench-witness: init  ## make .venv-witness; with DATA=folder and MODEL=package, ask AutoAttack and auto-LiRPA of it
	@$(BIN)/python -m tools.witness
	@$(if $(MODEL),.venv-witness/bin/python -m bench.witness --data $(DATA) --model $(MODEL))

clean: down  ## remove what was made here, data of runs included
	@rm -rf .venv .venv-triton .venv-anomalib .venv-witness .cache var build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
