#!/usr/bin/env bash
# What `make test` runs: system packages where that is allowed, then every check. The first that fails ends it.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin

step() { printf '\n== %s\n' "$1"; }

if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    step "system packages"
    scripts/install_system_packages.sh || echo "system packages: not installed; the tests that need them are skipped, and say so"
else
    echo "system packages: not root, or no apt; as root: scripts/install_system_packages.sh"
fi

step "ruff"
$bin/ruff check .
$bin/ruff format --check .
step "mypy"
$bin/mypy
step "import contracts"
$bin/lint-imports
export LYNCEUS_TEST_POSTGRES="${LYNCEUS_TEST_POSTGRES:-$($bin/python -m tests.databases)}"
step "pytest"
# Three at once on two cores: a test with a camera waits for the wire most of the time. Words given here come last,
# so that `scripts/test.sh -n 0` runs one after the other.
$bin/python -m pytest -n 3 --dist loadgroup "$@"
