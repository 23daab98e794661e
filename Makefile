# make book | live | live-test | live-lock | lab | test | bench | shots | lock | clean      each sets up .venv by itself
.DEFAULT_GOAL := book
.PHONY: book live live-test live-lock lab test bench shots lock clean
PYTHON ?= python3
BIN := .venv/bin
# One thread per process: the matrices are small and the tests run side by side.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1

.venv/installed: requirements.txt pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("Python 3.11 or newer is needed: make PYTHON=python3.12, say" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	# uv installs in seconds what takes pip a minute; without it pip does.
	$(BIN)/python -m pip install -qq --disable-pip-version-check "$$(grep ^uv== requirements.txt)" \
	  && $(BIN)/uv pip install --quiet --python $(BIN)/python -r requirements.txt \
	  || $(BIN)/python -m pip install -qq --disable-pip-version-check -r requirements.txt
	touch $@

book: .venv/installed
	$(BIN)/python tools/build.py

# The book, and JupyterLite in it: every chapter runs in the reader's browser.
live: .venv/installed
	$(BIN)/python tools/live.py

live-test: live
	$(BIN)/python -m pytest -q -rA -n 2 tests/live/chapters.py

live-lock: .venv/installed
	$(BIN)/python tools/live_lock.py

lab: .venv/installed
	cd book && ../$(BIN)/jupyter lab $(if $(filter 0,$(shell id -u)),--allow-root)

test: .venv/installed
	$(BIN)/python tools/test.py

bench: .venv/installed
	@test -f benchmarks/run.py || { echo 'There are no benchmarks yet: benchmarks/run.py is missing.'; exit 1; }
	$(BIN)/python benchmarks/run.py

shots: .venv/installed
	$(BIN)/python tools/shots.py _build/html _build/shots

lock: .venv/installed
	$(BIN)/python tools/lock.py

clean:
	rm -rf _build assets/vendor node_modules .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
