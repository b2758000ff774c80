.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c

UV := .tools/uv/bin/uv
PY := .venv/bin/python
NODE_BIN := tools/node/node_modules/.bin
# Checks in Node send nothing and ask for nothing outside.
OFFLINE := REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true NODE_OPTIONS=--require=./tools/node/offline.cjs
NAME ?= default
# The first of some variables that is empty, and how the target is called: $(call need,FUNCTION EVENT,make invoke …)
need = $(foreach variable,$(1),$(if $($(variable)),,$(error $(variable) is missing: $(2))))
export ARCHITECTURE ?= arm64
export SAM_CLI_TELEMETRY := 0
# Where it is set, every process would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE
export PATH := $(CURDIR)/.venv/bin:$(CURDIR)/.tools/sam/bin:$(PATH)

help: ## List the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-17s %s\n", $$1, $$2}'

setup: .venv/installed tools/node/node_modules/installed ## Install everything into .venv, .tools and tools/node, from PyPI and npm

$(UV):
	python3 -m venv .tools/uv
	.tools/uv/bin/python -m pip install $(QUIET) --disable-pip-version-check uv

# On a terminal uv shows what it downloads.
QUIET := $(shell [ -t 2 ] || echo --quiet)

# uv is used because one call makes the environment from the pinned list, hashes checked.
.venv/installed: requirements-dev.txt requirements-sam.txt requirements-gates.txt requirements-openapi.txt requirements-audit.txt .python-version | $(UV)
	@$(UV) python find --quiet --no-python-downloads "$$(cat .python-version)" >/dev/null 2>&1 \
		|| { echo "Python $$(cat .python-version) is missing: install it (pyenv install 3.13, or your system's package python3.13) and run make again." >&2; exit 1; }
	$(UV) venv --quiet --clear --no-python-downloads --python "$$(cat .python-version)" .venv
	$(UV) pip sync $(QUIET) --python .venv --require-hashes requirements-dev.txt
	$(UV) venv --quiet --clear --no-python-downloads --python "$$(cat .python-version)" .tools/sam
	$(UV) pip sync $(QUIET) --python .tools/sam --require-hashes requirements-sam.txt
	$(UV) venv --quiet --clear --no-python-downloads --python "$$(cat .python-version)" .tools/gates
	$(UV) pip sync $(QUIET) --python .tools/gates --require-hashes requirements-gates.txt
	$(UV) venv --quiet --clear --no-python-downloads --python "$$(cat .python-version)" .tools/openapi
	$(UV) pip sync $(QUIET) --python .tools/openapi --require-hashes requirements-openapi.txt
	$(UV) venv --quiet --clear --no-python-downloads --python "$$(cat .python-version)" .tools/audit
	$(UV) pip sync $(QUIET) --python .tools/audit --require-hashes requirements-audit.txt
	@touch $@

# Node and npm are a wheel in .venv. Packages that the cache holds are not looked for again: the lock names their hashes.
tools/node/node_modules/installed: tools/node/package.json tools/node/package-lock.json tools/node/.npmrc | .venv/installed
	cd tools/node && npm ci --prefer-offline --loglevel=error
	@touch $@

format: setup ## Rewrite the code in the house style
	ruff format
	ruff check --fix

CHECKS := check-types check-template check-api check-style check-secrets check-imports

check: setup ## All of the checks below: style, types, dependency rule, template, API description
	@$(MAKE) --no-print-directory --output-sync=target --jobs 2 $(CHECKS)

# The slowest first: two run at a time.
check-types: ## Types of the code and of the tests
	mypy

check-template: ## The template as it is deployed, and the state machines
	$(PY) -m tools.checks
	$(PY) -m tools.checks.machines
	sam validate --lint --region us-east-1

check-style: ## Format and lint rules
	ruff format --check
	ruff check
	! git grep -nE "^(<{7}|>{7}) "

check-secrets: ## No file that is committed holds a secret
	git ls-files -z | $(OFFLINE) xargs -0 node $(NODE_BIN)/secretlint --no-color

check-imports: ## The dependency rule
	PYTHONPATH=layers/recordings lint-imports

