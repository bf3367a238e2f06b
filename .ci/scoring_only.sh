#!/usr/bin/env bash
# The scoring extras alone, at the versions that are current today: installs them into an environment of their own and
# tags 100 rows. The lock is held back by petastorm; what users install beside it is not.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PIP_DISABLE_PIP_VERSION_CHECK=1

folder=build/scoring
rm -rf "$folder"
.venv/bin/python -m venv "$folder/env"
"$folder/env/bin/python" -m pip install --quiet ".[spark,openvino]"
rm -rf build/lib build/bdist.* fashion_udf.egg-info
.venv/bin/python jobs/make_sample_catalog.py --output "$folder/catalog" --products 56 # and 44 broken or odd ones

SPARK_HOME=$(echo "$PWD/$folder"/env/lib/python3*/site-packages/pyspark)
JAVA_HOME=$(.venv/bin/java-home)
export SPARK_HOME JAVA_HOME PYSPARK_PYTHON="$PWD/$folder/env/bin/python"
"$SPARK_HOME/bin/spark-submit" jobs/tag_catalog.py --config conf/nightly.yaml \
    --set input.path="$folder/catalog" --set output.path="$folder/output" | tee "$folder/summary"
grep -qE '^scored +100$' "$folder/summary"
