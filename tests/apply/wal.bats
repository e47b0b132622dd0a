# The WAL of a database that others keep open: it is checkpointed by our commits, under the write lock, and stays bounded.
load ../helper

# fresh.db, and eight logs for it, each of which writes about 4.5 MB.
setup_file() {
    local db i
    cd "$BATS_FILE_TMPDIR"
    for db in fresh.db source.db; do
        sqlite3 $db "PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY, v BLOB)" >/dev/null
        txnlog attach $db
    done
    sqlite3 source.db "INSERT INTO t VALUES (1, 0)"
    for i in 1 2 3 4 5 6 7 8; do
        txnlog ack source.db < <(txnlog read source.db)
        sqlite3 source.db "UPDATE t SET v = randomblob(1500000)"
        txnlog read source.db >$i.dx
    done
    sqlite3 fresh.db "INSERT INTO t VALUES (1, 0)"
}

setup() {
    cd "$BATS_TEST_TMPDIR"
    cp "$BATS_FILE_TMPDIR"/* .
}

# Another program opens fresh.db, so that no command of ours is the last to close it.
open_it() {
    coproc OTHER { sqlite3 -batch fresh.db; }
    other=$OTHER_PID
    ask "SELECT count(*) FROM t;"
}

ask() {
    echo "$1" >&"${OTHER[1]}"
    read -r answer <&"${OTHER[0]}"
}

close_it() {
    echo ".quit" >&"${OTHER[1]}"
    wait "$other"
    [ "$(sqlite3 fresh.db "PRAGMA integrity_check")" = ok ]
    [ "$(sqlite3 fresh.db "SELECT hex(v) FROM t" | sha256sum)" = "$(sqlite3 source.db "SELECT hex(v) FROM t" | sha256sum)" ]
}

apply() {
    local i
    for i; do dxapply --log fresh.db <"$i.dx"; done
}

@test "the WAL of a database that another program keeps open does not grow with the number of commands" {
    open_it
    apply 1 2 3 4 5 6 7 8
    size=$(stat -c %s fresh.db-wal)
    close_it
    [ "$size" -gt 4000000 ]
    [ "$size" -lt 10000000 ]
}

@test "a reader with an open transaction sees its rows throughout, and the WAL is small again after it" {
    open_it
    ask "BEGIN; SELECT v FROM t;"
    [ "$answer" = 0 ]
    apply 1 2 3 4 5
    ask "SELECT v FROM t;"
    [ "$answer" = 0 ]
    [ "$(stat -c %s fresh.db-wal)" -gt 20000000 ]
    ask "COMMIT; SELECT length(v) FROM t;"
    [ "$answer" = 1500000 ]
    apply 6 7 8
    size=$(stat -c %s fresh.db-wal)
    close_it
    [ "$size" -lt 20000000 ]
}
