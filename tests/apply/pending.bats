#!/usr/bin/env bats
# Changes that are on their way: made again, lost, repeated, taken back on either side while the other has not heard.

load ../helper

# hq.db, and the copies alice.db and bob.db of all its rows.
setup() {
    cd "$BATS_TEST_TMPDIR" || return
    sql hq.db "CREATE TABLE item (id TEXT PRIMARY KEY, x, y, u UNIQUE)" \
        "CREATE TABLE part (id TEXT PRIMARY KEY, item TEXT REFERENCES item)" \
        "INSERT INTO item VALUES ('a', 'was', 1, 'ua'), ('b', 'was', 2, 'ub'), ('c', 'was', 3, NULL)"
    mkdir package docking
    printf '[package]\nname = p\nversion = 1\n[object item]\nvisible = all\n[object part]\nvisible = all\n' >package/package.conf
    txnlog attach hq.db
    txnroute load hq.db package
    for who in alice bob; do
        txnroute node add hq.db $who --package p
        txnroute extract hq.db $who docking | dxapply $who.db
    done
}

send() {
    txnlog upload "$1.db" "$1-out"
}

route() {
    txnroute run hq.db docking </dev/null
}

# item DB ID: the row's x and y.
item() {
    sql "$1.db" "SELECT x, y FROM item WHERE id = '$2'"
}

conflicts() {
    sql hq.db "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_conflict'"
}

@test "the server's value went away and came back: no conflict, and the client's stands" {
    sql alice.db "UPDATE item SET x = 'mine' WHERE id = 'a'"
    send alice
    sql hq.db "UPDATE item SET x = 'other' WHERE id = 'a'"
    route
    sql hq.db "UPDATE item SET x = 'was' WHERE id = 'a'"
    route
    for n in 1 2; do dxapply alice.db <docking/alice/outbox/0000000$n.dx; done
    [ "$(item alice a)" = "mine|1" ]
    exchange alice bob
    [ "$(item bob a)" = "mine|1" ]
    [ "$(conflicts)" = 0 ]
}

@test "the client's value went away and came back: it gets the server's, and no conflict" {
    sql alice.db "UPDATE item SET x = 'mine' WHERE id = 'a'" "UPDATE item SET x = 'was' WHERE id = 'a'" \
        "DELETE FROM item WHERE id = 'b'" "INSERT INTO item VALUES ('b', 'was', 2, 'ub')"
    sql hq.db "UPDATE item SET x = 'other'"
    route
    dxapply alice.db <docking/alice/outbox/00000001.dx
    [ "$(item alice a) $(item alice c)" = "was|1 other|3" ]
    exchange alice bob
    [ "$(item alice a) $(item alice b)" = "other|1 other|2" ]
    [ "$(conflicts)" = 0 ]
}

