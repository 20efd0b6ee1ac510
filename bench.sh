#!/usr/bin/env bash
# Runs the benchmarks: ours beside what one would do instead, in the same run. Results: benchmarks/results.
#   ./bench.sh [name ...] [--quick]
set -euo pipefail
cd "$(dirname "$0")"

. eng/jobs.sh
run eng/setup.sh postgres pgbouncer
run dotnet run --project benchmarks/NeoCommons.EfCore.Benchmarks -c Release -- "$@"
