# make demo: set up and run the embedded default without its experiments. make test: set up and
# run the tests.
PYTHON ?= python3
CONFIG ?= config/config.yaml
VENV := .venv
BIN := $(VENV)/bin
SNAKEMAKE := $(BIN)/snakemake

.PHONY: help setup demo test test-cluster test-faults doctor estimate lint clean

help:
	@echo "make demo    set up and run the workflow on simulated sections, without experiments"
	@echo "make test    set up and run the tests"
	@echo "make test-cluster  test the Slurm profile on a real Slurm (root and apt-get needed)"
	@echo "make test-faults   test kills and other faults more often than make test does"
	@echo "make doctor  check this machine"
	@echo "make estimate CONFIG=config/demo.yaml  tell what a study will cost, without running it"
	@echo "make lint    check style and workflow"
	@echo "make clean   remove everything computed (results, logs), keep downloads"

setup: $(VENV)/.installed

$(VENV)/.installed: constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; say which: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-test: $(VENV)/.installed
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[test]'
	@touch $@

demo: $(VENV)/.installed
	$(SNAKEMAKE) results/demo/comparison.html --cores all --configfile config/demo.yaml

test: $(VENV)/.installed-test
	$(BIN)/pytest --numprocesses 2 --dist worksteal

test-cluster: $(VENV)/.installed-test
	REG2ST_TEST_CLUSTER=1 $(BIN)/pytest tests/cluster

test-faults: $(VENV)/.installed-test
	REG2ST_TEST_FAULTS=1 $(BIN)/pytest --numprocesses 2 --dist worksteal tests/faults

doctor: $(VENV)/.installed
	$(BIN)/python -m reg2st.tools.doctor --configfile $(CONFIG)

estimate: $(VENV)/.installed
	@$(BIN)/python scripts/estimate.py --configfile $(CONFIG)

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check workflow
	$(SNAKEMAKE) --lint --configfile config/demo.yaml

clean:
	rm -rf results logs
