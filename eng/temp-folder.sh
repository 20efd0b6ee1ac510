#!/usr/bin/env bash
# To be sourced: a temp folder for the servers that this script starts, which goes when it ends.

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
export TMPDIR=$(mktemp -d "${TMPDIR:-$(memory_folder || echo /tmp)}/neocommons-test-$$-XXXXXX")
chmod 755 "$TMPDIR"
trap 'rm -rf "$TMPDIR"' EXIT
