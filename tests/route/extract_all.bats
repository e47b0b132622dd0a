#!/usr/bin/env bats
# Snapshots of many nodes in one pass, for media: each is what `txnroute extract` of that node alone would be.

load ../helper
load ../site

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    make_site
    txnroute node add site/hq.db carol --package sales --user alice
    mkdir office
    printf '[package]\nname = office\nversion = 1\n[object account]\nvisible = all\n' >office/package.conf
    txnroute load site/hq.db office
    txnroute node add site/hq.db dan --package office
    initsync alice.db site --node alice
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    cp -a "$BATS_FILE_TMPDIR"/{site,alice.db,alice.db-dx} .
    mkdir media
}

# from_media NODE...: the copies that come of the files, each the server's view of its node, also after a session.
from_media() {
    local who
    for who; do
        rm -f "$who.db"
        dxapply "$who.db" <"media/$who.dx"
        right "$who.db"
    done
    for who; do
        sql site/hq.db "UPDATE account SET city = 'After $who'"
        dxcron site
        remotesync "$who.db" site
        right "$who.db"
    done
}

@test "every active node gets a file, also of changes that were not routed yet; copies that come of them go on" {
    sql site/hq.db "UPDATE account SET name = 'New'" "UPDATE position SET login = 'bob' WHERE row_id = 'P-001'"
    txnroute node add site/hq.db eve --package office
    txnroute node end site/hq.db dan
    run -0 txnroute extract --all site/hq.db media
    [ "$output" = $'media/alice.dx\nmedia/bob.dx\nmedia/carol.dx\nmedia/eve.dx' ]
    [ "$(ls -A media)" = $'alice.dx\nbob.dx\ncarol.dx\neve.dx' ]
    from_media bob carol eve
    remotesync alice.db site # her copy was in use, and goes on
    right alice.db
}

@test "a copy that is in use goes on until the one of the file reports back" {
    txnroute extract --all site/hq.db media
    sql site/hq.db "UPDATE account SET city = 'Oslo'"
    dxcron site
    dxapply new.db <media/alice.dx
    cp -a site before
    remotesync alice.db site
    right alice.db
    rm -r site
    mv before site
    remotesync new.db site
    right new.db alice
    run -3 remotesync alice.db site
}

@test "the files hold the rows that extracts of the nodes one by one hold" {
    cp -a site other
    txnroute extract --all site/hq.db media
    for who in alice bob carol dan; do
        txnroute extract other/hq.db $who >one.dx
        diff <(dxpack cat "media/$who.dx" | sort) <(dxpack cat one.dx | sort)
        [ "$(dxpack list --json "media/$who.dx" | jq -c '[.to, .package, .number, .ack, [.tables[].name]]')" = \
            "$(dxpack list --json one.dx | jq -c '[.to, .package, .number, .ack, [.tables[].name]]')" ]
    done
}

@test "only nodes without a session since a date; a date that is none, and no directory" {
    run -0 txnroute extract --all --not-since 2020-01-01 site/hq.db media
    [ "$output" = $'media/bob.dx\nmedia/carol.dx\nmedia/dan.dx' ]
    run -0 txnroute extract --all --not-since 2099-01-01T00:00:00Z site/hq.db media
    [ "${lines[0]}" = media/alice.dx ]
    run -2 txnroute extract --all --not-since soon site/hq.db media
    run -2 txnroute extract --all site/hq.db nowhere
    run -2 txnroute extract --not-since 2020-01-01 site/hq.db alice
}

@test "what cannot be written changes nothing: no file, no numbering" {
    before=$(sql site/hq.db "SELECT * FROM dx_nodes" "SELECT count(*) FROM dx_archive")
    mkdir media/.carol.dx.part
    run -4 txnroute extract --all site/hq.db media
    [ "$(ls -A media)" = .carol.dx.part ]
    [ "$(sql site/hq.db "SELECT * FROM dx_nodes" "SELECT count(*) FROM dx_archive")" = "$before" ]
}

@test "signed, each with the key of the server" {
    ssh-keygen -q -t ed25519 -N '' -f key
    echo "@server $(cat key.pub)" >signers
    txnroute extract --all --sign key site/hq.db media
    for who in alice bob carol dan; do dxpack verify --signers signers --by @server "media/$who.dx"; done
}
