#!/usr/bin/env bats
# dxapply on a client: snapshots and downloads, what they refuse, what they keep; and the engine beneath.

load ../helper

# client [NODE]: hq.db, the server's rows, and NODE.db, a copy of them as made by snapshot 3 of epoch e1.
client() {
    sql hq.db "CREATE TABLE item (id TEXT PRIMARY KEY, name TEXT UNIQUE, n INTEGER, b BLOB, r REAL)" \
        "CREATE TABLE part (item TEXT REFERENCES item, no INTEGER, what TEXT, PRIMARY KEY (item, no)) WITHOUT ROWID" \
        "INSERT INTO item VALUES ('a', 'anvil', 1, x'00ff', 0.1), ('b', 'bolt', 2, NULL, -0.0), ('c', 'cog', 3, '', 1e300)" \
        "INSERT INTO part VALUES ('a', 1, 'top'), ('a', 2, 'foot'), ('b', 1, 'head')"
    sql empty.db "$(sql hq.db .schema)"
    changeset patch empty.db hq.db | wrap hq.db snapshot to=alice epoch=e1 number=3 ack=0 package=p schema=hq.db >snap.dx
    dxapply alice.db <snap.dx
}

# download NUMBER [FIELD=VALUE...]: what was done to hq.db since the last call (or client), as an archive for alice.
download() {
    local number=$1
    shift
    [ -e was.db ] || dxapply was.db <snap.dx
    changeset patch was.db hq.db | wrap hq.db changes to=alice epoch=e1 package=p tables=item,part number="$number" "$@"
    sqlite3 hq.db "VACUUM INTO 'next.db'" && mv next.db was.db
}

meta() {
    sql "$1" "SELECT value FROM dx_meta WHERE name = '$2'"
}

@test "a snapshot makes a complete client: tables, rows, counters, capture" {
    client
    same_tables hq.db alice.db
    [ "$(meta alice.db node) $(meta alice.db server) $(meta alice.db applied) $(meta alice.db package)" = "alice e1 3 p" ]
    [ "$(sql alice.db 'PRAGMA journal_mode')" = wal ]
    sql alice.db "UPDATE item SET n = 9 WHERE id = 'a'"
    [ "$(sql alice.db 'SELECT count(*) FROM dx_journal')" -eq 1 ]
    txnlog digest alice.db
}

@test "a snapshot that is refused leaves no file behind" {
    client
    head -c 200 snap.dx >cut.dx
    run -3 dxapply new.db <cut.dx
    [ ! -e new.db ]
    run -3 dxapply new.db </dev/null
    [ ! -e new.db ]
}

@test "a snapshot's schema makes ordinary tables and indexes, nothing else" {
    client
    for bad in "CREATE TRIGGER t AFTER INSERT ON item BEGIN DELETE FROM part; END" "CREATE VIEW v AS SELECT 1" \
        "CREATE TABLE dx_meta (x)" "DROP TABLE item" "CREATE TABLE x AS SELECT * FROM item" "ATTACH 'x.db' AS x" \
        "CREATE VIRTUAL TABLE f USING fts5(x)" "PRAGMA user_version = 7" "CREATE TEMP TABLE x (y)" \
        "CREATE TABLE x (y PRIMARY KEY); ATTACH 'x.db' AS x" "CREATE INDEX i ON item (name);" "EXPLAIN CREATE TABLE x (y)" \
        "CREATE TABLE sqlite_x (y)" "UPDATE sqlite_schema SET sql = ''" "" "-- nothing" \
        "CREATE TABLE x (y PRIMARY KEY, z DEFAULT (load_extension('x.so')))" \
        'CREATE INDEX i ON item ("load_extension"(name))'; do
        changeset patch empty.db hq.db | wrap hq.db snapshot to=bob epoch=e1 number=1 schema=hq.db "sql=$bad" >bad.dx
        run -3 dxapply bob.db <bad.dx
        [[ $output == *"makes no ordinary table or index"* ]]
        [ ! -e bob.db ]
    done
    changeset patch empty.db hq.db | wrap hq.db snapshot to=bob epoch=e1 number=1 schema=hq.db \
        "sql=CREATE TABLE auto (id INTEGER PRIMARY KEY AUTOINCREMENT, x CHECK (length(x) < 9) DEFAULT (1 + 1), y AS (x || 1))" \
        "sql=CREATE UNIQUE INDEX by_x ON auto (x) WHERE x > 0" "sql=CREATE INDEX by_lower ON item (lower(name))" |
        dxapply bob.db
    [ "$(sql bob.db "SELECT count(*) FROM sqlite_schema WHERE name IN ('auto', 'by_x', 'by_lower')")" -eq 3 ]
}

