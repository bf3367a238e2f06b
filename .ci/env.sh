#!/usr/bin/env bash
# Makes .venv with every extra at the lock's versions, and checks that Java is there. Called by `make env`.
# Environment: PYTHON, the interpreter to use (default: the first Python 3.11 found).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PIP_DISABLE_PIP_VERSION_CHECK=1

fail() {
    echo "$1" >&2
    exit 1
}

is_python_311() {
    command -v "$1" >/dev/null && "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null
}

find_python() { # The lock was made for Python 3.11: pyarrow 14 and numpy 1.26 have no wheels for much later ones.
    local name
    for name in ${PYTHON:+"$PYTHON"} python3.11 /usr/bin/python3.11 python3; do
        if is_python_311 "$name"; then
            command -v "$name"
            return
        fi
    done
    return 1
}

install_debian_package() { # Installs $1 where that needs nobody's password; $2 is what to tell the user otherwise.
    if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
        fail "$2"
    fi
    echo "Installing $1 ..."
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1"; } \
        >/dev/null || fail "$2"
}

make_venv() {
    local python
    python=$(find_python) || fail "Expected Python 3.11 on PATH. Received: none.\
 Install it (apt-get install python3.11 python3.11-venv) or name it: make env PYTHON=/path/to/python3.11"
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        install_debian_package python3.11-venv "Expected the venv module in $python. Received: none.\
 Install it: apt-get install python3.11-venv"
    fi
    [ -x .venv/bin/python ] || "$python" -m venv .venv
}

locked() { # The lock's lines (pin and hashes) of the requirement named $1.
    awk -v name="$1==" '/^[^ #]/ { wanted = index($0, name) == 1 } wanted' requirements.lock
}

install_lock() { # Source distributions (pyspark is one) are built by the lock's own setuptools, hash-checked as well.
    local builders
    builders=$(mktemp)
    { locked setuptools && locked wheel && locked packaging; } >"$builders"
    .venv/bin/python -m pip install --quiet --require-hashes -r "$builders"
    rm -f "$builders"
    .venv/bin/python -m pip install --quiet --require-hashes --no-build-isolation -r requirements.lock
}

add_own_files() {
    local site
    site=$(echo .venv/lib/python3*/site-packages)
    # Relative to site-packages: the checkout is importable as it is, with no build and no path of this machine.
    echo ../../../.. >"$site/fashion_udf_checkout.pth"
    install -m 755 .ci/java_home.sh .venv/bin/java-home
    install -m 755 .ci/spark_submit.sh .venv/bin/spark-submit
}

check_java() {
    if ! .venv/bin/java-home >/dev/null 2>&1; then
        install_debian_package openjdk-17-jre-headless "$(.venv/bin/java-home 2>&1 >/dev/null || true)"
        .venv/bin/java-home >/dev/null
    fi
}

make_venv
install_lock
add_own_files
check_java
touch .venv/.stamp
