#!/usr/bin/env bats
# What a comparison costs, counted in SQL's own instructions at both ends: as much more as there are more rows, not more than
# that.

load ../helper

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    # The other end, which tells its own steps.
    cat >ssh <<-'END'
	#!/bin/bash
	shift
	sh -c "$* -v"
	END
    chmod +x ssh
    export DX_SSH=./ssh
    printf '[object t]\nuser_key = name\n[object child]\nvia = parent -> t\n' >conf
}

# make_pair ROWS: in agreement, by a base.
make_pair() {
    rm -f ./*.db base*
    sql a.db "CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT UNIQUE, v)" \
        "CREATE TABLE child(id TEXT PRIMARY KEY, parent REFERENCES t, v)" \
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1)
             INSERT INTO t SELECT i, 'name ' || i, i FROM n" \
        "INSERT INTO child SELECT 'c' || id, id, v FROM t"
    sql a.db "VACUUM INTO 'b.db'"
    desktopsync a.db b.db --base base --conf conf
}

# in_proportion NAME CHANGE COMMAND...: a run takes steps in proportion to the rows. CHANGE is SQL done to b.db before it.
in_proportion() {
    local name=$1 change=$2 rows steps total few=
    shift 2
    for rows in 500 2000; do
        make_pair $rows
        sql b.db "$change"
        run -"$expected" --separate-stderr "$@" -v
        total=0
        for steps in $(sed -n 's/.*: \([0-9]*\) thousand steps of SQL$/\1/p' <<<"$stderr"); do total=$((total + steps)); done
        [ "$total" -gt 0 ]
        [ -z "$few" ] || [ "$total" -lt $((few * 6)) ] || {
            echo "$name: $few thousand steps for 500 rows, $total for 2000"
            return 1
        }
        few=$total
    done
}

each_way() {
    in_proportion "$1" "$2" desktopsync a.db b.db --base base --conf conf --max-delete 100% --max-update 100%
    in_proportion "$1, over a connection" "$2" desktopsync a.db there:b.db --base base --conf conf --max-delete 100% --max-update 100%
}

@test "nothing different, every row, and rows in the middle: steps in proportion to the rows" {
    expected=0
    each_way nothing ""
    each_way "each row" "UPDATE t SET v = -v"
    each_way "one row of ten" "UPDATE child SET v = -v WHERE parent % 10 = 0"
}

@test "rows added, and rows deleted with what refers to them: steps in proportion to the rows" {
    expected=0
    each_way inserts "INSERT INTO t SELECT id + 100000, 'new ' || id, v FROM t; INSERT INTO child SELECT 'n' || id, parent + 100000, v FROM child"
    each_way deletes "DELETE FROM child WHERE parent % 2; DELETE FROM t WHERE id % 2"
}

@test "the first comparison, and one in which most rows wait for each other: steps in proportion to the rows" {
    expected=0
    in_proportion first "" desktopsync a.db b.db --base first --conf conf --initial
    in_proportion "first, over a connection" "" desktopsync a.db there:b.db --base first --conf conf --initial
    each_way "names that change places" "UPDATE t SET name = '-' || (id + 1 - 2 * (id % 2 = 0)); UPDATE t SET name = 'name ' || substr(name, 2)"
}

@test "compare, of databases and of archives of keys: steps in proportion to the rows" {
    expected=1
    in_proportion compare "UPDATE t SET v = -v" syncdiff compare a.db b.db
    in_proportion "compare --rows" "UPDATE t SET v = -v" syncdiff compare --rows a.db b.db
    in_proportion "archives of keys" "UPDATE t SET v = -v" bash -c \
        'syncdiff keys a.db >a.keys; syncdiff compare --save-base base.keys --to-mine plan "$@" a.keys b.db' compare
}
