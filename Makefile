# Every target works from a fresh clone, with no environment activated and from a path with spaces.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help env env-training demo pictures test check bench soak docs lock dist clean

PYTHON_BIN := .venv/bin/python
STAMP := .venv/.stamp
TRAINING_STAMP := .venv-training/.stamp
BENCH_STAMP := .venv-bench/.stamp
ENV_FILES := .ci/env.sh .ci/java_home.sh .ci/spark_submit.sh
PYTEST_ARGS ?=
BENCH_ARGS ?=
BENCH_SIMILAR_ARGS ?=
# What a soak goes through, one shard after the other.
SOAK_SHARDS ?= kills faults histories readers memory workers s3 training yarn bugs
SOAK_kills := pipeline/test_tagging_kills.py
SOAK_faults := pipeline/test_tagging_faults.py
SOAK_histories := pipeline/test_tagging_histories.py
SOAK_readers := table/test_readers.py
SOAK_memory := commands/test_tag_memory.py
SOAK_workers := scoring/test_workers.py scoring/test_sessions.py pipeline/test_tagging_full_disk.py
SOAK_s3 := pipeline/test_tagging_s3.py photos/test_s3_throttling.py
SOAK_training := training/fitting/test_loop.py
SOAK_yarn := clusters/test_yarn.py
SOAK_bugs := test_seeded_bugs.py

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/make \1|\2/p' Makefile | while IFS='|' read -r name text; do \
		printf '%-17s %s\n' "$$name" "$$text"; done

env: $(STAMP) ## Make .venv, which scores, at the versions of requirements.lock, and check Java

env-training: $(TRAINING_STAMP) ## Make .venv-training, at the versions of requirements-training.lock

$(STAMP): requirements.lock $(ENV_FILES)
	@PYTHON="$(PYTHON)" .ci/env.sh scoring

$(TRAINING_STAMP): requirements-training.lock $(ENV_FILES)
	@PYTHON="$(PYTHON)" .ci/env.sh training

$(BENCH_STAMP): requirements.lock $(ENV_FILES)
	@PYTHON="$(PYTHON)" .ci/env.sh bench

demo: $(STAMP) ## Make a sample catalog, tag it, query the tags, find similar products, make the pages (under demo/)
	@rm -rf demo
	$(PYTHON_BIN) jobs/make_sample_catalog.py --output demo/catalog
	.venv/bin/spark-submit jobs/tag_catalog.py --config conf/demo.yaml \
		--set input.path=demo/catalog --set output.path=demo/output
	$(PYTHON_BIN) jobs/show_tags.py --output demo/output
	.venv/bin/spark-submit jobs/recommend.py --config conf/similar.yaml --set output.path=demo/output
	.venv/bin/spark-submit jobs/similar.py --config conf/demo.yaml \
		--set input.path=demo/catalog --set output.path=demo/output --product p000001 --sheet demo/similar.jpg
	@echo; echo "The page of the run:   $$(ls -d "$$PWD"/demo/output/runs/*/index.html)"
	@echo "Review what waits:     .venv/bin/fashion-udf review --output demo/output"

pictures: $(STAMP) ## Make the README's pictures of the demo's pages (docs/pictures/); needs Chromium and a demo
	$(PYTHON_BIN) docs/pictures/make_pictures.py demo/output

test: $(STAMP) ## Run the tests, in both environments; PYTEST_ARGS="tests/table/test_local_store.py -x" narrows them
	@if PYTHON="$(PYTHON)" .ci/env.sh training --fits; then $(MAKE) -s --no-print-directory $(TRAINING_STAMP); fi
	@.ci/test.sh $(PYTEST_ARGS)

check: $(STAMP) ## Check format, lint and types
	$(PYTHON_BIN) -m ruff format --check .
	$(PYTHON_BIN) -m ruff check .
	$(PYTHON_BIN) -m mypy

bench: $(BENCH_STAMP) ## Measure the job beside a plain one (build/bench/bench.json); BENCH_ARGS="--rows 100" shortens it
	@JAVA_HOME=$$(.venv-bench/bin/java-home); export JAVA_HOME; .venv-bench/bin/python -m tests.benchmark $(BENCH_ARGS); \
	.venv-bench/bin/python -m tests.benchmark.similar $(BENCH_SIMILAR_ARGS)

soak: $(STAMP) $(TRAINING_STAMP) ## Run the long tests: SOAK_SEED=7 SOAK_SECONDS=2400 (of each shard) SOAK_SHARDS="kills memory"
	@$(foreach shard,$(SOAK_SHARDS),$(MAKE) --no-print-directory soak-$(shard);)

soak-%: $(STAMP) $(TRAINING_STAMP)
	@mkdir -p docs/soak; python=.venv$(if $(filter training,$*),-training)/bin/python; \
	JAVA_HOME=$$(.venv/bin/java-home); export JAVA_HOME PYSPARK_PYTHON="$$PWD/$$python"; \
	export SOAK_SEED="$${SOAK_SEED:-0}" SOAK_SECONDS="$(if $(filter bugs,$*),,$${SOAK_SECONDS:-2400})"; \
	{ echo "commit $$(git rev-parse --short HEAD), $$(date -u +%F), $$(nproc) cores"; \
	$$python -m pytest -q --no-header --durations=0 --durations-min=1 $(addprefix tests/,$(SOAK_$*)) $(PYTEST_ARGS); } \
	| tee docs/soak/$*.txt

docs: $(STAMP) ## Build the site of docs/ in build/site; a broken link is an error
	.venv/bin/zensical build --strict --clean

lock: ## Remake both locks from setup.py; pins that fit stay, LOCK_ARGS=--upgrade moves them
	@.ci/lock.sh $(LOCK_ARGS)

# Not after $(STAMP): tests call this from .venv, and a lock that is newer than the stamp must not change it under them.
dist: | $(PYTHON_BIN) ## Build dist/*.whl and dist/env.tar.gz, the archive for executors
	@.ci/dist.sh

$(PYTHON_BIN):
	@$(MAKE) --no-print-directory env

clean: ## Remove what make built, except the environments
	rm -rf build dist demo spark-warehouse metastore_db derby.log *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -path './.venv*' -prune -o -name __pycache__ -type d -exec rm -rf {} +