check-api: ## docs/openapi.yaml and what is generated from it
	$(PY) -m tools.openapi.generate --check
	$(PY) -m tools.openapi.client_models --check
	node tools/node/draw.mjs --check
	$(OFFLINE) $(NODE_BIN)/redocly lint --config tools/openapi/redocly.yaml docs/openapi.yaml
	$(OFFLINE) $(NODE_BIN)/spectral lint --ruleset tools/openapi/spectral.yaml --fail-severity hint docs/openapi.yaml

unit: setup ## The unit tests: no AWS, no sockets, about half a minute
	$(PY) -m pytest -n 2 --dist worksteal tests/unit

integration: setup ## The integration tests: adapters and functions on an imitated AWS, tools with local servers
	$(PY) -m pytest -n 2 --dist worksteal tests/integration

# End-to-end tests wait more than they compute, so three stacks keep two processors busy.
test: check ## Everything: check, then unit, integration, template and end-to-end tests
	$(PY) -m pytest -n 2 --dist worksteal --cov --cov-report= tests/template tests/integration tests/unit
	@$(MAKE) --no-print-directory coverage
	$(PY) -m pytest -n 3 --dist loadfile --no-loadscope-reorder tests/e2e

coverage: ## What the last `make test` left uncovered; fails below 97 % of the layer or 95 % of the functions
	coverage report --include='layers/*' --fail-under=97
	coverage report --include='functions/*' --fail-under=95

explore: setup ## Property tests with examples of chance (what it finds becomes an @example)
	$(PY) -m pytest -n 2 --hypothesis-profile=explore tests/unit/domain tests/unit/services/test_model.py \
		tests/unit/services/test_meeting_model.py \
		tests/integration/adapters/test_store_contract.py tests/unit/adapters/test_media*.py \
		tests/unit/http/test_hostile_requests.py tests/integration/functions/test_hostile.py

up: setup ## Bring up the local stack, and print a token and calls to paste (NAME=default)
	$(PY) -m tools.local --name $(NAME) up

down: setup ## Stop the local stack (NAME=default)
	$(PY) -m tools.local --name $(NAME) down

deploy-local: setup ## Deploy the code as it is now into the running local stack; its data stays (NAME=default)
	$(PY) -m tools.local --name $(NAME) deploy

demo: setup ## The main job on a local stack, step by step (KEEP=1 leaves the stack up)
	PYTHONPATH=clients/python/src $(PY) -m tools.local.demo $(if $(KEEP),--keep)

invoke: setup ## Run one function on the local stack (NAME=default FUNCTION=GetRecording EVENT=events/get_recording.json)
	$(call need,FUNCTION EVENT,make invoke FUNCTION=GetRecording EVENT=events/get_recording.json)
	$(PY) -m tools.local --name $(NAME) invoke --function "$(FUNCTION)" --event "$(EVENT)"

record-responses: setup ## Record the HTTP responses that tests/e2e/test_recorded_responses.py compares
	RECORD_RESPONSES=1 $(PY) -m pytest -q tests/e2e/test_recorded_responses.py

openapi: setup ## Write docs/openapi.yaml from the code that answers
	$(PY) -m tools.openapi.generate

client-models: setup ## Write the Python client's models from docs/openapi.yaml
	$(PY) -m tools.openapi.client_models

pictures: setup ## Draw docs/pictures/*.svg from their .dot files
	node tools/node/draw.mjs

