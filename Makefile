# `make help` lists the targets.
PYTHON ?= python3
CONFIG ?= config/config.yaml
VENV := .venv
BIN := $(VENV)/bin
SNAKEMAKE := $(BIN)/snakemake

.PHONY: help setup demo test test-catalog test-cluster test-container test-faults test-faults-short test-regression test-scale doctor estimate reference sheet docs lint clean

help:
	@echo "make demo             set up and compare the methods on simulated sections"
	@echo "make test             set up and run the tests"
	@echo "make test-catalog     run the small study of the workflow catalog, in .test"
	@echo "make test-cluster     test the Slurm profile on a real Slurm (needs root and apt-get)"
	@echo "make test-container   build the container image and run a job in it (needs root and apt-get)"
	@echo "make test-faults      test many kills, full disks and other faults"
	@echo "make test-faults-short  test one fault of each kind in a few minutes"
	@echo "make test-regression  compare the scores of whole studies with stored ones"
	@echo "make test-scale       run made-up sections of up to 200,000 bins; takes hours"
	@echo "make doctor           check this machine; CONFIG names one config file or several"
	@echo "make estimate CONFIG=config/demo.yaml  estimate the cost of a study without running it"
	@echo "make sheet FOLDER=my_data  propose a sample sheet for the sections in a folder"
	@echo "make reference        write the config's schema and key tables from its classes"
	@echo "make docs             build the documentation and check its links"
	@echo "make lint             check style and workflow"
	@echo "make clean            remove results and logs, keep downloads"

setup: $(VENV)/.installed

$(VENV)/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed, for example: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@echo "Setting up $(VENV): a few minutes and, with PyTorch for GPUs, 3 GB to download ..." >&2
	@$(PYTHON) -m venv --upgrade-deps $(VENV)

# Each is one call of pip, which takes a minute or more to resolve what it installs.
INSTALL = @$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e

$(VENV)/.installed: constraints.txt pyproject.toml | $(VENV)/bin/pip
	$(INSTALL) .
	@touch $@

$(VENV)/.installed-docs: constraints.txt pyproject.toml | $(VENV)/bin/pip
	$(INSTALL) '.[docs]'
	@touch $(VENV)/.installed $@

$(VENV)/.installed-test: constraints.txt pyproject.toml | $(VENV)/bin/pip
	$(INSTALL) '.[docs,test]'
	@touch $(VENV)/.installed $(VENV)/.installed-docs $@

demo: $(VENV)/.installed
	$(SNAKEMAKE) comparison slides viewer --cores all --configfile config/demo.yaml \
		--report results/demo/report.html --report-after-run --logger oneline

# tests/conftest.py puts the files in order.
SIDE_BY_SIDE = --numprocesses 3 --dist loadfile --no-loadscope-reorder

test: $(VENV)/.installed-test
	$(BIN)/pytest $(SIDE_BY_SIDE)

test-catalog: $(VENV)/.installed
	$(SNAKEMAKE) --directory .test --cores 2 --logger oneline

test-cluster: $(VENV)/.installed-test
	REG2ST_TEST_CLUSTER=1 $(BIN)/pytest tests/cluster

test-container: $(VENV)/.installed-test
	REG2ST_TEST_CONTAINER=1 $(BIN)/pytest -s tests/container -o timeout=3600

test-faults: $(VENV)/.installed-test
	$(BIN)/pytest $(SIDE_BY_SIDE) -m faults tests/faults

test-faults-short: $(VENV)/.installed-test
	$(BIN)/pytest $(SIDE_BY_SIDE) -m "faults and not long" tests/faults

test-regression: $(VENV)/.installed-test
	REG2ST_TEST_REGRESSION=1 $(BIN)/pytest tests/regression tests/workflow/test_declared_files.py

test-scale: $(VENV)/.installed-test
	$(BIN)/pytest -s -m scale tests/scale

doctor: $(VENV)/.installed
	@$(BIN)/python -m reg2st.tools.doctor --configfile $(CONFIG)

estimate: $(VENV)/.installed
	@$(BIN)/python -m reg2st.tools.estimate --configfile $(CONFIG)

sheet: $(VENV)/.installed
	@$(BIN)/python -m reg2st.tools.propose_sheet $(FOLDER)

reference: $(VENV)/.installed
	$(BIN)/python -m reg2st.study.config_reference

docs: $(VENV)/.installed-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check workflow
	$(BIN)/oxlint --deny-warnings src/reg2st/report/viewer/web
	$(SNAKEMAKE) --lint --configfile config/demo.yaml

clean:
	rm -rf results logs
