#!/usr/bin/env bats
# New versions of a device's software: staged at the server, carried by a session, installed in integrated synchronization,
# which is then repeated before the device may start.

load ../helper
load ../site

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    make_site
    initsync alice.db site --node alice
    hhextract pair alice.db palm.db --device palm
    mkdir -p app/bin
    echo 'version two' >app/bin/field
    echo help >app/help.txt
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    cp -r "$BATS_FILE_TMPDIR"/. .
    sql alice.db "UPDATE dx_meta SET value = '$PWD/palm.db' WHERE name = 'device:palm'"
}

stage() {
    txnroute patch site/hq.db "${2:-app}" --version "$1" --for handheld
}

change() {
    sql palm.db "UPDATE product SET name = '$1' WHERE rowid = 1"
}

@test "the story: a staged patch ends integrated synchronization after its second step; the second one completes it" {
    stage 2.0
    change 'from palm'
    sql site/hq.db "UPDATE account SET city = 'Oslo'"
    run -7 integratedsync --now alice.db palm.db site
    [[ $output == *"palm.db: version 2.0 was installed"*"once more before you use the device"* ]]
    [ "$(cat palm.db-app/current/bin/field)" = 'version two' ]
    # What the device sent has reached the server; what is new has not reached the device.
    [ "$(sql alice.db "SELECT count(*) FROM account WHERE city = 'Oslo'")" -gt 0 ]
    [ "$(sql palm.db "SELECT count(*) FROM account WHERE city = 'Oslo'")" = 0 ]
    run -7 hhextract ready palm.db
    [[ $output == *"not ready: version 2.0 was installed; synchronize again"* ]]
    run -0 integratedsync alice.db palm.db site
    run -0 hhextract ready palm.db
    [ "$(sql palm.db "SELECT count(*) FROM account WHERE city = 'Oslo'")" -gt 0 ]
    run -0 integratedsync alice.db palm.db site
}

@test "what is executable at the server is so on the device, whatever else its mode says" {
    chmod 6755 app/bin/field
    stage 2.0
    run -7 integratedsync alice.db palm.db site
    [ "$(stat -c %a palm.db-app/2.0/bin/field)" = 700 ]
    [ "$(stat -c %a palm.db-app/2.0/help.txt)" = 600 ]
    # A mode of another maker: setuid, setgid and writable for all.
    cp app/bin/field forged
    chmod 6777 forged
    tar --format=pax -cf - forged | seal >payload
    { echo "dx-patch 1 handheld 9.0 $(sha256sum <payload | cut -c 1-64) 0" && cat payload; } >patch
    umask 077
    run -7 hhextract patch alice.db palm.db patch
    [ "$(stat -c %a palm.db-app/9.0/forged)" = 700 ]
}

@test "a companion synchronization is a second synchronization, too; half of one is not" {
    stage 2.0
    run -7 integratedsync alice.db palm.db site
    run -0 companionsync --upload alice.db palm.db
    run -7 hhextract ready palm.db
    run -0 companionsync alice.db palm.db
    run -0 hhextract ready palm.db
}

@test "a patch travels once, and is not installed by companionsync, nor by remotesync" {
    stage 2.0
    run -0 remotesync alice.db site
    [ -e alice.db-dx/patch ]
    run -0 remotesync alice.db site
    [[ $(tail -n 1 alice.db-dx/session.log) == *"fetched=0/"* ]]
    run -0 companionsync alice.db palm.db
    [ ! -e palm.db-app ]
    run -0 hhextract ready palm.db
}

@test "a node without a device gets no patch" {
    stage 2.0
    initsync bob.db site --node bob
    remotesync bob.db site
    [ ! -e bob.db-dx/patch ]
}

@test "a newer patch replaces the one before, which is kept for a rollback; what was rolled back is not installed again" {
    stage 2.0
    run -7 integratedsync alice.db palm.db site
    integratedsync alice.db palm.db site
    echo 'version two ten' >app/bin/field
    stage 2.10
    run -7 integratedsync alice.db palm.db site
    [ "$(cat palm.db-app/current/bin/field)" = 'version two ten' ]
    [ "$(cat palm.db-app/2.0/bin/field)" = 'version two' ]
    run -7 hhextract patch --rollback alice.db palm.db
    [ "$(cat palm.db-app/current/bin/field)" = 'version two' ]
    run -0 integratedsync alice.db palm.db site
    run -0 hhextract ready palm.db
    [ "$(cat palm.db-app/current/bin/field)" = 'version two' ]
    run -3 hhextract patch --rollback alice.db palm.db
    stage 2.11
    run -7 integratedsync alice.db palm.db site
}

@test "an older version is not staged over a newer one; a withdrawn patch is not installed" {
    stage 2.10
    run -3 txnroute patch site/hq.db app --version 2.9 --for handheld
    [[ $output == *"version 2.10 is staged"* ]]
    run -0 txnroute patch site/hq.db
    [[ $output == "handheld 2.10 "* ]]
    remotesync alice.db site
    txnroute patch site/hq.db --withdraw
    run -0 txnroute patch site/hq.db
    [ -z "$output" ]
    run -0 integratedsync alice.db palm.db site
    [ ! -e palm.db-app ]
    [ ! -e alice.db-dx/patch ]
}

