#!/usr/bin/env bats
# Proofs: whether a copy holds what its server says that it should, by a session (remotesync --prove) or offline
# (txnlog digest --rows, txnlog prove).

load ../helper
load ../site

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    make_site
    make_clients
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    cp -r "$BATS_FILE_TMPDIR"/{site,alice.db,alice.db-dx,bob.db,bob.db-dx} .
}

accounts() {
    sql "$1" "SELECT row_id FROM account ORDER BY row_id LIMIT ${2:-1} OFFSET ${3:-0}"
}

# behind DB STATEMENT...: changes a database without its triggers noting it, as a damaged disk or a tool might.
behind() {
    local db=$1
    shift
    sql "$db" ".dbconfig enable_trigger off" "$@" >/dev/null
}

@test "remotesync --prove: a right copy is proven, and says so only with -v" {
    account=$(accounts alice.db)
    run -0 remotesync --prove alice.db site
    [ -z "$output" ]
    sql alice.db "UPDATE account SET city = 'Turku' WHERE row_id = '$account'"
    sql site/hq.db "UPDATE product SET price = price + 1"
    run -0 --separate-stderr remotesync --now --prove -v alice.db site
    [ -z "$output" ]
    [[ $stderr == *"alice: proven at archive 2, digest $(txnlog digest alice.db | tail -n 1)"* ]]
    run -0 remotesync --prove bob.db site
    no_litter .
}

