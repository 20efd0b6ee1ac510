#!/usr/bin/env bash
# Writes PublicAPI.Unshipped.txt of a project from what the analyzer finds undeclared. Review the diff.
#   eng/public-api.sh src/NeoCommons.EfCore.Testing
set -euo pipefail
cd "$(dirname "$0")/.."

project=${1:?usage: eng/public-api.sh <project folder>}
file=$project/PublicAPI.Unshipped.txt
echo '#nullable enable' > "$file"
found=$(dotnet build "$project" --no-incremental -p:BuildProjectReferences=false 2>&1 |
  sed -n "s/.*RS0016: Symbol '\(.*\)' is not part of the declared public API.*/\1/p" | LC_ALL=C sort -u || true)
[[ -z $found ]] || echo "$found" >> "$file"
