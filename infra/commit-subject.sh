#!/usr/bin/env bash
# Refuses a commit message whose subject is too short, too long, or not followed by a body. Git gives the file's name.
set -euo pipefail
subject=$(sed -n 1p "$1")
case $subject in Merge* | Revert* | fixup!* | squash!*) exit 0 ;; esac
if [ ${#subject} -lt 15 ] || [ ${#subject} -gt 72 ]; then
  echo "The subject has ${#subject} characters; use 15 to 72: $subject" >&2
  exit 1
fi
if ! sed -e 1d -e '/^#/d' "$1" | grep -q '[^[:space:]]'; then
  echo "The message has no body; say why, after an empty line." >&2
  exit 1
fi
