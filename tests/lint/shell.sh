#!/usr/bin/env bash
# Every shell script passes shellcheck.
set -euo pipefail
cd "$(dirname "$0")/../.."
{ find tools tests -name '*.sh' -print0; printf '.ci/run\0'; } | xargs -0 shellcheck --external-sources --source-path=SCRIPTDIR
