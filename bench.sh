#!/usr/bin/env bash
# Runs the benchmarks: ours beside what one would do instead, in the same run. Results: benchmarks/results.
#   ./bench.sh [name ...] [--quick]
# Without a name: all but 'profile', which shows where the client's processor time goes, and needs Linux and perf.
set -euo pipefail
cd "$(dirname "$0")"

. eng/jobs.sh
run eng/setup.sh postgres pgbouncer

# .NET does not start without ICU unless it is told to do without.
if [[ $(uname) == Linux && $(PATH=$PATH:/usr/sbin:/sbin ldconfig -p 2> /dev/null) != *libicuuc* ]]; then
  export DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1
fi

run dotnet run --project benchmarks/NeoCommons.EfCore.Benchmarks -c Release -- "$@"
