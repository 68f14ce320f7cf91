# What the scripts share: they run in the root of the checkout, and stop at the first failure.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }
stop() { say "$*"; exit 1; }

# The first Python of 3.11 or later on this machine; uv may bring one.
find_python() {
    for candidate in python3 python3.13 python3.12 python3.11 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
            command -v "$candidate"
            return
        fi
    done
    uv python find '>=3.11' 2>/dev/null || stop "Python 3.11 or later is needed, and none was found on the PATH."
}

# environment NAME: makes the environment of that name, unless it is there and up to date, and gives its interpreter.
environment() {
    "$(find_python)" tools/environments.py "$1"
}
