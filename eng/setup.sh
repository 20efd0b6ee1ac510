#!/usr/bin/env bash
# Finds what tests and the sample need, and installs what is missing.
#   eng/setup.sh postgres redis pgbouncer python faketime
# Starts nothing: every test starts its own servers, on ports of their own.
set -euo pipefail

has_postgres() {
  [[ -n ${NEO_TEST_POSTGRES:-} ]] && return
  local initdb
  for initdb in "${NEO_TEST_POSTGRES_BIN:-/nowhere}"/initdb /usr/lib/postgresql/*/bin/initdb /usr/pgsql-*/bin/initdb \
    /opt/homebrew/opt/postgresql@*/bin/initdb /usr/local/opt/postgresql@*/bin/initdb; do
    [[ -x $initdb && -x ${initdb%initdb}postgres ]] && return
  done
  command -v initdb > /dev/null && command -v postgres > /dev/null
}

has_redis() {
  [[ -n ${NEO_TEST_REDIS:-} ]] || command -v redis-server > /dev/null || command -v valkey-server > /dev/null
}

has_pgbouncer() {
  # sbin is not on the PATH of every user.
  command -v pgbouncer > /dev/null || [[ -x /usr/sbin/pgbouncer || -x /usr/local/sbin/pgbouncer ]]
}

has_python() {
  local python=/usr/bin/python3
  [[ -x $python ]] || python=python3
  "$python" -c 'import cryptography' > /dev/null 2>&1
}

has_faketime() {
  [[ $(uname) != Linux ]] && return
  compgen -G '/usr/lib*/faketime/libfaketime.so.1' > /dev/null || compgen -G '/usr/lib/*/faketime/libfaketime.so.1' > /dev/null
}

packages_of() {
  case $1 in
    postgres) echo postgresql ;;
    redis) echo redis-server ;;
    pgbouncer) echo pgbouncer ;;
    python) echo python3 python3-cryptography ;;
    faketime) echo libfaketime ;;
  esac
}

# Prints those of its arguments that are missing.
missing_of() {
  local what
  for what in "$@"; do
    "has_$what" || echo "$what"
  done
}

as_root() {
  if ((EUID == 0)); then
    "$@"
  else
    sudo -n "$@"
  fi
}

can_install() {
  command -v apt-get > /dev/null && { ((EUID == 0)) || { command -v sudo && sudo -n true; } > /dev/null 2>&1; }
}

install_packages() {
  local lock='DPkg::Lock::Timeout=300'
  echo "setup: installing $*" >&2
  # A repository that does not answer is no reason to stop: the lists may be there already.
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq -o "$lock" >&2 || true
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -qq -y --no-install-recommends -o "$lock" "$@" >&2
}

has_docker() {
  command -v docker > /dev/null && docker info > /dev/null 2>&1
}

for what in "$@"; do
  case $what in
    postgres | redis | pgbouncer | python | faketime) ;;
    *)
      echo "setup: unknown '$what'; known: postgres redis pgbouncer python faketime" >&2
      exit 2
      ;;
  esac
done

mapfile -t missing < <(missing_of "$@")
((${#missing[@]} == 0)) && exit 0

if can_install; then
  packages=()
  for what in "${missing[@]}"; do
    read -ra names < <(packages_of "$what")
    packages+=("${names[@]}")
  done
  install_packages "${packages[@]}" || echo "setup: the package manager failed" >&2
  mapfile -t missing < <(missing_of "$@")
fi

# PostgreSQL and Redis also run as containers; the others do not.
unavailable=()
for what in "${missing[@]}"; do
  if [[ $what == postgres || $what == redis ]] && has_docker; then
    echo "setup: no $what installed, Docker will run it" >&2
  else
    unavailable+=("$what")
  fi
done
((${#unavailable[@]} == 0)) && exit 0

{
  echo "setup: missing: ${unavailable[*]}"
  for what in "${unavailable[@]}"; do
    echo "  $what: on Debian and Ubuntu, as root: apt-get install $(packages_of "$what")"
  done
  echo "  elsewhere: the packages of the same name, or start Docker (PostgreSQL and Redis only),"
  echo "  or name running servers in NEO_TEST_POSTGRES (a connection string) and NEO_TEST_REDIS (host:port)."
} >&2
exit 1
