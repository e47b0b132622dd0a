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
    [[ $output == *"2 rows in quarantine"*$'\n'"quarantine, row 1:"$'\n'"    ann: insert of line 1: "*$'\n'"quarantine, row 2:"$'\n'"    ann: insert of line 2: "* ]]
    [ "$(wc -L <<<"$output")" -le 80 ]
    [ "$(txnroute status site/hq.db site/docking --json | jq -c '[.quarantine[] | .id, .node, .what]')" = '[1,"ann","insert of line 1",2,"ann","insert of line 2"]' ]
    cp -r site other
    sql other/hq.db "UPDATE dx_quarantine SET origin = NULL WHERE id = 2" # as of a change without a node
    txnroute report other >report.html
    grep -q '<b>quarantine, row 1</b>: ann: insert of line 1: ' report.html
    grep -q '<b>quarantine, row 2</b>: insert of line 2: ' report.html
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

# flood N: site/ of waiting() with bob besides, and N rows of ann's in quarantine: the lines 1001 on, of parts that are not there.
flood() {
    waiting
    txnroute node add site/hq.db bob --package p
    initsync bob.db site --node bob
    sql ann.db "WITH RECURSIVE n(i) AS (SELECT 1001 UNION ALL SELECT i + 1 FROM n WHERE i < 1000 + $1) INSERT INTO line SELECT i, i, 'x' FROM n"
    remotesync --now ann.db site || [ $? -eq 1 ]
    [ "$(sql site/hq.db "SELECT count(*) FROM dx_quarantine")" -eq $(($1 + 2)) ]
}

