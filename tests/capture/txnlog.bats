#!/usr/bin/env bats
# txnlog: every hazard of capture by triggers, then reading, acknowledging, trimming, uploads, digests.

load ../helper

# journal DB [AFTER]: the entries after a number, one a line: operation (insert, update, delete, key), then the values
# of c0, d0, c1, d1, ...; NULL is "-".
journal() {
    local columns
    columns=$(sql "$1" "SELECT group_concat(name) FROM pragma_table_info('dx_journal') WHERE name GLOB '[cd][0-9]*'")
    sqlite3 -batch -nullvalue - "$1" "SELECT substr('-iudk', what % 8 + 1, 1), $columns FROM dx_journal
        WHERE seq > ${2:-0} ORDER BY seq"
}

# entries DB: how many.
entries() {
    sql "$1" "SELECT count(*) FROM dx_journal"
}

# made STATEMENT...: now.db with these statements run and captured, was.db the same before capture.
made() {
    sql now.db "$@"
    cp now.db was.db
    txnlog attach now.db
}

# replays: what was read from now.db makes was.db the same, by SQLite's own means, which stop at any old value, insert
# or delete that does not fit.
replays() {
    cp was.db replayed.db
    sql replayed.db "SELECT 'DROP TRIGGER ' || name || ';' FROM sqlite_schema WHERE type = 'trigger'" | sql replayed.db
    txnlog read now.db --after 0 >log.dx
    tar --zstd -xOf log.dx --wildcards 'changes/*' | changeset apply replayed.db
    same_tables now.db replayed.db
}

contact="CREATE TABLE contact (id TEXT PRIMARY KEY, name TEXT, phone TEXT)"

