#!/usr/bin/env bash
# Everything that must be green: format, build, tests. The last line is "N passed, N failed, N skipped".
#   ./test.sh                                   all tests
#   ./test.sh --filter-class '*TcpFaultProxy*'  arguments go to dotnet test
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

solution=NeoCommons.EfCore.sln
configuration=Release
results=$PWD/artifacts/test-results
# A test that stands still must not take the whole run with it.
longest=${NEO_TEST_TIMEOUT:-45m}
export DOTNET_NOLOGO=1 DOTNET_CLI_TELEMETRY_OPTOUT=1
# A process of tests ends before what its profile would bring is there.
export DOTNET_TieredPGO=0

. eng/jobs.sh

fail() {
  echo "$1"
  echo "0 passed, 1 failed, 0 skipped"
  exit 1
}

# "passed failed skipped" of all result files.
count() {
  find "$results" -name '*.trx' -exec cat {} + | grep -o '<Counters [^>]*' | awk '
    {
      split("", value)
      for (i = 2; i <= NF; i++) {
        if (split($i, pair, "=") == 2) {
          gsub(/[^0-9]/, "", pair[2])
          value[pair[1]] = pair[2]
        }
      }
      bad = value["failed"] + value["error"] + value["timeout"] + value["aborted"]
      passed += value["passed"]
      failed += bad
      skipped += value["total"] - value["passed"] - bad
    }
    END { print passed + 0, failed + 0, skipped + 0 }'
}

# Side by side: to install, to read and to compile keep different parts of a machine busy. What fails is told at the end, where it is
# seen.
prepare() {
  # What runs in the background of a script does not hear an interrupt.
  trap 'trap "" TERM; kill -TERM 0; exit 130' INT
  eng/setup.sh postgres redis pgbouncer python faketime &
  local servers=$! failed=()
  (dotnet tool restore && dotnet csharpier check .) &
  local format=$!
  dotnet build "$solution" -c "$configuration" || failed+=("The build failed.")
  wait "$format" || failed+=("Not formatted: run 'dotnet tool restore' and 'dotnet csharpier format .'.")
  wait "$servers" || failed+=("The servers that tests need are not there: run 'eng/setup.sh postgres redis pgbouncer python faketime'.")
  ((${#failed[@]} == 0)) || {
    printf '%s\n' "${failed[@]}"
    return 1
  }
}

run prepare || fail "Nothing was tested"

export NEO_RUNNING_TESTS=$PWD/artifacts/running-tests
rm -rf "$results" "$NEO_RUNNING_TESTS"
mkdir -p "$results" "$NEO_RUNNING_TESTS"
arguments=("$@")
# With a filter, a project without a matching test is no failure.
(($# == 0)) || arguments+=(--ignore-exit-code 8)

# The longest ones first, and as many at a time as there are processors: none of them is left to run alone at the end.
{
  printf '%s\n' NeoCommons.EfCore.{Admin.Tests,Tests,Isolation.Tests,Fleet.Tests} WebSample.Tests NeoCommons.EfCore.Testing.Tests
  (cd tests && ls -d -- *.Tests)
} | awk '!seen[$0]++' > artifacts/test-projects
code=0
run timeout --signal=INT --kill-after=60 "$longest" xargs -a artifacts/test-projects -P "$(nproc)" -I {} \
  dotnet test --project tests/{} -c "$configuration" --no-build --no-progress \
  --results-directory "$results" --report-trx ${arguments[@]+"${arguments[@]}"} || code=$?

if ((code == 124 || code == 137)); then
  echo "The tests were ended after $longest (NEO_TEST_TIMEOUT). These were running:"
  find "$NEO_RUNNING_TESTS" -type f -exec cat {} +
fi
files=$(find "$results" -name '*.trx' | wc -l)
projects=$(find tests -name '*.Tests.csproj' | wc -l)
read -r passed failed skipped < <(count) || true
if ((files == 0)); then
  fail "No test results were written"
fi
if (($# == 0 && files < projects)); then
  echo "$((projects - files)) of $projects test projects wrote no results"
  failed=$((failed + projects - files))
fi
# A test host that crashed, or a run without a test, fails without a failed test.
if ((code != 0 && failed == 0)); then
  echo "The tests ended with exit code $code"
  failed=1
fi

echo "$passed passed, $failed failed, $skipped skipped"
((failed == 0))
