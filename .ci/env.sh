#!/usr/bin/env bash
# Makes one environment at the versions of its lock. Called by make: .ci/env.sh scoring|training|bench
#     scoring   .venv            requirements.lock, and checks that Java is there
#     training  .venv-training   requirements-training.lock
#     bench     .venv-bench      requirements.lock, and the tensorflow extra at current versions, for the plain job
# With --fits it makes nothing, and says by its exit code whether a Python is there that fits.
# Environment: PYTHON, the interpreter to use (default: the first that fits).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export PIP_DISABLE_PIP_VERSION_CHECK=1

kind=$1
case $kind in
    scoring) folder=.venv lock=requirements.lock ;;
    training) folder=.venv-training lock=requirements-training.lock ;;
    bench) folder=.venv-bench lock=requirements.lock ;;
esac
if [ "$kind" = training ]; then
    # pyarrow 14 and numpy 1.26 have no wheels for later ones.
    newest=12 wanted="Python 3.11 or 3.12"
else
    newest=13 wanted="Python 3.11, 3.12 or 3.13"
fi

fail() {
    echo "$1" >&2
    exit 1
}

fits() {
    command -v "$1" >/dev/null &&
        "$1" -c "import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, $newest))" 2>/dev/null
}

find_python() {
    local name
    for name in ${PYTHON:+"$PYTHON"} python3.11 /usr/bin/python3.11 python3.12 python3.13 python3; do
        if fits "$name"; then
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
    local python package
    python=$(find_python) || fail "Expected $wanted on PATH, for the $kind environment. Received: none.\
 Install one (apt-get install python3.11 python3.11-venv) or name it: make env PYTHON=/path/to/python3.11"
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        package=$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')
        install_debian_package "$package" "Expected the venv module in $python. Received: none.\
 Install it: apt-get install $package"
    fi
    [ -x "$folder/bin/python" ] || "$python" -m venv "$folder"
}

locked() { # The lock's lines (pin and hashes) of the requirement named $1.
    awk -v name="$1==" '/^[^ #]/ { wanted = index($0, name) == 1 } wanted' "$lock"
}

install_lock() { # Source distributions (pyspark is one) are built by the lock's own setuptools, hash-checked as well.
    local builders
    builders=$(mktemp)
    { locked setuptools && locked wheel && locked packaging; } >"$builders"
    "$folder/bin/python" -m pip install --quiet --require-hashes -r "$builders"
    rm -f "$builders"
    "$folder/bin/python" -m pip install --quiet --require-hashes --no-build-isolation -r "$lock"
}

install_tensorflow() { # What the plain job needs beside the lock, which stays as it is.
    local pins
    pins=$(mktemp)
    # Without the hashes: pip would ask for those of tensorflow too.
    sed -nE 's/^([a-z0-9-]+==[^ ]+).*/\1/p' "$lock" >"$pins"
    "$folder/bin/python" -m pip install --quiet --constraint "$pins" tensorflow keras
    rm -f "$pins"
}

add_own_files() {
    local site
    site=$(echo "$folder"/lib/python3*/site-packages)
    # Relative to site-packages: the checkout is importable as it is, with no build and no path of this machine.
    echo ../../../.. >"$site/fashion_udf_checkout.pth"
    install -m 755 .ci/java_home.sh "$folder/bin/java-home"
    install -m 755 .ci/spark_submit.sh "$folder/bin/spark-submit"
    install -m 755 .ci/spark_submit.sh "$folder/bin/fashion-udf"
}

check_java() {
    if ! "$folder/bin/java-home" >/dev/null 2>&1; then
        install_debian_package openjdk-17-jre-headless "$("$folder/bin/java-home" 2>&1 >/dev/null || true)"
        "$folder/bin/java-home" >/dev/null
    fi
}

if [ "${2:-}" = --fits ]; then
    [ -x "$folder/bin/python" ] || find_python >/dev/null
    exit
fi
make_venv
install_lock
[ "$kind" != bench ] || install_tensorflow
add_own_files
check_java
touch "$folder/.stamp"
