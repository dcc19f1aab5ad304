#!/usr/bin/env bash
# Every shell script passes shellcheck.
set -euo pipefail
cd "$(dirname "$0")/../.."
{ find tools tests systemd -name '*.sh' -print0; find packaging/debian -type f -print0; printf '.ci/run\0completion/trackbridge\0'; } | xargs -0 shellcheck --external-sources --source-path=SCRIPTDIR
