#!/usr/bin/env bats
# keys = ranges N: every copy numbers the rows of a table with AUTOINCREMENT in a range of its own.

load ../helper

# office [N]: tickets that everybody has, replies below them that only the package names, ranges of N keys.
office() {
    sql hq.db "CREATE TABLE ticket (id INTEGER PRIMARY KEY AUTOINCREMENT, about TEXT)" \
        "CREATE TABLE reply (id INTEGER PRIMARY KEY AUTOINCREMENT, ticket INT, about TEXT)" "INSERT INTO ticket (about) VALUES ('first')"
    txnlog attach hq.db
    mkdir -p docking package
    printf '[package]\nname = p\nversion = 1\n[object ticket]\nvisible = all\nkeys = ranges %s\n[object reply]\nvisible = all\nkeys = ranges %s\nreferences = ticket -> ticket\n' \
        "${1:-1000}" "${1:-1000}" >package/package.conf
    txnroute load hq.db package
    for who in alice bob; do
        txnroute node add hq.db $who --package p --user $who
        txnroute extract hq.db $who docking | dxapply $who.db
    done
}

# all_write ROUND: each side makes a ticket with a reply.
all_write() {
    for who in hq alice bob; do
        sql $who.db "INSERT INTO ticket (about) VALUES ('$who $1')" "INSERT INTO reply (ticket, about) SELECT id, about FROM ticket WHERE about = '$who $1'"
    done
}

@test "copies and the server hand out keys at once, and none is handed out twice" {
    office
    for n in 1 2 3 4; do
        all_write $n
        exchange alice bob
        for who in hq alice bob; do
            [ "$(sql $who.db "SELECT count(*), sum(t.about IS r.about) FROM reply r JOIN ticket t ON t.id = r.ticket")" = "$((3 * n))|$((3 * n))" ]
        done
    done
    [ -z "$(sql hq.db "SELECT 1 FROM sqlite_schema WHERE name = 'dx_rekey'")" ]
    [ "$(sql hq.db "SELECT max(id) < 100000 FROM ticket")" = 1 ]
}

@test "a range is one's own, is renewed when half of it is used or a row stands above it, and not before" {
    office 100
    [ "$(sql hq.db "SELECT group_concat(first || '-' || last) FROM dx_key_range WHERE tbl = 'ticket'")" = "2-101,102-201" ]
    [ "$(sql hq.db "SELECT seq FROM sqlite_sequence WHERE name = 'ticket'")" = 201 ]
    sql alice.db "INSERT INTO ticket (about) VALUES ('a')"
    exchange alice bob
    [ "$(sql alice.db "SELECT max(id) FROM ticket")" = 2 ]
    [ "$(sql hq.db "SELECT group_concat(first) FROM dx_key_range WHERE tbl = 'ticket'")" = "2,102" ]
    sql bob.db "WITH n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 60) INSERT INTO ticket (about) SELECT 'b' FROM n"
    exchange alice bob
    [ "$(sql hq.db "SELECT count(*) FROM dx_key_range WHERE tbl = 'ticket' AND first > 201")" = 2 ]
    sql alice.db "INSERT INTO ticket (about) VALUES ('a')"
    [ "$(sql alice.db "SELECT max(id) FROM ticket")" = "$(sql hq.db "SELECT first FROM dx_key_range WHERE tbl = 'ticket' AND node = (SELECT id FROM dx_nodes WHERE name = 'alice')")" ]
}

@test "a copy that uses more keys than it has, and one made again, lose nothing" {
    office 10
    for who in alice bob; do
        sql $who.db "WITH n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 25) INSERT INTO ticket (about) SELECT '$who ' || i FROM n" \
            "INSERT INTO reply (ticket, about) SELECT id, about FROM ticket WHERE about LIKE '$who %'"
    done
    txnlog upload alice.db alice-out
    txnroute extract hq.db alice docking | dxapply alice.db
    exchange alice bob
    [ "$(sql bob.db "SELECT count(*), sum(t.about IS r.about) FROM reply r JOIN ticket t ON t.id = r.ticket")" = "50|50" ]
}

@test "ranges are for AUTOINCREMENT, and of a size" {
    office
    sed -i '0,/ranges 1000/s//ranges 5/' package/package.conf
    run -3 --separate-stderr txnroute load hq.db package
    [[ $stderr == *'`ranges N`: N keys for each copy, from 10 to'* ]]
    sql hq.db "CREATE TABLE plain (id INTEGER PRIMARY KEY)"
    txnlog attach hq.db
    printf '[package]\nname = p\nversion = 1\n[object plain]\nvisible = all\nkeys = ranges 100\n' >package/package.conf
    run -3 --separate-stderr txnroute load hq.db package
    [[ $stderr == *"ranges need INTEGER PRIMARY KEY AUTOINCREMENT"* ]]
}

@test "a key far above all that were handed out, which would end the ranges of all, gets a fresh one" {
    office 10
    sql alice.db "INSERT INTO ticket (id, about) VALUES (4000000000000000000, 'far'), (300, 'near')" \
        "INSERT INTO reply (ticket, about) VALUES (4000000000000000000, 'of far')"
    exchange alice bob
    [ "$(sql hq.db "SELECT max(id) < (1 << 50) FROM ticket")" = 1 ]
    [ "$(sql hq.db "SELECT t.about FROM reply r JOIN ticket t ON t.id = r.ticket")" = far ]
    sql bob.db "INSERT INTO ticket (about) VALUES ('b')"
    exchange alice bob
    [ "$(sql hq.db "SELECT max(id) < (1 << 50) FROM ticket")" = 1 ]
    exchange alice bob
    for who in alice bob; do diff <(txnlog digest $who.db) <(txnlog digest hq.db --node $who); done
}
