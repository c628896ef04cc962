#!/usr/bin/env bash
# Prints the path of a Python 3.13, the version that the functions run on. Exit code 1 when there is none.
set -euo pipefail
for candidate in python3.13 "$HOME"/.pyenv/versions/3.13.*/bin/python3.13 python3; do
  if "$candidate" -I -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' 2>/dev/null; then
    command -v "$candidate"
    exit
  fi
done
exit 1
