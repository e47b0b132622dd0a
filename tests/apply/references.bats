#!/usr/bin/env bats
# What refers to a row goes on to refer to it when the row gets another key: also where the schema does not say so, and
# where the reference is the row's own key.

load ../helper

# office SQL: hq.db of that schema, captured; the package is in package/package.conf.
office() {
    sql hq.db "$@"
    txnlog attach hq.db
    mkdir -p docking
}

# copies WHO...: a node and its first copy for each.
copies() {
    local who
    for who; do
        txnroute node add hq.db "$who" --package p --user "$who"
        txnroute extract hq.db "$who" docking | dxapply "$who.db"
    done
}

package() {
    mkdir -p package
    { printf '[package]\nname = p\nversion = 1\n' && cat; } >package/package.conf
}

stock() {
    office "CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT)" "CREATE TABLE location (id INTEGER PRIMARY KEY, name TEXT)" \
        "CREATE TABLE stock (id INTEGER PRIMARY KEY, product_id INT, location_id INT, note TEXT)"
    package <<-'END'
	[object product]
	visible = all
	[object location]
	visible = all
	[object stock]
	via = product_id -> product
	END
}

@test "load refuses a package whose rows may get other keys while what looks like references to them is not declared, and gives the lines to add" {
    stock
    run -3 --separate-stderr txnroute load hq.db package
    [[ $stderr == *"[object stock]"$'\n'"references = location_id -> location"* ]]
    [[ $stderr != *product_id* ]]
    printf '[object stock]\nreferences = location_id -> location\n' >>package/package.conf
    txnroute load hq.db package
}

@test "a column that is no reference is excluded by name, or all of an object's are" {
    stock
    printf '[object stock]\nreferences = location_id -> none\n' >>package/package.conf
    txnroute load hq.db package
    sed -i 's/^references = .*/references = none/' package/package.conf
    txnroute load hq.db package
    sed -i 's/^references = .*/references = location_id -> place/' package/package.conf
    run -3 --separate-stderr txnroute load hq.db package
    [[ $stderr == *"location_id -> place: there is no object of that name"* ]]
    sed -i 's/^references = .*/references = place -> location/' package/package.conf
    run -3 txnroute load hq.db package
}

@test "rows that keep their keys may be referred to by any column" {
    stock
    sed -i 's/^visible = all/visible = all\nkeys = issue/' package/package.conf
    txnroute load hq.db package
}

@test "columns are found by their values where keys lie far apart, and not where a name alone is vague" {
    office "CREATE TABLE notes (id INTEGER PRIMARY KEY, sfld TEXT)" "CREATE TABLE c (id INTEGER PRIMARY KEY, nid INT, due INT)" \
        "INSERT INTO notes SELECT 1700000000000 + value * 7919, 'x' FROM generate_series(1, 50)" \
        "INSERT INTO c SELECT (id - 1700000000000) / 7919, id, id % 60 FROM notes"
    package <<-'END'
	[object notes]
	visible = all
	[object c]
	visible = all
	END
    run -3 --separate-stderr txnroute load hq.db package
    [[ $stderr == *"[object c]"$'\n'"references = nid -> notes" ]]
}

@test "a declared reference follows a row that gets another key" {
    stock
    printf '[object stock]\nreferences = location_id -> location\n' >>package/package.conf
    txnroute load hq.db package
    copies alice
    sql hq.db "INSERT INTO product VALUES (1, 'milk')" "INSERT INTO location VALUES (1, 'office fridge')"
    sql alice.db "INSERT INTO product VALUES (1, 'beer')" "INSERT INTO location VALUES (1, 'cellar')" \
        "INSERT INTO stock VALUES (1, 1, 1, 'beer in cellar')"
    exchange alice
    for db in hq.db alice.db; do
        [ "$(sql $db "SELECT s.note, p.name, l.name FROM stock s JOIN product p ON p.id = s.product_id JOIN location l ON l.id = s.location_id")" = "beer in cellar|beer|cellar" ]
    done
}

# A 1:1 child, and a child of that.
items() {
    office "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT)" \
        "CREATE TABLE note (id INTEGER PRIMARY KEY REFERENCES item (id) ON DELETE CASCADE, body TEXT)" \
        "CREATE TABLE mark (note INTEGER REFERENCES note (id), word TEXT, PRIMARY KEY (note, word)) WITHOUT ROWID"
    package <<-END
	${1:-}
	[object item]
	visible = all
	[object note]
	via = id -> item
	[object mark]
	via = note -> note
	END
    txnroute load hq.db package
    copies alice bob
}

