#!/usr/bin/env bats
# Sessions over a bad line: cut at every n-th byte, stalled, slow, far away.

load ../helper
load ../site
load ../sshd

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    make_site
    make_clients
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    cp -r "$BATS_FILE_TMPDIR"/{site,alice.db,alice.db-dx} .
}

teardown() {
    stop_sshd
}

# over OPTION...: the ssh command of a line like that; the host in SITE does not matter.
over() {
    printf '%s\n' '#!/bin/bash' "exec line $* dxserve --site '$PWD/site' --node alice" >ssh-stand-in
    chmod +x ssh-stand-in
    export DX_SSH=$PWD/ssh-stand-in
}

changes_both_ways() {
    local i
    for i in {1..10}; do
        sql site/hq.db "UPDATE product SET name = hex(randomblob($1)) WHERE row_id LIKE '%$((i % 10))'"
        dxcron site
        sql alice.db "UPDATE account SET name = hex(randomblob($1))"
        txnlog upload alice.db alice.db-dx/outbox
    done
}

@test "a session cut off at every n-th byte, in either direction, is run again and ends well" {
    changes_both_ways 200
    mkdir saved
    cp -r site alice.db alice.db-dx saved
    for where in up down; do
        for ((at = 0; at < 12000; at += $(sized 700 4100))); do
            rm -rf site alice.db*
            cp -r saved/* .
            over --cut-$where $at
            run remotesync alice.db host:
            [ "$status" -eq 4 ] || [ "$status" -eq 0 ]
            over
            run -0 remotesync alice.db host:
            [ -z "$(find site alice.db-dx -name '*.part' -o -name 'under-way')" ]
            [ "$(ls site/docking/alice/inbox | wc -l)" -eq 10 ]
        done
    done
    dxcron site || [ $? -eq 1 ]
    run -0 remotesync alice.db host:
    right alice.db
}

@test "a line that breaks every 30 KB brings large files through, byte after byte" {
    sql site/hq.db "UPDATE product SET name = hex(randomblob(800))"
    dxcron site
    for way in down up; do
        [ $way = down ] || sql alice.db "UPDATE contact SET photo = randomblob(3000)"
        code=4
        over --cut-$way 30000
        for ((tries = 0; code == 4 && tries < 30; tries++)); do
            code=0
            remotesync alice.db host: 2>said || code=$?
        done
        [ $code -eq 0 ]
        [ $tries -gt 1 ]
    done
    dxcron site
    run -0 remotesync alice.db site
    right alice.db
}

@test "a server that falls silent: the session ends after --timeout, before its first word and in the middle" {
    for at in 0 50 1000; do
        sql site/hq.db "UPDATE product SET name = hex(randomblob(2000))"
        dxcron site
        over --stall-down $at
        run -4 remotesync --timeout 1 alice.db host:
        [[ $output == *"nothing came for 1 seconds"* ]]
    done
    over
    run -0 remotesync alice.db host:
    right alice.db
}

@test "a node that falls silent: the server ends its session after idle_seconds, and a new one takes over before" {
    printf '[limits]\nidle_seconds = 4\n' >site/site.conf
    mkfifo line
    dxserve --site "$PWD/site" --node alice <line >/dev/null 3>&- &
    exec 7>line
    greeting alice.db >&7
    eventually 5 grep -q dxserve site/docking/alice/lock
    # what came in last is two seconds ago before the other one gives way: the new session waits for it
    eventually 10 remotesync alice.db site
    grep -q 'exit=6 why="another session of this node has taken over"' site/docking/alice/session.log
    exec 7>&-
    mkfifo line2
    dxserve --site "$PWD/site" --node alice <line2 >/dev/null 3>&- &
    server=$!
    exec 7>line2
    wait $server || code=$?
    exec 7>&-
    [ "${code:-0}" -eq 4 ]
    tail -n 1 site/docking/alice/session.log | grep -q 'exit=4 why="nothing came for 4 seconds'
}

@test "--limit-rate holds both directions to so many bytes a second" {
    sql site/hq.db "UPDATE product SET name = hex(randomblob(300))"
    dxcron site
    begin=${EPOCHREALTIME/./}
    run -0 remotesync --limit-rate 20000 alice.db site
    took=$((${EPOCHREALTIME/./} - begin))
    size=$(grep -o 'fetched=1/[0-9]*' alice.db-dx/session.log | tail -n 1)
    [ $took -ge $(((${size#*/} - 20000 / 4) * 1000000 / 20000)) ] # a bucket of a quarter of a second is full at first
    right alice.db
}

@test "--if-latency: a far server is left alone" {
    over --delay 200
    run -7 remotesync --if-latency 100 alice.db host:
    [[ $output == *"more than 100"*"nothing was done"* ]]
    run -0 remotesync --if-latency 60000 alice.db host:
}

two_lines() {
    [ "$(wc -l <turns)" -eq 2 ]
}

