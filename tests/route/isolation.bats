#!/usr/bin/env bats
# What a run fails on, an object, a row or a node, is set aside and named; all others are served; and it comes right later.

load ../helper
load ../routing

by_json="SELECT n.name, a.id FROM account a JOIN dx_node n ON n.user = json_extract(a.secret, '\$.who')"

# json_start: accounts are seen by a value in JSON.
json_start() {
    schema
    sql hq.db "UPDATE account SET secret = json_object('who', CASE owner WHEN 1 THEN 'ann' ELSE 'bob' END)"
    txnlog attach hq.db
    mkdir docking
    package "$by_json"
    txnroute load hq.db p 2>load.err
    for n in ann bob; do
        txnroute node add hq.db $n --package p --user $n
        copy $n
    done
    rule=$by_json right
}

# aside: what status says is set aside, one a line.
aside() {
    txnroute status --json hq.db | jq -r '.set_aside[] | [.kind, .object, .node, .key] | join(" ")'
}

# serves: a run that sets something aside, and serves the rest.
serves() {
    run -1 --separate-stderr txnroute run hq.db docking </dev/null
    local n file
    for n in ann bob; do
        for file in docking/$n/outbox/*.dx; do [ ! -f "$file" ] || dxapply $n.db <"$file"; done
    done
}

# mended: a run that sets nothing aside any more, by the journal alone; every copy is right.
mended() {
    txnroute run hq.db docking </dev/null
    local n file
    for n in ann bob; do
        for file in docking/$n/outbox/*.dx; do [ ! -f "$file" ] || dxapply $n.db <"$file"; done
    done
    [ -z "$(aside)" ]
    right
}

@test "a rule that fails on a value sets its object aside, and what is below it; all else is served; mended, all comes right" {
    json_start
    sql hq.db "INSERT INTO account VALUES (9, 'nine', 't1', 1, NULL, 'not json {')" "UPDATE product SET name = 'new'" \
        "UPDATE account SET name = 'two!' WHERE id = 2" "INSERT INTO contact VALUES (99, 1, 'c99')" "DELETE FROM contact WHERE id = 11"
    serves
    [[ $stderr == *"object p/account is set aside"*"malformed JSON"* ]]
    [ "$(sql ann.db "SELECT DISTINCT name FROM product")" = new ]
    [ "$(aside)" = "$(printf 'object account  \nobject contact  \nobject note  ')" ]
    run -0 txnroute status hq.db
    [[ $output == *"object p/account: set aside for "*"malformed JSON"* ]]
    # Said once; served again; a snapshot for another is made.
    sql hq.db "UPDATE product SET name = 'newer'" "UPDATE account SET secret = json_object('who', 'bob') WHERE id = 1" \
        "UPDATE account SET secret = json_object('who', 'ann') WHERE id = 3; UPDATE account SET name = 'deep' WHERE id = 4; DELETE FROM note WHERE id = 200"
    serves
    [ -z "$stderr" ]
    [ "$(sql bob.db "SELECT DISTINCT name FROM product")" = newer ]
    txnlog trim hq.db
    sql hq.db "UPDATE account SET secret = json_object('who', 'ann') WHERE id = 9"
    follow
    [ -z "$(aside)" ]
    rule=$by_json right
    sql hq.db "UPDATE account SET secret = json_object('who', 'bob') WHERE id = 9"
    follow
    rule=$by_json right
}

@test "nodes that come, come again or were away while an object is set aside hold what they should, once it is mended" {
    json_start
    txnroute node add hq.db cat --package p --user cat
    sql hq.db "INSERT INTO account VALUES (9, 'nine', 't1', 1, NULL, 'not json {'), (10, 'ten', 't1', 1, NULL, json_object('who', 'cat'))" \
        "UPDATE account SET name = 'two!' WHERE id = 2; INSERT INTO contact VALUES (100, 10, 'c100')"
    serves
    txnroute extract hq.db cat | dxapply cat.db
    [ "$(sql cat.db "SELECT count(*) FROM account; SELECT count(*) FROM product")" = "$(printf '0\n2')" ]
    rm ann.db*
    txnroute extract hq.db ann | dxapply ann.db
    [ "$(sql ann.db "SELECT count(*) FROM account")" = 2 ]
    sql hq.db "UPDATE account SET name = 'one!' WHERE id = 1; DELETE FROM account WHERE id = 2; DELETE FROM account WHERE id = 9"
    txnroute run hq.db docking </dev/null
    for n in ann bob cat; do
        for file in docking/$n/outbox/*.dx; do [ ! -f "$file" ] || dxapply $n.db <"$file"; done
        diff <(txnlog digest $n.db) <(txnlog digest hq.db --node $n)
    done
    [ "$(sql cat.db "SELECT count(*) FROM account; SELECT count(*) FROM contact")" = "$(printf '1\n1')" ]
    [ -z "$(aside)" ]
}

@test "a node that is suspended while an object is set aside and comes right gets all of it when it is resumed" {
    json_start
    # ann does not fetch; --fold 2
    route() { txnroute run --fold 2 hq.db docking </dev/null; }
    for i in 1 2; do sql hq.db "UPDATE product SET name = 'p$i'"; route; done
    sql hq.db "INSERT INTO account VALUES (9, 'nine', 't1', 1, NULL, 'not json {'); UPDATE account SET name = 'early' WHERE id = 1"
    run -1 route
    sql hq.db "UPDATE account SET name = 'between' WHERE id = 2; UPDATE product SET name = 'p3'"
    run -1 route
    sql hq.db "UPDATE account SET secret = json_object('who', 'ann') WHERE id = 9"
    route
    for n in ann bob; do
        for k in 1 2 3; do
            for file in docking/$n/outbox/*.dx; do [ ! -f "$file" ] || { dxapply $n.db <"$file"; rm "$file"; }; done
            route
        done
    done
    rule=$by_json right
}

@test "a table that was dropped, or a column that a rule reads, sets its object aside alone" {
    start "$by_position"
    sql hq.db "DROP TABLE product; UPDATE account SET name = 'x' WHERE id = 1"
    serves
    [ "$(sql ann.db "SELECT name FROM account WHERE id = 1")" = x ]
    [ "$(aside)" = "object product  " ]
    [[ $stderr == *"object p/product is set aside"*"no table product"* ]]
    txnroute node add hq.db cat --package p --user ann
    txnroute extract hq.db cat | dxapply cat.db
    [ "$(sql cat.db "SELECT count(*) FROM account")" = 2 ]
    sql hq.db "UPDATE account SET name = 'y' WHERE id = 1"
    serves
    [ "$(sql ann.db "SELECT name FROM account WHERE id = 1")" = y ]
    # The package without it takes it out.
    sed -i '/object product/,+1d' p/package.conf
    txnroute load hq.db p 2>load.err
    run -1 --separate-stderr txnroute run hq.db docking </dev/null
    [[ $stderr == *"table product: the table is gone"* ]]
    [ -z "$(aside)" ]
}

@test "a row that is larger than an archive carries is set aside alone, also in a snapshot; made smaller, it goes to all that hold it" {
    start "$by_position"
    sql hq.db "UPDATE product SET name = 'new' WHERE id = 2; UPDATE product SET name = zeroblob(140000000) WHERE id = 1; INSERT INTO product VALUES (3, zeroblob(140000000))"
    serves
    [ "$(aside)" = "$(printf 'row product  1\nrow product  3')" ]
    [ "$(sql ann.db "SELECT id, name FROM product ORDER BY id")" = "$(printf '1|p1\n2|new')" ]
    local code=0
    txnroute extract hq.db bob >bob.dx || code=$?
    [ "$code" -eq 1 ]
    rm bob.db*
    dxapply bob.db <bob.dx
    [ "$(sql bob.db "SELECT id, name FROM product ORDER BY id")" = "2|new" ]
    [ "$(aside | wc -l)" = 2 ]
    sql hq.db "UPDATE product SET name = 'small' WHERE id = 1; DELETE FROM product WHERE id = 3"
    mended
}

@test "a node whose outbox cannot be written is suspended until it can, and all others are served" {
    start "$by_position"
    rm -rf docking/bob
    : >docking/bob
    sql hq.db "UPDATE product SET name = 'n1'; UPDATE position SET login = 'bob' WHERE id = 1"
    serves
    [ "$(aside)" = "node  bob " ]
    [ "$(sql ann.db "SELECT DISTINCT name FROM product")" = n1 ]
    sql hq.db "UPDATE product SET name = 'n2' WHERE id = 2; DELETE FROM account WHERE id = 3"
    serves
    rm docking/bob
    mended
}

@test "rows of an object that nobody may see, touched by a node's upload, by its cascade or by hand, stop nobody" {
    start "$by_position"
    # As a merge leaves them: the change with its origin, and the request to send the row back.
    sql hq.db "INSERT INTO cost VALUES (2, 2.5)" "UPDATE dx_journal SET origin = 'ann' WHERE seq = (SELECT max(seq) FROM dx_journal)" \
        "INSERT INTO dx_force (node, tbl, key) SELECT id, 'cost', 2 FROM dx_nodes WHERE name = 'ann'" "UPDATE product SET name = 'n1'"
    follow
    [ "$(sql hq.db "SELECT count(*) FROM dx_force")" = 0 ]
    [ -z "$(aside)" ]
    right
}
