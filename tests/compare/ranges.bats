#!/usr/bin/env bats
# desktopsync over a connection: what is as agreed is not told; the list that is put together is proved.

load ../helper

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    sql a.db "CREATE TABLE t(id INTEGER PRIMARY KEY, v, w)" "CREATE TABLE none(id INTEGER PRIMARY KEY)" \
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO t SELECT i, 'row ' || i, i * 7 FROM n"
    sql a.db "VACUUM INTO 'b.db'"
    # The other end, through pipes that count.
    cat >ssh <<-'END'
	#!/bin/bash
	shift
	tee up | sh -c "$*" | tee down
	END
    chmod +x ssh
    export DX_SSH=./ssh
    desktopsync a.db "there:b.db" --base base
    whole=$(sent)
}

sent() {
    echo $(($(stat -c %s up) + $(stat -c %s down)))
}

@test "nothing different: at most 2 KB, however many rows" {
    desktopsync a.db there:b.db --base base
    [ "$(sent)" -le 2048 ]
}

@test "few rows different: a small part of the list, and both sides are right" {
    sql b.db "UPDATE t SET v = 'x' WHERE id IN (77, 2500)" "DELETE FROM t WHERE id = 4000" "INSERT INTO t VALUES (9000, 'n', 1)"
    sql a.db "UPDATE t SET w = 0 WHERE id = 1234" "INSERT INTO t VALUES (-5, 'm', 1)"
    desktopsync a.db there:b.db --base base
    [ "$(sent)" -le $((whole / 10)) ]
    same_table a.db b.db t none
    sql b.db "INSERT INTO none VALUES (1)"
    desktopsync a.db there:b.db --base base
    same_table a.db b.db t none
}

@test "many rows different, at the beginning, in the middle and at the end" {
    sql b.db "UPDATE t SET v = 'x' WHERE id % 3 = 0" "DELETE FROM t WHERE id < 20 OR id > 4990" \
        "INSERT INTO t SELECT id + 100000, v, w FROM t WHERE id % 2"
    desktopsync a.db there:b.db --base base
    same_table a.db b.db t none
    desktopsync a.db there:b.db --base base
    [ "$(sent)" -le 2048 ]
}
