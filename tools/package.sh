#!/usr/bin/env bash
# package.sh [DIRECTORY]: the Debian package of what is committed, built from a clean checkout, into DIRECTORY (default: build/package). The
# same commit gives the same bytes wherever it is built with the same compiler and libraries.
#
#   VERSION=0.2.0 tools/package.sh   under another version, to try an upgrade
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "${1:-$root/build/package}"
out=$(cd "${1:-$root/build/package}" && pwd)
export LC_ALL=C.UTF-8 TZ=UTC
umask 022

"$root/tools/deps.sh" package
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$root" log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

here=$(mktemp -d "${TMPDIR:-/tmp}/trackbridge-package.XXXXXX")
trap 'rm -rf "$here"' EXIT
git -C "$root" archive --format=tar HEAD | tar -x -C "$here"
[ -z "${VERSION-}" ] || sed -i "s/^project(trackbridge VERSION [0-9.]*/project(trackbridge VERSION $VERSION/" "$here/CMakeLists.txt"
cd "$here"
quietly() { "$@" >"$here/log" 2>&1 || { tail -n 60 "$here/log" >&2 && exit 1; }; }
quietly cmake --preset release -DTRACKBRIDGE_TESTS=OFF
quietly cmake --build --preset release
cd build/release
quietly cpack -G DEB
for package in ./*.deb; do
	mv "$package" "$out/"
	echo "$out/${package#./}"
done
