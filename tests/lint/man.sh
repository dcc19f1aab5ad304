#!/usr/bin/env bash
# The manual pages are sound mdoc or man.
set -euo pipefail
cd "$(dirname "$0")/../.."
mandoc -T lint -W warning docs/man/*
