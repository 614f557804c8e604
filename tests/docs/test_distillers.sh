#!/bin/sh
# distillers/README.md is what the program prints of its tables: formula, sources and options of every distiller.
set -eu
defeat=${DEFEAT_BUILD:?}/defeat
"$defeat" distillers --markdown | diff distillers/README.md - >&2 || {
    echo "distillers/README.md is not what the program prints [./defeat distillers --markdown > distillers/README.md]" >&2
    exit 1
}
