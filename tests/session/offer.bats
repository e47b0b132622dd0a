#!/usr/bin/env bats
# A second copy of a node, or one that is made again: the copy before goes on until the new one reports back.
load ../helper
load ../site

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    make_site
    make_clients
    account=$(sql alice.db "SELECT min(row_id) FROM account")
    export account
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    cp -a "$BATS_FILE_TMPDIR"/{site,alice.db,alice.db-dx} .
}

office() {
    sql site/hq.db "UPDATE account SET city = '$1'"
    dxcron site
}

# The copy is in use: what is changed on both sides arrives.
in_use() {
    sql "$1" "UPDATE account SET name = '$2' WHERE row_id = '$account'"
    office "$2"
    remotesync --now "$1" site
    right "$1" alice
    [ "$(sql site/hq.db "SELECT name, city FROM account WHERE row_id = '$account'")" = "$2|$2" ]
}

@test "a new copy that was fetched and never reported back: the copy before goes on, both ways" {
    for n in 1 2; do
        txnroute extract site/hq.db alice >new.dx
        in_use alice.db "Turku $n"
    done
}

@test "initsync reports back: the copy before is over with that, and its unsent changes are kept" {
    run -0 initsync other.db site --node alice
    [ -z "$output" ]
    sql alice.db "UPDATE account SET revenue = 7.5 WHERE row_id = '$account'"
    run -3 remotesync alice.db site
    [[ $output == *epoch*initsync* ]]
    in_use other.db Oslo
    initsync alice.db site --node alice
    remotesync --now alice.db site
    right alice.db
    [ "$(sql site/hq.db "SELECT name, revenue FROM account WHERE row_id = '$account'")" = "Oslo|7.5" ]
    run -3 remotesync other.db site
}

@test "archives made between a new copy and its report are right for both copies" {
    office Bergen
    txnroute extract site/hq.db alice >new.dx
    [ "$(dxpack list --json new.dx | jq -r .continues)" = "$(sql alice.db "SELECT value FROM dx_meta WHERE name = 'server'")" ]
    office Oslo
    sql site/hq.db "UPDATE position SET login = 'bob' WHERE row_id = 'P-001'" "DELETE FROM activity WHERE row_id < 'V-000020'"
    office Turku
    dxapply new.db <new.dx
    cp -a site/docking/alice/outbox made
    cp -a site site.before
    remotesync alice.db site
    right alice.db
    rm -r site
    mv site.before site
    remotesync new.db site
    right new.db alice
    run -3 remotesync alice.db site
    office Kemi
    remotesync new.db site
    right new.db alice
    for file in $(find made -name '*.dx' | sort); do run -0 dxapply new.db <"$file"; done # again: applied already
    right new.db alice
}

@test "the same by hand: downloads of the numbering before are taken, an upload reports back" {
    txnroute extract site/hq.db alice site/docking | dxapply new.db
    office Oslo
    for file in site/docking/alice/outbox/*.dx; do dxapply new.db <"$file"; done
    right new.db alice
    sql new.db "UPDATE account SET name = 'Mine' WHERE row_id = '$account'"
    txnlog upload new.db out
    run -0 dxapply -n site/hq.db <out/00000001.dx
    remotesync alice.db site
    run -0 dxapply site/hq.db <out/00000001.dx
    run -3 remotesync alice.db site
    office Turku
    remotesync new.db site
    right new.db alice
}

@test "a copy that lacks what the copy before has sent meanwhile is made once more" {
    txnroute extract site/hq.db alice | dxapply new.db
    in_use alice.db Turku
    run -3 remotesync new.db site
    [[ $output == *"initsync"* ]]
    in_use alice.db Oslo
    sql new.db "UPDATE account SET revenue = 7.5 WHERE row_id = '$account'"
    initsync new.db site --node alice
    remotesync --now new.db site
    right new.db alice
    [ "$(sql site/hq.db "SELECT name, revenue FROM account WHERE row_id = '$account'")" = "Oslo|7.5" ]
}

@test "of two new copies the one made last takes over" {
    txnroute extract site/hq.db alice | dxapply first.db
    txnroute extract site/hq.db alice | dxapply second.db
    run -3 remotesync first.db site
    in_use alice.db Turku
    txnroute extract site/hq.db alice | dxapply third.db
    in_use third.db Oslo
    for old in alice first second; do run -3 remotesync $old.db site; done
}

@test "an upload of the copy before that was not merged when the new one reports back is kept, and named" {
    txnroute extract site/hq.db alice | dxapply new.db
    sql alice.db "UPDATE account SET name = 'Late' WHERE row_id = '$account'"
    remotesync alice.db site
    remotesync --now new.db site
    kept=$(find site/docking/alice/ended -name '*.00000001.dx')
    [ "$(dxpack cat <"$kept" | jq -r .new.name)" = Late ]
    grep -q "not merged; it is kept as ended/${kept##*/}" site/docking/alice/errors.log
    run -0 dxcron site
    initsync alice.db site --node alice
    remotesync --now alice.db site
    [ "$(sql site/hq.db "SELECT name FROM account WHERE row_id = '$account'")" = Late ]
}

@test "a node whose archives are set aside: the copy before gets what waited, and both go on from there" {
    for city in A B C D; do
        sql site/hq.db "UPDATE account SET city = '$city'"
        txnroute run site/hq.db --fold 2 </dev/null
    done
    [ -n "$(sql site/hq.db "SELECT suspended_at FROM dx_nodes WHERE name = 'alice'")" ]
    txnroute extract site/hq.db alice >new.dx
    dxapply new.db <new.dx
    sql site/hq.db "UPDATE account SET city = 'E'"
    cp -a site site.before
    remotesync --now alice.db site
    right alice.db
    rm -r site
    mv site.before site
    remotesync --now new.db site
    right new.db alice
}

@test "stale archives of a history that a restored server does not know are given to neither copy" {
    cp -a site backup
    office Oslo
    office Turku
    rm site/hq.db*
    cp backup/hq.db site/
    initsync new.db site --node alice
    office Kemi
    remotesync new.db site
    right new.db alice
}

@test "a key that the copy before was to rename is not renamed twice" {
    sql site/hq.db "CREATE TABLE t (id INTEGER PRIMARY KEY, name)"
    mkdir package
    cp -r "$DX_ROOT/tests/data/sales-package/." package
    printf '[object t]\nvisible = all\n' >>package/package.conf
    txnlog attach site/hq.db
    txnroute load site/hq.db package
    dxcron site
    remotesync alice.db site
    sql alice.db "INSERT INTO t VALUES (1, 'mine')"
    sql site/hq.db "INSERT INTO t VALUES (1, 'office')"
    remotesync alice.db site
    dxcron site
    txnroute extract site/hq.db alice | dxapply new.db
    sql new.db "UPDATE t SET name = name || ' seen'"
    remotesync --now new.db site
    right new.db alice
    [ "$(sql site/hq.db "SELECT group_concat(name) FROM (SELECT name FROM t ORDER BY id)")" = "office seen,mine seen" ]
}
