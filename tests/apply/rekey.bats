#!/usr/bin/env bats
# Integer keys that several offline nodes handed out for different rows: nobody's row is lost, and references follow.

load ../helper

# office [KEYS]: hq.db and three copies of it, of customers, orders and their lines.
office() {
    sql hq.db "CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, friend INTEGER REFERENCES customer)" \
        "CREATE TABLE sale (id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customer, what TEXT)" \
        "CREATE TABLE line (sale INTEGER REFERENCES sale, no INTEGER, item TEXT, PRIMARY KEY (sale, no)) WITHOUT ROWID" \
        "INSERT INTO customer VALUES (1, 'first', NULL)" "INSERT INTO sale VALUES (1, 1, 'first')"
    txnlog attach hq.db
    mkdir package docking
    cat >package/package.conf <<-CONF
	[package]
	name = p
	version = 1
	[object customer]
	visible = all
	keys = ${1:-rekey}
	[object sale]
	visible = all
	[object line]
	visible = all
	CONF
    txnroute load hq.db package
    for who in alice bob carol; do
        txnroute node add hq.db $who --package p
        txnroute extract hq.db $who docking | dxapply $who.db
    done
}

# sells WHO: a customer, a friend of that one, a sale and two lines, all with the next keys.
sells() {
    sql "$1.db" "INSERT INTO customer (name) VALUES ('$1')" \
        "INSERT INTO customer (name, friend) SELECT '$1 friend', max(id) FROM customer" \
        "INSERT INTO sale (customer, what) SELECT max(id), '$1' FROM customer" \
        "INSERT INTO line SELECT max(id), 1, '$1 one' FROM sale" "INSERT INTO line SELECT max(id), 2, '$1 two' FROM sale"
}