@test "what is no regular file, and a wrong version or target, is not staged" {
    ln -s /etc/passwd app/link
    run -3 stage 2.0
    [[ $output == *"app/link"* ]]
    rm app/link
    mkfifo app/pipe
    run -3 stage 2.0
    rm app/pipe
    run -2 stage ../2
    run -2 stage current
    run -2 txnroute patch site/hq.db app --version 2.0 --for laptop
    run -2 txnroute patch site/hq.db app
    mkdir empty
    run -3 stage 2.0 empty
    run -0 txnroute patch site/hq.db
    [ -z "$output" ]
}

@test "a damaged patch leaves the device as it was, and ready; the synchronization goes on" {
    stage 2.0
    remotesync alice.db site
    local size
    size=$(stat -c %s alice.db-dx/patch)
    cp alice.db-dx/patch good
    printf x | dd of=alice.db-dx/patch bs=1 seek=$((size / 2)) conv=notrunc status=none
    run -3 hhextract patch alice.db palm.db
    [[ $output == *"no patch file, or a damaged one"* ]]
    head -c $((size - 9)) good >alice.db-dx/patch
    run -3 hhextract patch alice.db palm.db
    run -0 hhextract ready palm.db
    [ ! -e palm.db-app/current ]
    # The next session brings it whole.
    run -7 integratedsync alice.db palm.db site
}

@test "a patch that cannot be unpacked leaves the device as it was, and ready" {
    stage 2.0
    touch palm.db-app
    run -1 integratedsync alice.db palm.db site
    [[ $output == *"the patch was not installed"* ]]
    run -0 hhextract ready palm.db
    rm palm.db-app
    run -7 integratedsync alice.db palm.db site
}

@test "names that lead elsewhere are refused, wherever the patch comes from" {
    local name payload
    for name in ../evil /tmp/dx-evil a/../../evil; do
        printf x >file
        tar --format=pax -P --transform "s,^file\$,$name," -cf - file | seal >payload
        { echo "dx-patch 1 handheld 9.0 $(sha256sum <payload | cut -c 1-64) 0" && cat payload; } >forged
        run -3 hhextract patch alice.db palm.db forged
        [[ $output == *"leads elsewhere"* || $output == *".."* ]] || { echo "$output"; return 1; }
    done
    tar --format=pax -cf - file | seal >payload
    { echo "dx-patch 1 handheld 9.0 $(sha256sum <payload | cut -c 1-64) 0" && cat payload; } >right
    [ ! -e evil ]
    [ ! -e palm.db-app/evil ]
    [ ! -e /tmp/dx-evil ]
    [ ! -e palm.db-app/current ]
    run -0 hhextract ready palm.db
    run -7 hhextract patch alice.db palm.db right
    [ "$(cat palm.db-app/current/file)" = x ]
}

@test "an installation killed at any of its steps is completed by the next one" {
    local at
    stage 2.0
    remotesync alice.db site
    cp palm.db before.db
    for at in 1 2; do
        rm -rf palm.db* && cp before.db palm.db
        DX_STOP_AT=$at run hhextract patch alice.db palm.db
        [ "$status" -ne 0 ]
        run -7 integratedsync alice.db palm.db site || run -0 integratedsync alice.db palm.db site
        integratedsync alice.db palm.db site
        run -0 hhextract ready palm.db
        [ "$(cat palm.db-app/current/bin/field)" = 'version two' ]
    done
}

@test "with signers beside the copy only a patch signed by the server is installed" {
    local who
    for who in server mallory; do ssh-keygen -q -t ed25519 -N '' -C $who -f $who; done
    echo "@server namespaces=\"dx\" $(cat server.pub)" >signers
    txnroute patch site/hq.db app --version 2.0 --for handheld --sign mallory
    remotesync alice.db site
    run -3 hhextract patch --signers signers alice.db palm.db
    [ ! -e palm.db-app/current ]
    txnroute patch site/hq.db --withdraw
    stage 2.0
    remotesync alice.db site
    run -3 hhextract patch --signers signers alice.db palm.db
    [[ $output == *"not signed"* ]]
    txnroute patch site/hq.db --withdraw
    txnroute patch site/hq.db app --version 2.0 --for handheld --sign server
    remotesync alice.db site
    run -7 hhextract patch --signers signers alice.db palm.db
}

@test "a device below the release that handheld.conf asks for gets nothing until it is patched" {
    printf '[handheld]\nname = field\nrelease = 2.0\n[object product]\nfilter = all\n' >handheld.conf
    rm palm.db*
    hhextract pair alice.db palm.db --device palm --anew --conf handheld.conf
    hhextract ready palm.db --software 1.9
    run -3 integratedsync alice.db palm.db site
    [[ $output == *"its software is 1.9, and handheld.conf asks for 2.0 at least"* ]]
    stage 2.0
    run -7 integratedsync alice.db palm.db site
    run -0 integratedsync alice.db palm.db site
    run -0 hhextract ready palm.db
}

@test "a patch comes by stick, too" {
    mkdir stick
    stage 2.0
    run -0 integratedsync alice.db palm.db stick
    dxserve --site "$PWD/site" --stick stick
    run -7 integratedsync alice.db palm.db stick
    run -0 companionsync alice.db palm.db
    [ "$(cat palm.db-app/current/help.txt)" = help ]
}
