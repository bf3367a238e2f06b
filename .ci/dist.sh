#!/usr/bin/env bash
# Builds dist/*.whl and dist/env.tar.gz. Called by `make dist`. The archive is what executors unpack:
#     --archives dist/env.tar.gz#env --conf spark.executorEnv.PYTHONPATH=env
# It holds this library and the wheels of the base install, openvino and faiss at the lock's versions, and no
# pyspark (the cluster's own is used), tensorflow or petastorm. The same tree gives the same bytes.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PIP_DISABLE_PIP_VERSION_CHECK=1
# The earliest time a zip (so a wheel) can hold: without it each build has other bytes.
export SOURCE_DATE_EPOCH=315532800

python=$PWD/.venv/bin/python
tree=build/env

rm -rf dist build/lib build/bdist.* "$tree" fashion_udf.egg-info
mkdir -p dist
"$python" -m build --quiet --wheel --no-isolation --outdir dist . >/dev/null
rm -rf fashion_udf.egg-info build/lib build/bdist.*

"$python" .ci/executor_lock.py dist/*.whl requirements.lock >build/executor.lock
install_to_tree() {
    "$python" -m pip install --quiet --no-deps --no-compile --target "$tree" "$@"
}
install_to_tree --require-hashes --only-binary :all: -r build/executor.lock
install_to_tree dist/*.whl

# Console scripts name this machine's Python, direct_url.json its paths: neither belongs in the archive. The drawings of
# the sample catalog are made on the driver; no executor imports them.
rm -rf "$tree/bin" "$tree/fashion_udf/samples"
find "$tree" -name __pycache__ -type d -prune -exec rm -rf {} +
find "$tree" -path '*.dist-info/direct_url.json' -delete
find "$tree" -path '*.dist-info/RECORD' -exec sed -i \
    '/^\.\.\/\.\.\/bin\/\|^fashion_udf\/samples\/\|direct_url\.json,\|__pycache__/d' {} +

# LC_ALL: --sort=name follows the locale.
LC_ALL=C tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner --mode=u+rwX,go+rX,go-w \
    -C "$tree" -cf - . | gzip -6n >dist/env.tar.gz
ls -sh dist
