#!/usr/bin/env bash
# cppcheck over src/. What is suppressed, and why:
#   missingIncludeSystem  the system's headers are not read: what is needed of them cppcheck knows
#   arrayIndexThenCheck   in a table that ends with an empty entry the bound of what it is copied to comes second
set -euo pipefail
cd "$(dirname "$0")/../.."
cppcheck --std=c11 --language=c --enable=warning,performance,portability --inline-suppr --quiet --error-exitcode=1 -j "$(nproc)" \
	--template='{file}:{line}: {severity}: {message} [{id}]' --suppress=missingIncludeSystem --suppress=arrayIndexThenCheck \
	-D_GNU_SOURCE -D__GNUC__ -I src src
