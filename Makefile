# make book | pdf | live | live-test | live-lock | lab | test | bench | mutants | shots | lock | clean      each sets up .venv by itself
.DEFAULT_GOAL := book
.PHONY: book pdf live live-test live-lock lab test bench mutants shots lock clean
PYTHON ?= python3
BIN := .venv/bin
# One thread per process: the matrices are small and the tests run side by side.
export OMP_NUM_THREADS ?= 1
export OPENBLAS_NUM_THREADS ?= 1
# Python keeps its byte code; otherwise every kernel compiles Matplotlib anew, a second and a half.
unexport PYTHONDONTWRITEBYTECODE

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

# The whole book on paper, beside its pages: _build/html/_static/book.pdf.
pdf: book
	$(BIN)/python tools/pdf.py

# The book, and JupyterLite in it: every chapter runs in the reader's browser.
live: .venv/installed
	$(BIN)/python tools/live.py

live-test: live
	$(BIN)/python tools/live.py check
	$(BIN)/python -m pytest -q -rA -n 2 --dist load tests/live/chapters.py

live-lock: .venv/installed
	$(BIN)/python tools/live_lock.py

# The chapters as Jupyter shows them best, in notebooks/; those in book/ are what writers edit.
lab: .venv/installed
	$(BIN)/python tools/downloads.py
	$(BIN)/jupyter lab notebooks/index.ipynb $(if $(filter 0,$(shell id -u)),--allow-root)

test: .venv/installed
	$(BIN)/python tools/test.py

# The competitors have an environment of their own. No uv: pip also finds a build of torch on disk.
.venv-bench/installed: benchmarks/requirements.txt
	test -x .venv-bench/bin/python || $(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check -r $<
	touch $@

# Every contestant may use all cores, but for NumPy: at these sizes its BLAS is quicker on one.
bench: .venv-bench/installed .venv/installed
	env -u OMP_NUM_THREADS .venv-bench/bin/python benchmarks/run.py
	$(BIN)/python benchmarks/research.py
	test ! -f _build/html/index.html || $(BIN)/python benchmarks/pages.py

# Would a test notice?  Single changes of the library, a sample of them; an hour or two.
mutants: .venv/installed
	$(BIN)/python tools/mutants.py $(MUTANTS)

shots: .venv/installed
	$(BIN)/python tools/shots.py _build/html _build/shots

lock: .venv/installed
	$(BIN)/python tools/lock.py

clean:
	rm -rf .venv-bench _build assets/vendor node_modules .pytest_cache .ruff_cache *.egg-info
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
