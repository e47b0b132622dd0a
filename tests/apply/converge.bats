#!/usr/bin/env bats
# Copies converge, whatever happens on the way: random histories, and each stage killed at each of its durable steps.
# The long form is DX_HISTORIES=2000; a history that fails is told by its seed, shrunk to what it needs.

load ../helper

# The scene, made once: a server and two copies, all changed since, with conflicts, refusals, and rows that move.
setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    mkdir scene scene/package scene/docking && cd scene || return
    sql hq.db "PRAGMA journal_mode = WAL" \
        "CREATE TABLE account (id TEXT PRIMARY KEY, owner TEXT, name TEXT, code TEXT UNIQUE, at INTEGER)" \
        "CREATE TABLE contact (id INTEGER PRIMARY KEY, account TEXT REFERENCES account, name TEXT)" \
        "CREATE TABLE product (id TEXT PRIMARY KEY, price REAL) WITHOUT ROWID" \
        "WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20) INSERT INTO account
         SELECT 'A' || i, iif(i % 2, 'alice', 'bob'), 'n' || i, 'c' || i, i FROM n" \
        "INSERT INTO contact SELECT at, id, 'of ' || name FROM account" \
        "INSERT INTO product VALUES ('P1', 1.5), ('P2', 2.25), ('P3', 3.125)"
    cat >package/package.conf <<-CONF
	[package]
	name = p
	version = 1
	[object account]
	visible = SELECT n.name, a.id FROM account a JOIN dx_node n ON n.user = a.owner
	[object contact]
	via = account -> account
	conflict = client
	[object product]
	visible = all
	write = update
	CONF
    txnlog attach hq.db
    txnroute load hq.db package
    for who in alice bob; do
        txnroute node add hq.db $who --package p --user $who
        txnroute extract hq.db $who | dxapply $who.db
    done
    txnlog read hq.db | txnlog ack hq.db
    sql hq.db "UPDATE account SET owner = 'bob', name = 'moved' WHERE id = 'A1'" "DELETE FROM contact WHERE id = 4" \
        "UPDATE account SET name = 'ours' WHERE id = 'A3'" "UPDATE product SET price = 9 WHERE id = 'P1'"
    sql alice.db "UPDATE account SET name = 'theirs' WHERE id IN ('A1', 'A3')" "DELETE FROM product WHERE id = 'P2'" \
        "INSERT INTO account VALUES ('A-new', 'alice', 'new', 'c2', 1), ('B-new', 'bob', 'not hers', 'b', 1)" \
        "INSERT INTO contact VALUES (1000, 'A-new', 'waits with its account'), (1001, 'A5', 'new')"
    sql bob.db "UPDATE contact SET name = 'gone' WHERE id = 4" "UPDATE product SET price = 8 WHERE id = 'P1'"
}

# picture DIR: all that stays, as text: every table of the databases, and every file.
picture() (
    cd "$1" || exit
    for db in *.db; do
        echo "== $db"
        sqlite3 "$db" .dump | sed -E "s/'20[0-9-]*[ T][0-9:]*Z?'/'now'/g"
        sqlite3 "$db" "PRAGMA integrity_check"
    done
    find . -type f ! -name '*.db*' ! -name lock ! -name log.dx -printf '%P\n' | sort | xargs -r sha256sum
)

# kill_points COMMAND: the command, as a line of shell, killed at its first durable step, its second, and so on until
# it ends by itself, and then run again: all is as when it runs undisturbed. It is done to `scene`, at last.
kill_points() {
    local n code=137 by
    by=$(sized 1 6)
    rm -rf undisturbed
    cp -r scene undisturbed
    (cd undisturbed && bash -c "$1") || [ $? -eq 1 ]
    picture undisturbed >want
    for ((n = 1; code == 137; n += by)); do
        rm -rf again
        cp -r scene again
        code=0
        (cd again && DX_STOP_AT=$n bash -c "exec $1") || code=$?
        [ $code -le 1 ] || [ $code -eq 137 ] || { echo "$1, stopped at $n: exit $code"; return 1; }
        (cd again && bash -c "$1") || [ $? -eq 1 ] || { echo "$1, again after $n: exit $?"; return 1; }
        picture again >have
        diff want have || { echo "$1, stopped at $n, does not end as undisturbed"; return 1; }
    done
    echo "$1: $((n - 2 * by)) steps"
    [ "$n" -gt 3 ]
    rm -rf scene
    mv undisturbed scene
}

