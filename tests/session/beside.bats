#!/usr/bin/env bats
# A copy that is made again is made beside the one that is there, which goes on until the new one is whole.

load ../helper
load ../site

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    make_site
    initsync alice.db site --node alice
    sql site/hq.db "UPDATE account SET city = 'Oslo'"
    txnroute extract site/hq.db alice >new.dx
    account=$(sql alice.db "SELECT min(row_id) FROM account")
    export account
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    cp -a "$BATS_FILE_TMPDIR"/{site,alice.db,alice.db-dx,new.dx} .
}

# half_way: a dxapply that has read half of the archive; the other half, and its end, come from descriptor 7.
half_way() {
    mkfifo archive
    dxapply --beside beside.db alice.db <archive 3>&- &
    apply=$!
    exec 7>archive
    size=$(stat -c %s new.dx)
    head -c $((size / 2)) new.dx >&7
    eventually 10 test -s beside.db
}

other_half() {
    tail -c +$((size / 2 + 1)) new.dx >&7
    exec 7>&-
    code=0
    wait $apply || code=$?
}

@test "until the new one is whole the copy that is there is read and written by others, and is not locked" {
    half_way
    [ "$(sqlite3 alice.db "SELECT count(*) FROM account WHERE city = 'Oslo'")" = 0 ]
    sqlite3 alice.db "BEGIN IMMEDIATE; ROLLBACK" # without a timeout
    other_half
    [ "$code" = 0 ]
    right alice.db
    [ -z "$(ls beside.db* 2>/dev/null)" ]
}

@test "what is written meanwhile is never lost: nothing is replaced, exit 7, and initsync does it once more" {
    half_way
    sqlite3 alice.db "UPDATE account SET name = 'Meanwhile' WHERE row_id = '$account'; CREATE TABLE own (x); INSERT INTO own VALUES (1)"
    other_half
    [ "$code" = 7 ]
    [ -z "$(ls beside.db* 2>/dev/null)" ]
    [ "$(sql alice.db "SELECT name FROM account WHERE row_id = '$account'" "SELECT x FROM own")" = $'Meanwhile\n1' ]
    initsync alice.db site --node alice
    [ "$(sql alice.db "SELECT name, city FROM account WHERE row_id = '$account'" "SELECT x FROM own")" = $'Meanwhile|Oslo\n1' ]
    remotesync --now alice.db site
    right alice.db
}

@test "a program that has the copy open reads what it began with, then the new one, and goes on writing" {
    mkfifo ask
    sqlite3 -batch alice.db <ask >said 3>&- &
    exec 7>ask
    echo "BEGIN; SELECT count(*) FROM account WHERE city = 'Oslo';" >&7
    eventually 10 test -s said
    initsync alice.db site --node alice
    echo "SELECT count(*) FROM account WHERE city = 'Oslo'; COMMIT; SELECT count(*) > 0 FROM account WHERE city = 'Oslo';" >&7
    echo "UPDATE account SET name = 'Mine' WHERE row_id = '$account';" >&7
    exec 7>&-
    wait
    [ "$(cat said)" = $'0\n0\n1' ]
    remotesync --now alice.db site
    right alice.db
    [ "$(sql site/hq.db "SELECT name FROM account WHERE row_id = '$account'")" = Mine ]
}

@test "killed while it is made: the copy is as it was, and the next run makes it" {
    half_way
    kill -9 $apply
    exec 7>&-
    wait $apply || true
    before=$(txnlog digest alice.db)
    [ "$(sql alice.db "SELECT count(*) FROM account WHERE city = 'Oslo'" "PRAGMA integrity_check")" = $'0\nok' ]
    run -0 dxapply --beside beside.db alice.db <new.dx
    [ "$before" != "$(txnlog digest alice.db)" ]
    right alice.db
}

@test "an application that writes all the time: at last the copy is made in its place, and no write is lost" {
    (
        n=0
        until [ -e enough ]; do
            sqlite3 -cmd '.timeout 60000' alice.db "UPDATE account SET revenue = $((++n)) WHERE row_id = '$account'"
        done
        echo $n >count
    ) 3>&- &
    initsync alice.db site --node alice
    touch enough
    wait
    [ "$(sql alice.db "SELECT city, CAST(revenue AS INTEGER) FROM account WHERE row_id = '$account'")" = "Oslo|$(cat count)" ]
    remotesync --now alice.db site
    right alice.db
}

@test "a copy without a write-ahead log is made in its place" {
    sql alice.db "PRAGMA journal_mode = DELETE"
    initsync alice.db site --node alice
    right alice.db
    [ "$(sql alice.db "PRAGMA journal_mode")" = delete ]
}
