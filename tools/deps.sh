#!/usr/bin/env bash
# deps.sh: installs the Debian packages that are missing, as root or through sudo. Nothing missing: nothing is done, and no root is needed.
#
#   tools/deps.sh         to build, and to run the demo
#   tools/deps.sh check   to run all tests as well
#   tools/deps.sh package to build the package
#   tools/deps.sh system  to try it in a booted systemd (root)
set -euo pipefail

build=(
	gcc libc6-dev cmake ninja-build pkg-config
	libcurl4-openssl-dev libcsv-dev libcjson-dev libsqlite3-dev libyaml-dev libssl-dev libsystemd-dev
	# Time zones, and certificate authorities for D1's server certificate.
	tzdata ca-certificates
	# The demo and its scripted D1.
	python3 openssl sqlite3
)
check=(
	libcmocka-dev clang libclang-rt-14-dev clang-format clang-tidy cppcheck shellcheck mandoc
	strace procps git gcovr
)

package=(dpkg-dev git gzip xz-utils)
system=(debootstrap systemd-container lintian)

case ${1-} in
'') wanted=("${build[@]}") ;;
check) wanted=("${build[@]}" "${check[@]}") ;;
package) wanted=("${build[@]}" "${package[@]}") ;;
system) wanted=("${build[@]}" "${package[@]}" "${system[@]}") ;;
*)
	echo "usage: tools/deps.sh [check | package | system]" >&2
	exit 64
	;;
esac

if ! command -v dpkg-query >/dev/null; then
	echo "deps.sh: this is not Debian. Install the like of these: ${wanted[*]}" >&2
	exit 69
fi

missing=()
for package in "${wanted[@]}"; do
	status=$(dpkg-query -W -f '${db:Status-Status}\n' "$package" 2>/dev/null || :)
	grep -qx installed <<<"$status" || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
	exit 0
fi

if [ "$(id -u)" -eq 0 ]; then
	as_root=()
elif command -v sudo >/dev/null; then
	# Without a terminal nobody could type a password: fail instead of waiting.
	if [ -t 0 ]; then as_root=(sudo); else as_root=(sudo -n); fi
else
	echo "deps.sh: these packages are missing, and neither root nor sudo is at hand: ${missing[*]}" >&2
	exit 77
fi

echo "installing ${missing[*]}"
apt() {
	"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" </dev/null
}
# What is known of the packages may be old, or nothing at all.
apt update
apt install --yes --no-install-recommends "${missing[@]}" >/dev/null
