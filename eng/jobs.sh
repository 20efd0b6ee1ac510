# To be sourced: 'run' starts a command that ends with this script, and TMPDIR is a folder for its servers that goes with it.

# Build nodes that stay would keep the output of this script open.
export MSBUILDDISABLENODEREUSE=1

# Servers make and drop databases of three hundred files for each test: in memory, where there is plenty of it, that is quicker.
memory_folder() {
  # systemd drops what a user has there when he logs out; root's it leaves.
  [[ $EUID -eq 0 && -w /dev/shm && -r /proc/meminfo && -r /proc/mounts ]] || return 1
  grep -q '^[^ ]* /dev/shm tmpfs ' /proc/mounts || return 1
  ! grep -q '^[^ ]* /dev/shm tmpfs [^ ]*noexec' /proc/mounts || return 1
  # A container's memory may be limited, and what lies there counts.
  ! grep -qs '^[0-9]' /sys/fs/cgroup/memory.max || return 1
  ! grep -qsE '^[0-9]{1,17}$' /sys/fs/cgroup/memory/memory.limit_in_bytes || return 1
  local free shared
  free=$(awk '/^MemAvailable:/ { print int($2 / 1024) }' /proc/meminfo)
  shared=$(df -Pm /dev/shm | awk 'NR == 2 { print $4 }')
  ((free > 16384 && shared > 8192)) || return 1
  # What runs that were killed have left there would take memory for ever.
  local left
  for left in /dev/shm/neocommons-test-*; do
    [[ ! $left =~ neocommons-test-([0-9]+)- ]] || kill -0 "${BASH_REMATCH[1]}" 2> /dev/null || rm -rf "$left"
  done
  echo /dev/shm
}

# The SDK leaves folders in the temp folder, so it gets one of ours. Servers run as another user and must get through.
TMPDIR=$(mktemp -d "${TMPDIR:-$(memory_folder || echo /tmp)}/neocommons-test-$$-XXXXXX")
export TMPDIR
chmod 755 "$TMPDIR"
trap 'rm -rf "$TMPDIR"' EXIT

job=
stop() {
  trap - INT TERM
  if [[ -n $job ]]; then
    # Asked politely, tests dispose their servers. Whatever is left after that dies with its parent.
    kill -INT -- "-$job" 2> /dev/null || true
    for ((i = 0; i < 50; i++)); do
      kill -0 -- "-$job" 2> /dev/null || break
      sleep 0.2
    done
    kill -KILL -- "-$job" 2> /dev/null || true
  fi
  exit 130
}
trap stop INT TERM

# Runs a command in a process group of its own, so that an interrupt ends all of it.
run() {
  echo "> $*"
  set -m
  "$@" < /dev/null &
  job=$!
  set +m
  local code=0
  wait "$job" || code=$?
  # What it has left behind, if it was killed.
  ((code != 137)) || kill -KILL -- "-$job" 2> /dev/null || true
  job=
  return "$code"
}
