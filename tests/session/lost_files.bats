# What waits for nodes is lost: the docking directory, or a file in it. Nobody stays stale in silence, and nothing that was
# changed is lost.
load ../helper
load ../site

# alice and bob have copies; two archives wait for alice, who has changed a row as well.
setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    make_site
    make_clients
    for city in Oslo Turku; do
        sql site/hq.db "UPDATE account SET city = '$city'"
        dxcron site
    done
    remotesync bob.db site
    sql alice.db "UPDATE account SET name = 'mine' WHERE rowid = (SELECT min(rowid) FROM account)"
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    cp -r "$BATS_FILE_TMPDIR"/. .
}

# alice is named and refused; the way out that is printed brings her copy and her change home, and all is quiet again.
alice_comes_back() {
    run -1 dxcron site
    [[ $output == *"node alice: archives after "*" are not confirmed, and $1 of them not in docking/alice/outbox; "*"initsync LOCAL.db SITE --node alice"* ]]
    run -1 txnroute status site/hq.db site/docking --missing
    [[ $output == "node alice: "* ]]
    run -3 remotesync alice.db site
    [[ $output == *"is missing on the server"*"initsync LOCAL.db SITE --node NAME"* ]]
    initsync alice.db site --node alice
    remotesync --now alice.db site
    right alice.db
    [ "$(sql site/hq.db "SELECT count(*) FROM account WHERE name = 'mine'")" = 1 ]
    remotesync --now bob.db site
    right bob.db
    run -0 dxcron site
    run -0 txnroute status site/hq.db site/docking --missing
    [ -z "$output" ]
}

@test "a file gone from an outbox is named by dxcron, and the way out makes the copy right again" {
    rm "$(find site/docking/alice/outbox -name '*.dx' | sort | head -n 1)"
    alice_comes_back 1
}

@test "the newest file gone from an outbox is named, and the way out makes the copy right again" {
    rm "$(find site/docking/alice/outbox -name '*.dx' | sort | tail -n 1)"
    alice_comes_back 1
}

@test "a file gone from the middle of an outbox: remotesync --yes makes the copy again by itself, with what was changed in it" {
    sql site/hq.db "UPDATE account SET city = 'Bergen'"
    dxcron site
    rm "$(find site/docking/alice/outbox -name '*.dx' | sort | sed -n 2p)"
    run -1 dxcron site
    [[ $output == *"node alice: archives after "*" are not confirmed, and 1 of them not in docking/alice/outbox; "* ]]
    remotesync --yes --now alice.db site
    right alice.db
    [ "$(sql site/hq.db "SELECT count(*) FROM account WHERE name = 'mine'")" = 1 ]
    remotesync bob.db site
    run -0 dxcron site
}

@test "a lost file is named where as many are there that the node has applied, and that no session has removed" {
    number=$(txnroute status site/hq.db --json | jq '.nodes[] | select(.name == "alice") | .archive')
    dxapply alice.db <"$(printf 'site/docking/alice/outbox/%08d.dx' $((number - 1)))"
    txnlog upload alice.db up >/dev/null
    mkdir -p site/docking/alice/inbox
    cp up/*.dx site/docking/alice/inbox/
    dxcron site
    rm "$(printf 'site/docking/alice/outbox/%08d.dx' "$number")"
    run -1 txnroute status site/hq.db site/docking --missing
    [[ $output == "node alice: archives after $((number - 1)) are not confirmed, and "* ]]
}

@test "a node's directory that is lost is named by dxcron, and the way out makes the copy right again" {
    rm -r site/docking/alice
    alice_comes_back 2
}

@test "a docking directory that is lost is named by dxcron and status, and the way out makes the copies right again" {
    rm -r site/docking
    run -1 txnroute status site/hq.db site/docking
    [[ $output == *$'\n'"docking: site/docking: no such directory; what waited there for nodes is lost"$'\n'* ]]
    run -1 txnroute status site/hq.db
    [[ $output == *"/site/docking: no such directory; "* ]]
    [ "$(txnroute status site/hq.db --json | jq .docking_missing)" = true ]
    alice_comes_back 2
}

@test "txnroute run does not make a lost docking directory again, nor another in its place" {
    rm -r site/docking
    sql site/hq.db "UPDATE account SET city = 'Bergen'"
    before=$(sqlite3 site/hq.db .dump)
    for command in "txnroute run site/hq.db" "txnroute run site/hq.db site/docking" "txnroute run site/hq.db --node bob"; do
        # shellcheck disable=SC2086 # words of a command
        run -3 $command </dev/null
        [[ $output == *"site/docking: no such directory; the archives so far were put into docking. "*"make it; \`txnroute status --missing\`"* ]]
    done
    [ "$(sqlite3 site/hq.db .dump)" = "$before" ]
    [ "$(find site -mindepth 1 -maxdepth 1 -type d)" = "" ]
}

@test "a node that has applied all goes on with its copy when the docking directory is lost" {
    remotesync bob.db site
    rm -r site/docking
    remotesync bob.db site
    sql site/hq.db "UPDATE account SET city = 'Bergen'"
    run -1 dxcron site
    [[ $output != *"node bob"* ]]
    remotesync bob.db site
    right bob.db
}

@test "--missing goes with no other choice of nodes" {
    run -2 txnroute status site/hq.db --missing --json
    run -2 txnroute status site/hq.db --missing --behind
}
