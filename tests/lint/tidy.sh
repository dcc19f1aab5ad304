#!/usr/bin/env bash
# clang-tidy with the checks of .clang-tidy over src/. usage: tidy.sh BUILD_DIRECTORY (with compile_commands.json)
set -euo pipefail
build=$(realpath "${1:?usage: tidy.sh BUILD_DIRECTORY}")
cd "$(dirname "$0")/../.."

# One file a run: clang-tidy 14 takes every va_list for uninitialised from the second file on. Standard error counts warnings in headers of
# the system, which are nobody's business.
tidy() {
	xargs -0 -n 1 -P "$(nproc)" clang-tidy -p "$build" --quiet --warnings-as-errors='*' --extra-arg=-Wno-unknown-warning-option "$@" \
		2> >(grep -v 'warnings\? generated' >&2)
}

# The two files that define what tidy.h describes go without it.
defining=(src/base/error.c src/config/mapping.c)
status=0
printf '%s\0' "${defining[@]}" | tidy || status=1
find src -name '*.c' ! -path "${defining[0]}" ! -path "${defining[1]}" -print0 | sort -z |
	tidy --extra-arg=-include --extra-arg="$PWD/tests/lint/tidy.h" || status=1
exit "$status"
