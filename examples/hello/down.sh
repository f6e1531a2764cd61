#!/bin/sh
# SPDX-License-Identifier: MIT
# Ends what up.sh has started: the example server, its registration, and the private mesh and devmeshd
# if they were not running before.
#   down.sh BUILD
set -eu
devmesh=$1/devmesh
id=$("$devmesh" name --app hello)

# one line for each service; the pid is the listener's own, from its socket
pid=$("$devmesh" -q status | awk -v id="$id" '$2 == id && $4 ~ /^[0-9]+$/ { print $4 }')
[ -z "$pid" ] || kill "$pid"
"$devmesh" -q down "$id" 2>/dev/null || true
if [ -e "$1/hello.mesh" ]; then
	"$devmesh" stop
elif [ -e "$1/hello.daemon" ]; then
	"$devmesh" daemon stop
fi
rm -f "$1/hello.mesh" "$1/hello.daemon"
