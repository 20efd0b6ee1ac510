#!/usr/bin/env bash
# Starts the sample with everything that it needs. Ctrl-C ends it, and nothing stays behind.
#   ./run.sh              on port 5080, or the next free one
#   PORT=8080 ./run.sh    on this port
#   ./run.sh tenants list a command; what it needs is printed by the sample that runs, or yours: docs/commands.md
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

in_use() {
  (exec 3<> "/dev/tcp/127.0.0.1/$1") 2> /dev/null
}

# With an address of your own, the sample uses that server and starts none.
[[ -n ${ADMIN_DATABASE_URL:-} ]] || eng/setup.sh postgres

port=${PORT:-}
if [[ -z $port ]]; then
  port=5080
  while in_use "$port"; do
    port=$((port + 1))
  done
fi

export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1
# The SDK leaves folders in the temp folder, so it gets one of its own.
build=$(mktemp -d "${TMPDIR:-/tmp}/neocommons-run-XXXXXX")
trap 'rm -rf "$build"' EXIT
# Not to stdout, which is a command's result.
echo "Building the sample ..." >&2
TMPDIR=$build MSBUILDDISABLENODEREUSE=1 dotnet build samples/WebSample -c Release -v quiet >&2
rm -rf "$build"

export ASPNETCORE_ENVIRONMENT=Development ASPNETCORE_URLS=http://localhost:$port
cd samples/WebSample
exec dotnet bin/Release/net10.0/WebSample.dll "$@"
