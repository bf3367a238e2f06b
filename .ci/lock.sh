#!/usr/bin/env bash
# Remakes requirements.lock and requirements-training.lock from setup.py. Called by `make lock`; arguments go to uv
# (--upgrade).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ ! -x .venv/bin/python ]; then
    echo "Expected an environment in .venv. Received: none. Run: make env" >&2
    exit 1
fi
tool=build/lock
[ -x "$tool/bin/uv" ] || { .venv/bin/python -m venv "$tool" && "$tool/bin/python" -m pip install --quiet uv; }

lock() { # The lock $1, for Python 3.11, with uv's arguments $2...
    local file=$1
    shift
    # uv keeps the pins of the existing output file unless told --upgrade. System certificates: as pip, behind a
    # company's proxy too.
    "$tool/bin/uv" --system-certs pip compile setup.py --extra dev --generate-hashes --python .venv/bin/python \
        --python-version 3.11 --no-emit-index-url --custom-compile-command "make lock" --quiet \
        --output-file "$file" "$@" >/dev/null
    if grep -nE '://|^ *--(index|extra-index|find-links)' "$file"; then
        echo "Expected a lock without URLs. Received: the lines above, in $file." >&2
        exit 1
    fi
}

# Universal: one lock for every Python from 3.11 on.
lock requirements.lock --universal --extra spark --extra openvino --extra similar --extra delta --extra review \
    --extra servers --extra docs "$@"
# Not universal: tensorflow asks for numpy 2 from Python 3.13 on, petastorm's pyarrow for numpy 1. Resolved for 3.12 it
# was the same, line by line.
lock requirements-training.lock --extra training "$@"
rm -rf fashion_udf.egg-info # from reading setup.py; `pip freeze` would list it as installed
