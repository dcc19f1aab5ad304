#!/usr/bin/env bash
# What `cmake --install` puts below DESTDIR: each file in its place, nothing else anywhere. usage: install.sh BUILD_DIRECTORY
set -euo pipefail
build=$(realpath "${1:?usage: install.sh BUILD_DIRECTORY}")
cd "$(dirname "$0")/../.."
there=$(mktemp -d)
trap 'rm -rf "$there"' EXIT
DESTDIR=$there cmake --install "$build" >/dev/null

diff <(cd "$there" && find . -type f ! -path './usr/share/doc/trackbridge/examples/*' -printf '%m %P\n' | LC_ALL=C sort -k 2) - <<-END
	644 etc/trackbridge/trackbridge.yaml
	644 usr/lib/systemd/system/trackbridge-maintenance.service
	644 usr/lib/systemd/system/trackbridge-maintenance.timer
	644 usr/lib/systemd/system/trackbridge.service
	644 usr/lib/sysusers.d/trackbridge.conf
	644 usr/lib/tmpfiles.d/trackbridge.conf
	755 usr/lib/trackbridge/maintenance
	755 usr/sbin/trackbridge
	644 usr/share/bash-completion/completions/trackbridge
	644 usr/share/doc/trackbridge/README.Debian
	644 usr/share/doc/trackbridge/README.md
	644 usr/share/doc/trackbridge/changelog.Debian.gz
	644 usr/share/doc/trackbridge/changelog.gz
	644 usr/share/doc/trackbridge/copyright
	644 usr/share/doc/trackbridge/metrics.md
	644 usr/share/doc/trackbridge/runbook.md
	644 usr/share/man/man5/trackbridge-manifest.5.gz
	644 usr/share/man/man5/trackbridge.yaml.5.gz
	644 usr/share/man/man8/trackbridge.8.gz
END
diff <(cd config/examples && find . -type f | sort) <(cd "$there/usr/share/doc/trackbridge/examples" && find . -type f ! -name trackbridge.yaml | sort)

# As installed it is refused; the copy among the examples is whole.
status=0
said=$("$there/usr/sbin/trackbridge" -c "$there/etc/trackbridge/trackbridge.yaml" run 2>&1) || status=$?
if [ "$status" -ne 78 ] || [[ $said != *'not configured yet'* ]]; then
	echo "the installed configuration ends with $status: $said"
	exit 1
fi
"$there/usr/sbin/trackbridge" -c "$there/usr/share/doc/trackbridge/examples/trackbridge.yaml" check --unit >/dev/null
