#!/usr/bin/env bats
# `guard` of a package: an upload that would delete or overwrite too much waits for an operator.

load ../helper
load ../site

# guarded GUARD: site/ with a table of 20 rows under that guard, and the copy ann.db.
guarded() {
    mkdir site package
    sql site/hq.db "CREATE TABLE part (id INTEGER PRIMARY KEY, name TEXT)" \
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20) INSERT INTO part SELECT i, 'p' || i FROM n"
    printf '[package]\nname = p\nversion = 1\n[object part]\nvisible = SELECT n.name, p.id FROM part p JOIN dx_node n ON p.id > 10\nguard = %s\n' \
        "$1" >package/package.conf
    txnlog attach site/hq.db
    txnroute load site/hq.db package
    txnroute node add site/hq.db ann --package p
    initsync ann.db site --node ann
}

rows() {
    sql site/hq.db "SELECT count(*), sum(name = 'x') FROM part"
}

@test "an upload that overwrites more than the guard's rows waits; node, dxcron and status say so; approved, it is merged" {
    guarded 'rows 3'
    sql ann.db "UPDATE part SET name = 'x' WHERE id <= 14"
    run -1 remotesync --now ann.db site
    [[ $output == *"does not merge what was changed here from upload 1 on: an operator"* ]]
    [ "$(rows)" = '20|0' ]
    run -1 dxcron site
    [[ $output == *"node ann is held"*"4 rows of table part"*"guard = rows 3"* ]]
    run -0 txnroute status site/hq.db site/docking
    [[ $(tr -s " \n" " " <<<"$output") == *"held: "*"4 rows of table part"* ]]
    run -1 remotesync ann.db site
    [[ $output == *"an operator there has to decide"* ]]
    txnroute node approve site/hq.db ann
    remotesync --now ann.db site
    [ "$(rows)" = '20|4' ]
    right ann.db
    run -3 txnroute node approve site/hq.db ann
    [[ $output == *"no upload of node ann waits for approval"* ]]
    sql ann.db "UPDATE part SET name = 'y' WHERE id <= 14"
    run -1 remotesync --now ann.db site
}

@test "a rejected upload is refused row by row and kept as settled conflicts; what was made after it is merged" {
    guarded 'percent 20'
    sql ann.db "DELETE FROM part WHERE id <= 15"
    run -1 remotesync --now ann.db site
    sql ann.db "INSERT INTO part VALUES (30, 'later')"
    txnroute node reject site/hq.db ann
    run -1 remotesync --now ann.db site
    [ "$(rows)" = '21|0' ]
    right ann.db
    run -1 dxapply conflicts --all --json site/hq.db
    [ "$(grep -c '"resolved":"rejected"' <<<"$output")" -eq 5 ]
    run -0 dxapply conflicts site/hq.db
    remotesync --now ann.db site
}

@test "percent is of the rows that the node holds, and inserts do not count" {
    guarded 'rows 100 | percent 20'
    sql ann.db "DELETE FROM part WHERE id <= 12" \
        "WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 150) INSERT INTO part SELECT i, 'new' FROM n"
    remotesync --now ann.db site
    sql ann.db "DELETE FROM part WHERE id < 120"
    run -1 remotesync --now ann.db site
    txnroute node approve site/hq.db ann
    run -0 dxcron site
    [ "$(sql site/hq.db "SELECT count(*) FROM part")" -eq 41 ]
}

@test "a guard that says nothing, or one limit twice, is refused with what is meant" {
    mkdir package
    sql hq.db "CREATE TABLE part (id INTEGER PRIMARY KEY)"
    txnlog attach hq.db
    for guard in 5 'rows' 'rows -1' 'percent 101' 'rows 1 | rows 2' 'rows 1, percent 2'; do
        printf '[package]\nname = p\nversion = 1\n[object part]\nvisible = all\nguard = %s\n' "$guard" >package/package.conf
        run -3 txnroute load hq.db package
        [[ $output == *'`guard = rows N`, `percent P`, or `rows N | percent P`'* ]]
    done
}

@test "what would overwrite too much but waits in quarantine is guarded, too" {
    mkdir site package
    sql site/hq.db "CREATE TABLE kind (id INTEGER PRIMARY KEY)" "INSERT INTO kind VALUES (1)" \
        "CREATE TABLE part (id INTEGER PRIMARY KEY, kind INTEGER REFERENCES kind, name TEXT)" \
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20) INSERT INTO part SELECT i, 1, 'p' || i FROM n"
    printf '[package]\nname = p\nversion = 1\n[object kind]\nvisible = all\n[object part]\nvisible = all\nguard = rows 3\n' >package/package.conf
    txnlog attach site/hq.db
    txnroute load site/hq.db package
    txnroute node add site/hq.db ann --package p
    initsync ann.db site --node ann
    sql ann.db "UPDATE part SET name = 'x', kind = 77 WHERE id <= 4"
    run -1 remotesync --now ann.db site
    run -1 dxcron site
    [[ $output == *"node ann is held"*"4 rows of table part"* ]]
    sql site/hq.db "INSERT INTO kind VALUES (77)"
    run -0 dxapply retry site/hq.db
    [ "$(rows)" = '20|0' ]
}
