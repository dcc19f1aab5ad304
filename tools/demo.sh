#!/bin/bash
# demo.sh: trackbridge at work, in under a minute, without D1 and without root.
#
# Installs what is missing, builds build/release, starts the tests' scripted D1 on 127.0.0.1, runs the real daemon on four manifests in a
# temporary folder, and shows what became of every line. Ends with 0 only if that is what was expected, so that it is a test as well.
#
#   TRACKBRIDGE=/path/to/trackbridge   use this binary; install and build nothing
#   KEEP=1                             leave the temporary folder behind
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
data=$root/tests/data/demo
here=$(mktemp -d "${TMPDIR:-/tmp}/trackbridge-demo.XXXXXX")
api_pid='' daemon_pid=''

end() {
	status=$?
	trap - EXIT INT TERM HUP
	for pid in $daemon_pid $api_pid; do
		kill "$pid" 2>/dev/null || :
		wait "$pid" 2>/dev/null || :
	done
	if [ -n "${KEEP-}" ]; then
		echo "left behind: $here"
	else
		rm -rf "$here"
	fi
	exit "$status"
}
trap end EXIT
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM

bold='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR-}" ]; then
	bold=$'\033[1m' plain=$'\033[0m'
fi

say() { printf '\n%s%s%s\n' "$bold" "$*" "$plain"; }

fail() {
	printf 'demo.sh: %s\n' "$*" >&2
	for log in api daemon; do
		[ ! -s "$here/$log.log" ] || sed "s/^/  $log: /" "$here/$log.log" | tail -n 20 >&2
	done
	exit 1
}

# Runs quietly; a failure shows what was said.
quietly() {
	"$@" >"$here/step.log" 2>&1 || {
		tail -n 40 "$here/step.log" >&2
		fail "$* failed"
	}
}

prepare() {
	if [ -n "${TRACKBRIDGE-}" ]; then
		tb=$TRACKBRIDGE
	else
		say 'Installing what is missing, building build/release (a minute or two the first time)'
		quietly "$root/tools/deps.sh"
		cd "$root"
		# The daemon needs none of the tests' libraries.
		tests=OFF
		! pkg-config --exists cmocka libssl || tests=ON
		quietly cmake --preset release -DTRACKBRIDGE_TESTS="$tests"
		quietly cmake --build --preset release --target trackbridge
		cd - >/dev/null
		tb=$root/build/release/trackbridge
	fi
	[ -x "$tb" ] || fail "$tb is no program"
	for tool in python3 openssl sqlite3 iconv; do
		command -v "$tool" >/dev/null || fail "$tool is missing"
	done
}

start_api() {
	python3 "$root/tests/support/scripted_api.py" --dir "$here" --ledger "$here/ledger" --delay 120 \
		>"$here/listening" 2>"$here/api.log" &
	api_pid=$!
	for _ in {1..200}; do
		port=$(sed -n 's/^listening 127\.0\.0\.1:\([0-9]*\) .*/\1/p' "$here/listening")
		[ -z "$port" ] || return 0
		kill -0 "$api_pid" 2>/dev/null || fail 'the scripted D1 did not start'
		sleep 0.1
	done
	fail 'the scripted D1 did not start in 20 s'
}

configure() {
	mkdir -p "$here"/{orleans,dublin,bern}/{in,out}
	cat >"$here/trackbridge.yaml" <<-END
		state_dir: state
		control_socket: control.sock
		min_free_space: 16MiB
		endpoints:
		  - name: bankfr
		    api_url: https://localhost:$port/banking/v1
		    token_url: https://localhost:$port/authz/v1/oauth2/token
		    issuers: [BANKFR0001]
		    jwt: { issuer: BANKFR0001, key: pki/jwt.key, key_id: 2026-01 }
		    tls: { certificate: pki/client.pem, key: pki/client.key, ca: pki/ca.pem }
		    retry: { first: 200ms }
		sources:
		  - name: orleans
		    drop: orleans/in
		    receipts: orleans/out
		    complete: { when: renamed }
		    format: { encoding: iso-8859-1, delimiter: ";" }
		    fields:
		      issuerId: { value: BANKFR0001 }
		      cardId: REF_CARTE
		      trackingType: { column: STATUT, map: { FABRIQUÉE: PRODUCTION, EXPÉDIÉE: SHIPMENT, NPAI: RETURN, EN COURS: skip } }
		      productionSite: { column: SITE, default: Orléans }
		      trackingNumber: NO_SUIVI
		      postalCode: CODE_POSTAL
		      countryCode: { column: PAYS, map: { France: FR, Belgique: BE, Suisse: CH, Monaco: MC } }
		      shipmentDate: { column: DATE_EXPEDITION, format: "%d/%m/%Y %H:%M", timezone: Europe/Paris }
		  - name: dublin
		    drop: dublin/in
		    receipts: dublin/out
		    complete: { when: renamed }
		    format: { delimiter: "," }
		    fields:
		      issuerId: issuer
		      cardId: card
		      trackingType: event
		      productionSite: site
		      trackingNumber: number
		      postalCode: { column: zip, case: upper }
		      countryCode: country
		      shipmentDate: shipped at
		  - name: bern
		    drop: bern/in
		    receipts: bern/out
		    match: ["*.dat"]
		    complete: { when: renamed }
		    format: { delimiter: "|", quote: none, header: false }
		    trailer: { first_column: TRL, count_column: 2, counts: rows+trailer }
		    fields:
		      issuerId: { value: BANKFR0001 }
		      cardId: 1
		      trackingType: { column: 2, map: { P: PRODUCTION, S: SHIPMENT, R: RETURN, X: skip } }
		      productionSite: { value: Bern }
		      trackingNumber: 4
		      postalCode: 5
		      countryCode: 6
		      shipmentDate: { column: 3, format: "%Y%m%d", timezone: Europe/Zurich, time: "12:00" }
		    shipment_without_number: production
	END
}

