#!/usr/bin/env bash
# Prints the home of a Java that Spark 4 runs on (17 or 21), or one line on stderr saying what to do.
# `make env` copies this file to .venv/bin/java-home, where .venv/bin/spark-submit finds it.
set -euo pipefail

major_of() { # The major version of the Java at home $1, "" where there is none.
    [ -x "$1/bin/java" ] || return 0
    "$1/bin/java" -version 2>&1 | sed -n 's/.*version "\([0-9]*\).*/\1/p' | head -n 1
}

candidates() { # JAVA_HOME first, then the java on PATH, then what Linux distributions and macOS install.
    [ -z "${JAVA_HOME:-}" ] || printf '%s\n' "$JAVA_HOME"
    local on_path
    on_path=$(command -v java || true)
    [ -z "$on_path" ] || dirname "$(dirname "$(readlink -f "$on_path")")"
    printf '%s\n' /usr/lib/jvm/* /opt/java/* /Library/Java/JavaVirtualMachines/*/Contents/Home
}

found=none
while IFS= read -r home; do
    major=$(major_of "$home")
    case "$major" in
        17 | 21) printf '%s\n' "$home"; exit 0 ;;
        "") ;;
        *) found="Java $major at $home" ;;
    esac
done < <(candidates)

echo "Expected Java 17 or 21 (Spark 4 runs on no other). Received: $found." \
    "Install one (apt-get install openjdk-17-jre-headless) or set JAVA_HOME." >&2
exit 1
