# The shared opening of the BATS files: put `load ../helper` at the head of each.
# Every test starts in its own empty directory, with the commands just built first in PATH. A file with a
# setup of its own begins it with `cd "$BATS_TEST_TMPDIR"`.

bats_require_minimum_version 1.5.0

DX_ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
DX_BUILD=${DX_BUILD:-$DX_ROOT/build}
export DX_ROOT DX_BUILD
PATH=$DX_BUILD/bin:$DX_BUILD/test:$PATH
export LC_ALL=C.UTF-8 TZ=UTC
unset DX_NODE DX_SITE

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
}

# Under sanitizers (DX_SANITIZED=1) a slow test may do less: n=$(sized 2000 200)
sized() {
    if [ -n "${DX_SANITIZED:-}" ]; then echo "$2"; else echo "$1"; fi
}

# The search for leaks is a quarter of what sanitizers cost a short process: every fourth test does it. Each path through
# a program is taken by several.
if [ -n "${DX_SANITIZED:-}" ] && [ $((${BATS_TEST_NUMBER:-0} % 4)) -ne 0 ]; then
    export ASAN_OPTIONS=${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0
fi

# of_plain_build: for a test that leaves a program hardly any address space, of which sanitizers want terabytes; with
# them it is skipped, and says so.
of_plain_build() {
    [ -z "${DX_SANITIZED:-}" ] || skip "sanitizers take address space of their own"
}

# sql DB STATEMENT...: run statements with the sqlite3 program; waits for locks, stops at the first error.
# Each argument is one or more statements, the last ";" of which may be left out, or a dot command.
# Statements come from stdin when none are given.
sql() {
    local db=$1 statement
    shift
    if [ $# -gt 0 ]; then
        for statement; do
            case $statement in .*) printf '%s\n' "$statement" ;; *) printf '%s;\n' "$statement" ;; esac
        done | sqlite3 -batch -bail -cmd '.timeout 10000' "$db"
    else
        sqlite3 -batch -bail -cmd '.timeout 10000' "$db"
    fi
}

# table_rows DB TABLE: the rows as SQL literals, one INSERT a row, columns by name, rows in the order of all
# columns. Types count, 1 is not 1.0; only -0.0 and 0.0 look alike (`txnlog digest` tells them apart).
table_rows() {
    local columns
    columns=$(sqlite3 -cmd '.timeout 10000' "$1" "SELECT group_concat('\"' || replace(name, '\"', '\"\"') || '\"', ', ') FROM
        (SELECT name FROM pragma_table_info('${2//\'/\'\'}') ORDER BY name)") || return
    [ -n "$columns" ] || {
        echo "table_rows: no table $2 in $1" >&2
        return 1
    }
    sqlite3 -cmd '.timeout 10000' -cmd '.mode insert' "$1" "SELECT $columns FROM \"${2//\"/\"\"}\" ORDER BY $columns"
}

# same_table A B TABLE...: fails, and shows the first differences, when the rows are not the same in both.
same_table() {
    local a=$1 b=$2 table
    shift 2
    for table; do
        table_rows "$a" "$table" >"$BATS_TEST_TMPDIR/same.a" || return
        table_rows "$b" "$table" >"$BATS_TEST_TMPDIR/same.b" || return
        cmp -s "$BATS_TEST_TMPDIR/same.a" "$BATS_TEST_TMPDIR/same.b" || {
            echo "table $table differs between $a (-) and $b (+):"
            diff -U0 "$BATS_TEST_TMPDIR/same.a" "$BATS_TEST_TMPDIR/same.b" | sed -n '3,22p'
            return 1
        }
    done
}

# app_tables DB: the names of the application's own tables, one a line.
app_tables() {
    sqlite3 -cmd '.timeout 10000' "$1" "SELECT name FROM sqlite_schema WHERE type = 'table'
        AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT LIKE 'dx\\_%' ESCAPE '\\' ORDER BY name"
}

# same_tables A B: every application table of A, compared as by same_table.
same_tables() {
    local tables
    mapfile -t tables < <(app_tables "$1")
    [ ${#tables[@]} -gt 0 ] || {
        echo "same_tables: no tables in $1" >&2
        return 1
    }
    same_table "$1" "$2" "${tables[@]}"
}

# exchange NODE...: all that hq.db and the nodes' copies NODE.db have for each other, until nothing waits; then each
# copy must be the server's view of its node.
exchange() {
    local who file
    for _ in 1 2; do
        for who; do
            txnlog upload "$who.db" "$who-out"
            for file in "$who"-out/*.dx; do [ ! -e "$file" ] || dxapply hq.db <"$file" || [ $? -eq 1 ]; done
        done
        txnroute run hq.db docking </dev/null
        for who; do
            for file in docking/"$who"/outbox/*.dx; do [ ! -e "$file" ] || dxapply "$who.db" <"$file" || [ $? -eq 1 ]; done
        done
    done
    for who; do diff <(txnlog digest "$who.db") <(txnlog digest hq.db --node "$who") || return; done
}

# eventually SECONDS COMMAND...: repeat the command until it succeeds; fails when time is up.
eventually() {
    local end=$((SECONDS + $1))
    shift
    until "$@"; do
        [ $SECONDS -lt $end ] || return 1
        sleep 0.1
    done
}

# shared_data NAME: the path of a public data set, unpacked beside the project's checkout in ../shared/data.
# The sets are no part of the product: a test that wants one is skipped, and says so, where they are absent.
# Call it as `shared_data NAME`, not in $(...); the path is then in $shared.
shared_data() {
    shared=$DX_ROOT/../shared/data/$1
    [ -r "$shared" ] || skip "the public data set $1 is not in ../shared/data beside the checkout"
}
