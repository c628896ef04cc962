#!/usr/bin/env bash
# Builds the image of the Dockerfile without a daemon and without a registry, so that a test can run it.
#
#   infra/container/image.sh FOLDER
#
# It needs root and the Debian packages buildah and mmdebstrap. The base is Debian's Python from a mirror of Debian in place
# of the Dockerfile's; it is made once. FOLDER/root is then the root of the image, and FOLDER/image.json its description.
set -euo pipefail
cd "$(dirname "$0")/../.."
FOLDER=$(realpath -m "$1")
BASE=localhost/postern-python
buildah() { command buildah --root "$FOLDER/storage" --runroot "$FOLDER/run" --storage-driver vfs "$@"; }

for tool in buildah mmdebstrap; do
  command -v "$tool" >/dev/null || { echo "infra/container/image.sh: there is no $tool; install the Debian package" >&2; exit 1; }
done
[ "$(id -u)" = 0 ] || { echo "infra/container/image.sh: needs root" >&2; exit 1; }
mkdir -p "$FOLDER"

if ! buildah inspect --type image "$BASE" >/dev/null 2>&1; then
  echo "making the base from the mirror (once)..."
  [ -f "$FOLDER/base.tar" ] || {
    mmdebstrap --quiet --variant=minbase --mode=root --include=ca-certificates,python-is-python3,python3-venv trixie "$FOLDER/part.tar"
    mv "$FOLDER/part.tar" "$FOLDER/base.tar"
  }
  made=$(buildah from scratch)
  buildah add --quiet "$made" "$FOLDER/base.tar" / >/dev/null
  buildah commit --quiet --rm "$made" "$BASE" >/dev/null
fi

# The certificates are those of this machine, which may reach the package index through a proxy of its own.
buildah bud --quiet --format docker --isolation chroot --build-arg "PYTHON=$BASE" \
  --volume /etc/ssl/certs:/etc/ssl/certs:ro --file infra/container/Dockerfile --tag postern . >/dev/null
buildah inspect --type image postern > "$FOLDER/image.json"
for old in $(buildah containers --quiet); do buildah rm "$old" >/dev/null; done
ln -sfn "$(buildah mount "$(buildah from postern)")" "$FOLDER/root"
buildah images --format '{{.Name}} {{.Size}}'