up() {
    for who; do
        txnlog upload $who.db $who-out
        for file in $who-out/*.dx; do
            dxapply hq.db <"$file" || [ $? -eq 1 ] || return
        done
    done
}

down() {
    txnroute run hq.db docking </dev/null
    for who; do
        for file in docking/$who/outbox/*.dx; do
            [ ! -e "$file" ] || dxapply $who.db <"$file" || [ $? -eq 1 ] || return
        done
    done
}

all_right() {
    for who in alice bob carol; do
        [ "$(txnlog digest hq.db --node $who)" = "$(txnlog digest $who.db)" ] || { echo "$who differs"; return 1; }
    done
}

# What belongs together, by names.
story() {
    sql "$1" "SELECT s.what, c.name, f.name, group_concat(l.item, '+') FROM sale s JOIN customer c ON c.id = s.customer
        LEFT JOIN customer f ON f.id = c.friend LEFT JOIN line l ON l.sale = s.id GROUP BY s.id ORDER BY s.what"
}

@test "three nodes hand out the same keys, parents and children at once: nothing is lost, references follow" {
    office
    for who in alice bob carol; do sells $who; done
    up alice bob carol
    down alice bob carol
    all_right
    [ "$(story hq.db)" = "alice|alice friend|alice|alice one+alice two
bob|bob friend|bob|bob one+bob two
carol|carol friend|carol|carol one+carol two
first|first||" ]
    [ "$(story carol.db)" = "$(story hq.db)" ]
    [ "$(sql hq.db "SELECT count(*) FROM dx_conflict WHERE kind = 'rekey' AND resolved NOTNULL")" -eq 6 ]
    up alice bob carol
    down alice bob carol
    all_right
}

@test "what is said of the row under its old key is understood, until the node knows the new one" {
    office
    sells alice
    sells bob
    up alice bob
    # bob goes on before he hears of it
    sql bob.db "UPDATE customer SET name = 'Bob' WHERE name = 'bob'" "UPDATE sale SET what = 'Bob' WHERE what = 'bob'" \
        "INSERT INTO sale (customer, what) SELECT id, 'second' FROM customer WHERE name = 'Bob'" \
        "INSERT INTO line SELECT id, 3, 'three' FROM sale WHERE what = 'Bob'" "DELETE FROM line WHERE item = 'bob one'"
    up bob
    sql bob.db "UPDATE line SET item = 'two' WHERE item = 'bob two'" \
        "INSERT INTO customer (name, friend) SELECT 'last', id FROM customer WHERE name = 'Bob'"
    down alice bob carol
    up bob
    down alice bob carol
    all_right
    [ "$(story hq.db | grep -v alice)" = "Bob|bob friend|Bob|two+three
first|first||
second|Bob||" ]
    [ "$(sql alice.db "SELECT f.name FROM customer c JOIN customer f ON f.id = c.friend WHERE c.name = 'last'")" = Bob ]
}

@test "a row that its node has deleted meanwhile stays deleted; the other one lives" {
    office
    sells alice
    sells bob
    up alice bob
    sql bob.db "DELETE FROM line WHERE item GLOB 'bob*'" "DELETE FROM sale WHERE what = 'bob'" "DELETE FROM customer WHERE name GLOB 'bob*'"
    up bob
    down alice bob carol
    all_right
    [ "$(story bob.db)" = "alice|alice friend|alice|alice one+alice two
first|first||" ]
}

@test "keys = issue keeps both apart and asks" {
    office issue
    sql alice.db "INSERT INTO customer (name) VALUES ('alice')"
    sql bob.db "INSERT INTO customer (name) VALUES ('bob')"
    up alice bob
    down alice bob carol
    all_right
    [ "$(sql hq.db "SELECT name FROM customer ORDER BY id")" = "first
alice" ]
    [ "$(dxapply conflicts hq.db --json | jq -r '[.kind, .outcome, .ours.name, .theirs.name] | join(" ")')" = "insert ask alice bob" ]
}

@test "a copy made again between the upload that collides and the archive with the new keys: what it did since follows" {
    office
    sells alice
    sells bob
    up alice bob
    sql bob.db "INSERT INTO sale (customer, what) VALUES (2, 'later')" # his own customer 2, who is another by now
    txnroute extract hq.db bob docking >bob.dx
    rm -f bob-out/*
    dxapply bob.db <bob.dx
    sql bob.db "INSERT INTO customer (name) VALUES ('after')"
    up bob
    down alice bob carol
    up alice bob
    down alice bob carol
    all_right
    [ "$(sql hq.db "SELECT c.name FROM sale AS s JOIN customer AS c ON c.id = s.customer WHERE s.what = 'later'")" = bob ]
    txnroute extract hq.db bob docking | dxapply bob.db # tells the new keys again
    all_right
}

# family [KEYS]: hq.db and its copies alice.db and bob.db, of persons that refer to two others each, and of pairs.
family() {
    sql hq.db "CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, boss INTEGER REFERENCES person, mate INTEGER REFERENCES person)" \
        "CREATE TABLE pair (one INTEGER REFERENCES person, other INTEGER REFERENCES person, PRIMARY KEY (one, other)) WITHOUT ROWID" \
        "INSERT INTO person VALUES (1, 'first', NULL, NULL)"
    txnlog attach hq.db
    mkdir package docking
    printf '[package]\nname = p\nversion = 1\n[object person]\nvisible = all\n[object pair]\nvisible = all\n' >package/package.conf
    txnroute load hq.db package
    for who in alice bob; do
        txnroute node add hq.db $who --package p
        txnroute extract hq.db $who docking | dxapply $who.db
    done
}

# family_of DB: who is whose boss and mate, and who is paired, by names.
family_of() {
    sql "$1" "SELECT p.name, b.name, m.name FROM person AS p LEFT JOIN person AS b ON b.id = p.boss
        LEFT JOIN person AS m ON m.id = p.mate WHERE p.name GLOB 'alice*' ORDER BY p.name" \
        "SELECT a.name, b.name FROM pair LEFT JOIN person AS a ON a.id = one LEFT JOIN person AS b ON b.id = other"
}

@test "a row that waits for one row refers to another that gets a fresh key meanwhile: it follows" {
    family
    sql hq.db "INSERT INTO person VALUES (3, 'stranger', NULL, NULL)"
    # 2 waits for 4; 3, which it refers to also, is another's here
    sql alice.db "INSERT INTO person VALUES (2, 'alice', 4, 3), (3, 'alice mate', NULL, NULL), (4, 'alice boss', NULL, NULL)"
    exchange alice bob
    [ "$(family_of hq.db)" = "alice|alice boss|alice mate
alice boss||
alice mate||" ]
    [ "$(family_of bob.db)" = "$(family_of hq.db)" ]
}

@test "a row in quarantine refers to one that gets a fresh key in a later upload: it follows, also by its key" {
    family
    sql alice.db "INSERT INTO person VALUES (2, 'alice', 9, 3)" "INSERT INTO pair VALUES (9, 3)" \
        "UPDATE person SET boss = 9, mate = 3 WHERE id = 1"
    txnlog upload alice.db alice-out
    run -1 dxapply hq.db <alice-out/00000001.dx
    sql hq.db "INSERT INTO person VALUES (3, 'stranger', NULL, NULL)"
    sql alice.db "INSERT INTO person VALUES (3, 'alice mate', NULL, NULL)"
    txnlog upload alice.db alice-out
    dxapply hq.db <alice-out/00000002.dx || [ $? -eq 1 ]
    sql alice.db "INSERT INTO person VALUES (9, 'alice boss', NULL, NULL)"
    exchange alice bob
    [ "$(family_of hq.db)" = "alice|alice boss|alice mate
alice boss||
alice mate||
alice boss|alice mate" ]
    [ "$(family_of bob.db)" = "$(family_of hq.db)" ]
    [ "$(sql bob.db "SELECT b.name, m.name FROM person AS p, person AS b, person AS m WHERE p.id = 1 AND b.id = p.boss AND m.id = p.mate")" = "alice boss|alice mate" ]
}

# waiting_sale [KEYS]: alice's sale 2 of a customer that is not there waits, with its line, and somebody's sale 2 comes.
waiting_sale() {
    office "$1"
    [ -z "$1" ] || sed -i '/object sale/,/visible/ s/visible = all/visible = all\nkeys = '"$1"'/' package/package.conf
    txnroute load hq.db package
    sql alice.db "INSERT INTO line VALUES (2, 1, 'alice one')" "INSERT INTO sale VALUES (2, 7, 'alice')"
    up alice
    [ "$(sql hq.db "SELECT tbl FROM dx_quarantine ORDER BY tbl" | xargs)" = "line sale" ]
}

strangers() {
    sql hq.db "INSERT INTO sale VALUES (2, 1, 'stranger')" "INSERT INTO line VALUES (2, 9, 'stranger nine')"
}

# seventh [N]: the customer for whom all waits; so many rows are in quarantine then.
seventh() {
    sql bob.db "INSERT INTO customer (id, name) VALUES (7, 'seventh')"
    up bob alice
    down alice bob carol
    up bob alice
    down alice bob carol
    all_right
    [ "$(sql hq.db "SELECT count(*) FROM dx_quarantine")" = "${1:-0}" ]
}

@test "a row in quarantine whose key somebody takes meanwhile gets a fresh one: its node is told, what waits for it follows" {
    waiting_sale
    strangers
    # before she hears of anything: of her own sale 2
    sql alice.db "UPDATE sale SET what = 'Alice' WHERE id = 2" "INSERT INTO line VALUES (2, 2, 'alice two')"
    up alice
    down alice bob carol
    [ "$(story alice.db)" = "$(story hq.db)" ]
    seventh
    [ "$(story hq.db)" = "Alice|seventh||alice one+alice two
first|first||
stranger|first||stranger nine" ]
    [ "$(sql hq.db "SELECT kind, tbl, key, resolved FROM dx_conflict")" = "rekey|sale|2|rekeyed" ]
}

@test "when the node has lost the row already it is not told the fresh key, and means the other row by the old one" {
    waiting_sale
    sql alice.db "UPDATE sale SET what = 'Alice' WHERE id = 2"
    up alice
    down alice bob carol # takes her sale 2 back
    [ "$(story alice.db)" = "first|first||" ]
    strangers
    down alice bob carol
    sql alice.db "UPDATE sale SET what = 'Stranger' WHERE id = 2" "INSERT INTO line VALUES (2, 8, 'stranger eight')"
    up alice
    seventh
    [ "$(story alice.db)" = "Alice|seventh||alice one
Stranger|first||stranger eight+stranger nine
first|first||" ]
    txnroute extract hq.db alice docking | dxapply alice.db
    all_right
}

@test "of a row that its node had lost: what it said before it applied that archive is of its own row" {
    waiting_sale
    down bob # alice's archive is made, but she does not have it yet
    strangers
    sql alice.db "UPDATE sale SET what = 'Alice' WHERE id = 2" "INSERT INTO line VALUES (2, 2, 'alice two')"
    up alice
    down alice bob carol
    seventh
    [ "$(story bob.db)" = "Alice|seventh||alice one+alice two
first|first||
stranger|first||stranger nine" ]
}

@test "keys = issue: a row in quarantine whose key somebody takes meanwhile is asked about, and can be taken" {
    waiting_sale issue
    sql alice.db "DELETE FROM line WHERE sale = 2"
    up alice
    strangers
    seventh 2 # a line of her own sale, and that it went
    [ "$(story carol.db)" = "first|first||
stranger|first||stranger nine" ]
    [ "$(dxapply conflicts hq.db --json | jq -r 'select(.kind) | [.kind, .outcome, .ours.what, .theirs.what] | join(" ")')" = "insert ask stranger alice" ]
    dxapply resolve hq.db 1 theirs
    down alice bob carol
    all_right
    [ "$(sql alice.db "SELECT customer, what FROM sale WHERE id = 2")" = "7|alice" ]
    [ "$(sql hq.db "SELECT count(*) FROM dx_quarantine")" = 0 ]
}

@test "more new keys than one archive's head can carry: the upload is refused, and where there are so many, the others are served" {
    sql hq.db "CREATE TABLE u (id INTEGER PRIMARY KEY, w TEXT)" "INSERT INTO u VALUES (1, 'office')"
    txnlog attach hq.db
    mkdir -p package docking
    printf '[package]\nname = p\nversion = 1\n[object u]\nvisible = all\n' >package/package.conf
    txnroute load hq.db package
    for who in alice mallory; do
        txnroute node add hq.db $who --package p --user $who
        txnroute extract hq.db $who docking | dxapply $who.db
    done
    upload() {
        printf '{"table":"u","op":"insert","key":{"id":%d},"new":{"w":"m"}}\n' "$2" |
            dxpack make --kind upload --from mallory --number "$1" --epoch "$(sql hq.db "SELECT epoch FROM dx_nodes WHERE name = 'mallory'")"
    }
    upload 1 1 >1.dx
    dxapply hq.db --upload-from mallory <1.dx
    sql hq.db "INSERT INTO dx_rekey (node, tbl, old, new, refs, adopt) SELECT node, tbl, -value, new - value, refs, adopt FROM dx_rekey,
        (WITH RECURSIVE c(value) AS (SELECT 1 UNION ALL SELECT value + 1 FROM c WHERE value < 90000) SELECT value FROM c)"
    upload 2 1 >2.dx
    run -5 dxapply hq.db --upload-from mallory <2.dx
    [[ $output == *"have keys that are taken here than one archive can give other keys; nothing was changed"* ]]
    sql hq.db "UPDATE u SET w = 'z' WHERE id = 1"
    run -1 txnroute run hq.db docking </dev/null
    [[ $output == *"node mallory"*"a head of "*"4 MiB are the most"* ]]
    [ ! -e docking/mallory/outbox/00000001.dx ]
    dxapply alice.db <docking/alice/outbox/00000001.dx
    [ "$(sql alice.db "SELECT w FROM u WHERE id = 1")" = z ]
    sql hq.db "DELETE FROM dx_rekey WHERE old < 0"
    txnroute run hq.db docking </dev/null
    dxpack verify docking/mallory/outbox/00000001.dx
}

# many_keys: alice has had 90000 new keys in her life, all of them confirmed; the newest is 90001.
many_keys() {
    sql hq.db "CREATE TABLE u (id INTEGER PRIMARY KEY, w TEXT)" "INSERT INTO u VALUES (1, 'office')"
    txnlog attach hq.db
    mkdir -p package docking
    printf '[package]\nname = p\nversion = 1\n[object u]\nvisible = all\nkeys = rekey\n' >package/package.conf
    txnroute load hq.db package
    txnroute node add hq.db alice --package p --user alice
    txnroute extract hq.db alice docking | dxapply alice.db
    sql alice.db "INSERT INTO u VALUES (2, 'early')"
    sql hq.db "INSERT INTO u VALUES (2, 'office')"
    cp alice.db early.db
    up alice
    down alice
    sql hq.db "INSERT INTO dx_rekey (node, tbl, old, new, archive, refs) SELECT node, tbl, value, new + value, archive, refs FROM dx_rekey,
        (WITH RECURSIVE c(value) AS (SELECT 3 UNION ALL SELECT value + 1 FROM c WHERE value < 90000) SELECT value FROM c)"
    sql alice.db "INSERT INTO dx_rekeyed SELECT tbl, value - 1, value, new + value, adopt FROM dx_rekeyed,
        (WITH RECURSIVE c(value) AS (SELECT 3 UNION ALL SELECT value + 1 FROM c WHERE value < 90000) SELECT value FROM c)"
    sql alice.db "UPDATE u SET w = 'first' WHERE id = 1"
    up alice # confirms
    down alice
    [ "$(sql hq.db "SELECT applied = (SELECT max(archive) FROM dx_rekey) FROM dx_nodes")" = 1 ]
}

@test "a node that has had any number of new keys gets its copy again, and what waits on the one before is kept" {
    many_keys
    txnroute extract hq.db alice >s.dx
    [ "$(dxpack list --json s.dx | jq -c '[.earlier_rekeys, (.rekeys | length > 5000), .rekeys[-1].id]')" = '[true,true,89999]' ]
    # ... a new one
    dxapply new.db <s.dx
    [ "$(sql new.db "SELECT count(*) FROM u WHERE w = 'early'")" = 1 ]
    # ... and over the one that is there
    sql alice.db "INSERT INTO u VALUES (70000, 'waits')"
    dxapply alice.db <s.dx
    [ "$(sql alice.db "SELECT group_concat(w) FROM (SELECT w FROM u ORDER BY w)")" = early,first,office,waits ]
    up alice
    down alice
    diff <(txnlog digest alice.db) <(txnlog digest hq.db --node alice)
    # The next one over the copy that is new.
    txnroute extract hq.db alice | dxapply new.db
    diff <(txnlog digest new.db) <(txnlog digest hq.db --node alice)
}

@test "a copy from a backup that lacks new keys which the snapshot leaves out is not laid over while changes wait on it" {
    many_keys
    txnroute extract hq.db alice >s.dx
    cp early.db before.db
    run -3 dxapply early.db <s.dx
    [[ $output == *"new keys"*"syncdiff"* ]]
    same_tables early.db before.db
    sql early.db "DELETE FROM dx_journal"
    dxapply early.db <s.dx
    diff <(txnlog digest early.db) <(txnlog digest hq.db --node alice)
}

@test "new keys that no node has confirmed and no archive can carry: its next copy has them, as many as fit" {
    many_keys
    sql hq.db "UPDATE dx_rekey SET archive = NULL"
    sql hq.db "UPDATE u SET w = 'z' WHERE id = 1"
    run -1 txnroute run hq.db docking </dev/null
    txnroute extract hq.db alice | dxapply new.db
    txnroute run hq.db docking </dev/null
    [ "$(sql hq.db "SELECT count(*) FROM dx_rekey WHERE archive IS NULL")" = 0 ]
    diff <(txnlog digest new.db) <(txnlog digest hq.db --node alice)
}
