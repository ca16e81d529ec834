#!/bin/sh
# Writes constraints.txt anew: the newest versions that fit pyproject.toml, every indirect one included.
#
# - Resolved with the oldest supported Python, since a release that dropped it must not be chosen.
# - Then asked for again, as wheels only, for every newer supported Python; one that is missing fails the run and leaves
#   the old file in place.
set -eu
cd "$(dirname "$0")/.."
. scripts/python.sh

PYTHON="${PYTHON:-python3.11 python3 python3.12 python3.13}"
find_python
place=.constraints-venv
trap 'rm -rf "$place"' EXIT
rm -rf "$place"
"$python" -m venv "$place"
pip() { "$place/bin/python" -m pip --disable-pip-version-check --no-input "$@" </dev/null; }

echo "constraints: resolving with $("$python" --version)"
pip install --quiet --only-binary :all: hatchling editables
pip install --quiet --only-binary :all: --no-build-isolation --editable '.[dev]'

{
    echo '# Every dependency of Ringfence, direct and indirect, at one exact version. Made by `make constraints`.'
    pip freeze --exclude-editable --exclude pip --exclude setuptools | LC_ALL=C sort -f
} >"$place/constraints.txt"

for version in 3.11 3.12 3.13; do
    echo "constraints: asking for wheels for Python $version"
    pip install --quiet --dry-run --no-deps --only-binary :all: --python-version "$version" --target "$place/unused" \
        --requirement "$place/constraints.txt"
done

diff constraints.txt "$place/constraints.txt" || true
mv "$place/constraints.txt" constraints.txt
echo "constraints: $(grep -c == constraints.txt) versions pinned in constraints.txt"