register-webhook: setup ## Have Cloudflare send its webhooks to the deployed API (URL=https://… SECRET=arn ACCOUNT=… APP=…)
	$(call need,URL SECRET ACCOUNT APP,make register-webhook URL=https://… SECRET=arn:… ACCOUNT=… APP=…)
	./recordings-admin register-webhook --url "$(URL)" --secret "$(SECRET)" --account "$(ACCOUNT)" --app "$(APP)"

audit: setup ## Compare what is stored with the records (STACK_NAME=… TENANT=… REPAIR=1)
	./recordings-admin reconcile $(if $(STACK_NAME),--stack "$(STACK_NAME)") \
		$(if $(filter undefined,$(origin TENANT)),,--tenant "$(TENANT)") $(if $(REPAIR),--repair) \
		|| { status=$$?; [ $$status -eq 3 ] || exit $$status; }   # 3 is a finding, which is no error of make

bench-transfer: setup ## A copy beside rclone's over HTTP and TLS, and what it costs; fails if it misses a bar
	$(PY) -m tools.bench.transfer

bench-sync: setup ## What a scheduled sync costs in calls and writes
	$(PY) -m tools.bench.sync

bench-writes: setup ## What changes of recordings write, and how often those of one tenant conflict
	$(PY) -m tools.bench.writes

bench-api: setup ## Units, trips, calls and CPU of each function, compared with the committed table (ACCEPT=1 accepts it)
	$(PY) -m tools.bench.api $(if $(ACCEPT),--accept)
	$(PY) -m tools.bench.cost $(if $(ACCEPT),--write) >/dev/null

bench-cold-start: setup ## Import time of each function beside a bare handler and an earlier commit (ALL=1: also behind no API)
	$(PY) -m tools.bench.cold_start $(if $(ALL),--all)

bench-list: setup ## What pages of recordings cost, beside PostgreSQL (SIZES=1000,10000,100000,1000000 POSTGRES=on WRITE=1)
	$(PY) -m tools.bench.lists $(if $(SIZES),--sizes "$(SIZES)") $(if $(filter off,$(POSTGRES)),--without-postgres) \
		$(if $(WRITE),--write)

soak: setup ## Load with faults, then compare everything with what was recorded (MINUTES=10, SEED=1, WRITE=1 for docs/soak.md)
	$(PY) -m tools.bench.soak $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SEED),--seed $(SEED)) $(if $(WRITE),--write)

audit-dependencies: setup ## Look up all pinned dependencies in the published advisories (3: they cannot be read here)
	$(PY) -m tools.audit_dependencies

lock: setup ## Pin the versions in requirements*.txt and tools/node/package-lock.json again
	$(UV) pip compile -q --upgrade --python-version 3.13 --universal --generate-hashes --no-header --no-emit-index-url requirements-dev.in -o requirements-dev.txt
	$(UV) pip compile -q --upgrade --python-version 3.13 --generate-hashes --no-header --no-emit-index-url requirements-sam.in -o requirements-sam.txt
	$(UV) pip compile -q --upgrade --python-version 3.13 --generate-hashes --no-header --no-emit-index-url --overrides requirements-gates-overrides.in requirements-gates.in -o requirements-gates.txt
	$(UV) pip compile -q --upgrade --python-version 3.13 --universal --generate-hashes --no-header --no-emit-index-url requirements-openapi.in -o requirements-openapi.txt
	$(UV) pip compile -q --upgrade --python-version 3.13 --universal --generate-hashes --no-header --no-emit-index-url requirements-audit.in -o requirements-audit.txt
	$(UV) pip compile -q --python-version 3.13 --universal --generate-hashes --no-header --no-emit-index-url -c requirements-dev.txt layers/dependencies/requirements.in -o layers/dependencies/requirements.txt
	cd tools/node && npm update --package-lock-only --loglevel=error && node unaddressed.mjs

build: setup ## Build the layers and functions for deployment (ARCHITECTURE=arm64|x86_64)
	sam build
	$(PY) -m tools.local.wheels .aws-sam/build

deploy: test build ## Deploy to AWS (STACK=default|prod)
	$(PY) -m tools.local.wheels .aws-sam/build --config-env $(or $(STACK),default)
	sam deploy --config-env $(or $(STACK),default)

release: setup ## Build dist/ for a release from what is unreleased, and write CHANGELOG's section (VERSION=1.2.3)
	$(PY) -m tools.release --check "$(VERSION)"
	$(MAKE) test build
	$(PY) -m tools.release "$(VERSION)"

.PHONY: help setup format check check-types check-template check-api check-style check-secrets check-imports unit integration test coverage explore up down deploy-local demo invoke record-responses openapi client-models pictures register-webhook audit bench-transfer bench-sync bench-writes bench-api bench-cold-start bench-list soak audit-dependencies lock build deploy release
