#!/usr/bin/env bats
# How far long work has come is shown on a terminal, and nowhere else.

load ../helper

# slowly FILE: a fifo, into which the archive comes in two parts, more than a second apart.
slowly() {
    mkfifo "$1"
    { head -c 300 all.dx; sleep 1.4; tail -c +301 all.dx; } >"$1" &
}

# log: an archive of some rows.
log() {
    sql hq.db "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)"
    txnlog attach hq.db
    sql hq.db "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200)
               INSERT INTO t SELECT i, hex(randomblob(8)) FROM n"
    txnlog read hq.db >all.dx
}

@test "work that takes long shows on a terminal how far it is, and clears the line at its end" {
    log
    slowly fifo
    run -0 script -qec "dxpack verify fifo" /dev/null
    [[ $output == *$'\r\033[K'"dxpack: fifo, 0.0 MB, 1 s"*$'\r\033[K'* ]]
}

@test "in a pipeline its last stage shows it; what is quick shows nothing" {
    log
    slowly fifo
    run -0 script -qec "dxpack invert fifo | dxpack verify" /dev/null
    [[ $output != *"dxpack: fifo"* ]]
    [[ $output == *"dxpack: stdin"* ]]
    run -0 script -qec "dxpack verify all.dx" /dev/null
    [ -z "$output" ]
}

@test "nothing is shown where stderr is no terminal, or between lines that are printed on one" {
    log
    slowly fifo
    run -0 dxpack verify fifo
    [ -z "$output" ]
    slowly other
    run -0 script -qec "dxpack cat other" /dev/null
    [[ $output != *$'\033'* ]]
    [ "${#lines[@]}" -eq 200 ]
}

# shows TEXT COMMAND: on a terminal, the command shows a line that begins with the text.
shows() {
    local code=0
    DX_PROGRESS_AFTER=0 script -qec "$2" /dev/null </dev/null >shown || code=$?
    [ $code -le 1 ] || { cat shown; return 1; }
    grep -qF $'\r\033[K'"$1" shown || { echo "$2:"; cat -v shown; return 1; }
    [ -z "$(tail -c 1 shown)" ] || [[ $(tail -c 4 shown) == *$'\r\033[K' ]]
}

@test "attach, load, extract, transfer over ssh, apply, merge, digest and compare show it" {
    mkdir site package
    sql site/hq.db "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, UNIQUE (name));
               CREATE TABLE pair (a INTEGER, b TEXT, PRIMARY KEY (a, b));
               WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
               INSERT INTO pair SELECT i, 'name ' || i FROM n;
               INSERT INTO t SELECT * FROM pair LIMIT 8000"
    cp site/hq.db a.db
    cp site/hq.db b.db
    printf '[package]\nname = p\nversion = 1\n[object t]\nvisible = SELECT n.name, t.id FROM t JOIN dx_node n\n' >package/package.conf
    # The other end as if over ssh: without the terminal.
    printf '#!/bin/bash\n[ "$1" != -- ] || shift\nshift\nexec sh -c "$*" 2>errors\n' >ssh
    chmod +x ssh
    export DX_SSH=./ssh
    shows 'txnlog: site/hq.db' "txnlog attach site/hq.db"
    txnroute load site/hq.db package
    txnroute node add site/hq.db ann --package p
    shows 'txnroute: s' "txnroute extract site/hq.db ann >snapshot.dx"
    shows 'dxapply: stdin [' "dxapply ann.db <snapshot.dx"
    rm -rf ann.db*
    shows 'dxpack: copy 0 [' "initsync ann.db there:$PWD/site --node ann"
    sed -i 's/dx_node n/& WHERE t.id > 5/; s/version = 1/version = 2/' package/package.conf
    shows 'txnroute: site/hq.db' "txnroute load site/hq.db package"
    sql ann.db "UPDATE t SET name = name || 'x' WHERE id % 3 = 0"
    shows 'dxpack: upload 1 [' "remotesync ann.db there:$PWD/site"
    shows 'dxapply: stdin [' "dxcron site"
    shows 'dxpack: archive 1 [' "remotesync ann.db there:$PWD/site"
    shows 'txnlog: t, ' "txnlog digest ann.db"
    shows 'syncdiff: a.db' "syncdiff compare a.db b.db"
    shows 'syncdiff: theirs, ' "desktopsync a.db there:$PWD/b.db --base base"
}

@test "who waits for the other end shows it, and what is printed begins on a line of its own" {
    printf '#!/bin/bash\nsleep 2.2\n' >slow
    chmod +x slow
    mkdir spool
    printf 'SQLite' >spool.db
    run -4 script -qec "dxpack exchange --copy ann -- spool ./slow" /dev/null
    [[ $output == *$'\r\033[K'"dxpack: waiting for the other end, "*$'\r\033[K'* ]]
    log
    DX_PROGRESS_AFTER=0 script -qec "txnlog digest hq.db" /dev/null </dev/null >shown
    [ "$(tr -d '\r' <shown | sed 's/.*\x1b\[K//')" = "$(txnlog digest hq.db)" ]
}
