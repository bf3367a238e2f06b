#!/usr/bin/env bash
# Remakes requirements.lock from setup.py with all extras. Called by `make lock`; arguments go to uv (--upgrade).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

if [ ! -x .venv/bin/python ]; then
    echo "Expected an environment in .venv. Received: none. Run: make env" >&2
    exit 1
fi
tool=build/lock
[ -x "$tool/bin/uv" ] || { .venv/bin/python -m venv "$tool" && "$tool/bin/python" -m pip install --quiet uv; }
# uv keeps the pins of the existing output file unless told --upgrade. System certificates: as pip, behind a company's
# proxy too.
"$tool/bin/uv" --system-certs pip compile setup.py --all-extras --generate-hashes --python .venv/bin/python --python-version 3.11 \
    --no-emit-index-url --custom-compile-command "make lock" --quiet --output-file requirements.lock "$@" >/dev/null
if grep -nE '://|^ *--(index|extra-index|find-links)' requirements.lock; then
    echo "Expected a lock without URLs. Received: the lines above." >&2
    exit 1
fi
