#!/usr/bin/env bash
# spark-submit and fashion-udf of this environment, by the name that the file has. `make env` puts it at
# .venv/bin/spark-submit in place of pyspark's own, which looks for a `python3` on PATH that has pyspark and so fails
# where no environment is activated.
set -euo pipefail

# Follow links to this file (a user's ~/bin/spark-submit), but keep the folder's name as it was given.
self=${BASH_SOURCE[0]}
while [ -L "$self" ]; do
    target=$(readlink "$self")
    case "$target" in
        /*) self=$target ;;
        *) self=$(dirname "$self")/$target ;;
    esac
done
bin=$(cd "$(dirname "$self")" && pwd)

SPARK_HOME=$(echo "${bin%/bin}"/lib/python3*/site-packages/pyspark)
if [ ! -x "$SPARK_HOME/bin/spark-submit" ]; then
    echo "Expected pyspark in the environment of $bin. Received: no $SPARK_HOME/bin/spark-submit. Run: make env" >&2
    exit 1
fi

# What the user chose stays. Without a Python of its own the driver follows PYSPARK_PYTHON.
export SPARK_HOME
export PYSPARK_PYTHON=${PYSPARK_PYTHON:-$bin/python}
if [ -z "${JAVA_HOME:-}" ]; then
    JAVA_HOME=$("$bin/java-home")
    export JAVA_HOME
fi
conf=${bin%/*/bin}/conf # the checkout's; memory and JVM options are in its spark-defaults.conf
if [ -z "${SPARK_CONF_DIR:-}" ] && [ -f "$conf/spark-defaults.conf" ]; then
    export SPARK_CONF_DIR=$conf
fi

if [ "$(basename "$self")" = fashion-udf ]; then
    exec "$bin/python" -m fashion_udf "$@"
fi
exec "$SPARK_HOME/bin/spark-submit" "$@"
