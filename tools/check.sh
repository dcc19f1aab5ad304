#!/usr/bin/env bash
# check.sh: everything that must hold before a change goes in, in under twelve minutes on two cores. Installs what is missing, builds with
# gcc and clang (warnings are errors) and with the sanitizers, below build/, and runs the tests. Goes on after a failure, ends with a
# summary, and with 0 only if all went well.
set -uo pipefail
cd "$(dirname "$0")/.." || exit 1
export LC_ALL=C.UTF-8 CTEST_OUTPUT_ON_FAILURE=1 PYTHONDONTWRITEBYTECODE=1
jobs=$(nproc)
waiting=$((2 * jobs + 1)) # end-to-end tests wait more than they compute

summary=()
failed=0
# step HEADLINE COMMAND…
step() {
	local begin=$SECONDS result
	printf '\n== %s\n' "$1"
	if "${@:2}" </dev/null; then
		result=ok
	else
		result=FAILED
		failed=$((failed + 1))
	fi
	summary+=("$(printf '%-8s %4d s   %s' "$result" $((SECONDS - begin)) "$1")")
	[ "$result" = ok ]
}

# built PRESET: quiet unless it fails.
built() {
	local log=build/$1.log
	mkdir -p build
	if cmake --preset "$1" >"$log" 2>&1 && cmake --build --preset "$1" --parallel "$jobs" >>"$log" 2>&1; then
		tail -n 1 "$log"
		return 0
	fi
	tail -n 60 "$log"
	return 1
}

# tested PRESET LABELS [JOBS]
tested() {
	ctest --test-dir "build/$1" --no-tests=error -L "$2" --parallel "${3:-$jobs}"
}

# sanitized LABELS: a report fails the step even where a test does not look at how the daemon ended.
sanitized() {
	local reports=$PWD/build/asan/reports result=0 found
	rm -rf "$reports" && mkdir -p "$reports" || return 1
	TRACKBRIDGE_FEWER=1 ASAN_OPTIONS=log_path=$reports/asan UBSAN_OPTIONS=print_stacktrace=1:log_path=$reports/ubsan tested asan "$1" "$waiting" || result=1
	found=$(find "$reports" -type f -size +0 -print -exec cat {} +)
	[ -z "$found" ] || { head -n 200 <<<"$found" && result=1; }
	return "$result"
}

if step 'packages' tools/deps.sh check; then
	if step 'build: gcc' built debug; then
		step 'unit tests, and the corpus of the fuzzers' tested debug '^(unit|support|fuzz)$'
		step 'end-to-end tests' tested debug '^(e2e|peers)$' "$waiting"
		step 'lint' tested debug '^lint$'
		step 'faults, the short run' tested debug '^faults$' 1
	fi
	step 'build: clang' built clang
	if step 'build: gcc with AddressSanitizer and UBSan' built asan; then
		step 'unit and end-to-end tests with the sanitizers' sanitized '^(unit|e2e)$'
	fi
fi

printf '\n== summary (%d s)\n' "$SECONDS"
printf '%s\n' "${summary[@]}"
if [ "$failed" -gt 0 ]; then
	printf '%d of %d steps failed\n' "$failed" "${#summary[@]}"
	exit 1
fi