@test "attach captures inserts, updates and deletes with old and new values, in commit order" {
    made "$contact" "INSERT INTO contact VALUES ('a', 'Ann', '1')"
    sql now.db "INSERT INTO contact VALUES ('b', 'Bob', NULL)" "UPDATE contact SET phone = '2' WHERE id = 'a'" \
        "UPDATE contact SET phone = NULL, name = 'Anna' WHERE id = 'a'" "DELETE FROM contact WHERE id = 'b'"
    run -0 journal now.db
    [ "$output" = "i|b|-|Bob|-|-|-
u|a|-|-|-|1|2
u|a|-|Ann|Anna|2|-
d|b|-|Bob|-|-|-" ]
    replays
}

@test "attach is idempotent: nothing changes, the epoch stays" {
    made "$contact"
    before=$(sqlite3 now.db .dump)
    txnlog attach now.db
    txnlog attach now.db contact
    [ "$(sqlite3 now.db .dump)" = "$before" ]
}

@test "attach DB TABLE captures that table only" {
    sql now.db "$contact" "CREATE TABLE other (id INTEGER PRIMARY KEY)"
    txnlog attach now.db contact
    sql now.db "INSERT INTO other VALUES (1)" "INSERT INTO contact VALUES ('a', 'Ann', '1')"
    [ "$(journal now.db)" = "i|a|-|Ann|-|1|-" ]
    txnlog attach now.db other
    sql now.db "INSERT INTO other VALUES (2)"
    [ "$(entries now.db)" = 2 ]
}

@test "an update that changes nothing is not logged" {
    made "$contact" "INSERT INTO contact VALUES ('a', 'Ann', NULL)"
    sql now.db "UPDATE contact SET name = 'Ann', phone = NULL, id = 'a'" "UPDATE contact SET name = name"
    [ "$(entries now.db)" = 0 ]
}

@test "a change of case, of type or of sign alone is a change" {
    made "CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT COLLATE NOCASE, free, number NUMERIC)" \
        "INSERT INTO t VALUES (1, 'a', 2, -9223372036854775808), (2, 'b', 0.0, 5)"
    sql now.db "UPDATE t SET word = 'A' WHERE id = 1" "UPDATE t SET free = 2.0 WHERE id = 1" \
        "UPDATE t SET free = '2' WHERE id = 1" "UPDATE t SET free = CAST('2' AS BLOB) WHERE id = 1" \
        "UPDATE t SET number = -9223372036854775808.0 WHERE id = 1"
    [ "$(entries now.db)" = 5 ]
    # Only -0.0 and 0.0 are alike to SQL; the reader tells them apart.
    sql now.db "UPDATE t SET free = free * -1 WHERE id = 2" "UPDATE t SET free = free, number = 5 WHERE id = 2"
    replays
    [ "$(txnlog digest now.db)" = "$(txnlog digest replayed.db)" ]
    run ! test "$(txnlog digest now.db)" = "$(sql now.db "UPDATE t SET free = 0.0 WHERE id = 2" && txnlog digest now.db)"
}

@test "a zero that keeps its sign is no change to a reader" {
    made "CREATE TABLE t (id INTEGER PRIMARY KEY, free)" "INSERT INTO t VALUES (1, 0.0)"
    sql now.db "UPDATE t SET free = 0.0"
    txnlog read now.db >log.dx
    run -0 tar --zstd -tf log.dx
    [ "$output" = "dx.json
end.json" ]
}

@test "BLOBs, large integers, infinities and all REALs survive bit for bit" {
    made "CREATE TABLE t (id INTEGER PRIMARY KEY, a, r REAL)"
    sql now.db "INSERT INTO t VALUES (9223372036854775807, x'00ff00', 9e999), (-9223372036854775808, '', -9e999)" \
        "INSERT INTO t VALUES (3, 0.1 + 0.2, 5e-324), (4, 39.8300497, 1.7976931348623157e308)" \
        "INSERT INTO t VALUES (5, -0.0, 9007199254740993), (6, CAST(x'610062' AS TEXT), x'00'), (7, zeroblob(70000), NULL)" \
        "INSERT INTO t WITH RECURSIVE n (i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
            SELECT i, random() * 1e-9, random() / 3.0 FROM n" "UPDATE t SET a = r, r = a WHERE id > 1000"
    replays
    [ "$(txnlog digest now.db)" = "$(txnlog digest replayed.db)" ]
}

@test "INSERT OR REPLACE logs what it deletes: by key, by unique column, both, recursive triggers or not" {
    for recursive in 0 1; do
        rm -f ./*.db
        made "CREATE TABLE t (id INTEGER PRIMARY KEY, mail TEXT UNIQUE, n)" \
            "INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3)"
        sql now.db "PRAGMA recursive_triggers = $recursive" "INSERT OR REPLACE INTO t VALUES (1, 'z', 9)" \
            "REPLACE INTO t (mail, n) VALUES ('b', 8)" "INSERT OR REPLACE INTO t VALUES (1, 'c', 7)"
        run -0 journal now.db
        [ "$(sort <<<"$output")" = "$(sort <<'END'
d|1|-|a|-|1|-
i|1|-|z|-|9|-
d|2|-|b|-|2|-
i|4|-|b|-|8|-
d|1|-|z|-|9|-
d|3|-|c|-|3|-
i|1|-|c|-|7|-
END
)" ]
        replays
    done
}

@test "ON CONFLICT REPLACE in the schema and UPDATE OR REPLACE log what they delete" {
    made "CREATE TABLE t (id INTEGER PRIMARY KEY, mail TEXT UNIQUE ON CONFLICT REPLACE, n)" \
        "INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3), (4, 'd', 4)"
    sql now.db "INSERT INTO t VALUES (9, 'a', 9)" "UPDATE t SET mail = 'b' WHERE id = 3" \
        "UPDATE OR REPLACE t SET id = 4 WHERE id = 9"
    run -0 journal now.db
    [ "$output" = "d|1|-|a|-|1|-
i|9|-|a|-|9|-
d|2|-|b|-|2|-
u|3|-|c|b|-|-
d|4|-|d|-|4|-
k|9|4|a|a|9|9" ]
    replays
}

@test "replacing over partial, expression, collated and generated unique indexes is logged" {
    made "CREATE TABLE t (id TEXT PRIMARY KEY COLLATE NOCASE, a TEXT, live INT, tag TEXT, twin TEXT AS (a || tag))" \
        "CREATE UNIQUE INDEX one ON t (a DESC) WHERE live /* only these */ = 1" \
        "CREATE UNIQUE INDEX [two (odd)] ON t (lower(tag), live)" "CREATE UNIQUE INDEX three ON t (twin)" \
        "INSERT INTO t VALUES ('k', 'x', 1, 'P'), ('l', 'y', 0, 'q'), ('m', 'z', 1, 'r'), ('n', 'w', 5, 's')"
    sql now.db "INSERT OR REPLACE INTO t VALUES ('o', 'x', 1, 'u')" "INSERT OR REPLACE INTO t VALUES ('p', 'v', 0, 'Q')" \
        "UPDATE OR REPLACE t SET live = 1, a = 'z' WHERE id = 'p'" "INSERT OR REPLACE INTO t VALUES ('N', 'w', 6, 't')" \
        "UPDATE OR REPLACE t SET a = 'w', tag = 't' WHERE id = 'o'"
    [ "$(sql now.db "SELECT group_concat(id) FROM (SELECT id FROM t ORDER BY id)")" = o,p ]
    replays
}

@test "a row replaced over its rowid is logged" {
    made "$contact" "INSERT INTO contact (rowid, id) VALUES (1, 'a'), (2, 'b'), (3, 'c')"
    sql now.db "INSERT OR REPLACE INTO contact (rowid, id) VALUES (1, 'x')" "UPDATE OR REPLACE contact SET rowid = 3 WHERE id = 'b'" \
        "UPDATE contact SET rowid = 17 WHERE id = 'b'"
    [ "$(sql now.db "SELECT group_concat(id) FROM (SELECT id FROM contact ORDER BY id)")" = b,x ]
    replays
}

@test "INSERT OR IGNORE and upserts that change nothing log nothing, and leave no false delete" {
    made "$contact" "INSERT INTO contact VALUES ('a', 'Ann', '1')"
    sql now.db "INSERT OR IGNORE INTO contact VALUES ('a', 'X', 'X')" \
        "INSERT INTO contact VALUES ('a', 'X', 'X') ON CONFLICT DO NOTHING" \
        "INSERT INTO contact VALUES ('a', 'X', 'X') ON CONFLICT DO UPDATE SET phone = '1'"
    [ "$(entries now.db)" = 0 ]
    run -1 sql now.db "INSERT INTO contact VALUES ('a', 'X', 'X')"
    sql now.db "INSERT INTO contact VALUES ('a', 'X', 'X') ON CONFLICT DO UPDATE SET phone = excluded.phone" \
        "INSERT OR IGNORE INTO contact VALUES ('a', 'Y', 'Y')" "DELETE FROM contact" \
        "INSERT INTO contact VALUES ('b', 'Bob', '2')" "INSERT INTO contact VALUES ('a', 'New', '3')"
    run -0 journal now.db
    [ "$output" = "u|a|-|-|-|1|X
d|a|-|Ann|-|X|-
i|b|-|Bob|-|2|-
i|a|-|New|-|3|-" ]
    replays
}

@test "a stale row kept for REPLACE does not survive trim as a false delete" {
    made "$contact" "INSERT INTO contact VALUES ('a', 'Ann', '1')"
    sql now.db "INSERT OR IGNORE INTO contact VALUES ('a', 'X', 'X')" "DELETE FROM contact"
    txnlog read now.db | txnlog ack now.db
    txnlog trim now.db
    sql now.db "INSERT INTO contact VALUES ('b', 'Bob', '2')"
    [ "$(journal now.db 1)" = "i|b|-|Bob|-|2|-" ]
}

@test "foreign key actions are logged: cascades, SET NULL, and what REPLACE of a parent takes with it" {
    made "CREATE TABLE p (id INTEGER PRIMARY KEY, v)" \
        "CREATE TABLE c (id INTEGER PRIMARY KEY, p REFERENCES p ON DELETE CASCADE ON UPDATE CASCADE)" \
        "CREATE TABLE s (id INTEGER PRIMARY KEY, p REFERENCES p ON DELETE SET NULL)" \
        "INSERT INTO p VALUES (1, 1), (2, 2), (3, 3)" "INSERT INTO c VALUES (1, 1), (2, 2), (3, 3)" "INSERT INTO s VALUES (1, 1)"
    sql now.db "PRAGMA foreign_keys = ON" "DELETE FROM p WHERE id = 1" "UPDATE p SET id = 9 WHERE id = 2" \
        "INSERT OR REPLACE INTO p VALUES (3, 'new')"
    [ "$(entries now.db)" = 8 ]
    replays
}

@test "a cascade that comes back to the table is logged once, whatever it takes with it" {
    made "CREATE TABLE t (id INTEGER PRIMARY KEY, b UNIQUE, up REFERENCES t ON DELETE CASCADE)" \
        "INSERT INTO t VALUES (1, 'x', NULL), (2, 'y', 1), (3, 'z', 2), (4, 'u', NULL)"
    sql now.db "PRAGMA foreign_keys = ON" "INSERT OR IGNORE INTO t VALUES (9, 'z', NULL)" \
        "UPDATE OR REPLACE t SET b = 'x' WHERE id = 3" "DELETE FROM t"
    [ "$(entries now.db)" = 4 ]
    replays
}

@test "a row that refers to itself cannot get another key by way of a cascade" {
    made "CREATE TABLE t (id INTEGER PRIMARY KEY, up REFERENCES t ON UPDATE CASCADE)" "INSERT INTO t VALUES (1, 1), (2, 1)"
    run -1 sql now.db "PRAGMA foreign_keys = ON" "UPDATE t SET id = 5 WHERE id = 1"
    [[ $output == *"dx: table t: a row that refers to itself cannot get another key; clear its reference first"* ]]
    sql now.db "PRAGMA foreign_keys = ON" "UPDATE t SET up = NULL WHERE id = 1" "UPDATE t SET id = 5 WHERE id = 1"
    replays
}

@test "a change of primary key is logged as one, by its column or as rowid" {
    made "CREATE TABLE t (id INTEGER PRIMARY KEY, v)" "CREATE TABLE w (a, b, v, PRIMARY KEY (a, b)) WITHOUT ROWID" \
        "INSERT INTO t VALUES (1, 'x'), (2, 'y')" "INSERT INTO w VALUES (1, 2, 'x')"
    sql now.db "UPDATE t SET id = 7 WHERE id = 1" "UPDATE t SET rowid = 8, v = 'z' WHERE id = 2" "UPDATE w SET b = 3"
    run -0 journal now.db
    [ "$output" = "k|1|7|x|x|-|-
k|2|8|y|z|-|-
k|1|1|2|3|x|x" ]
    replays
}

@test "keys that trade places are logged so that they can be replayed" {
    made "CREATE TABLE t (id INTEGER PRIMARY KEY, v)" "INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, 'z')"
    sql now.db "UPDATE t SET id = -id" "UPDATE t SET id = 4 + id"
    replays
}

@test "WITHOUT ROWID, STRICT, and generated columns" {
    made "CREATE TABLE w (k TEXT COLLATE NOCASE, n INT, v, PRIMARY KEY (k, n)) WITHOUT ROWID" \
        "CREATE TABLE s (id INTEGER PRIMARY KEY, a ANY, b TEXT) STRICT" \
        "CREATE TABLE g (id INTEGER PRIMARY KEY, a, b AS (a * 2), c AS (a * 3) STORED, d)"
    sql now.db "INSERT INTO w VALUES ('a', 1, 'x'), ('a', 2, 'y')" "REPLACE INTO w VALUES ('A', 1, 'z')" "DELETE FROM w WHERE n = 2" \
        "INSERT INTO s VALUES (1, 2, 'x')" "UPDATE s SET a = 2.0" "INSERT INTO g (id, a, d) VALUES (1, 2, 3)" "UPDATE g SET a = 4"
    [ "$(sql now.db "SELECT columns FROM dx_table WHERE name = 'g'")" = '["id","a","d"]' ]
    replays
}

@test "names with quotes, spaces, brackets and letters beyond ASCII" {
    made 'CREATE TABLE "a ""b"" c" ("k é" TEXT PRIMARY KEY, [x y] INTEGER, "{id}" TEXT UNIQUE, `seq` INT, c0 INT)' \
        "INSERT INTO \"a \"\"b\"\" c\" VALUES ('ü', 1, 'q', 1, 1)"
    sql now.db "INSERT INTO \"a \"\"b\"\" c\" VALUES ('z', 1, 'r', 1, 1)" "UPDATE \"a \"\"b\"\" c\" SET \"x y\" = 5, c0 = 2" \
        "REPLACE INTO \"a \"\"b\"\" c\" VALUES ('y', 1, 'q', 1, 1)" "UPDATE \"a \"\"b\"\" c\" SET \"k é\" = 'ÿ' WHERE seq = 1 AND c0 = 2"
    replays
}

@test "a table without primary key is refused when named, told of and left out otherwise" {
    sql now.db "$contact" "CREATE TABLE bare (x)"
    run -3 txnlog attach now.db contact bare
    [[ $output == "txnlog: now.db: table bare has no primary key"*"give it one"* ]]
    [ "$(sql now.db "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'dx%'")" = 0 ]
    run -0 txnlog attach now.db
    [ "$output" = "txnlog: table bare has no primary key, nor a UNIQUE over columns that are NOT NULL, and is not captured" ]
    run -0 txnlog status now.db
    [[ $output == *"table bare: not captured: no key"* ]]
}

@test "views, virtual tables, our own and SQLite's tables are refused" {
    sql now.db "$contact" "CREATE VIEW v AS SELECT * FROM contact" "CREATE VIRTUAL TABLE f USING fts5 (x)"
    txnlog attach now.db contact
    for table in v f f_data dx_meta sqlite_schema none; do
        run -3 txnlog attach now.db "$table"
        [[ $output == *"$table"* ]]
    done
}

@test "NULL in a key is refused: at attach where there is one, afterwards as it is written" {
    sql now.db "CREATE TABLE t (a TEXT, b TEXT, PRIMARY KEY (a, b))" "INSERT INTO t VALUES ('x', NULL)"
    run -3 txnlog attach now.db t
    [[ $output == *"table t holds 1 rows with NULL in the primary key"*"attach again"* ]]
    sql now.db "DELETE FROM t"
    txnlog attach now.db
    for statement in "INSERT INTO t VALUES ('x', NULL)" "INSERT OR IGNORE INTO t VALUES (NULL, 'x')"; do
        run -1 sql now.db "$statement"
        [[ $output == *"dx: table t: NULL in key column "[ab]" cannot be synchronized"* ]]
    done
    sql now.db "INSERT INTO t VALUES ('x', 'y')"
    run -1 sql now.db "UPDATE t SET b = NULL"
    [ "$(entries now.db)" = 1 ]
}

@test "a table that cannot be captured is named with the remedy and left out; the others are captured" {
    sql now.db "$contact" "CREATE TABLE hole (a TEXT PRIMARY KEY, b)" "INSERT INTO hole VALUES (NULL, 1)" \
        "CREATE TABLE own (a TEXT PRIMARY KEY COLLATE uint, b)" "CREATE TABLE index_of (a INTEGER PRIMARY KEY, b COLLATE uint)" \
        "CREATE TABLE soft (a TEXT PRIMARY KEY COLLATE NOCASE, b)"
    run -1 txnlog attach now.db
    [[ $output == *"table hole holds 1 rows with NULL in the primary key"*"; it is not captured"* ]]
    [[ $output == *"table own uses the collation uint, which only the application knows; use BINARY"*"; it is not captured"* ]]
    [[ $output == *"table index_of uses the collation uint"* ]]
    [ "$(txnlog status now.db | grep -c ': captured')" -eq 2 ]
    run -3 txnlog attach now.db own
    sql now.db "INSERT INTO contact VALUES ('a', 'Ann', '1')" "INSERT INTO soft VALUES ('A', 1)" "UPDATE soft SET a = 'a'"
    [ "$(entries now.db)" = 3 ]
    sql now.db "DELETE FROM hole WHERE a IS NULL"
    run -1 txnlog attach now.db
    [[ $output != *hole* ]]
    [ "$(txnlog status now.db | grep -c ': captured')" -eq 3 ]
}

@test "a table without PRIMARY KEY is captured by a UNIQUE over columns that are NOT NULL" {
    made "CREATE TABLE setting (user INTEGER NOT NULL, name TEXT NOT NULL, value, UNIQUE (user, name))" \
        "CREATE TABLE late (a, n INTEGER NOT NULL, v)" "CREATE UNIQUE INDEX late_n ON late (n)" \
        "CREATE TABLE two (a TEXT NOT NULL UNIQUE, b TEXT NOT NULL UNIQUE)" "INSERT INTO setting VALUES (1, 'a', 'x'), (2, 'a', 'y')"
    [ "$(sql now.db "SELECT group_concat(key) FROM (SELECT key FROM dx_table ORDER BY name)")" = '["n"],["user","name"],["a"]' ]
    sql now.db "INSERT INTO setting VALUES (1, 'b', 1), (1, 'c', 2)" "REPLACE INTO setting VALUES (1, 'a', 'z')" \
        "UPDATE setting SET value = 3 WHERE name = 'b'" "UPDATE setting SET user = 5 WHERE user = 2" "DELETE FROM setting WHERE name = 'c'" \
        "UPDATE OR REPLACE setting SET name = 'a' WHERE name = 'b'" "INSERT INTO late VALUES (1, 7, 1)" "UPDATE late SET n = 8, rowid = 3" \
        "INSERT INTO two VALUES ('a', 'x'), ('b', 'y')" "UPDATE OR REPLACE two SET b = 'y' WHERE a = 'a'"
    run -1 sql now.db "INSERT INTO setting VALUES (5, NULL, 1)"
    txnlog read now.db --after 0 | dxapply --log was.db
    same_tables now.db was.db
    run -3 txnlog attach now.db none
    for bare in "a, UNIQUE (a)" "a TEXT NOT NULL COLLATE NOCASE UNIQUE" "a TEXT NOT NULL, b AS (a) NOT NULL UNIQUE" "a NOT NULL, b"; do
        sql now.db "DROP TABLE IF EXISTS bare" "CREATE TABLE bare ($bare)" "CREATE UNIQUE INDEX part ON bare (a) WHERE a > 1"
        run -3 txnlog attach now.db bare
        [[ $output == *"table bare has no primary key, nor a UNIQUE over columns that are NOT NULL"* ]]
    done
}

@test "what is rolled back is not logged, and leaves no gap in the numbers" {
    made "$contact"
    sql now.db "BEGIN" "INSERT INTO contact VALUES ('a', 'Ann', '1')" "SAVEPOINT s" "INSERT INTO contact VALUES ('b', 'Bob', '2')" \
        "UPDATE contact SET phone = '9'" "ROLLBACK TO s" "INSERT INTO contact VALUES ('c', 'Cid', '3')" "COMMIT" \
        "BEGIN" "DELETE FROM contact" "ROLLBACK"
    run -1 sql now.db "INSERT INTO contact VALUES ('d', '', ''), ('a', '', '')"
    [ "$(sql now.db "SELECT group_concat(seq) FROM dx_journal")" = 1,2 ]
    replays
}

@test "several writers in WAL mode are all logged, whole, in one order" {
    made "PRAGMA journal_mode = wal" "CREATE TABLE t (id INTEGER PRIMARY KEY, who, n)" "CREATE TABLE total (who PRIMARY KEY, n)" \
        "INSERT INTO total VALUES (1, 0), (2, 0), (3, 0)"
    writer() {
        for i in $(seq "$(sized 40 10)"); do
            echo "BEGIN IMMEDIATE; INSERT INTO t (who, n) VALUES ($1, $i); UPDATE total SET n = n + 1 WHERE who = $1; COMMIT;"
        done | sqlite3 -bail -cmd '.timeout 20000' now.db
    }
    local writers=()
    for who in 1 2 3; do
        writer $who &
        writers+=($!)
    done
    wait "${writers[@]}"
    n=$(sized 40 10)
    [ "$(entries now.db)" = $((6 * n)) ]
    # The two entries of a transaction stand together.
    [ "$(sql now.db "SELECT count(*) FROM dx_journal i JOIN dx_journal u ON u.seq = i.seq + 1
        WHERE i.what % 8 = 1 AND u.what % 8 = 2 AND i.c1 = u.c0 AND i.c2 = u.d1")" = $((3 * n)) ]
    replays
}

@test "the application's own triggers are logged in the order of their effects" {
    made "CREATE TABLE t (id INTEGER PRIMARY KEY, v, stamp INT DEFAULT 0)" "CREATE TABLE audit (id INTEGER PRIMARY KEY, what)" \
        "CREATE TRIGGER touch AFTER UPDATE OF v ON t BEGIN UPDATE t SET stamp = stamp + 1, v = v || '!' WHERE id = NEW.id;
            INSERT INTO audit (what) VALUES (OLD.v); END" "INSERT INTO t (id, v) VALUES (1, 'a')"
    sql now.db "UPDATE t SET v = 'b'" "UPDATE t SET v = 'c'"
    replays
    [ "$(sql now.db "SELECT v, stamp FROM t")" = "c!|2" ]
}

@test "a trigger of the application's made after attach is drift; attach again puts ours first" {
    made "CREATE TABLE t (id INTEGER PRIMARY KEY, v)" "INSERT INTO t VALUES (1, 'a')"
    sql now.db "CREATE TRIGGER late AFTER UPDATE ON t WHEN NEW.v NOT LIKE '%!' BEGIN UPDATE t SET v = v || '!' WHERE id = NEW.id; END"
    run -3 txnlog read now.db
    [[ $output == *"table t: trigger late was made after it was attached"*"run \`txnlog attach\` again"* ]]
    run -1 txnlog status now.db
    run -0 txnlog attach now.db
    [[ $output == "txnlog: table t: trigger late "*"; mended" ]]
    sql now.db "VACUUM" "UPDATE t SET v = 'b'"
    replays
}

@test "drift: a new column is refused by read, and attach loses nothing that was written to it" {
    made "$contact" "INSERT INTO contact VALUES ('a', 'Ann', '1'), ('b', 'Bob', '2')"
    sql now.db "UPDATE contact SET phone = '3' WHERE id = 'a'" "ALTER TABLE contact ADD COLUMN city TEXT DEFAULT 'Ulm'" \
        "UPDATE contact SET city = 'Bonn' WHERE id = 'b'" "INSERT INTO contact VALUES ('c', 'Cid', '4', 'Kiel')"
    run -3 txnlog read now.db
    [[ $output == "txnlog: now.db: table contact: column city is new and not captured; run \`txnlog attach\` again" ]]
    run -0 txnlog attach now.db
    [[ $output == *"column city is new; what 2 rows hold in it is now journalled"* ]]
    sql now.db "UPDATE contact SET city = NULL WHERE id = 'a'"
    sql was.db "ALTER TABLE contact ADD COLUMN city TEXT DEFAULT 'Ulm'"
    replays
}

@test "drift: columns dropped or renamed, indexes added, triggers altered or missing" {
    made "$contact" "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b)"
    sql now.db "INSERT INTO t VALUES (1, 2, 3)" "ALTER TABLE t RENAME COLUMN b TO c"
    run -3 txnlog read now.db
    [[ $output == *"table t: column c is new"* ]]
    run -0 txnlog attach now.db
    sql now.db "UPDATE t SET c = 4" "CREATE UNIQUE INDEX u ON t (a)"
    run -3 txnlog read now.db
    [[ $output == *"table t: trigger dx_"*" does not fit the table's columns and indexes"* ]]
    run -0 txnlog attach now.db
    sql now.db "DROP TRIGGER dx_d_1"
    run -3 txnlog read now.db
    [[ $output == *"trigger dx_d_1 is missing"* ]]
    run -1 txnlog attach now.db
    [[ $output == *"what was changed meanwhile is not in the journal: extract the copies again"* ]]
    run -0 txnlog read now.db
    sql now.db "DROP TABLE t"
    run -3 txnlog read now.db
    [[ $output == *"table t: the table is gone"* ]]
    run -1 txnlog attach now.db
    txnlog read now.db >log.dx
}

@test "read writes all after the mark and moves nothing; ack does" {
    made "$contact"
    txnlog read now.db >empty.dx
    run -0 tar --zstd -tf empty.dx
    [ "$output" = "dx.json
end.json" ]
    sql now.db "INSERT INTO contact VALUES ('a', 'Ann', '1')"
    txnlog read now.db >1.dx
    txnlog read now.db >again.dx
    cmp 1.dx again.dx
    sql now.db "INSERT INTO contact VALUES ('b', 'Bob', '2')"
    txnlog ack now.db <1.dx
    txnlog ack now.db <1.dx
    txnlog read now.db >2.dx
    [[ $(tar --zstd -xOf 2.dx dx.json) == *'"after":1,"upto":2'* ]]
    cat 1.dx 2.dx | txnlog ack now.db --peer tape
    [ "$(sql now.db "SELECT name, mark FROM dx_peer ORDER BY 1")" = "default|1
tape|2" ]
}

@test "ack refuses what is no receipt: a gap, another journal, a cut archive, another kind" {
    made "$contact"
    sql now.db "INSERT INTO contact VALUES ('a', 'Ann', '1')"
    txnlog read now.db >1.dx
    sql now.db "INSERT INTO contact VALUES ('b', 'Bob', '2')"
    txnlog read now.db --after 1 >2.dx
    run -3 txnlog ack now.db <2.dx
    [[ $output == *"begins after 1, but default has only got to 0"* ]]
    sql other.db "$contact"
    txnlog attach other.db
    run -3 txnlog ack other.db <1.dx
    [[ $output == *"not read from this journal"* ]]
    head -c 100 1.dx >cut.dx
    run -3 txnlog ack now.db <cut.dx
    run -3 txnlog ack now.db <now.db
    [ "$(sql now.db "SELECT count(*) FROM dx_peer")" = 0 ]
}

@test "a mark beyond the journal's end, or before what trim left, is refused" {
    made "$contact"
    sql now.db "INSERT INTO contact VALUES ('a', 'Ann', '1')"
    cp now.db backup.db
    sql now.db "INSERT INTO contact VALUES ('b', 'Bob', '2')" "INSERT INTO contact VALUES ('c', 'Cid', '3')"
    txnlog read now.db | txnlog ack now.db
    mark=$(sql now.db "SELECT mark FROM dx_peer")
    sql backup.db "INSERT INTO dx_peer SELECT 'default', $mark, value FROM dx_meta WHERE name = 'epoch'"
    run -3 txnlog read backup.db
    [[ $output == *"default stands at 3, but the journal ends at 1: the database was restored from a backup"* ]]
    txnlog trim now.db
    run -3 txnlog read now.db --after 0
    [[ $output == *"the journal begins at 3: the entries between were trimmed"* ]]
    run -0 txnlog read now.db --after 2
}

@test "trim keeps what a reader lacks and names it, and never the last number" {
    made "$contact"
    sql now.db "INSERT INTO contact VALUES ('a', '', ''), ('b', '', ''), ('c', '', '')"
    txnlog trim now.db
    [ "$(entries now.db)" = 3 ]
    txnlog read now.db | txnlog ack now.db
    sql now.db "INSERT INTO dx_peer SELECT 'tape', 1, value FROM dx_meta WHERE name = 'epoch'"
    run -0 txnlog trim now.db
    [ "$output" = "txnlog: now.db: 2 entries are held back by tape, which stands at 1" ]
    [ "$(entries now.db)" = 2 ]
    txnlog read now.db --peer tape | txnlog ack now.db --peer tape
    run -0 txnlog trim now.db
    [ -z "$output" ]
    [ "$(sql now.db "SELECT group_concat(seq) FROM dx_journal")" = 3 ]
    sql now.db "DELETE FROM contact WHERE id = 'a'"
    [ "$(sql now.db "SELECT max(seq) FROM dx_journal")" = 4 ]
}

@test "detach takes the triggers away and keeps the log; the next attach is a new epoch" {
    made "$contact"
    sql now.db "INSERT INTO contact VALUES ('a', 'Ann', '1')"
    epoch=$(sql now.db "SELECT value FROM dx_meta WHERE name = 'epoch'")
    txnlog detach now.db
    sql now.db "INSERT INTO contact VALUES ('b', 'Bob', '2')"
    [ "$(entries now.db)" = 1 ]
    [ "$(sql now.db "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger' OR name LIKE 'dx_replaced%'")" = 0 ]
    run -3 txnlog read now.db
    [[ $output == *"no table is captured; run \`txnlog attach\`"* ]]
    txnlog attach now.db
    [ "$(sql now.db "SELECT value FROM dx_meta WHERE name = 'epoch'")" != "$epoch" ]
}

@test "a reader goes on over no gap: after a detach, or a trigger that was away, its mark is refused, and it begins again" {
    made "$contact"
    sql now.db "INSERT INTO contact VALUES ('a', 'Ann', '1')"
    txnlog read now.db --peer tape | txnlog ack now.db --peer tape
    for gap in detach drop; do
        if [ $gap = detach ]; then txnlog detach now.db; else sql now.db "DROP TRIGGER $(sql now.db "SELECT name FROM sqlite_schema WHERE name GLOB 'dx_i_*'")"; fi
        sql now.db "INSERT INTO contact VALUES ('$gap', 'Bob', '2')"
        run txnlog attach now.db
        run -3 --separate-stderr txnlog read now.db --peer tape
        [ -z "$output" ]
        [[ $stderr == *"tape stands at "*", but the journal has a new epoch since then"*"--after "* ]]
        sql now.db "INSERT INTO contact VALUES ('after $gap', 'Eve', '3')"
        end=$(sql now.db "SELECT max(seq) FROM dx_journal")
        txnlog read now.db --after $((end - 1)) | txnlog ack now.db --peer tape
        [ "$(sql now.db "SELECT mark FROM dx_peer")" = "$end" ]
        sql now.db "UPDATE contact SET name = 'on after $gap' WHERE id = 'a'"
        txnlog read now.db --peer tape | dxpack cat >lines
        [ "$(wc -l <lines)" = 1 ]
        txnlog read now.db --peer tape | txnlog ack now.db --peer tape
    done
}

@test "attach --node names the copy, once" {
    sql now.db "$contact"
    run -2 txnlog attach now.db --node "no spaces"
    [ "$(sql now.db "SELECT count(*) FROM sqlite_schema WHERE name LIKE 'dx%'")" = 0 ]
    txnlog attach --node alice now.db
    txnlog attach --node alice now.db
    run -3 txnlog attach --node bob now.db
    [[ $output == *"is node alice already and cannot become bob"* ]]
    sql now.db "INSERT INTO contact VALUES ('a', 'Ann', '1')"
    [[ $(txnlog read now.db | tar --zstd -xOf - dx.json) == *'"from":"alice"'* ]]
}

@test "status tells tables, readers and numbers, for people and as JSON" {
    made "$contact"
    sql now.db "INSERT INTO contact VALUES ('a', 'Ann', '1')" "INSERT INTO dx_peer SELECT 'tape', 0, value FROM dx_meta WHERE name = 'epoch'"
    run -0 txnlog status now.db
    [[ $output == "epoch "*", 1 entries, newest 1
table contact: captured
peer tape: at 0, 1 behind" ]]
    run -0 txnlog status --json now.db
    [ "$(jq -r '[.last, .entries, .tables[0].table, .tables[0].captured, .peers[0].behind] | map(tostring) | join(" ")' <<<"$output")" = "1 1 contact true 1" ]
    txnlog read --peer tape now.db | txnlog ack --peer tape now.db
    run -0 txnlog trim --json now.db
    [ "$output" = "$(txnlog status --json now.db)" ]
    [ "$(jq .peers[0].behind <<<"$output")" = 0 ]
    run -0 txnlog detach --json now.db
    [ "$(jq '.tables | map(select(.captured)) | length' <<<"$output")" = 0 ]
    sql plain.db "$contact"
    run -3 txnlog status plain.db
    txnlog attach plain.db
    sql plain.db "DROP TABLE contact"
    run -1 txnlog status plain.db
    [[ $output == *"table contact: captured: the table is gone"* ]]
}

@test "status of a copy tells what is to be sent, and that a copy of which nothing is captured loses changes" {
    made "$contact"
    sql now.db "INSERT INTO dx_meta (name, value) VALUES ('node', 'ann'), ('server', 'e1'), ('applied', 7)" \
        "INSERT INTO contact VALUES ('a', 'Ann', '1'), ('b', 'Bob', '1')"
    run -0 txnlog status now.db
    [ "${lines[1]}" = "archive 7 applied, 2 changes to send, upload 0 made, upload 0 acknowledged" ]
    txnlog upload now.db .
    run -0 txnlog status --json now.db
    [ "$(jq -c '[.applied, .sent, .acked, .unsent, .uploads]' <<<"$output")" = "[7,1,0,0,1]" ]
    txnlog detach now.db
    run -1 txnlog status now.db
}

@test "the digest tells rows, types and bits, not the order of columns or rows" {
    sql a.db "CREATE TABLE t (id INTEGER PRIMARY KEY, b, c)" "INSERT INTO t VALUES (2, 'x', 1.0), (1, 'y', NULL)"
    sql b.db "CREATE TABLE t (c, b, id INTEGER PRIMARY KEY)" "INSERT INTO t (id, b, c) VALUES (1, 'y', NULL), (2, 'x', 1.0)"
    [ "$(txnlog digest a.db)" = "$(txnlog digest b.db)" ]
    [ "$(txnlog digest --json a.db | jq -r '.tables[0] | .table, .rows')" = "t
2" ]
    a=$(txnlog digest a.db)
    for change in "UPDATE t SET c = 1 WHERE id = 2" "UPDATE t SET b = CAST('x' AS BLOB) WHERE id = 2" "DELETE FROM t WHERE id = 1"; do
        sql b.db "$change"
        b=$(txnlog digest b.db)
        [ "$a" != "$b" ]
        a=$b
    done
}

@test "upload records net changes under numbers, writes their files again after a crash, puts acknowledged ones aside" {
    sql now.db "CREATE TABLE child (id INTEGER PRIMARY KEY, p REFERENCES parent)" "CREATE TABLE parent (id INTEGER PRIMARY KEY, v)"
    cp now.db was.db
    txnlog attach --node alice now.db
    run -3 txnlog upload now.db out
    [[ $output == *"is no node's copy"* ]]
    sql now.db "INSERT INTO dx_meta VALUES ('server', 'e1')"
    txnlog upload now.db out
    [ -z "$(ls out)" ]
    sql now.db "INSERT INTO child VALUES (1, 2)" "INSERT INTO parent VALUES (2, 'a'), (3, 'b')" "UPDATE parent SET v = 'z' WHERE id = 2" \
        "DELETE FROM parent WHERE id = 3"
    txnlog upload now.db out
    [ "$(ls out)" = 00000001.dx ]
    # a row that came and went is told as an update of nothing
    [ "$(dxpack cat out/00000001.dx | jq -c 'select(.key.id == 3)')" = '{"table":"parent","op":"update","key":{"id":3},"old":{"v":null},"new":{"v":null}}' ]
    dxpack cat out/00000001.dx | jq -c 'select(.key.id != 3)' | dxpack make | tar --zstd -xOf - --wildcards 'changes/*' |
        changeset apply was.db
    same_tables now.db was.db
    [ "$(tar --zstd -xOf out/00000001.dx dx.json | jq -c '[.kind, .from, .epoch, .number, .upto, (.tables | map(.name))]')" = '["upload","alice","e1",1,5,["parent","child"]]' ]
    mv out/00000001.dx first.dx
    txnlog upload now.db out
    cmp first.dx out/00000001.dx
    sql now.db "UPDATE parent SET v = 'y'"
    txnlog upload now.db out
    sql now.db "INSERT INTO dx_meta VALUES ('acked', 1), ('settled', 5)"
    txnlog upload now.db out
    [ "$(ls out | paste -sd,)" = 00000002.dx,sent ]
    txnlog trim now.db
    [ "$(sql now.db "SELECT group_concat(seq) FROM dx_journal")" = 6 ]
}

@test "what came from the server is not uploaded, but is in the log" {
    made "$contact"
    sql now.db "INSERT INTO dx_meta VALUES ('server', 'e1'), ('node', 'alice')" "INSERT INTO contact VALUES ('a', 'Ann', '1')" \
        "UPDATE dx_journal SET origin = '^'"
    txnlog upload now.db out
    [ -z "$(ls out)" ]
    txnlog read now.db >log.dx
    run -0 tar --zstd -tf log.dx
    [[ $output == *"changes/000001@^"* ]]
}

@test "a file that is no database, or is not there, is refused" {
    echo "not a database, but long enough to be looked at twice or three times" >text
    run -3 txnlog attach text
    [[ $output == "txnlog: text: "* ]]
    run -4 txnlog attach absent.db
    [ ! -e absent.db ]
    run -2 txnlog
    run -2 txnlog attach
    sql now.db "$contact"
    txnlog attach now.db
    run -2 txnlog read now.db --after x
}

@test "a full disk: attach changes nothing, read says so, upload leaves no half file" {
    sql now.db "$contact"
    cp now.db was.db
    run -4 bash -c "ulimit -f 8; trap '' XFSZ; txnlog attach now.db"
    [ "$(sqlite3 now.db .dump)" = "$(sqlite3 was.db .dump)" ]
    txnlog attach now.db --node alice
    sql now.db "INSERT INTO dx_meta VALUES ('server', 'e1')" "INSERT INTO contact WITH RECURSIVE n (i) AS
        (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 9000) SELECT i, hex(randomblob(40)), '' FROM n"
    run -4 bash -c "txnlog read now.db >/dev/full"
    [[ $output == "txnlog: stdout: "*"No space left"* ]]
    run -4 bash -c "ulimit -f 64; trap '' XFSZ; txnlog upload now.db out"
    [ -z "$(ls -A out)" ]
    txnlog upload now.db out
    dxpack verify <out/00000001.dx
}

@test "a busy database is told apart from a broken one" {
    made "$contact"
    coproc HOLD { sqlite3 now.db; }
    echo "BEGIN IMMEDIATE; SELECT 'held';" >&"${HOLD[1]}"
    read -r held <&"${HOLD[0]}"
    [ "$held" = held ]
    run -6 txnlog detach now.db
    [[ $output == *"another program holds the write lock, or reads a database that is not in WAL mode; try again"* ]]
    kill "$HOLD_PID"
}

@test "a table whose key is a UNIQUE syncs, whole and without some columns" {
    sql hq.db "CREATE TABLE setting (user INTEGER NOT NULL, name TEXT NOT NULL, value, other, UNIQUE (user, name))" \
        "CREATE TABLE word (w TEXT NOT NULL UNIQUE, v)" "INSERT INTO setting VALUES (1, 'a', 1, 1), (2, 'b', 2, 2)" \
        "INSERT INTO word VALUES ('x', 1)"
    printf '[package]\nname = p\nversion = 1\n[object setting]\nvisible = all\ncolumns = * except other\n[object word]\nvisible = all\n' >package.conf
    txnlog attach hq.db
    txnroute load hq.db .
    txnroute node add hq.db ann --package p --user ann
    txnroute extract hq.db ann | dxapply ann.db
    mkdir docking
    sql ann.db "UPDATE setting SET value = 3 WHERE user = 1" "INSERT INTO setting VALUES (3, 'c', 3)" "DELETE FROM word" "INSERT INTO word VALUES ('y', 2)"
    sql hq.db "UPDATE setting SET other = 9, user = 7 WHERE user = 2" "INSERT INTO word VALUES ('z', 3)"
    exchange ann
    [ "$(sql hq.db "SELECT * FROM setting ORDER BY 1")" = "$(printf '1|a|3|1\n3|c|3|\n7|b|2|9')" ]
    [ "$(sql ann.db "SELECT w FROM word ORDER BY 1")" = "$(printf 'y\nz')" ]
}
