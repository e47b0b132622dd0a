#!/usr/bin/env bats
# Clauses and triggers by which one statement does more than it says, on the server and on copies: REPLACE, triggers that
# fire triggers, views that are written through. Every copy is the server's view in the end, and nobody's row is replaced
# by a merge.

load ../helper
load ../office

# all_hold SQL TEXT: what the query yields in each database, its rows in a line.
all_hold() {
    for db in hq.db alice.db bob.db; do
        [ "$(sql $db "$1" | paste -sd' ')" = "$2" ] || { echo "$db: $(sql $db "$1" | paste -sd' ')"; return 1; }
    done
}

@test "ON CONFLICT REPLACE: what a statement replaces travels; a merge replaces nobody's row" {
    office "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE ON CONFLICT REPLACE, v INT NOT NULL ON CONFLICT REPLACE DEFAULT 7)" \
        "INSERT INTO t VALUES (1, 'x', 1), (2, 'y', 2), (4, 'w', 4)" <<-END
	[object t]
	visible = all
	END
    grep -q 'table t says ON CONFLICT' load.err
    sql hq.db "INSERT INTO t VALUES (3, 'z', 3)" "UPDATE t SET name = 'w' WHERE id = 3"
    sql alice.db "INSERT INTO t VALUES (10, 'x', 10)" "UPDATE t SET v = NULL WHERE id = 2"
    sql bob.db "INSERT INTO t VALUES (9, 'w', 90)"
    exchange alice bob
    all_hold "SELECT id, name, v FROM t" "2|y|7 3|w|3 10|x|10"
    [ "$(dxapply conflicts hq.db --json | jq -r '[.origin, .new.v, .reason] | join(" ")')" = "bob 90 UNIQUE constraint failed: t.name" ]
    sql hq.db "DELETE FROM t WHERE id = 3"
    sql alice.db "UPDATE t SET v = 3 WHERE id = 10"
    exchange alice bob
    all_hold "SELECT id, name, v FROM t" "2|y|7 9|w|90 10|x|3"
}

@test "UPDATE OR REPLACE and INSERT OR REPLACE by triggers, on the server and on a copy" {
    local make="CREATE TRIGGER tr AFTER UPDATE OF v ON t BEGIN UPDATE OR REPLACE t SET name = 'top' WHERE id = new.id AND new.v > 5; INSERT OR REPLACE INTO latest VALUES ('last', new.id); END"
    for where in server copy; do
        mkdir $where && cd $where
        office "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE, v INT)" "CREATE TABLE latest (k TEXT PRIMARY KEY, id INT UNIQUE)" "$make" \
            "INSERT INTO t VALUES (1, 'top', 1), (2, 'y', 2), (3, 'z', 3)" <<-END
	[object t]
	visible = all
	triggers = $where
	[object latest]
	visible = all
	references = id -> none
	END
        if [ $where = copy ]; then
            sql alice.db "$make"
            txnlog attach alice.db || [ $? -eq 1 ]
        fi
        sql alice.db "UPDATE t SET v = 9 WHERE id = 2"
        exchange alice bob
        all_hold "SELECT * FROM t" "2|top|9 3|z|3"
        sql hq.db "UPDATE t SET v = 8 WHERE id = 3"
        exchange alice bob
        all_hold "SELECT * FROM t" "3|top|8"
        all_hold "SELECT * FROM latest" "last|3"
        run -0 dxapply conflicts hq.db
        cd ..
    done
}

@test "triggers that fire triggers, with recursive_triggers on or off, for the office's statements and for what nodes change" {
    office "CREATE TABLE tree (id INTEGER PRIMARY KEY, parent INT, n INT DEFAULT 0, gone INT DEFAULT 0)" \
        "CREATE TRIGGER up AFTER UPDATE OF n ON tree WHEN new.parent IS NOT NULL BEGIN UPDATE tree SET n = n + 1 WHERE id = new.parent; END" \
        "CREATE TRIGGER away AFTER DELETE ON tree BEGIN UPDATE tree SET gone = gone + 1 WHERE id = old.parent; END" \
        "INSERT INTO tree VALUES (1, NULL, 0, 0), (2, 1, 0, 0), (3, 2, 0, 0), (4, 3, 0, 0)" <<-END
	[object tree]
	visible = all
	references = parent -> tree
	END
    sql alice.db "UPDATE tree SET n = 10 WHERE id = 2"
    exchange alice bob
    all_hold "SELECT id, n FROM tree" "1|1 2|10 3|0 4|0"
    sql hq.db "PRAGMA recursive_triggers = ON" "UPDATE tree SET n = 5 WHERE id = 4" "INSERT OR REPLACE INTO tree VALUES (3, 2, 7, 0)"
    exchange alice bob
    all_hold "SELECT id, n, gone FROM tree" "1|2|0 2|11|1 3|7|0 4|5|0"
    sql bob.db "DELETE FROM tree WHERE id = 4"
    exchange alice bob
    all_hold "SELECT id, n, gone FROM tree" "1|2|0 2|11|1 3|7|1"
    run -0 txnlog status hq.db
}

@test "INSTEAD OF triggers: what is written through a view travels, from the server and from a copy" {
    local view="CREATE VIEW v AS SELECT a.id, a.name, b.note FROM a JOIN b ON b.id = a.id"
    local -a through=("CREATE TRIGGER v_ins INSTEAD OF INSERT ON v BEGIN INSERT INTO a VALUES (new.id, new.name); INSERT INTO b VALUES (new.id, new.note); END"
        "CREATE TRIGGER v_upd INSTEAD OF UPDATE ON v BEGIN UPDATE a SET name = new.name WHERE id = old.id; UPDATE b SET note = new.note WHERE id = old.id; END"
        "CREATE TRIGGER v_del INSTEAD OF DELETE ON v BEGIN DELETE FROM b WHERE id = old.id; DELETE FROM a WHERE id = old.id; END")
    office "CREATE TABLE a (id INTEGER PRIMARY KEY, name TEXT)" "CREATE TABLE b (id INTEGER PRIMARY KEY REFERENCES a, note TEXT)" "$view" "${through[@]}" \
        "INSERT INTO v VALUES (1, 'one', 'n1'), (2, 'two', 'n2')" <<-END
	[object a]
	visible = all
	[object b]
	via = id -> a
	END
    sql alice.db "$view" "${through[@]}"
    sql hq.db "INSERT INTO v VALUES (3, 'three', 'n3')" "UPDATE v SET note = 'N1' WHERE id = 1"
    sql alice.db "INSERT INTO v VALUES (5, 'five', 'n5')" "UPDATE v SET name = 'ONE' WHERE id = 1" "DELETE FROM v WHERE id = 2"
    exchange alice bob
    all_hold "SELECT a.id, name, note FROM a JOIN b USING (id)" "1|ONE|N1 3|three|n3 5|five|n5"
}