@test "a snapshot is refused by a server, by another node's copy, and where strangers' rows are" {
    client
    sql plain.db "CREATE TABLE item (id TEXT PRIMARY KEY)" "INSERT INTO item VALUES ('mine')"
    cp plain.db before.db
    run -3 dxapply plain.db <snap.dx
    [[ $output == *"item has rows"* ]]
    same_tables plain.db before.db
    changeset patch empty.db hq.db | wrap hq.db snapshot to=bob epoch=e1 number=4 >bob.dx
    run -3 dxapply alice.db <bob.dx
    [[ $output == *"for node bob"*"is node alice"* ]]
    sql hq.db "CREATE TABLE dx_nodes (x)"
    run -3 dxapply hq.db <snap.dx
    [[ $output == *"is no client"* ]]
}

@test "downloads are applied in their order, once; a gap is named" {
    client
    sql hq.db "UPDATE item SET n = 10 WHERE id = 'a'" "INSERT INTO item VALUES ('d', 'dowel', 4, NULL, NULL)"
    download 4 >4.dx
    sql hq.db "DELETE FROM part WHERE item = 'b'" "DELETE FROM item WHERE id = 'b'"
    download 5 >5.dx
    sql hq.db "UPDATE part SET what = 'sole' WHERE no = 2"
    download 6 >6.dx
    run -3 dxapply alice.db <5.dx
    [[ $output == *"archive 4 is missing"* ]]
    dxapply alice.db <4.dx
    cp alice.db once.db
    run -0 dxapply -v alice.db <4.dx
    [[ $output == *"applied before"* ]]
    same_tables alice.db once.db
    cat 5.dx 4.dx 6.dx | dxapply alice.db
    same_tables hq.db alice.db
    [ "$(meta alice.db applied)" -eq 6 ]
    [ "$(sql alice.db 'SELECT count(*) FROM dx_journal')" -eq 0 ]
}

@test "an archive of another node, another epoch, without number, or for no client is refused" {
    client
    sql hq.db "UPDATE item SET n = 10"
    cp alice.db before.db
    download 4 >4.dx
    for field in to=bob epoch=e2 number=0; do
        changeset patch before.db hq.db | wrap hq.db changes to=alice epoch=e1 number=4 "$field" >bad.dx
        run -3 dxapply alice.db <bad.dx
        same_tables alice.db before.db
    done
    sql stranger.db "$(sql hq.db .schema)"
    run -3 dxapply stranger.db <4.dx
    [[ $output == *"no client"* ]]
    run -4 dxapply absent.db <4.dx
    [ ! -e absent.db ]
}

@test "an archive that is cut off or damaged changes nothing" {
    client
    sql hq.db "UPDATE item SET n = n + 10" "INSERT INTO part SELECT id, 77, name FROM item"
    download 4 >4.dx
    cp alice.db before.db
    size=$(stat -c %s 4.dx)
    for ((cut = 1; cut < size; cut += size / 16)); do
        head -c "$cut" 4.dx >bad.dx
        run -3 dxapply alice.db <bad.dx
        { head -c "$cut" 4.dx; printf '\377'; tail -c +$((cut + 2)) 4.dx; } >bad.dx
        cmp -s bad.dx 4.dx || run -3 dxapply alice.db <bad.dx
    done
    same_tables alice.db before.db
    [ "$(meta alice.db applied)" -eq 3 ]
    dxapply alice.db <4.dx
    same_tables alice.db hq.db
}

