#!/usr/bin/env bash
# The C files are as clang-format would write them. To mend one: clang-format -i FILE
set -euo pipefail
cd "$(dirname "$0")/../.."
find src tests -name '*.[ch]' -print0 | sort -z | xargs -0 clang-format --dry-run -Werror
