# Everything a person or CI does with this repository. `make help` lists it.
BIN := .venv/bin
VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' src/rowcast/__init__.py)
export DOCKER_USERNAME
.DEFAULT_GOAL := help

.PHONY: help
help: ## list what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-15s %s\n", $$1, $$2}'

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
	@$(BIN)/pytest -n 3 --dist worksteal tests

.PHONY: screenshots
screenshots: setup ## take the pictures of the dashboard in docs/screenshots anew
	@scripts/setup-services.sh
	@$(BIN)/python scripts/screenshots.py

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

.PHONY: example-credit
example-credit: setup ## from raw loans to a served decision; writes examples/credit-default/reports anew
	@$(BIN)/python examples/credit-default/run.py $(OPTIONS)

.PHONY: bench
bench: setup ## measure against floors in the same run; writes benchmarks/results
	@$(BIN)/python -m benchmarks

.PHONY: bench-peers
bench-peers: setup ## measure beside MLServer, BentoML, LitServe, Ray Serve and MLflow; one table
	@scripts/setup-peers.sh
	@$(BIN)/python -m benchmarks.peers

.PHONY: bench-tune
bench-tune: setup ## compare `rowcast tune` with AutoGluon, a minute each, on real tables and several splits of them; over an hour
	@scripts/setup-peers.sh tuning
	@$(BIN)/python -m benchmarks.tuning

.PHONY: lock
lock: setup ## resolve the newest dependencies into the hash-pinned locks
	@cd requirements && for set in clients/*.in peers/*.in tuning/*.in deploy.in mlflow.in; do \
	  UV_PYTHON_DOWNLOADS=never ../$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	    --generate-hashes --no-header $$set -o $${set%.in}.txt || exit 1; done
	@cd requirements && for set in uv runtime dev ray; do \
	  case $$set in uv|ray) from=$$set.in;; runtime) from=../pyproject.toml;; dev) from="--extra dev -c runtime.txt ../pyproject.toml";; esac; \
	  UV_PYTHON_DOWNLOADS=never ../$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	    --generate-hashes --no-header $$from -o $$set.txt || exit 1; done

.PHONY: build
build: ## build the image of all roles, `rowcast`, with a Docker engine
	@SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) docker build --tag rowcast --tag rowcast:$(VERSION) \
	  --file deploy/docker/Dockerfile .

.PHONY: build-push
build-push: build ## give the image to a registry (DOCKER_USERNAME=..., after docker login)
	@: $${DOCKER_USERNAME:?is needed: make build-push DOCKER_USERNAME=...}
	@for tag in $(VERSION) latest; do \
	  docker tag rowcast $$DOCKER_USERNAME/rowcast:$$tag && docker push $$DOCKER_USERNAME/rowcast:$$tag || exit 1; done

.PHONY: compose
compose: build ## run everything on this machine in containers, at https://localhost
	@scripts/run-compose.sh

.PHONY: minikube
minikube: ## run the applications in minikube and the services in containers beside it
	@scripts/run-minikube.sh

.PHONY: stop
stop: ## stop what compose and minikube started (CLEAN=1 deletes the data too)
	@scripts/stop-all.sh $(if $(CLEAN),clean)

.PHONY: smoke
smoke: setup ## go through REST and gRPC of a running Rowcast (URL=https://..., ROWCAST_API_KEY; AUTHORITY=ca.pem)
	@$(BIN)/python scripts/smoke.py $(URL) $(if $(AUTHORITY),--authority $(AUTHORITY))

.PHONY: compose-test
compose-test: setup build ## run all of compose.yaml under load and kill parts of it, with a Docker engine
	@ROWCAST_COMPOSE_TEST=1 $(BIN)/pytest -q -s tests/deploy/test_compose.py

.PHONY: manifests-check
manifests-check: setup ## hold the Dockerfile and the Kubernetes manifests against linters and schemas
	@scripts/check-manifests.sh

.PHONY: swagger
swagger: ## fetch the files of the API's documentation page again from npm
	@scripts/fetch-swagger.sh

.PHONY: clean
clean: ## remove what was made, but for data
	@rm -rf .venv .venv-clients .venv-peers .venv-deploy .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist build
