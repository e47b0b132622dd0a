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
