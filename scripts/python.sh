# Finds a Python that can run Ringfence; to be sourced, not run.
#
# find_python: sets `python` to the first of $PYTHON, python3, python3.13, python3.12, python3.11 that is at least 3.11
# and can make virtual environments. Says on standard error why there is none, and returns 1.

find_python() {
    too_old=''
    without_venv=''
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        command -v "$candidate" >/dev/null 2>&1 || continue
        version=$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null) || continue
        if ! "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            too_old="$too_old $candidate is $version;"
        elif ! "$candidate" -c 'import ensurepip, venv' >/dev/null 2>&1; then
            without_venv="$version"
        else
            python="$candidate"
            return 0
        fi
    done
    if [ -n "$without_venv" ]; then
        echo "ringfence: Python $without_venv is here, but its venv module is not." >&2
        echo "hint: on Debian or Ubuntu: apt-get install python3-venv (or python$without_venv-venv)" >&2
    elif [ -n "$too_old" ]; then
        echo "ringfence: Python 3.11 or newer is needed;${too_old%;}." >&2
        echo "hint: install a newer Python, or name one: make setup PYTHON=/path/to/python3.13" >&2
    else
        echo "ringfence: no Python found${PYTHON:+ under the name $PYTHON}; 3.11 or newer is needed." >&2
        echo "hint: on Debian or Ubuntu: apt-get install python3 python3-venv" >&2
    fi
    return 1
}
