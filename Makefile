# Needs make, git and Python 3.11 or later; makes its own .venv. PYTHON=/path/to/python3 chooses one.
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install
# Installs wheels whose hashes are in requirements/, then the program itself, built with one of them.
INSTALL = $(PIP) --require-hashes --requirement requirements/$(1).txt && \
  $(PIP) --no-deps --no-build-isolation --editable .
export PYTHON

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test fresh lab chaos bench bench-lab check screenshots keys lock clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.run ## Open the app on five simulated hosts, in a folder of their own
	@$(BIN)/nixfleet demo

test: $(VENV)/.dev ## Run all tests that need no root; ALL=1: with each shell, and leave none out
	@$(BIN)/pytest --numprocesses auto --dist worksteal $(if $(ALL),--all,--one-shell) \
	  $(if $(PASSED),--passed-in=$(PASSED))

fresh: ## Try `make demo` and `make test` of HEAD with only Python, git and make (root, Debian)
	@cd tests && python3 -m fresh $(if $(PASSED),--passed-to=$(abspath $(PASSED)))

lab: ## Run the tests on real hosts with real Nix, in namespaces here (root, Debian)
	@tests/lab/prepare.sh
	@$(MAKE) --silent $(VENV)/.dev
	@tests/lab/all.sh $(BIN)/pytest

chaos: $(VENV)/.dev ## Run the part of `make lab` that breaks updates in every way; print how they end
	@tests/lab/prepare.sh
	@$(BIN)/pytest tests/lab/chaos

bench: $(VENV)/.dev ## Measure the app against peers, in ratios; SHORT=1: quickly, fails if one is far off
	@cd tests && PYTHONPATH=..:. ../$(BIN)/python -m bench $(if $(SHORT),--short)

bench-lab: $(VENV)/.dev ## Measure updates on real hosts against the line typed by hand; ROUNDS=N (root, Debian)
	@tests/lab/prepare.sh
	@cd tests && ../$(BIN)/python -m lab.bench $(ROUNDS)

check: $(VENV)/.dev ## Check style, types, architecture and shell
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	MYPYPATH=tests $(BIN)/mypy --package lab --package fresh --package scopes --package bench --module left_out --module passed_before --module keys_table
	$(BIN)/mypy requirements/lock.py
	MYPYPATH=tests:tests/unit $(BIN)/mypy tests/fakes.py tests/unit
	MYPYPATH=tests:tests/scripts $(BIN)/mypy tests/scripts
	$(BIN)/lint-imports
	git ls-files -z '*.sh' .ci/run | xargs -0 $(BIN)/shellcheck
	cd tests && PYTHONPATH=..:. ../$(BIN)/python -m scopes

screenshots: $(VENV)/.dev ## Take the pictures in screenshots/ again, from the real app
	@$(BIN)/python screenshots/make.py

keys: $(VENV)/.dev ## Write the README's table of keys again, from the app's bindings
	@cd tests && PYTHONPATH=.. ../$(BIN)/python -m keys_table

lock: $(VENV)/.made ## Pin all packages again; UPGRADE=1: at their newest versions
	@$(PIP) --require-hashes --requirement requirements/lock.txt
	@UPGRADE=$(UPGRADE) $(BIN)/python requirements/lock.py

clean: ## Remove all that make has made here
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# Packages for the program, and for its tests. A stamp says that pip is done.
$(VENV)/.run: $(VENV)/.made pyproject.toml requirements/run.txt
	@echo "Installing the program into $(VENV) ..."
	@$(call INSTALL,run)
	@touch $@

$(VENV)/.dev: $(VENV)/.made pyproject.toml requirements/dev.txt
	@echo "Installing the program and its test tools into $(VENV) ..."
	@$(call INSTALL,dev)
	@touch $(VENV)/.run $@

$(VENV)/.made:
	@for python in $${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do \
	  if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2> /dev/null; then \
	    found=$$python; break; \
	  fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "make: no Python 3.11 or later here; name one with PYTHON=/path/to/python3" >&2; exit 1; \
	fi; \
	if ! "$$found" -c 'import ensurepip, venv' 2> /dev/null; then \
	  echo "make: $$found cannot make a venv; on Debian: apt-get install python3-venv" >&2; exit 1; \
	fi; \
	"$$found" -m venv --clear $(VENV)
	@touch $@
