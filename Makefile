# `make demo` and `make test` set up everything they need, on a machine with Python >= 3.11 and nothing else.
PYTHON ?= python3
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# As `hooknet` sets it for itself: threads that wait do not spin.
export OMP_WAIT_POLICY ?= passive
CORES ?= $(shell nproc 2>/dev/null || echo 2)
# Tests side by side; each takes up to 2 GB.
WORKERS ?= $(shell test $(CORES) -lt 4 && echo $(CORES) || echo 4)

.PHONY: help setup demo study designs volumes test nightly fuzz faults check bench fidelity clean

help:                      ## What there is to make
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/:.*##/\t/' | expand -t 14

setup: .venv/.ok           ## The virtual environment, from constraints.txt

.venv/.ok: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit("hooknet needs Python 3.11 or newer, found " + sys.version.split()[0] + "; run make PYTHON=python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,keras,onnx,openvino,slurm,cluster]"
	touch $@

# Executors of clouds, for the tests of their profiles: apart, as they make every start of snakemake slower.
.venv/.clouds: .venv/.ok
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[kubernetes,aws]"
	touch $@

demo: setup                ## Generated slides -> HookNet and two U-Nets -> results/report/demo/index.html
	snakemake --cores $(CORES) --resources gpu=1
	@echo "Open results/report/demo/index.html"

study: setup               ## Which class needs which view: ten systems, three seeds, on the demo's slides
	snakemake --cores $(CORES) --resources gpu=1 --config experiments=config/examples/phantom_study/experiments.yaml
	@echo "Open results/report/demo/index.html"

designs: setup             ## The nine designs of H2G-Net, three seeds, on slides generated for them
	snakemake --cores $(CORES) --resources gpu=1 --config datasets=config/examples/phantom_h2g/datasets.yaml \
	    experiments=config/examples/phantom_h2g/experiments.yaml
	@echo "Open results/report/phantom_h2g/index.html"

volumes: setup             ## Generated hearts as NIfTI volumes -> slices -> two networks -> scores in 3D
	hooknet make-demo-volumes --output results/demo/hearts
	hooknet import-volumes --layout acdc --folder results/demo/hearts --output results/demo/heart_slices --name hearts
	snakemake --cores $(CORES) --resources gpu=1 --config datasets=results/demo/heart_slices/datasets.yaml \
	    experiments=config/examples/hearts/experiments.yaml
	@echo "Open results/report/hearts/index.html"

test: setup .venv/.clouds  ## Tests, the end-to-end run of a tiny configuration among them
	python -m pytest -m "not slow and not slurm" -n $(WORKERS) --dist loadscope
	python -m pytest -m "not slow and slurm"

nightly: setup .venv/.clouds ## All tests, the slow ones too, a hundred kills and an hour of fuzzing
	python -m pytest
	python tests/fault_kills.py
	$(MAKE) fuzz

fuzz: setup                ## Readers of files of others on damaged ones, for HOOKNET_FUZZ_MINUTES (60)
	HOOKNET_FUZZ_MINUTES=$${HOOKNET_FUZZ_MINUTES:-60} python -m pytest tests/fuzz -s

faults: setup              ## Steps killed at 100 instants, disks full or read-only, clocks that leap, two runs at once
	python tests/fault_kills.py
	python -m pytest tests/faults

check: setup               ## Style, types, workflow: what has to be clean before a commit
	ruff check .
	ruff format --check .
	mypy
	snakefmt --check Snakefile workflow
	snakemake --lint
	hooknet check --no-files

bench: setup               ## Speed, as ratios within one run
	python -m benchmarks

fidelity: setup            ## Differences from the official Keras code, where its outputs lie beside the repository
	python -m benchmarks.fidelity

clean:                     ## Remove what can be made again, except results/ and .venv/
	rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info
	find . -name __pycache__ -prune -not -path './.venv/*' -exec rm -rf {} +
