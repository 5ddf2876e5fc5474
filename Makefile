# Every target does its own set-up: a virtual environment in .venv, the packages, the model's weights.

# Which Python and which torch .venv is made of; who names none gets what is there, or at first python3 and the
# registry's torch. TORCH=cpu: torch's build without CUDA's libraries, from TORCH_INDEX (default: that of torch's makers).
PYTHON ?=
TORCH ?=
TORCH_INDEX ?=
BIN := .venv/bin
# Jupyter refuses to run as root unless it is told that this is meant; in a container, one is.
AS_ROOT := $(if $(filter 0,$(shell id -u)),--allow-root)

.PHONY: help ready demo test lab bundle check bench clean

help:  ## Show this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

ready:  ## Make .venv, or bring it up to date; every other target does it first
	@$(or $(PYTHON),python3) scripts/environment.py --python '$(PYTHON)' --torch '$(TORCH)' --torch-index '$(TORCH_INDEX)'

demo: ready  ## SmolLM2 answers three prompts through paged memory; writes to out/
	$(BIN)/pagedviz demo --out out --notebook notebooks/01_watch_paged_attention.ipynb

test: ready  ## Run every test, in the browser too
	scripts/install-chromium
	# Two processes, a file of tests each at a time; with threads of their own they would wait for each other.
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

lab: ready  ## Open JupyterLab on the first notebook; as root, with --allow-root
	$(BIN)/jupyter lab $(AS_ROOT) notebooks/01_watch_paged_attention.ipynb

bundle: ready  ## Minify the dashboard and write what lists its panels; after every change to pagedviz/browser
	$(BIN)/python scripts/bundle.py

check: ready  ## Lint and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: ready  ## Compare with model.generate; measure recording, the memory hierarchy and traces
	$(BIN)/pagedviz bench equality
	$(BIN)/pagedviz bench throughput
	$(BIN)/pagedviz bench recording
	$(BIN)/pagedviz bench blocks
	$(BIN)/pagedviz bench prefix --num-device-blocks 400
	$(BIN)/pagedviz bench swap
	$(BIN)/pagedviz bench waste
	$(BIN)/pagedviz bench policies
	$(BIN)/pagedviz bench trace

clean:  ## Remove what the targets above made, except models in the user's cache
	rm -rf .venv out
