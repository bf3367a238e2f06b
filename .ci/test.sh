#!/usr/bin/env bash
# Runs every test in the environment it belongs to, the two side by side. Called by `make test`; arguments go to both
# pytests. tests/conftest.py says which tests belong where.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

declare -A folders=([scoring]=.venv [training]=.venv-training) pids=() codes=()
kinds=(scoring)
if [ -f .venv-training/.stamp ]; then
    kinds+=(training)
else
    echo "Left out: the tests of training, which need Python 3.11 or 3.12 (install one, or name it with PYTHON=...)."
fi

mkdir -p build
JAVA_HOME=$(.venv/bin/java-home)
export JAVA_HOME
trap 'kill "${pids[@]}" 2>/dev/null || true' EXIT
for kind in "${kinds[@]}"; do
    python=$PWD/${folders[$kind]}/bin/python
    # A cache for each: what --last-failed names is of one environment.
    PYSPARK_PYTHON=$python "$python" -m pytest -o cache_dir=".pytest_cache/$kind" "$@" >"build/test-$kind.log" 2>&1 &
    pids[$kind]=$!
done

# Both at once would be two logs mixed line by line: each is printed when its tests are done, and until then how far
# they are.
for ((seconds = 1; ${#codes[@]} < ${#kinds[@]}; seconds++)); do
    sleep 1
    for kind in "${kinds[@]}"; do
        [ -z "${codes[$kind]:-}" ] || continue
        log=build/test-$kind.log
        if ! kill -0 "${pids[$kind]}" 2>/dev/null; then
            codes[$kind]=0
            wait "${pids[$kind]}" || codes[$kind]=$?
            printf '\n--- %s (%s) ---\n' "$kind" "$log"
            cat "$log"
        elif [ $((seconds % 30)) = 0 ]; then
            echo "$kind: $({ grep -oE '\[ *[0-9]+%\]$' "$log" || echo starting; } | tail -n 1)"
        fi
    done
done

# 5 is pytest's code for no tests at all: those that PYTEST_ARGS named are the other environment's.
result=5
echo
for kind in "${kinds[@]}"; do
    summary=$({ grep -E ' in [0-9.]+s|^no tests ran' "build/test-$kind.log" || tail -n 1 "build/test-$kind.log"; } | tail -n 1)
    echo "$kind: $summary"
    case ${codes[$kind]} in
        5) ;;
        0) [ "$result" != 5 ] || result=0 ;;
        *) result=1 ;;
    esac
done
exit "$result"
