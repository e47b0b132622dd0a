#!/usr/bin/env bats
# A program that reads a copy, or the server, while archives are applied sees only states between whole archives.

load ../helper

# Every transaction of the office sets g of all rows of three tables, and gives each as many rows.
setup() {
    cd "$BATS_TEST_TMPDIR" || return
    sql hq.db "CREATE TABLE a (id INTEGER PRIMARY KEY, g)" "CREATE TABLE b (id TEXT PRIMARY KEY, a INTEGER REFERENCES a, g) WITHOUT ROWID" \
        "CREATE TABLE c (id INTEGER PRIMARY KEY, g UNIQUE)" "$(generation 0)"
    txnlog attach hq.db
    mkdir package
    printf '[package]\nname = p\nversion = 1\n[object a]\nvisible = all\n[object b]\nvisible = all\n[object c]\nvisible = all\n' >package/package.conf
    txnroute load hq.db package
    txnroute node add hq.db x --package p --user x
    txnroute extract hq.db x docking | dxapply x.db
}

# generation N: the office's transaction, a statement a line.
generation() {
    echo "BEGIN; DELETE FROM b; DELETE FROM a; DELETE FROM c;
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100 + $1)
        INSERT INTO a SELECT i, $1 FROM n; INSERT INTO b SELECT 'b' || id, id, $1 FROM a; INSERT INTO c SELECT id, id * 1000 + $1 FROM a; COMMIT"
}

# What a reader asks for: the generations that it sees, the numbers of rows, and references that lead nowhere.
question="SELECT group_concat(DISTINCT g), count(DISTINCT n), (SELECT count(*) FROM b WHERE a NOT IN (SELECT id FROM a)) FROM
    (SELECT g, (SELECT count(*) FROM a) AS n FROM a UNION SELECT g, (SELECT count(*) FROM b) FROM b
     UNION SELECT g % 1000, (SELECT count(*) FROM c) FROM c);"

# read_on DB: reads again and again in a process of its own, until the file stop is there.
read_on() {
    rm -f stop seen
    while [ ! -e stop ]; do printf '%s\n' "${question//$'\n'/ }"; done | stdbuf -oL sqlite3 -cmd '.timeout 10000' "$1" >seen 3>&- &
    reader=$!
    eventually 20 test -s seen
}

# Each line is one generation, whole; the first and the last are those before and after.
saw_only_whole_states() {
    touch stop
    wait "$reader"
    run -1 grep -Evx '[0-9]+\|1\|0' seen
    [ "$(head -n 1 seen)" = "$1|1|0" ]
    [ "$(tail -n 1 seen)" = "$2|1|0" ]
}

@test "a reader of a copy sees only states between whole archives, and those before and after a new snapshot" {
    for g in 1 2 3 4 5 6; do
        sql hq.db "$(generation $g)"
        txnroute run hq.db docking </dev/null
    done
    read_on x.db
    for file in docking/x/outbox/*.dx; do dxapply x.db <"$file"; done
    dxapply -n x.db < <(txnroute extract hq.db x docking) >/dev/null
    sql hq.db "$(generation 7)"
    txnroute extract hq.db x docking | dxapply x.db
    saw_only_whole_states 0 7
}

@test "a reader of the server sees only states between whole uploads" {
    read_on hq.db
    for g in 1 2 3 4; do
        sql x.db "$(generation $g)"
        txnlog upload x.db out
        dxapply hq.db --upload-from x <out/0000000$g.dx
    done
    saw_only_whole_states 0 4
}
