# Everything a person or CI does with this repository. `make help` lists it.
BIN := .venv/bin
.DEFAULT_GOAL := help

.PHONY: help
help: ## list what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

.venv/.ready: scripts/setup.sh pyproject.toml requirements/dev.txt requirements/uv.txt
	@scripts/setup.sh

.PHONY: setup
setup: .venv/.ready ## install everything, hash-pinned, into .venv

.PHONY: demo
demo: setup ## upload a real table, train, explain one prediction; serves until Ctrl-C (EXIT=1 ends by itself)
	@$(BIN)/rowcast demo $(if $(EXIT),--exit)

.PHONY: up
up: setup ## run the whole product on this machine
	@$(BIN)/rowcast up

.PHONY: test
test: setup ## run every test, on services of its own
	@scripts/setup-services.sh
	@scripts/setup-clients.sh
	@$(BIN)/pytest -n 2 --dist worksteal tests

.PHONY: clients
clients: setup ## call a server with the clients of Triton, KServe, MLServer and MLflow, unchanged from PyPI
	@scripts/setup-clients.sh
	@$(BIN)/pytest -q tests/acceptance/test_clients.py

.PHONY: chaos
chaos: setup ## kill everything at random under load and count what is lost (OPTIONS="--seed 7 --kills 30")
	@scripts/setup-services.sh
	@PYTHONPATH=tests $(BIN)/python -m chaos $(OPTIONS)

.PHONY: spending
spending: setup ## 64 clients spend one balance for a minute while all is killed; count every credit
	@scripts/setup-services.sh
	@PYTHONPATH=tests $(BIN)/python -m chaos.spending laptop $(OPTIONS)
	@PYTHONPATH=tests $(BIN)/python -m chaos.spending services $(OPTIONS)

.PHONY: lint
lint: setup ## style, types, import directions, generated files and migrations in step
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/python scripts/generate.py --check
	@$(BIN)/python scripts/generate_protos.py --check
	@$(BIN)/python scripts/check_protos.py
	@$(BIN)/python scripts/generate_sync_client.py --check
	@$(BIN)/python -m rowcast.adapters.database.check

.PHONY: format
format: setup ## put the code into the house's form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: generate
generate: setup ## make again what is generated: gRPC modules, the sync client, the references in docs
	@$(BIN)/python scripts/generate.py
	@$(BIN)/python scripts/generate_protos.py
	@$(BIN)/python scripts/generate_sync_client.py

.PHONY: bench
bench: setup ## measure against floors in the same run; writes benchmarks/results
	@$(BIN)/python -m benchmarks

.PHONY: lock
lock: setup ## resolve the newest dependencies into the hash-pinned locks
	@cd requirements && for set in clients/*.in; do \
	  UV_PYTHON_DOWNLOADS=never ../$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	    --generate-hashes --no-header $$set -o $${set%.in}.txt || exit 1; done
	@cd requirements && for set in uv runtime dev; do \
	  case $$set in uv) from=uv.in;; runtime) from=../pyproject.toml;; dev) from="--extra dev -c runtime.txt ../pyproject.toml";; esac; \
	  UV_PYTHON_DOWNLOADS=never ../$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	    --generate-hashes --no-header $$from -o $$set.txt || exit 1; done

.PHONY: swagger
swagger: ## fetch the files of the API's documentation page again from npm
	@scripts/fetch-swagger.sh

.PHONY: clean
clean: ## remove what was made, but for data
	@rm -rf .venv .venv-clients .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist build
