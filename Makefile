# `make demo` and `make test` need Python >= 3.11 and nothing else; both set themselves up.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
DEMO = runs/demo

.PHONY: help demo test test-full lint format docs results pictures bench clean

help:
	@echo "make demo    train, evaluate, export, load, predict and generate on built-in data (3 minutes)"
	@echo "make test    lint, type-check and run the tests"
	@echo "make test-full  try many more cases of every promise of docs/reliability.md (an hour)"
	@echo "make lint    check style and types: ruff and mypy"
	@echo "make format  sort imports, fix what ruff can fix, and format"
	@echo "make docs    write docs/cli.md from the commands, and build the site into build/docs"
	@echo "make results  write docs/results.md from registry.toml and what was measured"
	@echo "make pictures  make the pictures of README.md (needs Chromium)"
	@echo "make bench   measure the speed against the textbook's method"
	@echo "make clean   remove the environment, the caches and what was built or trained"

$(VENV)/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
		--constraint constraints.txt --editable '.[dev]'
	touch $@

demo: $(VENV)/installed
	rm -rf $(DEMO)
	$(BIN)/zoo train sample-lstm --out $(DEMO)/reviews
	$(BIN)/zoo evaluate $(DEMO)/reviews
	$(BIN)/zoo evaluate $(DEMO)/reviews --shuffle-words
	$(BIN)/zoo export $(DEMO)/reviews -o $(DEMO)/reviews.safetensors
	$(BIN)/zoo predict $(DEMO)/reviews.safetensors \
		"The acting was superb, but the plot was dull." \
		"The plot was dull, but the acting was superb." \
		"The camera was not clumsy, it was graceful."
	$(BIN)/zoo train manual-lstm --out $(DEMO)/manual
	$(BIN)/zoo export $(DEMO)/manual -o $(DEMO)/manual.safetensors
	$(BIN)/zoo generate $(DEMO)/manual.safetensors --prompt "The statement" --length 400 \
		--temperature 0.7 --seed 1

test: lint
	$(BIN)/python -m pytest

test-full: $(VENV)/installed
	ZOO_TESTS=full $(BIN)/python -m pytest tests/reliability

lint: $(VENV)/installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/installed
	$(BIN)/python docs/generate_cli.py
	$(BIN)/python docs/build_site.py

results: $(VENV)/installed
	$(BIN)/python docs/make_results.py $(RUNS)

pictures: $(VENV)/installed
	$(BIN)/python docs/make_pictures.py

bench: $(VENV)/installed
	$(BIN)/python -m benchmarks

clean:
	rm -rf $(VENV) runs dist build .pytest_cache .mypy_cache .ruff_cache .numba_cache