@test "columns go by name: fewer, more and reordered ones" {
    client
    sql less.db "CREATE TABLE item (n INTEGER, id TEXT PRIMARY KEY, extra TEXT DEFAULT 'own', name TEXT)"
    sql less.db "CREATE TABLE part (what TEXT, no INTEGER, item TEXT, PRIMARY KEY (item, no))"
    changeset patch empty.db hq.db | wrap hq.db snapshot to=alice epoch=e1 number=3 package=p >bare.dx
    run -1 dxapply less.db <bare.dx # what it has no column for is said
    [[ $output == *"table item has no column b"* ]]
    sql hq.db "UPDATE item SET n = 11, b = x'01', r = 7 WHERE id = 'a'" "UPDATE item SET b = x'02' WHERE id = 'b'"
    sql hq.db "DELETE FROM item WHERE id = 'c'"
    download 4 >4.dx
    run -1 dxapply less.db <4.dx
    [ "$(sql less.db 'SELECT id, n, name, extra FROM item ORDER BY id')" = "a|11|anvil|own
b|2|bolt|own" ]
}

@test "a table that is not there, or has another key, is refused" {
    client
    sql hq.db "CREATE TABLE new (id INTEGER PRIMARY KEY)" "INSERT INTO new VALUES (1)"
    sql was.db "$(sql hq.db .schema)"
    changeset patch was.db hq.db | wrap hq.db changes to=alice epoch=e1 number=4 >4.dx
    run -3 dxapply alice.db <4.dx
    [[ $output == *"no such table: new"* ]]
    sql alice.db "CREATE TABLE new (id INTEGER, other INTEGER PRIMARY KEY)"
    run -3 dxapply alice.db <4.dx
    [[ $output == *"speaks of table new, which is no part of this copy"* ]]
    changeset patch was.db hq.db | wrap hq.db changes to=alice epoch=e1 number=4 schema=hq.db >4.dx
    run -7 dxapply alice.db <4.dx
    [[ $output == *"another primary key"* ]]
    [ "$(meta alice.db applied)" -eq 3 ]
}

@test "unique values swapped or rotated among rows just work" {
    client
    sql hq.db "WITH s(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM s WHERE value < 300)
            INSERT INTO item (id, name, n) SELECT 'r' || value, 'rot' || value, value FROM s"
    download 4 | dxapply alice.db
    # swap, rotate by one among 300, free a name by a delete and take it by an insert
    sql hq.db "UPDATE item SET name = 'x' || name" \
        "UPDATE item SET name = CASE id WHEN 'a' THEN 'bolt' WHEN 'b' THEN 'anvil' ELSE name END" \
        "UPDATE item SET name = 'rot' || (n % 300 + 1) WHERE id GLOB 'r*'" \
        "DELETE FROM item WHERE id = 'c'" "INSERT INTO item VALUES ('0', 'xcog', 0, NULL, NULL)"
    download 5 | dxapply alice.db
    same_tables hq.db alice.db
}

@test "what is pending is not overwritten, and not deleted" {
    client
    sql alice.db "UPDATE item SET n = 100 WHERE id = 'a'" "UPDATE item SET n = 100 WHERE id = 'b'" \
        "DELETE FROM item WHERE id = 'c'" "INSERT INTO item VALUES ('d', 'mine', 4, NULL, NULL)"
    sql hq.db "UPDATE item SET n = 50, r = 5 WHERE id = 'a'" "DELETE FROM item WHERE id = 'b'" \
        "UPDATE item SET r = 6 WHERE id = 'c'" "INSERT INTO item VALUES ('d', 'theirs', 5, NULL, NULL)"
    download 4 >4.dx
    dxapply alice.db <4.dx
    [ "$(sql alice.db "SELECT id, name, n, r > 4 FROM item ORDER BY id")" = "a|anvil|100|1
b|bolt|100|0
d|mine|4|" ]
}

@test "an acknowledgement ends what is pending before its archive's rows are applied" {
    client
    sql alice.db "UPDATE item SET n = 100 WHERE id = 'a'" "DELETE FROM item WHERE id = 'c'"
    sql alice.db "INSERT INTO dx_upload VALUES (1, 0, 2, 3)" "INSERT OR REPLACE INTO dx_meta (name, value) VALUES ('sent', 1)" "UPDATE item SET n = 7 WHERE id = 'b'"
    sql hq.db "UPDATE item SET n = 50 WHERE id = 'a'" "UPDATE item SET n = 51 WHERE id = 'b'" "UPDATE item SET n = 52, name = 'kept', b = NULL, r = 1 WHERE id = 'c'"
    # the server decided against both: it sends the rows whole
    sql gone.db "$(sql empty.db .schema)"
    changeset patch gone.db hq.db | wrap hq.db changes to=alice epoch=e1 number=4 ack=1 tables=item,part >4.dx
    dxapply alice.db <4.dx
    [ "$(sql alice.db "SELECT id, n FROM item ORDER BY id")" = "a|50
b|7
c|52" ]
    [ "$(meta alice.db acked)" -eq 1 ]
    [ "$(meta alice.db settled)" -eq 2 ]
}

@test "a snapshot over a copy removes what is gone and keeps what is pending" {
    client
    sql alice.db "UPDATE item SET n = 100 WHERE id = 'a'" "INSERT INTO item VALUES ('z', 'zip', 1, NULL, NULL)" \
        "DELETE FROM part WHERE item = 'b'"
    sql hq.db "UPDATE item SET n = 5, r = 5" "DELETE FROM item WHERE id = 'c'" "DELETE FROM part WHERE no = 2"
    changeset patch empty.db hq.db | wrap hq.db snapshot to=alice epoch=e2 number=1 ack=0 schema=hq.db >again.dx
    dxapply alice.db <again.dx
    [ "$(sql alice.db "SELECT id, n, r FROM item ORDER BY id")" = "a|100|5.0
b|5|5.0
z|1|" ]
    [ "$(sql alice.db "SELECT item, no FROM part ORDER BY item, no")" = "a|1" ]
    [ "$(meta alice.db server) $(meta alice.db applied)" = "e2 1" ]
    cp alice.db before.db
    dxapply alice.db <again.dx
    same_tables alice.db before.db
}

@test "a snapshot over a copy adds the columns that it lacks, and does not take their values for its own changes" {
    client
    sql alice.db "UPDATE item SET n = 100 WHERE id = 'a'"
    sql hq.db "ALTER TABLE item ADD COLUMN colour TEXT NOT NULL DEFAULT 'grey' COLLATE NOCASE" "ALTER TABLE item ADD COLUMN w REAL" \
        "UPDATE item SET colour = 'red', w = 1.5 WHERE id < 'c'" "CREATE TABLE extra (id INTEGER PRIMARY KEY, x)" "INSERT INTO extra VALUES (7, 8)"
    sql none.db "$(sql hq.db .schema)"
    changeset patch none.db hq.db | wrap hq.db snapshot to=alice epoch=e2 number=1 ack=0 schema=hq.db >again.dx
    dxapply alice.db <again.dx
    [ "$(sql alice.db "SELECT id, n, colour, w FROM item ORDER BY id")" = "a|100|red|1.5
b|2|red|1.5
c|3|grey|" ]
    [ "$(sql alice.db "SELECT x FROM extra")" -eq 8 ]
    [ "$(sql alice.db "SELECT count(*) FROM dx_journal")" -eq 1 ]
    sql alice.db "UPDATE item SET w = 2 WHERE id = 'c'" "UPDATE extra SET x = 9"
    [ "$(sql alice.db "SELECT count(*) FROM dx_journal")" -eq 3 ]
    txnlog status alice.db
}

@test "killed at any step that lasts, it is all there or not at all, and the next run does the rest" {
    client
    sql hq.db "UPDATE item SET n = 10" "DELETE FROM part WHERE no = 2"
    download 4 >4.dx
    for n in 1 2; do
        cp alice.db killed.db
        DX_STOP_AT=$n run -137 dxapply killed.db <4.dx
        [ "$(sql killed.db 'PRAGMA integrity_check')" = ok ]
        dxapply killed.db <4.dx
        same_tables killed.db hq.db
        rm killed.db*
        DX_STOP_AT=$n run -137 dxapply killed.db <snap.dx
        rm -f killed.db*
    done
    cp alice.db killed.db
    DX_STOP_AT=3 dxapply killed.db <4.dx
    same_tables killed.db hq.db
}

@test "a full disk changes nothing, and is exit 4" {
    client
    sql hq.db "WITH s(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM s WHERE i < 3000)
        INSERT INTO item (id, name) SELECT 'big' || i, hex(zeroblob(400)) || i FROM s"
    download 4 >4.dx
    sql alice.db "PRAGMA wal_checkpoint(TRUNCATE)"
    cp alice.db before.db
    full() (trap '' XFSZ && ulimit -f 1000 && dxapply alice.db <4.dx)
    run -4 full
    same_tables alice.db before.db
    [ "$(meta alice.db applied)" -eq 3 ]
    dxapply alice.db <4.dx
    same_tables alice.db hq.db
}

@test "a row that cannot be applied is quarantined with what follows on it; --strict refuses instead" {
    client
    sql alice.db "CREATE TABLE item2 (id TEXT PRIMARY KEY, name TEXT UNIQUE, n INTEGER CHECK (n < 50), b BLOB, r REAL)" \
        "PRAGMA writable_schema = ON" \
        "UPDATE sqlite_schema SET sql = replace(sql, 'n INTEGER', 'n INTEGER CHECK (n < 50)') WHERE name = 'item'"
    sql hq.db "INSERT INTO item VALUES ('e', 'eel', 99, NULL, NULL), ('f', 'fin', 1, NULL, NULL)"
    download 4 >4.dx
    sql hq.db "UPDATE item SET r = 3 WHERE id = 'e'"
    download 5 >5.dx
    sql hq.db "UPDATE item SET n = 9 WHERE id = 'e'"
    download 6 >6.dx
    cp alice.db strict.db
    run -3 dxapply strict.db --strict <4.dx
    [[ $output == *"item 'e'"*CHECK* ]]
    [ "$(meta strict.db applied)" -eq 3 ]
    run -1 dxapply alice.db <4.dx
    [ "$(sql alice.db "SELECT group_concat(id, '') FROM (SELECT id FROM item ORDER BY id)")" = abcf ]
    # what comes later for the row is laid over what waits, until it can be written
    dxapply alice.db <5.dx
    [ "$(sql alice.db 'SELECT count(*) FROM dx_quarantine')" -eq 1 ]
    dxapply alice.db <6.dx
    [ "$(sql alice.db 'SELECT count(*) FROM dx_quarantine')" -eq 0 ]
    same_table alice.db hq.db item
}

@test "application triggers fire where they write to what does not travel" {
    client
    sql alice.db "CREATE VIRTUAL TABLE item_fts USING fts5(name, content=item, content_rowid=rowid)" \
        "INSERT INTO item_fts(item_fts) VALUES ('rebuild')" \
        "CREATE TABLE audit (what TEXT)" "CREATE TABLE total (id INTEGER PRIMARY KEY, n INTEGER)"
    sql alice.db "CREATE TRIGGER fi AFTER INSERT ON item BEGIN INSERT INTO item_fts(rowid, name) VALUES (new.rowid, new.name); END" \
        "CREATE TRIGGER fd AFTER DELETE ON item BEGIN INSERT INTO item_fts(item_fts, rowid, name) VALUES ('delete', old.rowid, old.name); END" \
        "CREATE TRIGGER fu AFTER UPDATE ON item BEGIN INSERT INTO item_fts(item_fts, rowid, name) VALUES ('delete', old.rowid, old.name); INSERT INTO item_fts(rowid, name) VALUES (new.rowid, new.name); END" \
        "CREATE TRIGGER au AFTER UPDATE ON item BEGIN INSERT INTO audit VALUES (old.name || '>' || new.name); END" \
        "CREATE TRIGGER cascade AFTER UPDATE ON item BEGIN UPDATE part SET what = 'never' WHERE item = new.id; END" \
        "CREATE TRIGGER no BEFORE UPDATE ON item BEGIN SELECT RAISE(ABORT, 'never'); END"
    txnlog attach alice.db item part
    sql alice.db "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY name" >triggers
    sql hq.db "UPDATE item SET name = CASE id WHEN 'a' THEN 'bolt' WHEN 'b' THEN 'anvil' ELSE 'x' || name END WHERE id = 'none'" \
        "UPDATE item SET name = 'tmp' WHERE id = 'a'" "UPDATE item SET name = 'anvil' WHERE id = 'b'" \
        "UPDATE item SET name = 'bolt' WHERE id = 'a'" "DELETE FROM item WHERE id = 'c'" \
        "INSERT INTO item VALUES ('d', 'dowel', 1, NULL, NULL)"
    download 4 | dxapply alice.db
    same_table hq.db alice.db item part
    sql alice.db "INSERT INTO item_fts(item_fts, rank) VALUES ('integrity-check', 1)"
    [ "$(sql alice.db "SELECT item.id FROM item_fts JOIN item ON item.rowid = item_fts.rowid WHERE item_fts MATCH 'anvil'")" = b ]
    [ "$(sql alice.db "SELECT count(*) FROM part WHERE what = 'never'")" -eq 0 ]
    [ "$(sql alice.db 'SELECT count(*) FROM dx_journal')" -eq 0 ]
    sql alice.db "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY name" | diff triggers -
    txnlog status alice.db
}

@test "-n says what would happen and changes nothing" {
    client
    sql hq.db "UPDATE item SET n = 10 WHERE id = 'a'" "DELETE FROM part WHERE no = 2"
    download 4 >4.dx
    cp alice.db before.db
    run -0 dxapply -n alice.db <4.dx
    [ "$output" = "alice.db: would insert 0, update 1, delete 1" ]
    same_tables alice.db before.db
    [ "$(meta alice.db applied)" -eq 3 ]
    run -0 dxapply -n new.db <snap.dx
    [ ! -e new.db ]
}

@test "guards stop before the commit, name the digest, and let that archive through" {
    client
    sql hq.db "UPDATE item SET n = 10" "DELETE FROM part WHERE item = 'a'"
    download 4 >4.dx
    run -5 dxapply alice.db --guard-rows 2 <4.dx
    [[ $output == *"3 overwritten"*"--approve "* ]]
    digest=${output##*--approve }
    run -5 dxapply alice.db --guard-percent 60 <4.dx
    [ "$(meta alice.db applied)" -eq 3 ]
    run -5 dxapply alice.db --guard-rows 2 --approve 0123 <4.dx
    dxapply alice.db --guard-rows 2 --approve "$digest" <4.dx
    same_tables alice.db hq.db
    sql hq.db "UPDATE item SET n = 11 WHERE id = 'a'"
    download 5 | dxapply alice.db --guard-rows 2
}

@test "many rows under a key of text and blob, with and without rowid, in a table of a very long name" {
    long=$(printf 'n%.0s' {1..300})
    for rowid in "" "WITHOUT ROWID"; do
        rm -f ./*.db ./*.dx
        sql old.db "CREATE TABLE \"$long\" (t TEXT, b BLOB, v, PRIMARY KEY (b, t)) $rowid" \
            "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10000)
             INSERT INTO \"$long\" SELECT 'k' || i % 100, CAST(printf('%016d', i * 7919 % 10007) AS BLOB), i FROM n"
        cp old.db new.db
        sql new.db "DELETE FROM \"$long\" WHERE v % 3 = 0" "UPDATE \"$long\" SET v = -v WHERE v % 3 = 1" \
            "UPDATE \"$long\" SET t = 'moved' WHERE v % 5 = 0" \
            "INSERT INTO \"$long\" SELECT t || '+', b, v FROM \"$long\" WHERE v % 7 = 0"
        changeset diff old.db new.db | wrap new.db changes >log.dx
        cp old.db copy.db
        dxapply copy.db --log --undo undo.dx <log.dx
        same_tables new.db copy.db
        dxapply copy.db --log <undo.dx
        same_tables old.db copy.db
    done
}

@test "an archive that is no archive, and misuse" {
    client
    run -3 dxapply alice.db <<<'hello'
    run -2 dxapply
    run -2 dxapply --no-such alice.db <snap.dx
    run -2 dxapply alice.db --guard-rows many <snap.dx
    echo text >text.db
    run -3 dxapply text.db <snap.dx
    run -0 dxapply --version
}

@test "a lock held by another is exit 6" {
    client
    sql hq.db "UPDATE item SET n = 10"
    download 4 >4.dx
    { echo "BEGIN IMMEDIATE; UPDATE part SET no = no;"; sleep 14; } | sqlite3 alice.db &
    sleep 0.5
    run -6 dxapply alice.db <4.dx
    wait
    dxapply alice.db <4.dx
    same_table alice.db hq.db item
}

@test "a download without a number says that there is nothing yet, or is refused" {
    client
    sql hq.db "UPDATE item SET n = 7 WHERE id = 'a'"
    download 0 >0.dx
    run -3 dxapply alice.db <0.dx
    [[ $output == *"has no number"* ]]
    [ "$(sql alice.db "SELECT n FROM item WHERE id = 'a'")" = 1 ]
    changeset patch hq.db hq.db | wrap hq.db changes to=alice epoch=e1 package=p tables=item number=0 >nothing.dx
    run -0 dxapply alice.db <nothing.dx
    [ "$(meta alice.db applied)" = 3 ]
}
