# Every target does its own set-up. Needs Python 3.11 or newer (with venv) and make.
PYTHON ?= $(firstword $(foreach v,python3.13 python3.12 python3.11 python3,$(shell $(v) -c 'import sys, venv, ensurepip; sys.version_info >= (3, 11) and print("$(v)")' 2>/dev/null)))
BIN := .venv/bin
PIP := -m pip install --quiet --disable-pip-version-check
# The SDK has its configuration checked at every turn, which jsonschema before 4.18 does in two fifths of the time.
SDK2 := .venvs/sdk2
SDK3 := .venvs/sdk3
# All of 3.27, but without MLflow, PyArrow, Iceberg and s3fs (0.6 GB), which training and serving do not
# import; `ModelBuilder` imports docker, though it needs none.
SDK3PARTS := sagemaker==3.27.0 sagemaker-train==1.27.0 sagemaker-serve==1.27.0 sagemaker-mlops==1.27.0
AWSCLI := .venvs/awscli
# R's reticulate needs a Python with a shared library, as Debian's own is; the folder's name is the conda environment's.
R := .venvs/sagemaker-r
RPYTHON := $(firstword $(wildcard /usr/bin/python3) $(PYTHON))

.PHONY: setup test check demo compat compatibility bench fuzz clean

setup: .venv/.complete

.venv/.complete: pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with venv is needed (Debian: apt install python3-venv)."; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python $(PIP) --editable '.[dev]'
	$(BIN)/python -m compileall -q src
	$(BIN)/python -m sagestead.forest.compiling
	@touch $@

test: setup check
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not compat"

check: setup
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/lint-imports

demo: setup $(SDK2)/.complete
	$(BIN)/sagestead demo --python $(SDK2)/bin/python

compat: setup $(SDK2)/.complete $(SDK3)/.complete $(AWSCLI)/.complete $(if $(shell command -v Rscript),$(R)/.complete)
	$(BIN)/python -m pytest -n 2 --dist loadgroup -m compat -rs tests/compat

compatibility: setup
	$(BIN)/python -m sagestead.control.compatibility

# Short measurements; needs wrk. bench/README.md has the long ones.
bench: setup
	mkdir -p .bench/results
	$(BIN)/python bench/limit.py --seconds 1 --json .bench/results/limit.json
	$(BIN)/python bench/start.py --quick --json .bench/results/start.json
	$(BIN)/python bench/invoke.py --quick --json .bench/results/invoke.json

# Coverage-guided, for as long as you like: make fuzz TARGET=csv RUNS=1000000 (0: without end). The names
# of the targets: .venv/bin/python -m tests.fuzz.run --help
TARGET ?= csv
RUNS ?= 0
fuzz: setup .venv/.fuzz
	$(BIN)/python -m tests.fuzz.guided $(TARGET) $(RUNS)

.venv/.fuzz: pyproject.toml
	$(BIN)/python $(PIP) --editable '.[fuzz]'
	@touch $@

$(SDK2)/.complete: Makefile
	$(PYTHON) -m venv $(SDK2)
	$(SDK2)/bin/python $(PIP) 'sagemaker==2.257.7' 'jsonschema<4.18' 'numpy<2' 'pandas<3' 'matplotlib>=3.8,<4'
	@touch $@

$(SDK3)/.complete: Makefile
	$(PYTHON) -m venv $(SDK3)
	$(SDK3)/bin/python $(PIP) 'sagemaker-core==2.27.0' 'graphene>=3,<4' 'jinja2>=3,<4' nest_asyncio psutil tqdm docker
	$(SDK3)/bin/python $(PIP) --no-deps $(SDK3PARTS)
	@touch $@

$(AWSCLI)/.complete: Makefile
	$(PYTHON) -m venv $(AWSCLI)
	$(AWSCLI)/bin/python $(PIP) 'awscli>=1.46,<2' 's3cmd>=2.4,<3'
	@touch $@

$(R)/.complete: Makefile
	$(RPYTHON) -m venv $(R)
	$(R)/bin/python $(PIP) 'sagemaker==2.17.0' 'numpy<1.24' 'pandas<2' 'protobuf<3.21' 'setuptools<80' wheel
	@touch $@

clean:
	rm -rf .venv .venvs .bench .fuzz demo-output
