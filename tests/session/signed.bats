#!/usr/bin/env bats
# Signatures at a site: what site.conf says of them, and of uploads that cannot be merged, is what dxcron, dxserve and
# the clients do.

load ../helper
load ../site

# The prepared site is made once and copied for each test. It demands signatures and makes them.
setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    local who
    make_site
    for who in server alice bob mallory; do ssh-keygen -q -t ed25519 -N '' -C "$who" -f $who; done
    mv server site/key
    for who in alice bob; do echo "$who namespaces=\"dx\" $(cat $who.pub)"; done >site/signers
    echo "@server namespaces=\"dx\" $(cat server.pub)" >signers
    conf
    for who in alice bob; do
        mkdir $who.db-dx
        cp signers $who.db-dx/
        cp $who $who.db-dx/key
    done
    make_clients
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    cp -r "$BATS_FILE_TMPDIR"/. .
}

# conf [BAD]: a site.conf that demands signatures.
conf() {
    printf '[uploads]\nbad = %s\n[site]\nsign = required\nsigners = signers\nkey = key\n' "${1:-skip}" >site/site.conf
}

# add NODE ID: a contact that is new in the node's copy.
add() {
    sql "$1.db" "INSERT INTO contact (row_id, account_id, last_name, last_upd)
        SELECT '$2', row_id, 'Quist', '2026' FROM account ORDER BY row_id LIMIT 1"
}

# arrived ID COUNT: so many contacts of that ID are on the server.
arrived() {
    [ "$(sql site/hq.db "SELECT count(*) FROM contact WHERE row_id = '$1'")" = "$2" ]
}

