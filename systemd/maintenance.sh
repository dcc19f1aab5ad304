#!/bin/sh
# maintenance: what trackbridge-maintenance.service runs. Leaves the newest $KEEP backups in $STATE_DIRECTORY, and has the daemon purge.
set -eu
: "${STATE_DIRECTORY:?is set by systemd (StateDirectory=)}"
keep=${KEEP:-7}
case $keep in
'' | 0 | *[!0-9]*)
	echo "KEEP is a number from 1, not '$keep'" >&2
	exit 78
	;;
esac

# Of a run that was cut off.
rm -f "$STATE_DIRECTORY"/queue-*.db.part
backup=$STATE_DIRECTORY/queue-$(date -u +%Y-%m-%dT%H%M%SZ).db
/usr/sbin/trackbridge backup "$backup"

# The shell sorts them by time, which is in their names. None is removed before its successor is there.
set -- "$STATE_DIRECTORY"/queue-*.db
while [ $# -gt "$keep" ]; do
	rm -f "$1"
	shift
done

/usr/sbin/trackbridge purge --reason 'daily maintenance'
