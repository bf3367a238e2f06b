# Every target works from a fresh clone, with no environment activated and from a path with spaces.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help env demo test check bench soak lock dist clean

PYTHON_BIN := .venv/bin/python
STAMP := .venv/.stamp
PYTEST_ARGS ?=
BENCH_ARGS ?=
SOAK_TESTS := $(addprefix tests/,table/test_readers.py pipeline/test_tagging_kills.py \
	pipeline/test_tagging_histories.py training/fitting/test_loop.py test_seeded_bugs.py)

help: ## Show this list
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/make \1|\2/p' Makefile | while IFS='|' read -r name text; do \
		printf '%-12s %s\n' "$$name" "$$text"; done

env: $(STAMP) ## Make .venv with every extra at the versions of requirements.lock, and check Java

$(STAMP): requirements.lock setup.py .ci/env.sh .ci/java_home.sh .ci/spark_submit.sh
	@PYTHON="$(PYTHON)" .ci/env.sh

demo: $(STAMP) ## Make a sample catalog, tag it, query the tags (everything under demo/)
	@rm -rf demo
	$(PYTHON_BIN) jobs/make_sample_catalog.py --output demo/catalog
	.venv/bin/spark-submit jobs/tag_catalog.py --config conf/demo.yaml \
		--set input.path=demo/catalog --set output.path=demo/output
	$(PYTHON_BIN) jobs/show_tags.py --output demo/output

test: $(STAMP) ## Run the tests; PYTEST_ARGS="tests/table/test_store.py -x" narrows them
	@JAVA_HOME=$$(.venv/bin/java-home); export JAVA_HOME PYSPARK_PYTHON="$$PWD/$(PYTHON_BIN)"; \
		$(PYTHON_BIN) -m pytest $(PYTEST_ARGS)

check: $(STAMP) ## Check format, lint and types
	$(PYTHON_BIN) -m ruff format --check .
	$(PYTHON_BIN) -m ruff check .
	$(PYTHON_BIN) -m mypy

bench: $(STAMP) ## Measure the job beside a plain one (build/bench/bench.json); BENCH_ARGS="--rows 100" shortens it
	@JAVA_HOME=$$(.venv/bin/java-home); export JAVA_HOME; $(PYTHON_BIN) -m tests.benchmark $(BENCH_ARGS)

soak: $(STAMP) ## Run the long forms of the kill and history tests, for hours; results in docs/soak/
	@mkdir -p docs/soak; JAVA_HOME=$$(.venv/bin/java-home); export JAVA_HOME PYSPARK_PYTHON="$$PWD/$(PYTHON_BIN)" SOAK=1; \
	for tests in $(SOAK_TESTS); do \
		{ echo "commit $$(git rev-parse --short HEAD), $$(date -u +%F), $$(nproc) cores"; \
		$(PYTHON_BIN) -m pytest -q --no-header --durations=0 --durations-min=1 $$tests $(PYTEST_ARGS); } \
		| tee docs/soak/$$(basename $$tests .py).txt; \
	done

lock: ## Remake requirements.lock from setup.py; pins that fit stay, LOCK_ARGS=--upgrade moves them
	@.ci/lock.sh $(LOCK_ARGS)

dist: $(STAMP) ## Build dist/*.whl and dist/env.tar.gz, the archive for executors
	@.ci/dist.sh

clean: ## Remove what make built, except .venv
	rm -rf build dist demo spark-warehouse metastore_db derby.log *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -path ./.venv -prune -o -name __pycache__ -type d -exec rm -rf {} +
