#!/usr/bin/env bats
# Rows of a node that the server does not take, because another row has their key: what the node says of them and of rows
# below them waits with their conflict, and is never said of the other row.

load ../helper

# scene: invoices under numbers that are no rowid, lines below them, marks below lines by columns that only the package
# names, and a copy for alice.
scene() {
    sql hq.db "CREATE TABLE mark (id INTEGER PRIMARY KEY, line INT, what TEXT)" \
        "CREATE TABLE invoice (id BIGINT PRIMARY KEY, customer TEXT, paid INT)" \
        "CREATE TABLE line (id TEXT PRIMARY KEY, invoice BIGINT REFERENCES invoice, what TEXT)" \
        "CREATE INDEX line_invoice ON line (invoice)" "INSERT INTO invoice VALUES (7, 'Old', 0)" "INSERT INTO line VALUES ('o', 7, 'for Old')"
    txnlog attach hq.db
    mkdir -p package docking
    cat >package/package.conf <<-'END'
	[package]
	name = p
	version = 1
	[object invoice]
	visible = all
	[object line]
	via = invoice -> invoice
	[object mark]
	visible = all
	references = line -> none
	END
    txnroute load hq.db package
    for who in alice bob; do
        txnroute node add hq.db $who --package p --user $who
        txnroute extract hq.db $who docking | dxapply $who.db
    done
}

clash() {
    sql hq.db "INSERT INTO invoice VALUES (1, 'Miller', 0)" "INSERT INTO line VALUES ('a', 1, 'for Miller')"
    sql alice.db "INSERT INTO invoice VALUES (1, 'Jones', 0)" "INSERT INTO line VALUES ('b', 1, 'for Jones')" \
        "UPDATE line SET invoice = 1, what = 'for Jones' WHERE id = 'o'"
}

lines() {
    sql "$1" "SELECT l.id, i.customer, l.what FROM line l JOIN invoice i ON i.id = l.invoice ORDER BY l.id"
}