@test "remotesync --prove names the rows that differ, and changes nothing" {
    account=$(accounts alice.db)
    gone=$(sql alice.db "SELECT min(row_id) FROM contact")
    behind alice.db "UPDATE account SET city = 'Turku' WHERE row_id = '$account'" \
        "DELETE FROM contact WHERE row_id = '$gone'" \
        "INSERT INTO product SELECT 'R-XTRA', name, price, last_upd FROM product LIMIT 1"
    before=$(sql alice.db .dump | sha256sum)
    server=$(sql site/hq.db .dump | sha256sum)
    alike=$(($(sql alice.db "SELECT count(*) FROM account") - 1))
    run -1 --separate-stderr remotesync --prove alice.db site
    [ "$output" = "account '$account': differs
account: $alike rows alike, 1 differ, 0 only here, 0 missing here
contact '$gone': missing here
contact: $(sql alice.db "SELECT count(*) FROM contact") rows alike, 0 differ, 0 only here, 1 missing here
product 'R-XTRA': only here
product: 100 rows alike, 0 differ, 1 only here, 0 missing here" ]
    [[ $stderr == *"alice.db differs from what the server holds for alice; make it again: initsync alice.db site"* ]]
    [ "$(sql alice.db .dump | sha256sum)" = "$before" ]
    [ "$(sql site/hq.db .dump | sha256sum)" = "$server" ]
    no_litter .
    # The server's operator sees it, until the copy was made again; then what the next proof finds.
    alice() { txnroute status site/hq.db --json | jq -c '.nodes[] | select(.name == "alice") | [.proof != null, .proof_differs, .stuck]'; }
    [ "$(alice)" = '[true,true,true]' ]
    run -0 txnroute status site/hq.db
    [[ $output == *$'\n    copy differs from what it should hold, by its proof '* ]]
    [[ $(txnroute report site) == *"<b>alice</b>: copy differs"* ]]
    grep -qx 'dx_node_differs{node="alice"} 1' <(txnroute metrics site)
    initsync alice.db site --node alice
    [ "$(alice)" = '[false,false,false]' ]
    run -0 remotesync --prove alice.db site
    remotesync alice.db site
    [ "$(alice)" = '[true,false,false]' ]
}

@test "remotesync --prove finds what was changed behind the server's back as well, and names ten rows of many" {
    behind site/hq.db "UPDATE product SET price = -1 WHERE row_id < 'R-0050'"
    run -1 --separate-stderr remotesync --prove bob.db site
    [ "${lines[0]}" = "product 'R-0001': differs" ]
    [ ${#lines[@]} -eq 11 ]
    [ "${lines[10]}" = "product: 51 rows alike, 49 differ, 0 only here, 0 missing here; the first are named" ]
}

@test "remotesync --prove: a blob is not a text" {
    behind alice.db "UPDATE product SET name = CAST(name AS BLOB) WHERE row_id = 'R-0002'"
    run -1 --separate-stderr remotesync --prove alice.db site
    [ "${lines[0]}" = "product 'R-0002': differs" ]
}

@test "remotesync --prove does not judge what is on its way: sync again, unless --now does it at once" {
    account=$(accounts alice.db)
    # Changed here, not merged there.
    sql alice.db "UPDATE account SET city = 'Turku' WHERE row_id = '$account'"
    run -7 remotesync --prove alice.db site
    [[ $output == *"not proven"*"not acknowledged by the server; sync again"* ]]
    # Merged there, routed there, not fetched.
    dxcron site
    run -0 remotesync --prove alice.db site
    # Changed there, not routed.
    sql site/hq.db "UPDATE product SET price = 3"
    run -7 remotesync --prove alice.db site
    [[ $output == *"not proven: server: hq.db: "*"routed"*"sync again"* ]]
    run -0 remotesync --now --prove alice.db site
    # An archive is owed although nothing has changed.
    sql alice.db "UPDATE product SET price = 3 WHERE price = 3"
    run -0 remotesync --prove alice.db site
}

@test "remotesync --prove: what changes on the server before a session with --now is in its proof" {
    mkdir bin
    ln -s "$DX_BUILD"/bin/* bin/
    ln -s "$DX_BUILD/share" share
    rm bin/dxpack
    cat >bin/dxpack <<END
#!/bin/sh
# A server on which something changes before each session.
[ "\$1" != serve ] || sqlite3 site/hq.db "UPDATE product SET price = price + 1; UPDATE count SET n = n + 1"
exec "$DX_BUILD/bin/dxpack" "\$@"
END
    chmod +x bin/dxpack
    sql site/hq.db "CREATE TABLE count (n)" "INSERT INTO count VALUES (0)"
    PATH=$PWD/bin:$PATH run -0 remotesync --prove --now alice.db site
    [ "$(sql site/hq.db "SELECT n FROM count")" = 1 ]
    right alice.db
}

@test "a proof for an archive on a stick: digests of rows from the server, compared where the copy is" {
    txnlog digest site/hq.db --node alice --at 1 --rows >alice.keys
    run -0 dxpack list alice.keys
    [[ $output == "keys, number 1, to alice, epoch $(sql site/hq.db "SELECT epoch FROM dx_nodes WHERE name = 'alice'"), changeset"* ]]
    run -0 txnlog prove alice.db <alice.keys
    [ -z "$output" ]
    txnlog digest site/hq.db --node alice --at 1 --rows | cmp - alice.keys
    account=$(accounts alice.db 1 3)
    behind alice.db "DELETE FROM account WHERE row_id = '$account'" "UPDATE product SET price = 0 WHERE row_id = 'R-0007'"
    run -1 txnlog prove alice.db <alice.keys
    [ "${lines[0]}" = "account '$account': missing here" ]
    [ "${lines[2]}" = "product 'R-0007': differs" ]
    run -1 txnlog prove alice.db product <alice.keys
    [ ${#lines[@]} -eq 2 ]
    run -0 txnlog prove alice.db contact territory <alice.keys
    run -3 txnlog prove alice.db nowhere <alice.keys
    [[ $output == *"no table nowhere"* ]]
    # The keys of one table prove one table.
    txnlog digest site/hq.db --node alice --rows product >product.keys
    run -1 txnlog prove alice.db <product.keys
    [ "${lines[0]}" = "account: only here" ]
    run -1 txnlog prove alice.db product account <product.keys
    [ "${lines[0]}" = "account: only here" ]
    [ "${lines[1]}" = "product 'R-0007': differs" ]
    # And they are keys as syncdiff knows them.
    run -1 syncdiff compare alice.db product.keys
    [[ $output == *"conflict: product 'R-0007'"* ]]
}

@test "a proof is refused where it would say nothing: another node, another archive, changes on their way" {
    txnlog digest site/hq.db --node alice --at 1 --rows >alice.keys
    run -3 txnlog prove bob.db <alice.keys
    [[ $output == *"epoch"* ]]
    run -3 txnlog prove site/hq.db <alice.keys
    [[ $output == *"no node's copy"* ]]
    run -3 txnlog prove alice.db <site/hq.db
    run -3 bash -c "head -c 500 alice.keys | txnlog prove alice.db"
    sql alice.db "UPDATE account SET city = 'Turku' WHERE row_id = '$(accounts alice.db)'"
    run -7 txnlog prove alice.db <alice.keys
    [[ $output == *"1 changes made here are not acknowledged"* ]]
    run -7 txnlog digest --at 1 alice.db
    remotesync --now alice.db site
    run -7 txnlog prove alice.db <alice.keys
    [[ $output == *"has applied archive 2, not 1; sync again"* ]]
    run -7 txnlog digest site/hq.db --node alice --at 1
    [[ $output == *"the newest archive for alice is 2, not 1; sync again"* ]]
    run -0 txnlog digest site/hq.db --node alice --at 2
    here=$(txnlog digest alice.db --at 2)
    [ "$output" = "$here" ]
    # What is owed to her alone counts, what is owed to bob does not.
    sql site/hq.db "INSERT INTO dx_force (node, tbl, key) SELECT id, 'product', 'R-0001' FROM dx_nodes WHERE name = 'bob'"
    run -0 txnlog digest site/hq.db --node alice --at 2
    run -7 txnlog digest site/hq.db --node bob --at 2
    txnroute node set site/hq.db alice --user bob
    run -7 txnlog digest site/hq.db --node alice --at 2
    run -3 txnlog digest site/hq.db --node carol --at 2
    txnroute node end site/hq.db alice
    run -3 txnlog digest site/hq.db --node alice --at 2
}

@test "a proof of a table with other columns, and of one that only one side has" {
    sqlite3 a.db "CREATE TABLE both (id INTEGER PRIMARY KEY, x); CREATE TABLE one (id INTEGER PRIMARY KEY); CREATE TABLE t (a, b, c, PRIMARY KEY (b, a));
        INSERT INTO both VALUES (1, 1), (2, 2); INSERT INTO t VALUES (1, 'x', 1), (2, 'x', 2.0), (1, 'y', NULL)"
    sqlite3 b.db "CREATE TABLE both (id INTEGER PRIMARY KEY, y); CREATE TABLE two (id INTEGER PRIMARY KEY); CREATE TABLE t (c, b, a, PRIMARY KEY (b, a));
        INSERT INTO both VALUES (1, 1), (2, 2); INSERT INTO t VALUES (1, 'x', 1), (2, 'x', 2), ('z', 'w', 9)"
    run -1 bash -c "txnlog digest --rows a.db | txnlog prove b.db"
    [ "$output" = "both: has other columns, or another key, there
one: missing here
t 'w', 9: only here
t 'x', 2: differs
t 'y', 1: missing here
t: 1 rows alike, 1 differ, 1 only here, 1 missing here
two: only here" ]
}

@test "a proof takes memory for no rows" {
    sqlite3 big.db "CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT);
        WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $(sized 300000 30000)) INSERT INTO t SELECT i, hex(randomblob(20)) FROM n"
    txnlog digest --rows big.db >big.keys
    sqlite3 big.db "UPDATE t SET body = 'x' WHERE id = 77777 OR id = 77"
    [ -n "${DX_SANITIZED:-}" ] || ulimit -v 120000
    run -1 txnlog prove big.db <big.keys
    [ "${lines[0]}" = "t 77: differs" ]
}
