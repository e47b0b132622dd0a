#!/usr/bin/env bats
# A stick, or any directory that is carried or kept in step by other means: messages of nodes and answers of the server are
# files in it; neither end sees the other's database.

load ../helper
load ../site

# The prepared site, alice's copy of it, and what stands on her stick, are made once and copied for each test.
setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    make_site
    mkdir stick
    initsync alice.db site --node alice
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    cp -r "$BATS_FILE_TMPDIR"/. .
}

change() {
    sql alice.db "UPDATE account SET name = '$1' WHERE rowid = (SELECT min(rowid) FROM account)"
}

office() {
    timeout 60 dxserve --site "$PWD/site" --stick "${1:-stick}"
}

@test "a new copy is asked for on a stick, answered by the server, and made from the answer" {
    rm -rf alice.db*
    run -7 initsync alice.db stick --node alice
    [[ $output == *"stick/alice.up"* ]]
    [ ! -e alice.db ]
    run -0 office
    run -0 initsync alice.db stick --node alice
    right alice.db
    [ ! -e alice.db-dx/copy-asked ]
    no_litter alice.db-dx site stick
}

@test "a copy that was asked for once is made once, however often the server looks at the stick" {
    rm -rf alice.db*
    run -7 initsync alice.db stick --node alice
    run -0 office
    cp stick/alice.down down
    run -0 office
    cmp down stick/alice.down
    run -0 initsync alice.db stick --node alice
    right alice.db
}

@test "changes of both sides cross on a stick, and are acknowledged" {
    change Turku
    sql site/hq.db "UPDATE account SET city = 'Oslo'"
    run -0 remotesync -v alice.db stick
    [[ $output == *"left"*"stick/alice.up"* ]]
    run -0 office
    [ "$(sql site/hq.db "SELECT count(*) FROM account WHERE name = 'Turku'")" = 1 ]
    run -0 remotesync alice.db stick
    right alice.db
    [ "$(find alice.db-dx/outbox -maxdepth 1 -name '*.dx')" = "" ]
    no_litter alice.db-dx site stick
}

@test "a node that only reads is heard: what it has applied goes from its outbox, and the server's log is trimmed" {
    sql site/hq.db "UPDATE account SET city = 'Oslo'"
    dxcron site
    [ -e site/docking/alice/outbox/00000002.dx ]
    remotesync alice.db stick
    office
    remotesync alice.db stick
    office
    [ ! -e site/docking/alice/outbox/00000002.dx ]
    [ "$(txnroute status site/hq.db site/docking --json | jq -r '.nodes[] | select(.name == "alice") | .applied')" = 2 ]
}

@test "the same stick read twice at either end changes nothing" {
    change Turku
    remotesync alice.db stick
    office
    cp stick/alice.down down
    run -0 office
    cmp down stick/alice.down
    remotesync alice.db stick
    right alice.db
    cp down stick/alice.down
    run -0 remotesync alice.db stick
    right alice.db
}

@test "two sticks at once, the older one coming last, end right" {
    mkdir second
    change Turku
    remotesync alice.db stick
    change Lagos
    remotesync alice.db second
    run -0 office second
    run -1 office stick
    [[ $output == *"older than what came from alice since"* ]]
    run -0 remotesync alice.db second
    run -0 remotesync alice.db stick
    run -0 office stick
    run -0 remotesync alice.db stick
    right alice.db
    [ "$(sql site/hq.db "SELECT count(*) FROM account WHERE name = 'Lagos'")" = 1 ]
}

@test "a stick from last month is refused by the server, and its answer does no harm to a copy that went on" {
    change Turku
    remotesync alice.db stick
    change Lagos
    remotesync --now alice.db site
    remotesync --now alice.db site
    run -1 office
    [[ $output == *"stick/alice.up: refused"* ]]
    change York
    run -0 remotesync alice.db stick
    run -0 office
    run -0 remotesync alice.db stick
    right alice.db
    [ "$(sql site/hq.db "SELECT count(*) FROM account WHERE name = 'York'")" = 1 ]
}

