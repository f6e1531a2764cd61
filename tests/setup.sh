#!/bin/sh
# SPDX-License-Identifier: MIT
#
# Installs what is missing for a job: build (make), run (the program and its local mesh) or check
# (everything else that `make check`, lint and format need; it includes build and run).
#
#   sh tests/setup.sh build|run|check ...
#
# On Debian and Ubuntu by apt-get, as root or by sudo. Elsewhere it says what to install and how,
# and fails only if something is missing. When nothing is missing it does nothing, at once.
set -eu

# What is needed, one line each:
#   job | how it is noticed | Debian | Fedora | Arch | Alpine | openSUSE | Homebrew
# Noticed by: a command, a pkg-config module (lib:NAME), or a function below (is:NAME).
# For Debian a/b is the first one that the system offers; "-": this system has no such thing.
needs() {
	cat <<'EOF'
build | cc                | gcc                  | gcc                | gcc       | gcc                | gcc                | xcode
build | is:libc_headers   | libc6-dev            | glibc-devel        | glibc     | musl-dev           | glibc-devel        | xcode
build | make              | make                 | make               | make      | make               | make               | xcode
build | pkg-config        | pkg-config           | pkgconf-pkg-config | pkgconf   | pkgconf            | pkgconf-pkg-config | pkgconf
build | lib:libcurl       | libcurl4-openssl-dev | libcurl-devel      | curl      | curl-dev           | libcurl-devel      | curl
build | lib:libcjson      | libcjson-dev         | cjson-devel        | cjson     | cjson-dev          | cJSON-devel        | cjson
build | lib:inih          | libinih-dev          | inih-devel         | libinih   | inih-dev           | inih-devel         | inih
build | lib:libevent_core | libevent-dev         | libevent-devel     | libevent  | libevent-dev       | libevent-devel     | libevent
build | lib:sqlite3       | libsqlite3-dev       | sqlite-devel       | sqlite    | sqlite-dev         | sqlite3-devel      | sqlite
build | lib:libqrencode   | libqrencode-dev      | qrencode-devel     | qrencode  | libqrencode-dev    | qrencode-devel     | qrencode
build | lib:libcrypto     | libssl-dev           | openssl-devel      | openssl   | openssl-dev        | libopenssl-devel   | openssl@3
build | is:avahi_headers  | libavahi-client-dev  | avahi-devel        | avahi     | avahi-dev          | libavahi-devel     | -
build | lib:ldns          | libldns-dev          | ldns-devel         | ldns      | ldns-dev           | ldns-devel         | ldns
build | lib:libpsl        | libpsl-dev           | libpsl-devel       | libpsl    | libpsl-dev         | libpsl-devel       | libpsl
run   | git               | git                  | git-core           | git       | git                | git-core           | git
run   | caddy             | caddy                | caddy              | caddy     | caddy              | caddy              | caddy
check | lib:cmocka        | libcmocka-dev        | libcmocka-devel    | cmocka    | cmocka-dev         | libcmocka-devel    | cmocka
check | direnv            | direnv               | direnv             | direnv    | direnv             | direnv             | direnv
check | clang             | clang                | clang              | clang     | clang              | clang              | xcode
check | is:fuzzer_runtime | libclang-rt-dev/libclang-rt-14-dev | compiler-rt | compiler-rt | compiler-rt  | clang              | llvm
check | clang-format      | clang-format         | clang-tools-extra  | clang     | clang-extra-tools  | clang-tools        | clang-format
check | clang-tidy        | clang-tidy           | clang-tools-extra  | clang     | clang-extra-tools  | clang-tools        | llvm
check | cppcheck          | cppcheck             | cppcheck           | cppcheck  | cppcheck           | cppcheck           | cppcheck
check | mandoc            | mandoc               | mandoc             | mandoc    | mandoc             | mandoc             | mandoc
check | dot               | graphviz             | graphviz           | graphviz  | graphviz           | graphviz           | graphviz
check | shellcheck        | shellcheck           | ShellCheck         | shellcheck | shellcheck        | ShellCheck         | shellcheck
check | faketime          | faketime             | libfaketime        | libfaketime | libfaketime      | libfaketime        | libfaketime
check | node              | nodejs               | nodejs             | nodejs    | nodejs             | nodejs             | node
check | systemd-analyze   | systemd              | systemd            | systemd   | -                  | systemd            | -
check | is:ip             | iproute2             | iproute            | iproute2  | iproute2           | iproute2           | -
check | dig               | bind9-dnsutils/dnsutils | bind-utils      | bind      | bind-tools         | bind-utils         | bind
check | kdig              | knot-dnsutils        | knot-utils         | knot      | knot-utils         | knot-utils         | knot
check | is:knotd          | knot                 | knot               | knot      | knot               | knot               | knot
check | is:dnsmasq        | dnsmasq-base         | dnsmasq            | dnsmasq   | dnsmasq            | dnsmasq            | dnsmasq
check | dnsperf           | dnsperf              | dnsperf            | dnsperf   | dnsperf            | dnsperf            | dnsperf
check | dbus-daemon       | dbus-daemon/dbus     | dbus-daemon        | dbus      | dbus               | dbus-1             | dbus
check | is:resolved       | systemd-resolved     | systemd-resolved   | systemd   | -                  | systemd-resolved   | -
check | openssl           | openssl              | openssl            | openssl   | openssl            | openssl            | openssl
check | curl              | curl                 | curl               | curl      | curl               | curl               | curl
check | is:avahi          | avahi-daemon         | avahi              | avahi     | avahi              | avahi              | -
check | is:dbus           | dbus-daemon/dbus     | dbus-daemon        | dbus      | dbus               | dbus-1-daemon/dbus-1 | -
check | zbarimg           | zbar-tools           | zbar               | zbar      | zbar               | zbar               | zbar
check | openssl           | openssl              | openssl            | openssl   | openssl            | openssl            | openssl@3
check | bash              | bash                 | bash               | bash      | bash               | bash               | bash
check | python3           | python3              | python3            | python    | python3            | python3            | python3
check | npm               | npm                  | nodejs-npm         | npm       | npm                | npm                | node
check | go                | golang-go            | golang             | go        | go                 | go                 | go
check | php               | php-cli              | php-cli            | php       | php83              | php8-cli           | php
check | elixir            | elixir               | elixir             | elixir    | elixir             | elixir             | elixir
check | puma              | puma                 | rubygem-puma       |           |                    |                    |
check | uvicorn           | uvicorn              | python3-uvicorn    | uvicorn   | uvicorn            | python3-uvicorn    |
check | gunicorn          | gunicorn             | python3-gunicorn   | gunicorn  | py3-gunicorn       | python3-gunicorn   |
check | is:flask          | python3-flask        | python3-flask      | python-flask | py3-flask       | python3-Flask      |
check | is:django         | python3-django       | python3-django     | python-django | py3-django     | python3-Django     |
check | is:dockerd        | docker.io            | moby-engine        | docker    | docker             | docker             | -
check | is:docker         | docker-cli/docker.io | docker-cli         | docker    | docker-cli         | docker             | -
check | is:compose        | docker-compose-v2/docker-compose | docker-compose | docker-compose | docker-cli-compose | docker-compose | -
check | certutil          | libnss3-tools        | nss-tools          | nss       | nss-tools          | mozilla-nss-tools  | nss
check | chromium          | chromium             | chromium           | chromium  | chromium           | chromium           | chromium
EOF
}

