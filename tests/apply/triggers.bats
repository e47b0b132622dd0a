#!/usr/bin/env bats
# The server's triggers and what nodes change.

load ../helper
load ../office

derived() {
    office "CREATE TABLE p (id INTEGER PRIMARY KEY, n INT DEFAULT 0, total REAL DEFAULT 0)" \
        "CREATE TABLE t (id INTEGER PRIMARY KEY, p INT REFERENCES p, a TEXT, price REAL, twice REAL AS (price * 2), changed TEXT)" \
        "CREATE TRIGGER ins AFTER INSERT ON t BEGIN UPDATE p SET n = n + 1, total = total + coalesce(new.price, 0) WHERE id = new.p; END" \
        "CREATE TRIGGER del AFTER DELETE ON t BEGIN UPDATE p SET n = n - 1 WHERE id = old.p; END" \
        "CREATE TRIGGER upd AFTER UPDATE OF a ON t BEGIN UPDATE t SET changed = 'by trigger' WHERE id = new.id; END" \
        "INSERT INTO p (id) VALUES (1), (2)" "INSERT INTO t (id, p) VALUES (1, 1)" <<-END
	[object p]
	visible = all
	write = no
	[object t]
	via = p -> p
	$1
	END
}

@test "counters and stamps that the server keeps by triggers come out right for what nodes change, and reach every copy" {
    derived
    sql alice.db "INSERT INTO t (id, p, price) VALUES (2, 1, 2.5), (3, 1, 1)" "UPDATE t SET a = 'x' WHERE id = 1"
    sql bob.db "INSERT INTO t (id, p) VALUES (2, 2)" "DELETE FROM t WHERE id = 1"
    exchange alice bob
    for db in hq.db alice.db bob.db; do
        [ "$(sql $db "SELECT id, n, total FROM p")" = "$(sql hq.db "SELECT p.id, count(t.id), coalesce(sum(price), 0.0) FROM p LEFT JOIN t ON t.p = p.id GROUP BY 1")" ]
    done
    sql alice.db "UPDATE t SET a = 'y' WHERE id = 3"
    exchange alice bob
    [ "$(sql bob.db "SELECT changed FROM t WHERE id = 3") $(sql alice.db "SELECT changed FROM t WHERE id = 3")" = "by trigger by trigger" ]
    sql hq.db "SELECT name FROM sqlite_schema WHERE type = 'trigger' AND name NOT LIKE 'dx%' ORDER BY rowid" | diff - <(printf 'ins\ndel\nupd\n')
    run -0 txnlog status hq.db
}

@test "where the copies have the triggers themselves the server's do not act a second time" {
    derived "triggers = copy"
    for who in alice bob; do
        sql $who.db "CREATE TRIGGER ins AFTER INSERT ON t BEGIN UPDATE p SET n = n + 1 WHERE id = new.p; END"
        txnlog attach $who.db || [ $? -eq 1 ]
    done
    sed -i 's/^write = no//' package/package.conf
    txnroute load hq.db package 2>/dev/null
    sql alice.db "INSERT INTO t (id, p) VALUES (2, 1)"
    exchange alice bob
    [ "$(sql hq.db "SELECT n FROM p WHERE id = 1") $(sql bob.db "SELECT n FROM p WHERE id = 1")" = "2 2" ]
}

@test "an audit table of which nothing travels is written, captured or not, and what is written is in the journal" {
    office "CREATE TABLE t (id INTEGER PRIMARY KEY, a)" "CREATE TABLE audit (id INTEGER PRIMARY KEY, what)" \
        "CREATE TRIGGER c AFTER INSERT ON t BEGIN INSERT INTO audit (what) VALUES (new.a); END" <<-END
	[object t]
	visible = all
	END
    sql hq.db "INSERT INTO t VALUES (1, 'office')"
    sql alice.db "INSERT INTO t VALUES (5, 'alice')"
    exchange alice bob
    [ "$(sql hq.db "SELECT group_concat(what) FROM audit")" = office,alice ]
    [ "$(txnlog read hq.db | dxpack cat | jq -r 'select(.table == "audit") | .new.what' | paste -sd,)" = office,alice ]
}

@test "a trigger that raises refuses that row alone, whatever it raises, and says why" {
    office "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)" "CREATE TABLE n (id INTEGER PRIMARY KEY, c INT)" "INSERT INTO n VALUES (1, 0)" \
        "CREATE TRIGGER r1 BEFORE INSERT ON t WHEN new.a = 'abort' BEGIN SELECT RAISE(ABORT, 'no abort here'); END" \
        "CREATE TRIGGER r2 AFTER INSERT ON t WHEN new.a = 'rollback' BEGIN UPDATE n SET c = 100; SELECT RAISE(ROLLBACK, 'no rollback here'); END" \
        "CREATE TRIGGER r3 AFTER INSERT ON t WHEN new.a = 'fail' BEGIN UPDATE n SET c = 100; SELECT Raise ( FAIL , 'no fail here'); END" \
        "CREATE TRIGGER r4 BEFORE INSERT ON t WHEN new.a = 'ignore' BEGIN SELECT RAISE(IGNORE); END" \
        "CREATE TRIGGER r5 AFTER INSERT ON t BEGIN INSERT OR REPLACE INTO n VALUES (1, (SELECT count(*) FROM t)); END" <<-END
	[object t]
	visible = all
	[object n]
	visible = all
	END
    sql alice.db "INSERT INTO t VALUES (1, 'fine'), (2, 'abort'), (3, 'rollback'), (4, 'fail'), (5, 'ignore'), (6, 'fine too')"
    exchange alice bob
    for db in hq.db alice.db bob.db; do
        [ "$(sql $db "SELECT group_concat(a) FROM t") $(sql $db "SELECT c FROM n")" = "fine,fine too 2" ]
    done
    [ "$(dxapply conflicts hq.db --json | jq -r .reason | sort)" = "a trigger of this database ignores it
no abort here
no fail here
no rollback here" ]
    [ "$(sql hq.db "SELECT sql FROM sqlite_schema WHERE name = 'r2'" | grep -c ROLLBACK)" = 1 ]
}
