#!/bin/sh
# SPDX-License-Identifier: MIT
# The private mesh and the example service, for `make up`. Running it twice changes nothing.
#   up.sh BUILD
set -eu
devmesh=$1/devmesh
hello=$1/bin/hello

# down.sh ends the mesh, and devmeshd, only if they were started here
mesh=$("$devmesh" start --json)
case $mesh in
*'"was_running":false'*) : >"$1/hello.mesh" ;;
*'"started":true'*) : >"$1/hello.daemon" ;;
esac
"$devmesh" -q up --app hello >/dev/null
id=$("$devmesh" name --app hello)
env=$("$devmesh" env "$id")
eval "$env"
if ! "$devmesh" -q wait "$id" --timeout 0 >/dev/null 2>&1; then
	# in the background, and no child of the terminal's
	(trap '' HUP && exec "$hello" "$DEVMESH_SOCKET" </dev/null >>"$1/hello.log" 2>&1) &
fi
"$devmesh" wait "$id" --timeout 20
