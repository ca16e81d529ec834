#!/bin/sh
# Makes .venv with the program and one of its extras in it: scripts/setup.sh demo|dev
#
# - Doing it twice costs nothing: .venv/.ringfence-<extra> holds a checksum of what the environment was made from
#   (pyproject.toml, constraints.txt, this script, the folder's own place), and equal means done.
# - `dev` holds all of `demo`, so either stamp serves a `demo`.
# - The stamps are removed before anything is installed and written after everything is: a failed or interrupted
#   set-up leaves none, and the next one starts over.
set -eu
cd "$(dirname "$0")/.."
. scripts/python.sh

extra="${1:-demo}"
case "$extra" in
demo | dev) ;;
*)
    echo "ringfence: no such set-up: $extra (demo or dev)" >&2
    exit 2
    ;;
esac

key=$( (cat pyproject.toml constraints.txt scripts/setup.sh; pwd) | cksum)
is_done() { [ -f ".venv/.ringfence-$1" ] && [ "$(cat ".venv/.ringfence-$1")" = "$key" ]; }

if [ -x .venv/bin/python ] && .venv/bin/python -c '' 2>/dev/null; then
    if is_done dev || is_done "$extra"; then
        exit 0
    fi
fi

fail() {
    echo "ringfence: set-up failed while $1; nothing is marked as done." >&2
    echo "hint: mend what the lines above say, then run the same command again" >&2
    exit 1
}

find_python
rm -f .venv/.ringfence-demo .venv/.ringfence-dev
if ! .venv/bin/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    echo "setup: making .venv with $("$python" --version)"
    rm -rf .venv
    "$python" -m venv .venv || fail 'making .venv'
fi

pip_install() {
    .venv/bin/python -m pip install --quiet --no-input --disable-pip-version-check --constraint constraints.txt "$@" </dev/null
}

# Wheels only: a machine without a compiler must hear so at once, and not halfway through a build.
echo "setup: installing ringfence[$extra] (a minute or two the first time)"
pip_install --only-binary :all: hatchling editables || fail 'installing the build tools'
pip_install --only-binary :all: --no-build-isolation --editable ".[$extra]" || fail "installing ringfence[$extra]"
.venv/bin/python -m pip check --disable-pip-version-check >/dev/null || fail 'checking that the versions fit together'

echo "$key" >".venv/.ringfence-$extra"
echo "setup: done; the program is .venv/bin/ringfence"