@test "changed again while the first change is on its way: the second stands, and the acknowledgement takes nothing" {
    sql alice.db "UPDATE item SET x = 'first' WHERE id = 'a'" "INSERT INTO item VALUES ('new', 'first', 0, NULL)"
    send alice
    sql alice.db "UPDATE item SET x = 'second' WHERE id = 'a'" "UPDATE item SET x = 'second' WHERE id = 'new'" \
        "DELETE FROM item WHERE id = 'c'"
    sql hq.db "UPDATE item SET y = 10 WHERE id = 'a'" "UPDATE item SET y = 30 WHERE id = 'c'"
    dxapply hq.db <alice-out/00000001.dx
    sql hq.db "UPDATE item SET x = 'server' WHERE id = 'new'"
    route
    dxapply alice.db <docking/alice/outbox/00000001.dx
    [ "$(item alice a) $(item alice new) $(item alice c)" = "second|10 second|0 " ]
    exchange alice bob
    [ "$(item bob a) $(item bob c)" = "second|10 " ]
    # the server changed what the second change of `new` began from: it stands, recorded
    [ "$(item bob new)" = "server|0" ]
    [ "$(sql hq.db "SELECT kind, key, outcome FROM dx_conflict ORDER BY key")" = "deleted|c|theirs
update|new|ours" ]
}

@test "two uploads are on their way and one is acknowledged: what the other carries is pending still, and is not trimmed" {
    sql alice.db "UPDATE item SET x = 'first' WHERE id = 'a'"
    send alice
    sql alice.db "UPDATE item SET x = 'second' WHERE id = 'b'" "DELETE FROM item WHERE id = 'c'"
    send alice
    mv alice-out/00000002.dx second.dx
    dxapply hq.db <alice-out/00000001.dx
    sql hq.db "UPDATE item SET x = 'server'"
    route
    dxapply alice.db <docking/alice/outbox/00000001.dx
    txnlog trim alice.db
    [ "$(item alice a) $(item alice b) $(item alice c)" = "server|1 second|2 " ]
    send alice
    [ "$(find alice-out -maxdepth 1 -name "*.dx" -printf %f)" = 00000002.dx ]
    cmp alice-out/00000002.dx second.dx
    exchange alice bob
}

@test "an upload that was lost is written again, byte for byte, and counts once however often it comes" {
    sql alice.db "UPDATE item SET x = 'mine' WHERE id = 'a'"
    send alice
    mv alice-out/00000001.dx first.dx
    sql alice.db "UPDATE item SET x = 'more' WHERE id = 'a'"
    send alice
    cmp alice-out/00000001.dx first.dx
    run -3 dxapply hq.db <alice-out/00000002.dx
    cat alice-out/*.dx first.dx | dxapply hq.db
    [ "$(item hq a)" = "more|1" ]
    exchange alice bob
    [ "$(sql hq.db "SELECT count(*) FROM dx_journal WHERE origin = 'alice'")" = 2 ]
}

@test "an acknowledgement that was lost: the upload comes again, the archive too, and nothing is done twice" {
    sql alice.db "UPDATE item SET y = y + 1 WHERE id = 'a'"
    send alice
    dxapply hq.db <alice-out/00000001.dx
    route
    mv docking/alice/outbox/00000001.dx late.dx
    sql hq.db "UPDATE item SET y = 7 WHERE id = 'b'"
    send alice
    dxapply hq.db <alice-out/00000001.dx
    route
    run -3 dxapply alice.db <docking/alice/outbox/00000002.dx
    [[ $output == *"archive 1 is missing"* ]]
    cat late.dx late.dx docking/alice/outbox/00000002.dx late.dx | dxapply alice.db
    send alice
    [ -z "$(find alice-out -maxdepth 1 -name "*.dx")" ]
    [ "$(item alice a) $(item alice b)" = "was|2 was|7" ]
    exchange alice bob
}

# Each of update, delete and insert on the one side against each on the other, twice: the server's side stands.
@test "every change against every change: both sides end the same, and what lost is recorded" {
    sql hq.db "INSERT INTO item (id, x, y) SELECT s.value || c.value, 'was', 0 FROM json_each('[\"u\",\"d\"]') s, json_each('[\"u\",\"d\"]') c"
    exchange alice bob
    sql hq.db "UPDATE item SET x = 'server' WHERE id IN ('uu', 'ud')" "DELETE FROM item WHERE id IN ('du', 'dd')" \
        "INSERT INTO item VALUES ('ii', 'server', 1, NULL)"
    sql alice.db "UPDATE item SET x = 'client' WHERE id IN ('uu', 'du')" "DELETE FROM item WHERE id IN ('ud', 'dd')" \
        "INSERT INTO item VALUES ('ii', 'client', 1, NULL)"
    exchange alice bob
    [ "$(sql alice.db "SELECT id, x FROM item WHERE length(id) = 2 ORDER BY id")" = "ii|server
uu|server" ]
    [ "$(sql hq.db "SELECT key, kind, outcome FROM dx_conflict ORDER BY key")" = "du|gone|ours
ii|insert|ask
ud|deleted|theirs
uu|update|ours" ]
    [ "$(dxapply conflicts hq.db --json | jq -rc 'select(.kind != "update") | [.key.id, .ours.x, .theirs.x]' | sort)" = \
        '["du",null,"client"]
["ii","server","client"]
["ud","server",null]' ]
}

@test "a key that changes, with what refers to it, on the one side, and a change of the row on the other" {
    sql hq.db "INSERT INTO part VALUES ('p', 'a')"
    exchange alice bob
    sql alice.db "INSERT INTO item VALUES ('z', 'was', 1, NULL)" "UPDATE part SET item = 'z'" "DELETE FROM item WHERE id = 'a'" \
        "UPDATE item SET u = 'ua' WHERE id = 'z'"
    sql bob.db "UPDATE item SET y = 100 WHERE id = 'a'"
    exchange alice bob
    [ "$(sql bob.db "SELECT item.id, y, u FROM item JOIN part ON part.item = item.id")" = "z|1|ua" ]
    [ "$(sql hq.db "SELECT kind, key, origin FROM dx_conflict")" = "gone|a|bob" ]
    # but not where the row that it shall refer to does not come: the old one stays
    sql hq.db "INSERT INTO item VALUES ('old', 0, 0, NULL), ('gone', 0, 0, NULL)" "UPDATE part SET item = 'old'"
    exchange alice bob
    sql alice.db "UPDATE part SET item = 'gone'" "DELETE FROM item WHERE id = 'old'"
    sql hq.db "DELETE FROM item WHERE id = 'gone'"
    exchange alice bob
    [ "$(sql bob.db "SELECT item.id FROM item JOIN part ON part.item = item.id")" = old ]
    [ -z "$(sql hq.db "PRAGMA foreign_key_check")" ]
}

@test "unique values that go in a circle over NULL, and a row taken out of the way of another, on a server and a copy" {
    sql alice.db "UPDATE item SET u = NULL WHERE id = 'a'" "UPDATE item SET u = 'ua' WHERE id = 'b'" \
        "UPDATE item SET u = 'ub' WHERE id = 'c'" "DELETE FROM item WHERE id = 'a'" "INSERT INTO item VALUES ('0', 'new', 0, 'uc')"
    exchange alice bob
    sql hq.db "UPDATE item SET u = NULL WHERE id = 'b'" "UPDATE item SET u = 'ua' WHERE id = 'c'" "UPDATE item SET u = 'ub' WHERE id = 'b'" \
        "DELETE FROM item WHERE id = '0'" "INSERT INTO item VALUES ('1', 'newer', 0, 'uc')"
    exchange alice bob
    [ "$(sql bob.db "SELECT id, u FROM item ORDER BY id")" = "1|uc
b|ub
c|ua" ]
    [ "$(sql hq.db "SELECT count(*) FROM sqlite_schema WHERE name IN ('dx_conflict', 'dx_quarantine')")" = 0 ]
}

@test "a parent in quarantine keeps its children there, and what is said of them, until it can come in" {
    sql alice.db "INSERT INTO item VALUES ('q', 'x', 1, 'taken')" "INSERT INTO part VALUES ('p1', 'q'), ('p2', 'q')"
    sql bob.db "INSERT INTO item VALUES ('r', 'x', 1, 'taken')"
    exchange bob alice
    [ "$(sql hq.db "SELECT group_concat(tbl || ' ' || key) FROM dx_quarantine")" = "item q,part p1,part p2" ]
    # the origin was told that they are not there; nothing else was stopped
    [ "$(sql alice.db "SELECT count(*) FROM item WHERE id = 'q'") $(sql alice.db "SELECT count(*) FROM part")" = "0 0" ]
    sql bob.db "UPDATE item SET u = 'free' WHERE id = 'r'"
    exchange bob alice
    [ "$(sql alice.db "SELECT group_concat(id) FROM part WHERE item = 'q'")" = p1,p2 ]
    [ "$(sql hq.db "SELECT count(*) FROM dx_quarantine")" = 0 ]
}

@test "triggers on the server: an index, an audit log and other columns are kept up by a merge, one that raises refuses its row" {
    sql hq.db "CREATE VIRTUAL TABLE fts USING fts5(x, content=item, content_rowid=rowid)" "INSERT INTO fts(fts) VALUES ('rebuild')" \
        "CREATE TABLE audit (what TEXT)" \
        "CREATE TRIGGER touch AFTER UPDATE OF x ON item BEGIN UPDATE item SET y = 0 WHERE id = new.id; END" \
        "CREATE TRIGGER fi AFTER INSERT ON item BEGIN INSERT INTO fts(rowid, x) VALUES (new.rowid, new.x); END" \
        "CREATE TRIGGER fd AFTER DELETE ON item BEGIN INSERT INTO fts(fts, rowid, x) VALUES ('delete', old.rowid, old.x); END" \
        "CREATE TRIGGER fu AFTER UPDATE ON item BEGIN INSERT INTO fts(fts, rowid, x) VALUES ('delete', old.rowid, old.x); INSERT INTO fts(rowid, x) VALUES (new.rowid, new.x); END" \
        "CREATE TRIGGER log AFTER UPDATE ON item BEGIN INSERT INTO audit VALUES (old.x || '>' || new.x); END" \
        "CREATE TRIGGER never BEFORE DELETE ON item BEGIN SELECT RAISE(ABORT, 'never'); END"
    txnlog attach hq.db
    sql alice.db "UPDATE item SET x = 'anvil' WHERE id = 'a'" "DELETE FROM item WHERE id = 'b'" "INSERT INTO item VALUES ('d', 'dowel', 4, NULL)"
    exchange alice bob
    sql hq.db "INSERT INTO fts(fts, rank) VALUES ('integrity-check', 1)"
    [ "$(sql hq.db "SELECT id, y FROM item WHERE rowid IN (SELECT rowid FROM fts WHERE fts MATCH 'anvil OR dowel') ORDER BY id")" = "a|0
d|4" ]
    [ "$(sql hq.db "SELECT * FROM audit")" = "was>anvil
anvil>anvil" ]
    [ "$(sql alice.db "SELECT count(*) FROM item WHERE id = 'b'") $(item bob a)" = "1 anvil|0" ]
    [ "$(dxapply conflicts hq.db --json | jq -r '[.kind, .reason] | join(" ")')" = "permission never" ]
    run -19 sqlite3 hq.db "DELETE FROM item WHERE id = 'a'"
    [[ $output == *never* ]]
}

@test "a row that both sides delete, and that is made again before the router looks, is on every copy" {
    sql alice.db "DELETE FROM item WHERE id IN ('a', 'b')"
    send alice
    sql hq.db "DELETE FROM item WHERE id IN ('a', 'b')"
    dxapply hq.db <alice-out/00000001.dx
    sql hq.db "INSERT INTO item VALUES ('a', 'again', 1, 'ua')"
    sql bob.db "UPDATE item SET x = 'bob' WHERE id = 'a'"
    exchange alice bob
    [ "$(item alice a) $(item bob a)" = "again|1 again|1" ]
    [ "$(item alice b)" = "" ]
}