# merge NODE SQL...: makes the node's next upload with those statements, and merges it; $output is what dxapply -v says.
merge() {
    local file
    sql "$1.db" "${@:2}"
    mkdir -p out
    rm -f out/*
    txnlog upload "$1.db" out
    file=$(echo out/*.dx)
    run dxapply -v --upload-from "$1" site/hq.db <"$file"
    [ "$status" -le 1 ]
    txnroute run site/hq.db site/docking </dev/null
    remotesync "$1.db" site || [ $? -eq 1 ]
}

# tried: how many rows in quarantine the merge tried again.
tried() {
    sed -n 's/.*: \([0-9]*\) rows in quarantine were tried again$/\1/p' <<<"$output"
}

@test "a merge tries twenty rows at most of what others have in quarantine, each in its turn" {
    flood 70
    merge bob "INSERT INTO part VALUES (2, 'b2')"
    [ "$(tried)" -eq 20 ]
    for i in 3 4 5; do
        merge bob "INSERT INTO part VALUES ($i, 'b$i')"
        [ "$(tried)" -eq 20 ]
    done
    # line 1 waits for part 7 still: its turn has come again
    [ "$(sql site/hq.db "SELECT value FROM dx_meta WHERE name = 'quarantine_turn'")" -lt 20 ]
    merge ann "INSERT INTO line VALUES (5, 1, 'y')"
    [ "$(tried)" -eq 72 ]
}

@test "what waits for a row leaves quarantine with it, whoever made it, and no other row is tried for that" {
    flood 70
    merge bob "INSERT INTO part VALUES (1070, 'last')"
    [[ $output == *" 21 rows in quarantine were tried again"*" 1 rows left quarantine"* ]]
    sql site/hq.db "INSERT INTO part VALUES (1069, 'office')"
    merge bob "INSERT INTO part VALUES (2, 'b2')"
    [[ $output == *" 21 rows in quarantine were tried again"*" 1 rows left quarantine"* ]]
    # the office's row, its journal trimmed since
    sql site/hq.db "INSERT INTO part VALUES (1068, 'office')"
    txnroute run site/hq.db site/docking </dev/null
    txnlog trim site/hq.db
    merge bob "INSERT INTO part VALUES (3, 'b3')"
    [[ $output == *" 21 rows in quarantine were tried again"*" 1 rows left quarantine"* ]]
    [ "$(sql site/hq.db "SELECT group_concat(id) FROM line")" = 1068,1069,1070 ]
    remotesync --now ann.db site || [ $? -eq 1 ]
    remotesync --now bob.db site || [ $? -eq 1 ]
    right bob.db
}

@test "the changes of one row in quarantine are tried in their order, and together" {
    flood 50
    mkdir out
    sql ann.db "INSERT INTO line VALUES (5000, 5000, 'a')"
    txnlog upload ann.db out
    for n in b c d; do
        sql ann.db "UPDATE line SET n = '$n' WHERE id = 5000"
        txnlog upload ann.db out
    done
    for file in out/*.dx; do run -1 dxapply --upload-from ann site/hq.db <"$file"; done
    [ "$(sql site/hq.db "SELECT count(*) FROM dx_quarantine WHERE key = 5000")" -eq 4 ]
    merge bob "INSERT INTO part VALUES (5000, 'last')"
    [ "$(sql site/hq.db "SELECT part || n FROM line WHERE id = 5000")" = 5000d ]
    [ "$(sql site/hq.db "SELECT count(*) FROM dx_quarantine WHERE key = 5000")" -eq 0 ]
}

@test "rows in quarantine of a table that is gone stop nobody's merge" {
    waiting
    txnroute node add site/hq.db bob --package p
    initsync bob.db site --node bob
    sed -i '/line/,$d' package/package.conf
    sed -i 's/version = 1/version = 2/' package/package.conf
    txnroute load site/hq.db package
    sql site/hq.db "DROP TABLE line"
    run -1 txnlog attach site/hq.db
    initsync bob.db site --node bob
    merge bob "INSERT INTO part VALUES (2, 'b2')"
    [ "$(sql site/hq.db "SELECT name FROM part WHERE id = 2")" = b2 ]
    [ "$(sql site/hq.db "SELECT count(*) FROM dx_quarantine")" -eq 2 ]
}

@test "a row in quarantine comes in when the office has mended what it waited for, though no node sends anything" {
    rm -rf site && mkdir site p
    sql site/hq.db "CREATE TABLE t (id TEXT PRIMARY KEY, n)" "CREATE TABLE c (id TEXT PRIMARY KEY, t TEXT REFERENCES t, n)"
    printf '[package]\nname = p\nversion = 1\n[object t]\nvisible = all\n[object c]\nvisible = all\n' >p/package.conf
    txnlog attach site/hq.db
    txnroute load site/hq.db p
    txnroute node add site/hq.db a --package p --user a
    initsync a.db site --node a
    sql a.db "INSERT INTO c VALUES ('c1', 't1', 1)"
    run -1 remotesync --now a.db site
    run -0 dxcron site
    sql site/hq.db "INSERT INTO t VALUES ('t2', 1)"
    run -0 dxcron site
    [ "$(sql site/hq.db "SELECT count(*) FROM c")" = 0 ]
    sql site/hq.db "INSERT INTO t VALUES ('t1', 1)"
    run -0 dxcron site
    [ "$(sql site/hq.db "SELECT * FROM c; SELECT count(*) FROM dx_quarantine")" = $'c1|t1|1\n0' ]
    run -0 remotesync --now --prove a.db site
}

@test "all of the quarantine tried again, kept and taken: steps in proportion to the rows" {
    local rows kept steps=()
    for rows in 250 1000; do
        rm -rf hq.db* up.dx
        sql hq.db "CREATE TABLE t (id TEXT PRIMARY KEY)" "CREATE TABLE c (id TEXT PRIMARY KEY, p TEXT REFERENCES t)"
        txnlog attach hq.db
        sql copy-$rows.db "CREATE TABLE t (id TEXT PRIMARY KEY)" "CREATE TABLE c (id TEXT PRIMARY KEY, p TEXT REFERENCES t)"
        txnlog attach copy-$rows.db
        sql copy-$rows.db "INSERT INTO c SELECT 'c' || value, 'a' FROM generate_series(1, $rows)"
        txnlog read copy-$rows.db >up.dx
        run -1 dxapply --log hq.db <up.dx
        [ "$(sql hq.db "SELECT count(*) FROM dx_quarantine")" = $rows ]
        run -1 dxapply retry -v hq.db
        [[ $output =~ ([0-9]+)" thousand steps" ]]
        kept=${BASH_REMATCH[1]}
        sql hq.db "INSERT INTO t VALUES ('a')"
        run -0 dxapply retry -v hq.db
        [[ $output == *"$rows rows left quarantine"* ]]
        [[ $output =~ ([0-9]+)" thousand steps" ]]
        steps+=("$kept" "${BASH_REMATCH[1]}")
    done
    [ "${steps[0]}" -gt 0 ]
    [ "${steps[2]}" -lt $((steps[0] * 6)) ]
    [ "${steps[3]}" -lt $((steps[1] * 6)) ]
}

@test "files that rows of two nodes name, which waited in quarantine, and that get other keys, are merged in one run" {
    sql hq.db "CREATE TABLE folder (id INTEGER PRIMARY KEY, name TEXT)" \
        "CREATE TABLE doc (id INTEGER PRIMARY KEY, folder INTEGER REFERENCES folder, sha TEXT)"
    txnlog attach hq.db
    mkdir package
    printf '%s\n' '[package]' 'name = p' 'version = 1' '[object folder]' 'visible = all' '[object doc]' 'visible = all' \
        '[files scan]' 'table = doc' 'digest = sha' 'delivery = broadcast' >package/package.conf
    txnroute load hq.db package
    sha=$(printf 'a%.0s' {1..64})
    for who in alice bob; do
        txnroute node add hq.db $who --package p --user $who
        printf '{"table":"doc","op":"insert","key":{"id":%d},"new":{"folder":9,"sha":"%s"}}\n' ${#who} "$sha" |
            dxpack make --kind upload --from $who --epoch "$(sql hq.db "SELECT epoch FROM dx_nodes WHERE name = '$who'")" --number 1 >$who.dx
        run -1 dxapply hq.db --upload-from $who <$who.dx # its folder is not there
    done
    sql hq.db "INSERT INTO folder VALUES (9, 'new')" "INSERT INTO doc VALUES (3, 9, NULL), (5, 9, NULL)"
    run -0 dxapply retry hq.db
    [ "$(sql hq.db "SELECT count(*) FROM doc")" = 4 ]
}
