#!/usr/bin/env bats
# From user to copy: user, responsibility, package; active, published; each step that fails is a clear refusal.

load ../helper
load ../site

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    make_site
    txnroute responsibility set site/hq.db rep --package sales
    txnroute user add site/hq.db bob --responsibility rep
    mkdir all
    printf '[package]\nname = office\nversion = 1\n[object account]\nvisible = all\n[object product]\nvisible = all\n' >all/package.conf
    txnroute load site/hq.db all
    initsync alice.db site --node alice
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    cp -r "$BATS_FILE_TMPDIR"/. .
}

@test "a node without a package gets that of its user's responsibility, and its copy is made" {
    txnroute node add site/hq.db bobs-laptop --user bob
    run -0 initsync b.db site --node bobs-laptop
    right b.db bobs-laptop
    [ "$(sql b.db "SELECT value FROM dx_meta WHERE name = 'package'")" = sales ]
    run -0 txnroute user list site/hq.db
    [[ $output == bob*rep*active ]]
    run -0 txnroute responsibility list site/hq.db
    [[ $output == rep*sales ]]
}

@test "an unknown user, one without a package, and an unknown package are refused with what to do" {
    run -3 txnroute node add site/hq.db x --user nobody
    [[ $output == *"there is no user nobody"*"txnroute user add"* ]]
    txnroute user add site/hq.db carol --responsibility boss
    run -3 txnroute node add site/hq.db x --user carol
    [[ $output == *"responsibility boss, which has no package"* ]]
    run -3 txnroute responsibility set site/hq.db boss --package none
    [[ $output == *"there is no package none"* ]]
    run -2 txnroute node add site/hq.db x
    run -2 txnroute user add site/hq.db x
    run -2 txnroute user grow site/hq.db x
    run -2 txnroute package publish site/hq.db
    run -3 txnroute package publish site/hq.db none
}

@test "a package that is not published gives no new copy; those that are there go on" {
    txnroute package withdraw site/hq.db sales
    run -3 initsync bob.db site --node bob
    [[ $output == *"package 'sales' is not published"* ]]
    [ ! -e bob.db ]
    run -0 remotesync alice.db site
    run -0 txnroute package list site/hq.db
    [[ $output == *"sales"*"not published"*" active"* ]]
    txnroute package publish site/hq.db sales
    run -0 initsync bob.db site --node bob
}

@test "a package that is not active is not served, and nothing is lost meanwhile" {
    txnroute package deactivate site/hq.db sales
    sql alice.db "UPDATE account SET city = 'Turku' WHERE rowid = (SELECT min(rowid) FROM account)"
    run -3 remotesync alice.db site
    [[ $output == *"package 'sales' is not active"* ]]
    run -3 initsync bob.db site --node bob
    txnroute package activate site/hq.db sales
    run -0 remotesync --now alice.db site
    right alice.db
    [ "$(sql site/hq.db "SELECT count(*) FROM account WHERE city = 'Turku'")" = 1 ]
}

@test "sessions of a user that has been ended are refused, until the user is taken up again" {
    initsync bob.db site --node bob
    txnroute user end site/hq.db bob
    run -3 remotesync bob.db site
    [[ $output == *"user 'bob' has been ended here"* ]]
    run -0 remotesync alice.db site
    txnroute user add site/hq.db bob --responsibility rep
    run -0 remotesync bob.db site
    run -3 txnroute user end site/hq.db nobody
}

@test "another package of a responsibility reaches its users' nodes with a new copy, which keeps what was changed" {
    txnroute node add site/hq.db bobs --user bob
    initsync bobs.db site --node bobs
    sql bobs.db "UPDATE account SET city = 'Lagos' WHERE rowid = (SELECT min(rowid) FROM account)"
    txnroute responsibility set site/hq.db rep --package office
    run -7 remotesync bobs.db site
    [[ $output == *"initsync"* ]]
    initsync bobs.db site --node bobs
    remotesync --now bobs.db site
    right bobs.db bobs
    [ "$(sql site/hq.db "SELECT count(*) FROM account WHERE city = 'Lagos'")" = 1 ]
    # Whose package was named is not moved.
    run -0 remotesync alice.db site
    txnroute user add site/hq.db bob --responsibility rep
    txnroute node set site/hq.db bobs --package sales
    [ "$(txnroute node list site/hq.db bobs --json | jq -r '.[0].package')" = sales ]
}

@test "a node that gets another user goes on with the difference, and what the user before had not sent is merged" {
    txnroute node set site/hq.db bob --user carol
    dxcron site
    initsync bob.db site --node bob
    gone=$(sql alice.db "ATTACH 'bob.db' AS b; SELECT row_id FROM main.account WHERE row_id NOT IN (SELECT row_id FROM b.account) LIMIT 1")
    for routed in '' first; do
        sql alice.db "UPDATE account SET city = 'Unsent$routed' WHERE row_id = '$gone'"
        txnroute node set site/hq.db alice --user carol
        [ -z "$routed" ] || dxcron site
        run -0 remotesync --now --prove alice.db site
        [ -z "$(sql alice.db "SELECT city FROM account WHERE row_id = '$gone'")" ]
        [ "$(sql site/hq.db "SELECT city FROM account WHERE row_id = '$gone'")" = "Unsent$routed" ]
        diff <(txnlog digest alice.db) <(txnlog digest bob.db)
        txnroute node set site/hq.db alice --user alice
        run -0 remotesync --now --prove alice.db site
    done
}