# upload NODE: what it has made goes to the server, and nothing comes back.
upload() {
    txnlog upload $1.db $1-out
    for file in $1-out/*.dx; do dxapply hq.db <"$file" || [ $? -eq 1 ]; done
}

@test "rows below a row that was not taken are set aside with it, not hung on the row that has its key" {
    scene
    clash
    exchange alice bob
    for who in hq alice bob; do
        [ "$(lines $who.db)" = "a|Miller|for Miller
o|Old|for Old" ]
    done
    run -1 dxapply conflicts hq.db
    [[ $output == *"invoice 1: here customer 'Miller'"* ]]
    [ "$(dxapply conflicts hq.db --json | grep -c 'it belongs to a row that was not taken, see conflict 1')" = 2 ]
}

@test "they come in with it when it is taken after all" {
    scene
    clash
    exchange alice bob
    dxapply resolve hq.db 1 theirs
    exchange alice bob
    for who in hq alice bob; do [ "$(lines $who.db | grep -v '^a')" = "b|Jones|for Jones
o|Jones|for Jones" ]; done
    run -0 dxapply conflicts hq.db
}

@test "they are dropped with it, and recorded, when the row here stands" {
    scene
    clash
    exchange alice bob
    dxapply resolve hq.db 1 ours
    exchange alice bob
    for who in hq alice bob; do
        [ "$(lines $who.db)" = "a|Miller|for Miller
o|Old|for Old" ]
    done
    run -0 dxapply conflicts hq.db
    run -1 dxapply conflicts --all hq.db
    [[ $output == *"parent"*"line 'b'"*"parent"*"line 'o'"* ]]
}

@test "what the node says of its row before it knows is not said of the row that is here" {
    scene
    clash
    upload alice
    sql alice.db "UPDATE invoice SET paid = 1 WHERE id = 1" "INSERT INTO line VALUES ('c', 1, 'for Jones')" "DELETE FROM line WHERE id = 'b'"
    upload alice
    sql alice.db "DELETE FROM line WHERE id = 'c'" "DELETE FROM invoice WHERE id = 1"
    upload alice
    exchange alice bob
    [ "$(sql hq.db "SELECT * FROM invoice ORDER BY id")" = "1|Miller|0
7|Old|0" ]
    [ "$(lines alice.db)" = "a|Miller|for Miller
o|Old|for Old" ]
    # she knows now
    sql alice.db "INSERT INTO line VALUES ('c', 1, 'for Miller, too')" "UPDATE invoice SET paid = 2 WHERE id = 1"
    exchange alice bob
    [ "$(sql bob.db "SELECT paid, (SELECT count(*) FROM line WHERE invoice = 1) FROM invoice WHERE id = 1")" = "2|2" ]
    dxapply resolve hq.db 1 ours
    exchange alice bob
    [ "$(sql bob.db "SELECT paid, (SELECT count(*) FROM line WHERE invoice = 1) FROM invoice WHERE id = 1")" = "2|2" ]
}

@test "rows that came before it, by a reference that only the package names, are taken back" {
    sql hq.db "CREATE TABLE a_line (id TEXT PRIMARY KEY, invoice TEXT, what TEXT)" "CREATE TABLE invoice (id TEXT PRIMARY KEY, customer TEXT)" \
        "INSERT INTO invoice VALUES ('i', 'I')" "INSERT INTO a_line VALUES ('o', 'i', 'for I')"
    txnlog attach hq.db
    mkdir -p package docking
    printf '[package]\nname = p\nversion = 1\n[object invoice]\nvisible = all\n[object a_line]\nvisible = all\nreferences = invoice -> invoice\n' >package/package.conf
    txnroute load hq.db package
    txnroute node add hq.db alice --package p
    txnroute extract hq.db alice docking | dxapply alice.db
    sql hq.db "INSERT INTO invoice VALUES ('x', 'Miller')"
    sql alice.db "INSERT INTO invoice VALUES ('x', 'Jones')" "INSERT INTO a_line VALUES ('b', 'x', 'for Jones')" "UPDATE a_line SET invoice = 'x', what = 'for Jones' WHERE id = 'o'"
    exchange alice
    [ "$(sql alice.db "SELECT id, invoice FROM a_line")" = "o|i" ]
    dxapply resolve hq.db 1 theirs
    exchange alice
    [ "$(sql alice.db "SELECT a.id, customer, what FROM a_line a JOIN invoice i ON i.id = a.invoice")" = "o|Jones|for Jones
b|Jones|for Jones" ]
}

@test "rows below one whose user key another has wait for it, though a row of its number comes" {
    sql hq.db "CREATE TABLE tag (id INTEGER PRIMARY KEY, name TEXT UNIQUE)" "CREATE TABLE use (id TEXT PRIMARY KEY, tag INT REFERENCES tag, name TEXT)" \
        "CREATE INDEX use_tag ON use (tag)" "INSERT INTO tag VALUES (1, 'red')"
    txnlog attach hq.db
    mkdir -p package docking
    printf '[package]\nname = p\nversion = 1\n[object tag]\nvisible = all\nuser_key = name\n[object use]\nvia = tag -> tag\n' >package/package.conf
    txnroute load hq.db package 2>/dev/null
    txnroute node add hq.db alice --package p
    txnroute extract hq.db alice docking | dxapply alice.db
    sql hq.db "UPDATE tag SET name = 'blue' WHERE id = 1"
    sql alice.db "INSERT INTO tag VALUES (2, 'blue')" "INSERT INTO use VALUES ('u', 2, 'blue')"
    exchange alice
    sql hq.db "INSERT INTO tag VALUES (2, 'green')"
    exchange alice
    [ "$(sql hq.db "SELECT count(*) FROM use")" = 0 ]
    [ "$(dxapply conflicts hq.db --json | grep -c "see conflict 1")" = 1 ]
}

@test "two sides insert the same row, before either has heard of it: that is no conflict" {
    scene
    sql hq.db "INSERT INTO invoice VALUES (1, 'Miller', 0)"
    sql alice.db "INSERT INTO invoice VALUES (1, 'Miller', 0)" "INSERT INTO line VALUES ('b', 1, 'for Miller')"
    sql bob.db "INSERT INTO invoice VALUES (1, 'Miller', 0)"
    exchange alice bob
    [ "$(lines bob.db)" = "b|Miller|for Miller
o|Old|for Old" ]
    run -0 dxapply conflicts hq.db
}

@test "a row that was not taken, with nothing that waits for it, stands in nobody's way" {
    scene
    sql hq.db "INSERT INTO invoice VALUES (1, 'Miller', 0)"
    sql alice.db "INSERT INTO invoice VALUES (1, 'Jones', 0)"
    exchange alice bob
    sql bob.db "INSERT INTO invoice VALUES (2, 'Other', 0)"
    exchange alice bob
    [ "$(sql alice.db "SELECT customer FROM invoice ORDER BY id" | paste -sd,)" = "Miller,Other,Old" ]
}

@test "a reference to a table that has no key, and so does not travel, stops nobody" {
    sql hq.db "CREATE TABLE code (c TEXT UNIQUE)" "CREATE TABLE invoice (id TEXT PRIMARY KEY, code TEXT REFERENCES code (c))" \
        "CREATE TABLE line (id TEXT PRIMARY KEY, invoice TEXT REFERENCES invoice)" "INSERT INTO code VALUES ('a'), ('b')"
    txnlog attach hq.db invoice line
    mkdir -p package docking
    printf '[package]\nname = p\nversion = 1\n[object invoice]\nvisible = all\n[object line]\nvisible = all\n' >package/package.conf
    txnroute load hq.db package 2>/dev/null
    txnroute node add hq.db alice --package p
    txnroute extract hq.db alice docking | dxapply alice.db
    sql hq.db "INSERT INTO invoice VALUES ('x', 'a')"
    sql alice.db "INSERT INTO invoice VALUES ('x', NULL), ('z', NULL)" "INSERT INTO line VALUES ('l', 'x')"
    exchange alice
    [ "$(sql alice.db "SELECT group_concat(id || ':' || coalesce(code, '-')) FROM invoice") $(sql hq.db "SELECT count(*) FROM line")" = "x:a,z:- 0" ]
}