@test "ten files each way take two round trips more than ssh itself" {
    changes_both_ways 50
    rm alice.db-dx/kept 2>/dev/null || true
    start_sshd alice
    as alice
    proxy="line --delay 60 --turns $PWD/turns --connect $port"
    export DX_SSH="$DX_SSH -o ProxyUseFdpass=no -o HostKeyAlias=[127.0.0.1]:$port"
    printf '#!/bin/bash\nexec %s -o "ProxyCommand=%s" "$@"\n' "$DX_SSH" "$proxy" >far
    printf '#!/bin/bash\nexec %s -i "%s/ssh/plain" -o "ProxyCommand=%s" "$@"\n' "${DX_SSH/-i $PWD\/ssh\/alice/}" "$PWD" "$proxy" >far-plain
    chmod +x far far-plain
    ./far-plain 127.0.0.1 true
    DX_SSH=$PWD/far run -0 remotesync -v alice.db "$here"
    [[ $output == *"10 files sent"*"10 received"* ]]
    eventually 5 test -s turns
    read -r alone _ <turns
    eventually 5 two_lines
    read -r session _ < <(tail -n 1 turns)
    echo "ssh alone: $alone turns, session: $session"
    [ $((session - alone)) -le 2 ]
}

@test "a first copy is passed on while it comes; cut off anywhere, it goes on at its byte, and what applies it gets all of it" {
    sql site/hq.db "UPDATE product SET name = hex(randomblob(1000))"
    mkdir -p carol.db-dx
    txnroute node add site/hq.db carol --package sales --user alice
    carol() {
        dxpack exchange --copy carol --feed 7 -- carol.db-dx "$@" dxserve --site "$PWD/site" --node carol 7> >(cat >passed)
    }
    before=-1
    for cut in 3000 20000 30000; do
        run -4 carol line --cut-down $cut
        part=$(find carol.db-dx/inbox -name '.0.*.part')
        had=$(stat -c %s "$part")
        [ "$had" -gt "$before" ]
        before=$had
        eventually 5 cmp passed "$part" # nothing more is passed on, and no end that could be taken for the whole
    done
    run -0 carol
    cmp passed carol.db-dx/inbox/snapshot.dx
    [[ $(tail -n 1 carol.db-dx/session.log) == *"fetched=1/$(($(stat -c %s passed) - had)) "* ]]
}

@test "initsync makes a first copy while it comes: cut off, killed, and with a server that moves on or begins again" {
    sql site/hq.db "UPDATE product SET name = hex(randomblob(1000))"
    txnroute node add site/hq.db carol --package sales --user alice
    start() {
        printf '%s\n' '#!/bin/bash' "exec line $* dxserve --site '$PWD/site' --node carol" >ssh-stand-in
        run initsync carol.db host: --node carol
    }
    export DX_SSH=$PWD/ssh-stand-in
    touch ssh-stand-in
    chmod +x ssh-stand-in
    start --cut-down 60000
    [ "$status" -eq 4 ]
    [[ $output != *cut\ off\;* && $output == *"it goes on where it stopped"* ]]
    [ ! -e carol.db ]
    [ -z "$(find . -name 'new.db*')" ]
    sql site/hq.db "UPDATE product SET name = 'other' WHERE row_id LIKE '%1'" # the same copy goes on, and an archive follows
    dxcron site
    start --cut-down 30000
    [ "$status" -eq 4 ]
    setsid initsync carol.db "$PWD/site" --node carol >/dev/null 2>&1 3>&- &
    kill -9 -- -$! 2>/dev/null || true
    wait $! || true
    rm site/docking/carol/snapshot.dx # another copy is made: nothing of the first one is in it
    start
    [ "$status" -eq 0 ]
    remotesync carol.db site
    right carol.db
    no_litter carol.db-dx
}

@test "a first copy that is refused, or whose apply was killed, is applied from what has come, and said once" {
    txnroute node add site/hq.db carol --package sales --user alice
    mkdir -p bin share
    cp -R "$DX_BUILD/share/dx" share/
    printf '%s\n' '#!/bin/bash' '[ -e killed ] || { touch killed; kill -9 $$; }' "exec '$(command -v dxapply)' \"\$@\"" >bin/dxapply
    for name in "$(dirname "$(command -v dxapply)")"/*; do [ -e "bin/${name##*/}" ] || ln -s "$name" bin; done
    chmod +x bin/dxapply
    run -0 bin/initsync carol.db site --node carol
    [ -e killed ]
    right carol.db
    rm -rf carol.db*
    mkdir carol.db-dx
    ssh-keygen -q -t ed25519 -N '' -f other
    echo "@server $(cat other.pub)" >carol.db-dx/signers
    run -3 initsync carol.db site --node carol
    [ "$(grep -c sign <<<"$output")" -eq 1 ]
    [ ! -e carol.db ] && [ ! -e carol.db-dx/new.db ]
}
