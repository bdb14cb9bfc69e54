# shellcheck shell=bash
# Functions that the scripts share. Sourced, never run.

# shellcheck disable=SC2034 # for the scripts that source this
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Some of what we read from other programs would else be in the user's language.
export LC_ALL=C.UTF-8

die() {
    echo "${0##*/}: $*" >&2
    exit 1
}

as_root() {
    if [ "$EUID" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        die "this needs root: run it as root, or install sudo"
    fi
}

# PostgreSQL refuses to run as root, so root hands the server and its tests to the user `postgres`,
# whom Debian's package creates.
unprivileged() {
    if [ "$EUID" -eq 0 ]; then
        runuser -u postgres -- "$@"
    else
        "$@"
    fi
}

# Runs a command and shows its output only when it fails.
quietly() {
    local output
    if ! output=$("$@" 2>&1 </dev/null); then
        printf '%s\n' "$output" >&2
        die "failed: $*"
    fi
}

# Runs a check and reports it as a line of TAP.
check() {
    if "$@"; then
        echo "ok - $*"
    else
        echo "not ok - $*"
        return 1
    fi
}

# The PostgreSQL version that this machine's distribution ships; nothing while apt knows of none.
distribution_postgres() {
    { apt-cache depends postgresql 2>/dev/null || true; } |
        sed -n 's/^ *Depends: postgresql-\([0-9]\+\)$/\1/p'
}

pg_config_of() { # VERSION
    echo "/usr/lib/postgresql/$1/bin/pg_config"
}

# A directory for what this run needs and nobody after it. It goes when the script ends, however it
# ends, and so do the PostgreSQL servers that live in it. It stands in /tmp, whatever TMPDIR says: the
# user `postgres` must reach it, and the path of a socket must be short.
make_scratch() {
    scratch=$(mktemp -d /tmp/auditchain.XXXXXX)
    chmod 755 "$scratch"
    trap remove_scratch EXIT
    # Else bash goes on when the command that was interrupted exits like any other.
    trap 'exit 130' INT
}

remove_scratch() {
    local data
    find "$scratch" -name postmaster.pid -printf '%h\n' | while read -r data; do
        unprivileged pg_ctl stop --silent --pgdata="$data" --mode=immediate || true
    done
    rm -rf "$scratch"
}

# Copies this repository, as git would commit it now, or all of it where there is no git.
copy_tree() { # DIRECTORY
    if [ -e "$top/.git" ]; then
        git -C "$top" -c safe.directory="$top" ls-files -z --cached --others --exclude-standard |
            tar -C "$top" --create --null --files-from=- --ignore-failed-read |
            tar -C "$1" --extract --no-same-owner
    else
        cp -R "$top/." "$1"
    fi
}

# Builds the extension in the current directory and installs it into PostgreSQL VERSION.
build_and_install() { # VERSION [make's variables...]
    local version=$1
    shift
    quietly make -j"$(nproc)" PG_CONFIG="$(pg_config_of "$version")" "$@"
    quietly as_root make install PG_CONFIG="$(pg_config_of "$version")" "$@"
}

# Starts a PostgreSQL of its own in the scratch directory and points psql and all other clients at it.
# It listens on a socket in that directory and nowhere else, so no other cluster is touched, nor can
# another machine reach it. The extension must be installed. Call it in a directory that the server's user may enter.
start_server() { # VERSION
    unset "${!PG@}"
    export PGHOST=$scratch PGPORT=$((49152 + RANDOM % 16384)) PGUSER=postgres PGDATABASE=postgres
    PATH=$(dirname "$(pg_config_of "$1")"):$PATH

    install -d -m 700 "$scratch/data"
    if [ "$EUID" -eq 0 ]; then
        chown postgres: "$scratch" "$scratch/data"
    fi
    quietly unprivileged initdb --pgdata="$scratch/data" --username=postgres --auth=trust \
        --encoding=UTF8 --locale=C --no-sync
    cat >>"$scratch/data/postgresql.conf" <<END
listen_addresses = ''
unix_socket_directories = '$PGHOST'
port = $PGPORT
fsync = off
shared_preload_libraries = 'auditchain'
auditchain.checkpoint_interval = 0 # when a checkpoint comes, and how many, is for tests to say
END
    quietly unprivileged pg_ctl start --pgdata="$scratch/data" --log="$scratch/server.log"
}

# Replaces the last results of a benchmark in bench/README.md.
save_results() { # BENCHMARK REPORT
    local readme=$top/bench/README.md heading="## Last results of bench/$1"
    local rest
    rest=$(awk -v heading="$heading" '/^## /{ own = $0 == heading } !own' "$readme")
    printf '%s\n\n%s\n\n%s\n' "$rest" "$heading" "$2" >"$readme"
}
