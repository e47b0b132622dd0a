#!/usr/bin/env bats
# The protocol of sessions, spoken by hand: what dxserve takes and refuses, byte by byte. dx-session(5) tells it.

load ../helper
load ../site

# The prepared site is made once and copied for each test.
setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    make_site
    make_clients
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    cp -r "$BATS_FILE_TMPDIR"/{site,alice.db,alice.db-dx,bob.db,bob.db-dx} .
}

zeros=$(printf '0%.0s' {1..64})

# An upload of alice's that lies in her outbox, and its number, size and digest.
make_upload() {
    sql alice.db "UPDATE account SET name = 'A ' || hex(randomblob(300))"
    txnlog upload alice.db alice.db-dx/outbox
    upload=$(echo alice.db-dx/outbox/*1.dx)
    bytes=$(stat -c %s "$upload")
    digest=$(sha256sum <"$upload")
    digest=${digest%% *}
}

@test "a session by hand: hello, what there is, bye" {
    sql site/hq.db "UPDATE product SET price = price + 1"
    dxcron site
    file=$(echo site/docking/alice/outbox/*.dx)
    sum=$(sha256sum <"$file")
    { greeting alice.db; printf 'over\nbye\n'; } | dxserve --site "$PWD/site" --node alice >answer
    head -n 4 answer >lines
    mapfile -t lines <lines
    [[ ${lines[0]} == "dx 2 "* ]]
    [[ ${lines[1]} == "hello node=alice epoch="*" archive=2 "*" package=sales "* ]]
    [ "${lines[2]}" = "offer d2 $(stat -c %s "$file") ${sum%% *} 0" ]
    [ "${lines[3]}" = "over" ]
    tail -n 1 answer | grep -qa 'bye$'
    sed -n '5{/^data d2 0 /!q1}' answer
}

@test "unknown and ended nodes, another node's copy, no site: an error line and its exit code" {
    run -3 dxserve --site "$PWD/site" --node carol </dev/null
    [[ $output == "error 3 "*"no node carol"* ]]
    run -3 talk bob "$(greeting alice.db)"
    [[ $output == *"belongs to node 'bob', the database to node 'alice'"* ]]
    txnroute node end site/hq.db alice
    run -3 talk alice
    [[ $output == "error 3 "*"'alice' has been ended"* ]]
    run -2 dxserve --site "$PWD/site" --node ../bob </dev/null
    run -2 dxserve --site "$PWD/site" </dev/null
    run -4 dxserve --site "$PWD/nowhere" --node bob </dev/null
    [[ $output == "error 4 "* ]]
}

@test "a node that says bye and closes its side before all has come ends its session" {
    hello=$(greeting alice.db)
    for now in '' now; do
        run -4 timeout 20 dxserve --site "$PWD/site" --node alice < <(printf '%s\n' "$hello" "offer u1 10 $zeros -" $now over bye)
        [[ $output == *"error 4 the node went away before all that it announced had come" ]]
    done
    run -0 remotesync alice.db site
}

@test "--site is an absolute path: which site is served does not depend on where the session begins" {
    run -2 dxserve --site site --node alice </dev/null
    [[ $output == *"--site site: not an absolute path"* ]]
    run -2 dxserve --site ./site --stick .
    [[ $output == *"--site ./site: not an absolute path"* ]]
    run -2 dxserve --site= --stick .
    # The client makes its own absolute, here, and on the other side from the home directory there.
    remotesync alice.db site
    mkdir -p home
    cp -r site home/
    printf '%s\n' '#!/bin/sh' "cd '$PWD/home' && shift && shift && exec sh -c \"\$*\"" >ssh
    chmod +x ssh
    DX_SSH="$PWD/ssh" remotesync alice.db other:site
    DX_SSH="$PWD/ssh" remotesync alice.db "other:$PWD/site"
}

@test "clients of another version of the protocol are refused by its name" {
    run -3 talk alice "hello 1 alice - 0 0 0"
    [[ $output == "error 3 protocol 1 is not spoken here, only 2"* ]]
    run -3 talk alice "dx 3 9.9"
    [[ $output == "error 3 protocol 3 is not spoken here, only 2"* ]]
}

@test "lines that are no part of the protocol, or not for now, are refused" {
    hello=$(greeting alice.db)
    while IFS= read -r line; do
        run -3 talk alice "$hello" "$line"
        [[ ${lines[2]} == "error 3 "* ]] || { echo "$line: $output"; return 1; }
    done <<END
frobnicate
dx 2
offer
offer u1 5
offer 1 5 $zeros -
offer u0 5 $zeros -
offer d1 5 $zeros -
offer u-1 5 $zeros -
offer u01 5 $zeros -
offer u1 5 ${zeros}0 -
offer u1 5 ../../../etc/passwd -
offer u1 99999999999999999999 $zeros -
offer u1 5000000000 $zeros -
offer u99999 5 $zeros -
offer u1 5 $zeros 1
offer u1 5 $zeros 6
data u1 0 5
data u1 0 99999
want u1 0
want d1 0
have d1
kept d7
part
part d1 $zeros
part d1 $zeros -1
part ../x $zeros 1
rows
rows 0
rows x
mine 1
mine 0 $zeros
copy
copy x
now now
hello node=alice
$(printf 'x%.0s' {1..1100})
END
    for line in over "offer u1 5 $zeros -" now "part d1 $zeros 1" "copy -" prove "rows 1" "mine 1 $zeros"; do
        run -3 talk alice "dx 2 test" "$line"
        [[ $output == "error 3 "* ]]
    done
    for line in "hello" "hello alice" "hello node=alice archive=x" "hello node=alice archive=-1" "hello node=$zeros$zeros$zeros"; do
        run -3 talk alice "dx 2 test" "$line"
        [[ $output == "error 3 "* ]]
    done
    for line in "offer u1 5 $zeros -" now prove "rows 1"; do # of a copy that is still to be made
        run -3 talk alice "dx 2 test" "hello node=alice" "$line"
        [[ ${lines[2]} == "error 3 "* ]]
    done
    for line in now "offer u1 5 $zeros -" frobnicate; do
        run -3 talk alice "$hello" over "$line"
        [[ $output == *"error 3 "* ]]
    done
    [ -z "$(find site -path '*inbox*' -type f)" ]
}

@test "a connection that ends early is exit 4, and leaves the database and the outbox as they were" {
    run -4 dxserve --site "$PWD/site" --node alice </dev/null
    run -4 talk alice "$(greeting alice.db)"
    run -4 talk alice "$(greeting alice.db)" over
    make_upload
    run -4 talk alice "$(greeting alice.db)" "offer u1 $bytes $digest -"
    [[ ${lines[2]} == "want u1 0" ]]
    [ -z "$(find site -path '*inbox*' -type f)" ]
}

@test "an upload that is damaged, too large, of another node, or no archive, gets no name" {
    hello=$(greeting alice.db)
    echo "this is text" >text
    sum=$(sha256sum <text)
    run -3 talk alice "$hello" "offer u1 13 ${sum%% *} 0" "data u1 0 13" "this is text"
    [[ $output == *"error 3 upload 1: not a dx archive"* ]]
    run -3 talk alice "$hello" "offer u1 13 ${sum%% *} 0" "data u1 0 13" "this is test"
    [[ $output == *"error 3 upload 1 was damaged on the way"* ]]
    printf '[limits]\nfile_bytes = 1K\n' >site/site.conf
    run -3 talk alice "$hello" "offer u1 1300 ${sum%% *} 0"
    [[ $output == *"more than the 1024"* ]]
    rm site/site.conf
    sql bob.db "UPDATE contact SET phone = '1'"
    txnlog upload bob.db .
    sum=$(sha256sum <00000001.dx)
    size=$(stat -c %s 00000001.dx)
    { echo "$hello"; echo "offer u1 $size ${sum%% *} 0"; echo "data u1 0 $size"; cat 00000001.dx; } >foreign
    run -3 dxserve --site "$PWD/site" --node alice <foreign
    [[ $output == *"upload 1: is none of 'alice'"* ]]
    [ -z "$(find site/docking/alice/inbox -type f)" ]
}

@test "two archives in one upload are refused" {
    make_upload
    txnlog read site/hq.db --after 0 >log.dx
    cat log.dx >>"$upload"
    bytes=$(stat -c %s "$upload") digest=$(sha256sum <"$upload")
    { greeting alice.db; echo "offer u1 $bytes ${digest%% *} 0"; split -b 32768 "$upload" piece.
        at=0
        for piece in piece.*; do
            echo "data u1 $at $(stat -c %s "$piece")"
            cat "$piece"
            at=$((at + $(stat -c %s "$piece")))
        done; } >both
    run -3 dxserve --site "$PWD/site" --node alice <both
    [[ $output == *"error 3 upload 1: "*"archive"* ]]
    [ -z "$(find site/docking/alice/inbox -type f)" ]
}

@test "limits of site.conf: what one node may leave in its inbox, and sessions within an hour" {
    hello=$(greeting alice.db)
    printf '[limits]\ninbox_files = 2\nnumbers_ahead = 5\n' >site/site.conf
    run -3 talk alice "$hello" "offer u6 10 $zeros -"
    [[ $output == *"error 3 upload 6: the newest merged here is 0; no more than 5 may wait"* ]]
    touch site/docking/alice/inbox/0000000{1,2}.dx
    run -3 talk alice "$hello" "offer u3 10 $zeros -"
    [[ $output == *"error 3 upload 3: 2 uploads of 0 bytes wait"* ]]
    printf '[limits]\nfile_bytes = 1M\ninbox_bytes = 1M\n' >site/site.conf
    head -c 500 /dev/zero >site/docking/alice/inbox/00000001.dx
    run -3 talk alice "$hello" "offer u3 1048077 $zeros -"
    [[ $output == *"error 3 upload 3: 2 uploads of 500 bytes wait"* ]]
    run -4 talk alice "$hello" "offer u3 1048076 $zeros -" over bye
    [[ $output == *"want u3 0"* ]]
    rm site/docking/alice/inbox/*
    printf '[limits]\nsessions_per_hour = 3\n' >site/site.conf
    rm site/docking/*/session.log
    run -0 talk alice "$hello" over bye
    run -0 talk alice "$hello" over bye
    run -0 talk alice "$hello" over bye
    run -3 talk alice "$hello" over bye
    [[ $output == *"error 3 more than 3 sessions within an hour"* ]]
    run -0 remotesync bob.db site
}

@test "an upload that grows beyond the site's limits when unpacked is refused, with the limit" {
    sql alice.db "UPDATE contact SET photo = zeroblob(1500000)"
    txnlog upload alice.db alice.db-dx/outbox
    printf '[limits]\nexpanded_bytes = 1M\n' >site/site.conf
    run -3 remotesync alice.db site
    [[ $output == *"unpacks to more than the 1048576 bytes"* ]]
    printf '[limits]\nrows = 1\n' >site/site.conf
    run -3 remotesync alice.db site
    [[ $output == *"more than the 1 that are allowed"* ]]
    [ -z "$(find site/docking/alice/inbox -type f)" ]
    rm site/site.conf
    run -0 remotesync alice.db site
}

@test "a node hears nothing of paths, other nodes and the trouble of the server" {
    sql site/hq.db "UPDATE dx_meta SET value = '999' WHERE name = 'format'"
    run -3 talk alice "$(greeting alice.db)"
    [[ $output == "error 3 hq.db: "* ]]
    [[ $output != *"site/"* ]]
    run -4 dxserve --site "$PWD/nowhere" --node alice </dev/null
    [[ $output != *"$PWD"* ]]
}

@test "symbolic links and other files in the place of a site's own are not followed" {
    make_upload
    echo precious >precious
    rm -r site/docking/alice/inbox
    ln -s "$PWD" site/docking/alice/inbox
    run -4 remotesync alice.db site
    rm site/docking/alice/inbox
    for name in lock applied session.log inbox/.1.$digest.part; do
        mkdir -p site/docking/alice/inbox
        rm -f "site/docking/alice/$name"
        ln -s "$PWD/precious" "site/docking/alice/$name"
        remotesync alice.db site || true
        [ "$(cat precious)" = precious ]
        rm -rf "site/docking/alice/$name" site/docking/alice/inbox
    done
    rm -f site/docking/alice/lock
    mkfifo site/docking/alice/lock
    run -4 remotesync alice.db site
    rm site/docking/alice/lock
    for name in inbox outbox kept session.log under-way; do
        rm -rf "alice.db-dx/$name"
        ln -s "$PWD/precious" "alice.db-dx/$name"
        remotesync alice.db site || true
        [ "$(cat precious)" = precious ]
        rm -f "alice.db-dx/$name"
    done
    run -0 remotesync alice.db site
}

@test "sessions leave a line in a log at both ends, with what went and came, and the reason where one failed" {
    make_upload
    remotesync alice.db site
    run -0 tail -n 1 site/docking/alice/session.log
    [[ $output == "start=2"*" node=alice release="*" sent=0/0 fetched=1/$bytes "*" upload=0 free="[1-9]*" exit=0" ]]
    run -0 remotesync --log alice.db
    [[ ${lines[-1]} == "start=2"*" node=alice "*" sent=1/$bytes fetched=0/0 "*" exit=0" ]]
    run -3 talk alice "dx 7 x"
    run -0 tail -n 1 site/docking/alice/session.log
    [[ $output == *" exit=3 why=\"protocol 7 is not spoken here"* ]]
    run -3 talk alice "$(greeting alice.db)" "$(printf 'x\x1b[2J"\xe2\x80\xaey')"
    run -0 tail -n 1 site/docking/alice/session.log
    [[ $output == *"why=\"'x?[2J'?y' is no line"* ]]
}

@test "the process that reads a stranger's bytes says what holds it" {
    run -0 --separate-stderr remotesync -v alice.db site
    [[ $stderr == *"reads the server's bytes is held by: "* ]]
    { greeting alice.db; printf 'over\nbye\n'; } | dxserve -v --site "$PWD/site" --node alice 2>said >/dev/null
    grep -q "reads the node's bytes is held by: " said
}

# serve_as NODE LINE...: a server that answers with these lines, whatever it hears.
serve_as() {
    printf '%s\n' "$@" >lines
    dxpack exchange --timeout 3 alice.db-dx -- bash -c 'cat lines; exec sleep 10'
}

@test "a server that lies to its client: said in clean text, nothing kept, in bounded time" {
    epoch=$(sql alice.db "SELECT value FROM dx_meta WHERE name = 'server'")
    hello="hello node=alice epoch=$epoch archive=9 upload=0"
    run -3 serve_as "dx 2 x" "$hello" "$(printf 'error 3 \x1b]0;owned\x07\x9b31m\xe2\x80\xae text')"
    [[ $output == *"server: ?]0;owned??31m? text"* ]]
    run -3 serve_as "dx 2 x" "$hello" "offer d2 99999999999999 $zeros 0"
    [[ $output == *"allowed here"* ]]
    run -3 serve_as "dx 2 x" "$hello" "offer d1 10 $zeros 0"
    [[ $output == *"was not asked for"* ]]
    run -3 serve_as "dx 2 x" "$hello" "offer u2 10 $zeros 0"
    run -3 serve_as "dx 2 x" "$hello" "offer d2 10 $zeros 5"
    run -3 serve_as "dx 2 x" "$hello" "want u7 0"
    run -3 serve_as "dx 2 x" "hello node=bob epoch=$epoch"
    run -3 serve_as "dx 2 x" "hello node=alice epoch=other"
    run -3 serve_as "dx 9 x"
    [[ $output == *"protocol 9"* ]]
    run -4 serve_as "$(printf 'Welcome to \x1b[1mhq')"
    [[ $output == *"the server answers 'Welcome to ?[1mhq'; does its login shell"* ]]
    run -4 serve_as "dx 2 x" "$hello" "error 99 text"
    run -4 serve_as "dx 2 x" "$hello"
    [[ $output == *"nothing came for 3 seconds"* ]]
    [ -z "$(find alice.db-dx/inbox -type f)" ]
    right alice.db
}

@test "rows of a table are asked for once in a session" {
    for again in 'rows 1' 'whole 1'; do
        run -3 dxserve --site "$PWD/site" --node alice < <(greeting alice.db && printf '%s\n' prove 'rows 1' "$again" over bye)
        [[ $output == *"error 3 the rows of table 1 are asked for twice"* ]]
    done
}