@test "snapshots, uploads and downloads of a session are signed and checked on both sides" {
    right alice.db
    add alice A-NEW
    run -0 remotesync alice.db site
    dxpack verify --signers site/signers site/docking/alice/inbox/00000001.dx
    run -0 dxcron site
    arrived A-NEW 1
    dxpack verify --signers signers site/docking/alice/outbox/*.dx
    run -0 remotesync alice.db site
    right alice.db
    run -0 initsync alice.db site --node alice
    right alice.db
    run -0 remotesync --now --prove alice.db site
}

@test "an unsigned upload is left in the inbox with the reason, and the other nodes are served" {
    rm alice.db-dx/key
    add alice A-NEW
    add bob B-NEW
    run -0 remotesync alice.db site
    run -0 remotesync bob.db site
    run -1 dxcron site
    [[ $output == *"not signed, and a signature of alice is required"* ]]
    [[ $output == *"docking/alice/inbox/00000001.dx: left where it is"* ]]
    [ -f site/docking/alice/inbox/00000001.dx ]
    arrived A-NEW 0
    arrived B-NEW 1
    run -0 remotesync bob.db site
    right bob.db
}

@test "an upload that is signed by another key, or by that of another node, is not merged" {
    add bob B-NEW
    run -0 remotesync bob.db site
    add alice A-NEW
    for key in mallory bob; do
        rm -f alice.db-dx/outbox/*.dx site/docking/alice/inbox/*.dx
        run -0 remotesync --sign "$key" alice.db site
        run -1 dxcron site
        [[ $output == *"the signature is not one of alice by a key in signers"* ]]
        [ -f site/docking/alice/inbox/00000001.dx ]
        arrived A-NEW 0
    done
    arrived B-NEW 1
}

@test "initsync signs what was refused, and nothing of it is lost" {
    add alice A-NEW
    run -0 remotesync --sign mallory alice.db site
    run -1 dxcron site
    run -0 initsync alice.db site --node alice
    run -0 remotesync --now alice.db site
    arrived A-NEW 1
    right alice.db
}

@test "a revoked key signs no more" {
    cp alice.pub site/revoked
    echo 'revoked = revoked' >>site/site.conf
    add alice A-NEW
    add bob B-NEW
    run -0 remotesync alice.db site
    run -0 remotesync bob.db site
    run -1 dxcron site
    [[ $output == *"not one of alice"* ]]
    arrived A-NEW 0
    arrived B-NEW 1
}

@test "bad = hold holds the node of a refused upload, says so, and serves the others" {
    conf hold
    add alice A-NEW
    add bob B-NEW
    run -0 remotesync --sign mallory alice.db site
    run -0 remotesync bob.db site
    run -1 dxcron site
    [[ $output == *"node alice is held"*"txnroute node release site/hq.db alice"* ]]
    run -0 txnroute status site/hq.db site/docking
    [[ $output == *"held: its upload 00000001.dx was refused"* ]]
    arrived B-NEW 1
    rm site/docking/alice/inbox/00000001.dx
    run -0 txnroute node release site/hq.db alice
    run -0 initsync alice.db site --node alice
    run -0 remotesync --now alice.db site
    arrived A-NEW 1
}

@test "bad = stop ends the run at the first bad upload with its exit code; what was merged before stays merged" {
    conf stop
    add bob B-1
    run -0 remotesync bob.db site
    add alice A-NEW
    run -0 remotesync --sign mallory alice.db site
    add bob B-2
    touch -d '3 hours ago' site/docking/bob/inbox/00000001.dx
    touch -d '2 hours ago' site/docking/alice/inbox/00000001.dx
    run -0 remotesync bob.db site
    run -3 dxcron site
    [[ $output == *"bad = stop"* ]]
    arrived B-1 1
    arrived A-NEW 0
    [[ $(tail -n 1 site/docking/cron.log) == *"merged=1 left=1 exit=3" ]]
    [ -z "$(ls site/docking/bob/outbox)" ]
}

@test "an archive from the server without its signature is not applied, and neither is a snapshot" {
    before=$(txnlog digest alice.db)
    sql site/hq.db "UPDATE account SET name = 'Renamed'"
    run -0 txnroute run site/hq.db site/docking
    run -3 remotesync alice.db site
    [[ $output == *"not signed, and a signature of @server is required"* ]]
    [ "$(txnlog digest alice.db)" = "$before" ]
    sed -i '/^key/d' site/site.conf
    run -3 initsync alice.db site --node alice
    [ "$(txnlog digest alice.db)" = "$before" ]
    mkdir new.db-dx
    cp signers new.db-dx/
    run -3 initsync new.db site --node alice
    [ ! -e new.db ]
    conf
    run -0 initsync alice.db site --node alice
    right alice.db
}

@test "a download that says it is from a node needs the server's signature all the same" {
    echo "alice namespaces=\"dx\" $(cat alice.pub)" >>bob.db-dx/signers
    sql site/hq.db "UPDATE account SET name = 'Renamed'"
    run -0 txnroute run site/hq.db site/docking
    file=$(echo site/docking/bob/outbox/*.dx)
    run -0 dxpack extract -C d $file
    jq -c '.from = "alice"' d/dx.json >head
    dxpack cat $file | dxpack make --head head | dxpack sign --key alice >forged.dx
    dxpack verify --signers bob.db-dx/signers forged.dx
    run -3 dxapply --signers bob.db-dx/signers bob.db <forged.dx
    [[ $output == *"not one of @server"* ]]
}

@test "a site.conf or a file of signers that cannot be read lets nothing be merged" {
    add alice A-NEW
    run -0 remotesync alice.db site
    mv site/signers site/signers.away
    run -4 dxcron site
    [[ $output == *"signers: site.conf names it for signatures, and it cannot be read"* ]]
    mv site/signers.away site/signers
    echo 'nonsense' >>site/site.conf
    run -3 dxcron site
    [[ $output == *"site.conf"* ]]
    arrived A-NEW 0
    [ -f site/docking/alice/inbox/00000001.dx ]
    conf
    run -0 dxcron site
    arrived A-NEW 1
}

@test "a client's file of signers that is a link to nowhere is not as if it were absent" {
    sql site/hq.db "UPDATE account SET name = 'Renamed'"
    run -0 dxcron site
    ln -sf nowhere alice.db-dx/signers
    run -4 remotesync alice.db site
    [[ $output == *"cannot read who may sign"* ]]
}

@test "partial_days says when a part of an upload is removed" {
    mkdir -p site/docking/alice/inbox
    touch -d '5 days ago' site/docking/alice/inbox/.old.part
    touch -d '2 days ago' site/docking/alice/inbox/.new.part
    run -0 dxcron site
    [ -e site/docking/alice/inbox/.old.part ]
    printf '[grace]\npartial_days = 3\n' >>site/site.conf
    run -0 dxcron site
    [ ! -e site/docking/alice/inbox/.old.part ]
    [ -e site/docking/alice/inbox/.new.part ]
}

@test "txnroute check --get prints the values of entries, and no other" {
    run -0 txnroute check site --get sign,signers,revoked,file_bytes
    [ "$output" = "$(printf 'required\nsigners\n\n4294967296')" ]
    run -2 --separate-stderr txnroute check site --get sign,nosuch
    [ -z "$output" ]
    [[ $stderr == *"'nosuch' is no entry of site.conf"* ]]
    run -2 txnroute check site --get sign -w age=1d
}