@test "a stick of another site is refused at both ends, and left as it is" {
    mkdir other
    (cd other && make_site && mkdir stick && initsync alice.db site --node alice && remotesync alice.db stick &&
        dxserve --site "$PWD/site" --stick stick)
    change Turku
    sha256sum other/stick/* >sums
    run -3 remotesync alice.db other/stick
    [[ $output == *"left by another copy, or for another server"* ]]
    sha256sum -c sums
    remotesync alice.db stick
    run -1 dxserve --site "$PWD/other/site" --stick stick
    [[ $output == *"alice.up: refused"* ]]
    [ "$(sql other/site/hq.db "SELECT count(*) FROM account WHERE name = 'Turku'")" = 0 ]
}

@test "a message or an answer that is cut off or damaged is refused, and the next one is right" {
    local size
    change Turku
    sql site/hq.db "UPDATE account SET city = 'Oslo'"
    remotesync alice.db stick
    cp stick/alice.up up
    size=$(stat -c %s up)
    for cut in 0 100 $((size - 4)); do
        head -c $cut up >stick/alice.up
        run -1 office
    done
    run -0 remotesync -v alice.db stick
    [[ $output == *"answers an older message"* ]]
    cp alice.db-dx/left left
    run -0 office
    cp stick/alice.down down
    size=$(stat -c %s down)
    for cut in 100 $((size - 4)); do
        head -c $cut down >stick/alice.down
        cp left alice.db-dx/left
        run remotesync alice.db stick
        [[ $status == [03] ]]
    done
    run -0 office
    run -0 remotesync alice.db stick
    right alice.db
}

@test "a server restored from a backup, met by stick, gets again what it lost" {
    cp site/hq.db backup.db
    change Turku
    remotesync alice.db stick
    office
    remotesync alice.db stick
    right alice.db
    rm site/hq.db*
    mv backup.db site/hq.db
    txnlog status site/hq.db >/dev/null || true
    run -1 office
    run -7 remotesync alice.db stick
    office
    run -1 remotesync alice.db stick
    office
    run remotesync alice.db stick
    [ "$(sql site/hq.db "SELECT count(*) FROM account WHERE name = 'Turku'")" = 1 ]
    right alice.db
}

@test "messages that are links, pipes or of unknown nodes are left alone, and the others are answered" {
    echo secret >secret
    change Turku
    remotesync alice.db stick
    ln -s "$PWD/secret" stick/bob.up
    cp stick/alice.up stick/nobody.up
    mkfifo stick/carol.up
    ln -s "$PWD/secret" stick/alice.down
    run -1 office
    [[ $output == *"bob.up: no regular file"* && $output == *"no node 'nobody'"* ]]
    [ "$(cat secret)" = secret ]
    [ ! -e stick/bob.down ]
    remotesync alice.db stick
    right alice.db
}

@test "a message under another node's name is refused" {
    change Turku
    remotesync alice.db stick
    mv stick/alice.up stick/bob.up
    run -1 office
    [[ $output == *"bob.up: refused"* ]]
    [ "$(sql site/hq.db "SELECT count(*) FROM account WHERE name = 'Turku'")" = 0 ]
}

@test "where the site demands signatures, messages and answers are signed and checked" {
    local who
    for who in server alice mallory; do ssh-keygen -q -t ed25519 -N '' -C $who -f $who; done
    mv server site/key
    echo "alice namespaces=\"dx\" $(cat alice.pub)" >site/signers
    printf '[site]\nsign = required\nsigners = signers\nkey = key\n' >site/site.conf
    echo "@server namespaces=\"dx\" $(cat server.pub)" >alice.db-dx/signers
    cp alice alice.db-dx/key
    change Turku
    remotesync alice.db stick
    ssh-keygen -q -Y sign -n dx -f mallory <stick/alice.up >forged.sig
    cp stick/alice.up.sig good.sig
    cp forged.sig stick/alice.up.sig
    run -1 office
    [[ $output == *"not signed by alice"* ]]
    [ ! -e stick/alice.down ]
    cp good.sig stick/alice.up.sig
    run -0 office
    cp stick/alice.down.sig good.sig
    ssh-keygen -q -Y sign -n dx -f mallory <stick/alice.down >stick/alice.down.sig
    run -3 remotesync alice.db stick
    [[ $output == *"not signed by the server"* ]]
    cp good.sig stick/alice.down.sig
    run -0 remotesync alice.db stick
    right alice.db
}

@test "a stick without signatures is named: who holds it speaks for any node, with --node for that one" {
    change Turku
    remotesync alice.db stick
    run -0 office
    [[ $output == *"messages there are not signed: who holds it speaks for each node, and can ask for any copy"* ]]
    run -0 dxserve --site "$PWD/site" --stick stick --node alice
    [[ $output == *"who holds it speaks for alice, and can ask for its copy"* ]]
    run -1 txnroute check site
    [[ $output == *"site/docking/stick.lock: sticks are used here, and their messages are not signed"* ]]
    ssh-keygen -q -t ed25519 -N '' -f key
    echo "alice namespaces=\"dx\" $(cat key.pub)" >site/signers
    printf '[site]\nsign = required\nsigners = signers\n' >site/site.conf
    run -1 office
    [[ $output != *"not signed: who holds"* && $output == *"not signed by alice"* ]]
    run txnroute check site
    [[ $output != *"sticks are used"* ]]
}

@test "a stick answers not at once: --now and --prove are wrong usage with it" {
    run -2 remotesync --now alice.db stick
    run -2 remotesync --prove alice.db stick
}

@test "access = group: sessions, sticks and routing by hand leave nothing at the site that a member of the group cannot go on with" {
    umask 022
    rm -r site/docking alice.db*
    chmod 660 site/hq.db
    printf '[site]\naccess = group\n' >site/site.conf
    initsync alice.db site --node alice
    sql alice.db "UPDATE account SET name = name || ' x'"
    remotesync alice.db site
    sql alice.db "UPDATE account SET name = name || ' y'"
    remotesync alice.db stick || [ $? -eq 7 ]
    dxserve --site "$PWD/site" --stick stick || [ $? -eq 1 ] # bob has never asked for what was removed
    sql site/hq.db "UPDATE product SET price = price + 1"
    rm -rf site/docking/bob
    txnroute run site/hq.db site/docking </dev/null
    [ -z "$(find site ! -name site ! -name site.conf \( -perm /007 -o ! -perm -060 \))" ] || { find site -ls; return 1; }
    [ "$(stat -c %a site/docking/alice/lock stick/alice.down | sort -u)" = 660 ]
    [ "$(find site/docking -type d -printf '%m\n' | sort -u)" = 770 ]
}

# soon COMMAND...: ends within a minute, whatever it waits for.
soon() {
    timeout 60 "$@"
}

@test "pipes, directories, links and devices on a stick hold nobody up: not the server, not the other nodes, not a node" {
    initsync bob.db site --node bob
    change Turku
    remotesync alice.db stick
    remotesync bob.db stick
    mkdir -p stick/alice.down/x
    run -1 office
    [[ $output == *"stick/alice.down: cannot be written"* ]]
    [ -f stick/bob.down ]
    rm -r stick/alice.down
    for name in alice.down bob.down; do rm -f stick/$name && mkfifo stick/$name; done
    run -0 office
    [ -f stick/alice.down ] && [ -f stick/bob.down ]
    cp stick/alice.up good.up
    for file in alice.up alice.down; do
        rm stick/$file && mkfifo stick/$file
        run soon remotesync alice.db stick
        [[ $status -ne 124 ]] && [[ $file = alice.up || $output == *"no regular file"* ]]
        rm -f stick/$file
    done
    mkfifo stick/alice.up
    run -1 office
    [[ $output == *"alice.up: no regular file"* ]]
    rm stick/alice.up
    { sed -n 1,2p good.up && echo 'copy -' && echo over; } >stick/alice.up
    rm -f stick/alice.down && mkfifo stick/alice.down
    run office
    [ "$status" -le 1 ] && [ -f stick/alice.down ]
}