@test "each stage, killed at each durable step and run again, ends as if undisturbed" {
    cp -r "$BATS_FILE_TMPDIR/scene" .
    kill_points "txnlog upload alice.db alice-out"
    kill_points "txnlog upload bob.db bob-out"
    kill_points "dxapply hq.db <alice-out/00000001.dx"
    kill_points "dxapply hq.db <bob-out/00000001.dx"
    kill_points "txnroute run hq.db docking </dev/null"
    kill_points "dxapply alice.db <docking/alice/outbox/*.dx"
    kill_points "dxapply bob.db <docking/bob/outbox/*.dx"
    txnlog read scene/hq.db >scene/log.dx
    kill_points "txnlog ack hq.db <log.dx"
    sql scene/alice.db "UPDATE product SET price = 7"
    kill_points "txnlog upload alice.db alice-out"
    kill_points "dxapply hq.db <alice-out/00000002.dx"
    kill_points "txnroute run hq.db docking </dev/null"
    kill_points "dxapply alice.db <docking/alice/outbox/00000002.dx"
    kill_points "txnlog trim hq.db"
    kill_points "txnlog trim alice.db"
    cd scene
    for who in alice bob; do
        for file in docking/$who/outbox/*.dx; do dxapply $who.db <"$file"; done
        diff <(txnlog digest $who.db) <(txnlog digest hq.db --node $who)
    done
    [ "$(sql hq.db "SELECT kind, tbl, key, col, outcome, origin FROM dx_conflict ORDER BY id")" = "update|account|A1|name|ours|alice
update|account|A3|name|ours|alice
permission|product|P2||ours|alice
gone|contact|4||ours|bob
update|product|P1|price|ours|bob" ]
    [ "$(sql hq.db "SELECT tbl, key, origin FROM dx_quarantine ORDER BY id")" = "account|A-new|alice
contact|1000|alice" ]
}

@test "a copy made again: extract killed at each durable step, and asked for again, then the apply of what it gave" {
    local n code=137
    cp -r "$BATS_FILE_TMPDIR/scene" .
    for ((n = 1; code == 137; n += $(sized 1 4))); do
        rm -rf again
        cp -r scene again
        cd again
        code=0
        DX_STOP_AT=$n txnroute extract hq.db alice docking >alice.dx || code=$?
        [ $code -eq 0 ] || [ $code -eq 137 ]
        [ $code -eq 0 ] || txnroute extract hq.db alice docking >alice.dx
        dxapply alice.db <alice.dx
        exchange alice bob
        cd ..
    done
    [ "$n" -gt 4 ]
    (cd scene && txnroute extract hq.db alice docking >alice.dx)
    kill_points "dxapply alice.db <alice.dx"
    cd scene
    exchange alice bob
}

@test "a row that all hold, changed by one node and deleted by another before the router runs, leaves every copy" {
    cp -r "$BATS_FILE_TMPDIR/scene" .
    cd scene
    exchange alice bob
    sql hq.db "INSERT INTO product VALUES ('P9', 9)"
    sed -i 's/^write = update/write = yes/' package/package.conf
    txnroute load hq.db package
    txnroute node add hq.db carol --package p --user carol
    txnroute extract hq.db carol docking | dxapply carol.db
    exchange alice bob carol
    sql alice.db "UPDATE product SET price = 10 WHERE id = 'P9'"
    sql bob.db "DELETE FROM product WHERE id = 'P9'"
    exchange alice bob carol
    [ "$(sql carol.db "SELECT count(*) FROM product WHERE id = 'P9'")" = 0 ]
    [ "$(sql hq.db "SELECT kind FROM dx_conflict WHERE key = 'P9'")" = deleted ]
}

@test "random histories: every copy is the server's view, and every change is accounted for" {
    [ ! -w /dev/shm ] || cd "$(mktemp -d /dev/shm/dx-converge.XXXXXX)" || return
    run -0 sync-sim 0 "${DX_HISTORIES:-$(sized 12 3)}"
    run -0 sync-sim -c 200000 "$((200000 + ${DX_HISTORIES:-$(sized 40 10)} / 10))"
    case $PWD in /dev/shm/*) rm -rf "$PWD" ;; esac
}