libc_headers() {
	[ -e /usr/include/stdio.h ] || [ "$(uname)" = Darwin ]
}

avahi_headers() {
	[ "$(uname)" = Darwin ] || { command -v pkg-config >/dev/null && pkg-config --exists avahi-client; }
}

# macOS has a responder of its own.
avahi() {
	command -v avahi-daemon >/dev/null || [ -x /usr/sbin/avahi-daemon ] || [ "$(uname)" = Darwin ]
}

fuzzer_runtime() {
	command -v clang >/dev/null || return 1
	for file in "$(clang -print-resource-dir)"/lib/*/*clang_rt.fuzzer*; do
		[ -e "$file" ] && return 0
	done
	return 1
}

# The system's interpreter, as the tests run it, whatever else is first in PATH.
python_has() {
	PATH=/usr/bin:/bin:$PATH python3 -c "import $1" 2>/dev/null
}

resolved() {
	[ -x /lib/systemd/systemd-resolved ] || [ -x /usr/lib/systemd/systemd-resolved ] ||
		[ -x build/resolved/lib/systemd/systemd-resolved ] ||
		[ -x build/resolved/usr/lib/systemd/systemd-resolved ]
}

# The test that needs Docker starts a daemon of its own, which only root can; others skip it.
no_daemon() {
	[ "$(id -u)" -ne 0 ]
}

has() {
	case $1 in
	is:flask) python_has flask ;;
	is:django) python_has django ;;
	is:docker) no_daemon || command -v docker >/dev/null ;;
	is:dockerd) no_daemon || command -v dockerd >/dev/null || [ -x /usr/sbin/dockerd ] ;;
	is:compose) no_daemon || docker compose version >/dev/null 2>&1 ||
		command -v docker-compose >/dev/null ;;
	is:ip) command -v ip >/dev/null || [ -x /sbin/ip ] || [ "$(uname)" = Darwin ] ;;
	is:avahi_headers) avahi_headers ;;
	is:avahi) avahi ;;
	is:dbus) command -v dbus-daemon >/dev/null || [ "$(uname)" = Darwin ] ;;
	is:knotd) command -v knotd >/dev/null || [ -x /usr/sbin/knotd ] ;;
	is:dnsmasq) command -v dnsmasq >/dev/null || [ -x /usr/sbin/dnsmasq ] ;;
	is:resolved) no_daemon || resolved ;;
	is:libc_headers) libc_headers ;;
	is:fuzzer_runtime) fuzzer_runtime ;;
	lib:*) command -v pkg-config >/dev/null && pkg-config --exists "${1#lib:}" ;;
	*) command -v "$1" >/dev/null ;;
	esac
}

# Prints "NOTICED-BY PACKAGE" for everything that the jobs need and this system lacks.
missing() {
	needs | while IFS='| ' read -r job by debian fedora arch alpine suse brew; do
		case " $jobs " in
		*" $job "*) ;;
		*) continue ;;
		esac
		has "$by" && continue
		case $system:$alpine:$brew in
		alpine:-:* | brew:*:-) continue ;;
		esac
		case $system in
		debian | unknown) echo "$by $debian" ;;
		fedora) echo "$by $fedora" ;;
		arch) echo "$by $arch" ;;
		alpine) echo "$by $alpine" ;;
		suse) echo "$by $suse" ;;
		brew) echo "$by $brew" ;;
		esac
	done
}

say() {
	echo "setup: $*" >&2
}

as_root() {
	if [ "$(id -u)" -eq 0 ]; then
		"$@"
	else
		sudo "$@"
	fi
}

# The packages of $lacking, each once, on one line.
packages() {
	echo "$lacking" | cut -d ' ' -f 2 | sort -u | tr '\n' ' '
}

# Debian's packages of Caddy, Docker and Knot enable and start system-wide services. Nobody asked for that
# here: units that are new are masked while the packages are set up, and left disabled.
mask_units() {
	[ -d /run/systemd/system ] && command -v systemctl >/dev/null || return 0
	for unit in "$@"; do
		systemctl cat "$unit" >/dev/null 2>&1 || masked="$masked $unit"
	done
	[ -n "$masked" ] || return 0
	trap unmask_units EXIT
	# shellcheck disable=SC2086 # names of units
	if ! as_root systemctl --quiet --runtime mask $masked; then
		say "could not keep the packages from starting system services"
		masked=
	fi
}

unmask_units() {
	trap - EXIT
	[ -n "$masked" ] || return 0
	units=$masked
	masked=
	# shellcheck disable=SC2086
	as_root systemctl --quiet --runtime unmask $units
	for unit in $units; do
		if systemctl is-enabled "$unit" >/dev/null 2>&1; then
			as_root systemctl --quiet disable "$unit"
		fi
	done
	say "installed, but neither started nor enabled:$units"
}

# The package makes itself the machine's resolver when it is installed. The test needs no more than
# its programs.
unpack_resolved() {
	mkdir -p build/resolved
	(cd build/resolved && apt-get -q download systemd-resolved >&2 &&
		dpkg -x systemd-resolved_*.deb . && rm -f systemd-resolved_*.deb) ||
		say "could not unpack systemd-resolved"
}

has_package() {
	dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q ' installed$'
}

install_debian() {
	if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
		say "run this as root, or install sudo:"
		say "  apt-get install --no-install-recommends $(packages)"
		exit 1
	fi
	# The npm of a node that apt did not install is not apt's to install either.
	if echo "$lacking" | grep -q '^npm ' && has node && ! has_package nodejs; then
		say "$(command -v node) has no npm beside it: install the npm that belongs to it"
		lacking=$(echo "$lacking" | grep -v '^npm ' || true)
		[ -n "$lacking" ] || return 0
	fi
	say "installing: $(packages)"
	as_root apt-get -q -o DPkg::Lock::Timeout=300 update >&2
	set --
	for package in $(packages); do
		if [ "$package" = systemd-resolved ]; then
			unpack_resolved
			continue
		fi
		for one in $(echo "$package" | tr / ' '); do
			if apt-cache policy "$one" | grep -q 'Candidate: [^(]'; then
				set -- "$@" "$one"
				continue 2
			fi
		done
		say "$package is not in this system's package sources"
		if [ "$package" = caddy ]; then
			say "  see https://caddyserver.com/docs/install"
		fi
	done
	case " $* " in
	*" caddy "*) mask_units caddy.service caddy-api.service ;;
	esac
	case " $* " in
	*" avahi-daemon "*) mask_units avahi-daemon.service avahi-daemon.socket ;;
	esac
	case " $* " in
	*" docker.io "*) mask_units docker.service docker.socket containerd.service ;;
	esac
	case " $* " in
	*" knot "*) mask_units knot.service ;;
	esac
	if [ $# -gt 0 ]; then
		as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o DPkg::Lock::Timeout=300 \
			install --no-install-recommends "$@" >&2 </dev/null
	fi
	unmask_units
}

jobs=
for job in "$@"; do
	case $job in
	build | run) jobs="$jobs $job" ;;
	check) jobs="build run check" ;;
	*) jobs= && break ;;
	esac
done
if [ -z "$jobs" ]; then
	echo "usage: setup.sh build|run|check ..." >&2
	exit 2
fi

system=unknown
for pair in apt-get:debian dnf:fedora pacman:arch apk:alpine zypper:suse; do
	if command -v "${pair%%:*}" >/dev/null; then
		system=${pair##*:}
		break
	fi
done
[ "$(uname)" = Darwin ] && system=brew

masked=
lacking=$(missing)
[ -z "$lacking" ] && exit 0
if [ "$system" = debian ]; then
	install_debian
	lacking=$(missing)
	[ -z "$lacking" ] && exit 0
	say "still missing: $(echo "$lacking" | cut -d ' ' -f 1 | tr '\n' ' ')"
	exit 1
fi

say "missing: $(echo "$lacking" | cut -d ' ' -f 1 | tr '\n' ' ')"
case $system in
fedora) install="dnf install" ;;
arch) install="pacman -S --needed" ;;
alpine) install="apk add" ;;
suse) install="zypper install" ;;
brew) install="brew install" ;;
*) install="install what Debian calls" ;;
esac
if [ "$system" = brew ]; then
	case " $(packages) " in
	*" xcode "*) say "  xcode-select --install" ;;
	esac
	lacking=$(echo "$lacking" | grep -v ' xcode$' || true)
fi
[ -n "$lacking" ] && say "  $install $(packages)"
exit 1
