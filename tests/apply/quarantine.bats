#!/usr/bin/env bats
# What an operator does with rows in quarantine: look, try again, mend, give up.

load ../helper
load ../site

# waiting: site/ with two rows of ann's in quarantine: lines of parts that are not there.
waiting() {
    mkdir site package
    sql site/hq.db "CREATE TABLE part (id INTEGER PRIMARY KEY, name TEXT)" \
        "CREATE TABLE line (id INTEGER PRIMARY KEY, part INTEGER REFERENCES part, n)" "INSERT INTO part VALUES (1, 'bolt')"
    printf '[package]\nname = p\nversion = 1\n[object part]\nvisible = all\n[object line]\nvisible = all\n' >package/package.conf
    txnlog attach site/hq.db
    txnroute load site/hq.db package
    txnroute node add site/hq.db ann --package p
    initsync ann.db site --node ann
    sql ann.db "INSERT INTO line VALUES (1, 7, 'one'), (2, 8, 'two')"
    remotesync --now ann.db site || [ $? -eq 1 ]
}

@test "every row in quarantine has a number, and no number comes twice" {
    waiting
    run -1 dxapply conflicts site/hq.db
    [[ $output == *"   1  quarantine  waits    open      insert of line 1"*"   2  quarantine  waits    open      insert of line 2"* ]]
    run -0 txnroute status site/hq.db site/docking
    [[ $output == *"2 rows in quarantine"* ]]
    sql site/hq.db "INSERT INTO part VALUES (8, 'nut')"
    run -1 dxapply retry site/hq.db
    [[ $output == *"1 rows are in quarantine"* ]]
    sql ann.db "INSERT INTO line VALUES (3, 9, 'three')"
    remotesync --now ann.db site || [ $? -eq 1 ]
    run -1 dxapply conflicts --json --kind quarantine site/hq.db
    [ "$(jq .quarantine <<<"$output" | tr '\n' ' ')" = '1 3 ' ]
}

@test "a row in quarantine is tried again without an archive, and with other values as its node's" {
    waiting
    run -1 dxapply retry site/hq.db
    run -1 dxapply retry site/hq.db 1 '{"part":1,"n":"mended"}'
    sql site/hq.db "INSERT INTO part VALUES (8, 'nut')"
    run -0 dxapply -v retry site/hq.db
    [[ $output == *"1 rows left quarantine"* ]]
    [ "$(sql site/hq.db "SELECT group_concat(id || part || n) FROM line")" = 11mended,28two ]
    remotesync --now ann.db site
    right ann.db
    run -0 dxapply conflicts site/hq.db
    run -0 dxapply retry site/hq.db
}

@test "values for a row in quarantine that its table does not have are refused, and nothing is changed" {
    waiting
    run -3 dxapply retry site/hq.db 1 '{"colour":1}'
    run -3 dxapply retry site/hq.db 1 '{'
    run -3 dxapply retry site/hq.db 5
    [[ $output == *"there is no row 5 in quarantine"* ]]
    run -3 dxapply discard site/hq.db 5
    run -2 dxapply discard site/hq.db 0
    [ "$(sql site/hq.db "SELECT count(*) FROM dx_quarantine")" -eq 2 ]
}

@test "a row that is given up stays as a settled conflict, and its node is told" {
    waiting
    run -1 dxapply discard site/hq.db 2
    [ "$(sql site/hq.db "SELECT count(*) FROM dx_quarantine")" -eq 1 ]
    run -1 dxapply conflicts --json --all --kind quarantine site/hq.db
    [[ $output == *'"key":{"id":2}'*'"theirs":{"id":2,"part":8,"n":"two"}'*'"reason":"an operator gave it up","origin":"ann","archive":"ann 1"'*'"resolved":"discarded"'* ]]
    run -1 remotesync --now ann.db site
    run -1 dxapply conflicts ann.db
    [[ $output == *"line 2"*"an operator gave it up"* ]]
    sql site/hq.db "INSERT INTO part VALUES (8, 'nut'), (7, 'pin')"
    run -0 dxapply retry site/hq.db
    [ "$(sql site/hq.db "SELECT group_concat(id) FROM line")" = 1 ]
    remotesync --now ann.db site
    right ann.db
}

@test "a copy does not give up a row of its server" {
    waiting
    sql ann.db "CREATE UNIQUE INDEX one_name ON part (name)"
    txnlog attach ann.db
    sql site/hq.db "INSERT INTO part VALUES (20, 'bolt')"
    run -1 remotesync --now ann.db site
    run -3 dxapply discard ann.db 1
    [[ $output == *"make the copy again with initsync"* ]]
    sql ann.db "DROP INDEX one_name"
    txnlog attach ann.db
    dxapply retry ann.db
    right ann.db
}