families() {
    sql "$1" "SELECT i.name, n.body, m.word FROM item i LEFT JOIN note n ON n.id = i.id LEFT JOIN mark m ON m.note = n.id ORDER BY 1"
}

@test "a row whose key is its reference follows its parent's new key, and what refers to it follows too" {
    items
    sql hq.db "INSERT INTO item VALUES (1, 'office')" "INSERT INTO note VALUES (1, 'office note')" "INSERT INTO mark VALUES (1, 'office mark')"
    for who in alice bob; do
        sql $who.db "INSERT INTO item VALUES (1, '$who')" "INSERT INTO note VALUES (1, '$who note')" "INSERT INTO mark VALUES (1, '$who mark')"
    done
    exchange alice bob
    for db in hq.db alice.db bob.db; do
        [ "$(families $db)" = "alice|alice note|alice mark
bob|bob note|bob mark
office|office note|office mark" ]
    done
    run -0 dxapply conflicts hq.db
}

@test "such a row that is made after the upload, under the key of before, follows as well" {
    items
    sql hq.db "INSERT INTO item VALUES (1, 'office')" "INSERT INTO note VALUES (1, 'office note')"
    sql alice.db "INSERT INTO item VALUES (1, 'alice')"
    txnlog upload alice.db alice-out
    dxapply hq.db <"$(ls alice-out/*.dx)" || [ $? -eq 1 ]
    sql alice.db "INSERT INTO note VALUES (1, 'alice note')" "INSERT INTO mark VALUES (1, 'alice mark')"
    exchange alice bob
    for db in hq.db alice.db bob.db; do
        [ "$(families $db)" = "alice|alice note|alice mark
office|office note|" ]
    done
}

@test "such a row of the server's, which has come under the key of a row made here, keeps its key" {
    items
    sql hq.db "INSERT INTO item VALUES (1, 'office')" "INSERT INTO note VALUES (1, 'office note')"
    sql alice.db "INSERT INTO item VALUES (1, 'alice')"
    txnroute run hq.db docking </dev/null
    dxapply alice.db <"$(ls docking/alice/outbox/*.dx)"
    [ "$(families alice.db)" = "alice|office note|" ]
    exchange alice bob
    for db in hq.db alice.db bob.db; do
        [ "$(families $db)" = "alice||
office|office note|" ]
    done
}

@test "two rows for one parent stay one: the second is a conflict, not a row without a parent" {
    items
    sql hq.db "INSERT INTO item VALUES (1, 'office')"
    exchange alice bob
    sql alice.db "INSERT INTO note VALUES (1, 'alice note')"
    sql bob.db "INSERT INTO note VALUES (1, 'bob note')"
    exchange alice bob
    [ "$(families bob.db)" = "office|alice note|" ]
    [ "$(dxapply conflicts hq.db --json | jq -r '[.kind, .theirs.body] | join(" ")')" = "insert bob note" ]
}

@test "an upload that deletes many rows, whose children are found without an index: all go, and no index is left behind" {
    office "CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT)" \
        "CREATE TABLE stock (id INTEGER PRIMARY KEY, product INT REFERENCES product, note TEXT)" \
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400) INSERT INTO product SELECT i, 'p' || i FROM n" \
        "INSERT INTO stock SELECT id, id, '' FROM product WHERE id > 200"
    package <<-'END'
	[object product]
	visible = all
	[object stock]
	via = product -> product
	END
    txnroute load hq.db package
    copies alice
    sql alice.db "DELETE FROM product WHERE id <= 200"
    sql hq.db "INSERT INTO stock VALUES (1000, 150, 'needs it')"
    txnlog upload alice.db alice-out
    dxapply hq.db --upload-from alice <alice-out/*.dx || [ $? -eq 1 ]
    [ "$(sqlite3 hq.db "SELECT group_concat(id) FROM product WHERE id <= 200")" = 150 ]
    [ "$(sqlite3 hq.db "SELECT count(*) FROM sqlite_schema WHERE tbl_name = 'stock' AND type = 'index'")" = 0 ]
}