trackbridge() { "$tb" -c "$here/trackbridge.yaml" "$@"; }
ask() { sqlite3 -readonly "$@"; }
database() { ask "$here/state/queue.db" "$1"; }

start_daemon() {
	"$tb" -c "$here/trackbridge.yaml" run 2>"$here/daemon.log" &
	daemon_pid=$!
	for _ in {1..100}; do
		grep -qs 'bern: watching' "$here/daemon.log" && return 0
		kill -0 "$daemon_pid" 2>/dev/null || fail 'the daemon did not start'
		sleep 0.1
	done
	fail 'the daemon did not start in 10 s'
}

# As factories do it: under a temporary name, then renamed.
drop() {
	cp "$data/$2" "$here/$1/in/$2.part"
	mv "$here/$1/in/$2.part" "$here/$1/in/$2"
	echo "$2 -> $1/in"
}

# Shows the counts until so many manifests are loaded and nothing is on its way any more.
follow() {
	for _ in {1..60}; do
		sleep 0.5
		trackbridge status | awk '$1 == "rows" { for (i = 2; $i !~ /^\(/ && i < NF; i += 2) if ($(i + 1) > 0) printf "  %s %s", $i, $(i + 1); print "" }'
		moving=$(database "SELECT count(*) < $1 OR sum(queued + sending) > 0 OR sum(state = 'loading') > 0 FROM manifest_status")
		[ "$moving" = 1 ] || return 0
	done
	fail 'the rows did not come to an end in 30 s'
}

settled_receipts() { cat "$here"/*/out/*.receipt.csv | grep -c '^TRAILER,.*,SETTLED' || :; }

# These files come a moment after the last row. The receipt of dispatch.csv stays OPEN: one of its rows is in doubt.
wait_for_files() {
	for _ in {1..50}; do
		rejects=$(find "$here"/*/out -name '*.rejects.csv' | wc -l)
		[ "$(settled_receipts) $rejects" != '3 1' ] || return 0
		sleep 0.1
	done
	fail "$(settled_receipts) receipts of settled manifests and $rejects files of rejected rows, not 3 and 1"
}

stop_daemon() {
	kill -TERM "$daemon_pid"
	wait "$daemon_pid" || fail "the daemon ended with $?"
	daemon_pid=''
}

show() {
	say '$ sqlite3 -readonly -box queue.db "SELECT … FROM status"        (two of the four manifests)'
	ask -box "$here/state/queue.db" "
		SELECT row_id AS row, manifest, line, card_id, tracking_type AS type, state, attempts AS tries, http_status AS http,
		       substr(operation_id, 1, 8) || '…' AS operation, substr(detail, 1, 45) AS detail
		FROM status WHERE manifest IN ('dispatch.csv', 'SUIVI_20260329.csv')"
	say '$ … FROM manifest_status'
	ask -box "$here/state/queue.db" "
		SELECT manifest_id AS id, source, name, state, rows, accepted, refused, in_doubt, rejected, duplicate, skipped
		FROM manifest_status"
	say 'orleans/out: the receipt of the second file'
	cat "$here"/orleans/out/SUIVI_20260329.*.receipt.csv
	say 'orleans/out: its rejected rows, to be corrected and dropped again'
	iconv -f iso-8859-1 -t utf-8 "$here"/orleans/out/SUIVI_20260329.*.rejects.csv
}

# name, state, rows = accepted + refused + in_doubt + rejected + duplicate + skipped
expected='EMB00412.dat|settled|5|4|0|0|0|0|1
SUIVI_20260327.csv|settled|8|7|0|0|0|0|1
SUIVI_20260329.csv|settled|12|3|0|0|4|5|0
dispatch.csv|released|7|5|1|1|0|0|0'

judge() {
	got=$(database "SELECT name, state, rows, accepted, refused, in_doubt, rejected, duplicate, skipped FROM manifest_status ORDER BY name")
	[ "$got" = "$expected" ] || fail "manifests are not as expected:
$got"
	# One attempt for each row that left, and a second one for the row that was told 503.
	requests=$(wc -l <"$here/ledger")
	attempts=$(database 'SELECT count(*) FROM attempt_history')
	[ "$requests $attempts" = '22 22' ] || fail "D1 read $requests requests of $attempts attempts, not 22 of 22"
	! grep -v '"bad": *""' "$here/ledger" >&2 || fail 'D1 would not have taken these requests'
	left=$(find "$here"/*/in -mindepth 1)
	[ -z "$left" ] || fail "left in the drop directories: $left"
	files=$(find "$here"/*/out -name '*.receipt.csv' | wc -l)
	[ "$files" = 4 ] || fail "$files receipts, not 4"
}

prepare
say 'Starting a scripted D1 and the daemon'
start_api
configure
start_daemon
say 'Three factories drop their manifests'
drop orleans SUIVI_20260327.csv
drop dublin dispatch.csv
drop bern EMB00412.dat
follow 3
say 'Two days later: a cumulative export, with four bad rows'
drop orleans SUIVI_20260329.csv
follow 4
wait_for_files
stop_daemon
show
judge
say 'As expected: 32 rows; 19 accepted, 5 known already, 4 rejected, 2 skipped, 1 refused by D1, and 1 whose answer was lost: in_doubt.'
