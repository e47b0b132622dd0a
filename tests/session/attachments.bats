#!/usr/bin/env bats
# Files that rows name by their digest: broadcast, published and on request; limits; sent and fetched once, resumed at the
# byte; who may have which.

load ../helper
load ../site

# conf LINE...: the package with one section of files that has these lines, loaded.
conf() {
    {
        printf '[package]\nname = p\nversion = 1\n'
        printf '[object doc]\nvisible = SELECT n.name, d.id FROM doc d JOIN dx_node n ON n.user = d.who OR d.who = %s\n' "'all'"
        printf '[files scan]\ntable = doc\ndigest = sha\nsize = bytes\ntype = kind\n'
        printf '%s\n' "$@"
    } >pkg/package.conf
    txnroute load site/hq.db pkg 2>/dev/null
}

# office ID WHO CONTENT [TYPE]: a file in the site's store, and a row that names it.
office() {
    local sha
    printf %s "$3" >scan
    sha=$(txnlog files site/hq.db scan)
    sql site/hq.db "INSERT INTO doc VALUES ($1, '$2', '${sha%% *}', ${#3}, '${4:-image/png}')"
}

sum() {
    printf %s "$1" | sha256sum | cut -d ' ' -f 1
}

# has DB CONTENT: the copy has a file of that content.
has() {
    [ "$(cat "$1-dx/files/$(sum "$2")")" = "$2" ]
}

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    mkdir -p site pkg
    sql site/hq.db 'CREATE TABLE doc(id INTEGER PRIMARY KEY, who TEXT, sha TEXT, bytes INTEGER, kind TEXT)' \
        'CREATE INDEX doc_sha ON doc(sha)'
    txnlog attach site/hq.db
    conf 'delivery = broadcast'
    office 1 all 'for all'
    office 2 alice 'for alice'
    office 3 bob 'for bob'
    txnroute node add site/hq.db alice --package p --user alice
    txnroute node add site/hq.db bob --package p --user bob
    initsync alice.db site --node alice
    initsync bob.db site --node bob
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    cp -r "$BATS_FILE_TMPDIR"/. .
}

@test "broadcast: a copy has the files of the rows that it holds, and no other" {
    run -0 remotesync alice.db site
    has alice.db 'for all'
    has alice.db 'for alice'
    [ "$(ls alice.db-dx/files | wc -l)" = 2 ]
    run -0 txnlog files alice.db
    [ "$(grep -c ' here$' <<<"$output")" = 2 ]
    run -0 remotesync alice.db site
    [[ $(tail -n 1 alice.db-dx/session.log) == *"fetched=0/0 "* ]]
    right alice.db
}

@test "a row and its file come in one synchronization, and the file goes with its last row" {
    remotesync alice.db site
    office 4 alice 'news'
    sql site/hq.db "INSERT INTO doc SELECT 5, 'alice', sha, bytes, kind FROM doc WHERE id = 4"
    dxcron site
    run -0 remotesync alice.db site
    has alice.db news
    sql site/hq.db 'DELETE FROM doc WHERE id = 4'
    dxcron site
    remotesync alice.db site
    remotesync alice.db site
    has alice.db news
    sql site/hq.db 'DELETE FROM doc WHERE id = 5'
    dxcron site
    remotesync alice.db site
    remotesync alice.db site
    [ ! -e "alice.db-dx/files/$(sum news)" ]
    has alice.db 'for all'
}

@test "on request: nothing comes until it is asked for, by key, by digest, or in the table by the application" {
    conf 'delivery = requested'
    initsync alice.db site --node alice
    run -0 remotesync alice.db site
    [ -z "$(ls alice.db-dx/files)" ]
    run -0 txnlog files alice.db
    [ "$(grep -c ' on request$' <<<"$output")" = 2 ]
    run -0 remotesync --request 2 alice.db site
    has alice.db 'for alice'
    [ "$(ls alice.db-dx/files | wc -l)" = 1 ]
    sql alice.db "INSERT INTO dx_file_request(digest) VALUES ('$(sum 'for all')')"
    run -0 remotesync alice.db site
    has alice.db 'for all'
    run -3 remotesync --request 99 alice.db site
    [[ $output == *"no row with the key or the digest 99"* ]]
}

@test "published: a rule says to which nodes the files of a row go" {
    conf 'delivery = published' "to = SELECT who, id FROM doc"
    run -0 remotesync alice.db site
    has alice.db 'for alice'
    [ "$(ls alice.db-dx/files | wc -l)" = 1 ]
    run -1 txnlog files --missing alice.db
    [[ $output == "$(sum 'for all')"*missing ]]
}

@test "what is too large or of another type is left out, and listed" {
    office 6 alice 'a very long text'
    office 7 alice 'plain' text/plain
    conf 'delivery = broadcast' 'max = 10' 'types = image/*, application/pdf'
    dxcron site
    run -0 remotesync alice.db site
    [ "$(ls alice.db-dx/files | wc -l)" = 2 ]
    run -0 txnlog files alice.db
    [[ $output == *"$(sum 'a very long text')"*"too large"* ]]
    [[ $output == *"$(sum plain)"*"type left out"* ]]
    run -0 txnlog files --json alice.db
    jq -se 'map(select(.state == "too large")) | length == 1' <<<"$output"
}

@test "a file added on a copy goes up with its row, comes to others, and is not sent again" {
    printf attached >f
    sha=$(txnlog files alice.db f) sha=${sha%% *}
    [ "$sha" = "$(sum attached)" ]
    sql alice.db "INSERT INTO doc VALUES (10, 'all', '$sha', 8, 'image/png')"
    run -1 txnlog files --missing alice.db
    [[ $output == *"$sha"*"to be sent"* ]]
    run -0 remotesync --now alice.db site
    [ "$(cat "site/files/$sha")" = attached ]
    [ -z "$(ls site/docking/alice/files)" ]
    has alice.db attached
    [ -z "$(ls alice.db-dx/attach)" ]
    remotesync alice.db site
    run -0 remotesync alice.db site
    [[ $(tail -n 1 alice.db-dx/session.log) == *"sent=0/0 fetched=0/0 "* ]]
    run -0 remotesync bob.db site
    has bob.db attached
    right bob.db
}

@test "a row may come before its file: it is listed until the file is there" {
    sql alice.db "INSERT INTO doc VALUES (11, 'all', '$(sum later)', 5, 'image/png')"
    run -0 remotesync --now alice.db site
    run -1 txnroute files --missing site/hq.db
    [[ $output == "$(sum later)  doc" ]]
    [ "$(txnroute status site/hq.db --json | jq .attachments_missing)" = 1 ]
    run -0 txnroute status site/hq.db
    [[ $output == *$'\nattachments: 1 named by rows and not here yet\n'* ]]
    [[ $(txnroute metrics site) == *$'\ndx_attachments_missing 1\n'* ]]
    [[ $(txnroute report site) == *">1 attachments named by rows and not here yet<"* ]]
    run -0 remotesync bob.db site
    run -1 txnlog files --missing bob.db
    printf later >f
    txnlog files alice.db f
    run -0 remotesync alice.db site
    [ "$(txnroute status site/hq.db --json | jq -c '[.nodes[] | select(.name == "alice") | .attachments_waiting]')" = '[1]' ]
    [[ $(txnroute status site/hq.db) == *"1 attachment to take"* ]]
    [[ $(txnroute metrics site) == *$'\ndx_node_attachments_waiting{node="alice"} 1\n'* ]]
    run -0 remotesync --now alice.db site
    run -0 txnroute files --missing site/hq.db
    [ "$(txnroute status site/hq.db --json | jq .attachments_missing)" = 0 ]
    run -0 remotesync bob.db site
    has bob.db later
}

@test "a node gets no file by a digest that it guesses, whatever it writes into its own rows" {
    sql alice.db "INSERT INTO doc VALUES (12, 'all', '$(sum 'for bob')', 7, 'image/png')" \
        "UPDATE doc SET sha = '$(sum 'for bob')' WHERE id = 2"
    remotesync --now alice.db site
    remotesync alice.db site
    run -0 remotesync alice.db site
    [ ! -e "alice.db-dx/files/$(sum 'for bob')" ]
    mapfile -t hello < <(greeting alice.db)
    run talk alice "${hello[@]}" "lacks $(sum 'for bob') 0" over
    [[ $output == *over* ]]
    [[ $output != *"offer f"* ]]
    # Nor does another node by that row, though it was nobody's to give.
    txnroute node add site/hq.db carol --package p --user carol
    initsync carol.db site --node carol
    run -0 remotesync carol.db site
    [ "$(ls carol.db-dx/files)" = "$(sum 'for all')" ]
    # Whoever has the file shows it by sending it, and may have it from then on.
    printf 'for bob' >f
    txnlog files alice.db f
    run -0 remotesync --now alice.db site
    has alice.db 'for bob'
    run -0 remotesync carol.db site
    has carol.db 'for bob'
    rm alice.db-dx/files/*
    run -0 remotesync alice.db site
    has alice.db 'for bob'
}

@test "what no row of a node names is not taken into the store, and goes after its time" {
    mapfile -t hello < <(greeting alice.db)
    n=$((16#$(sum stray | cut -c 1-12)))
    printf '%s\n' "${hello[@]}" "offer f$n 5 $(sum stray) 0" "data f$n 0 5" >m
    printf 'strayover\nbye\n' >>m
    dxserve --site "$PWD/site" --node alice <m >out
    grep -qx "kept f$n" out
    run -0 dxcron site
    [ -e "site/docking/alice/files/$(sum stray)" ]
    [ ! -e "site/files/$(sum stray)" ]
    [ -e site/docking/files.new ]
    touch -d '40 days ago' "site/docking/alice/files/$(sum stray)"
    run -1 dxcron site
    [ ! -e "site/docking/alice/files/$(sum stray)" ]
}

@test "the quota of a node: what is beyond it comes later, and rows are not held up" {
    printf '[limits]\nattachment_files = 1\n' >site/site.conf
    for i in 1 2 3; do
        printf 'file %s' $i >f
        sha=$(txnlog files alice.db f)
        sql alice.db "INSERT INTO doc VALUES (2$i, 'alice', '${sha%% *}', 6, 'image/png')"
    done
    run -0 remotesync --now alice.db site
    [ "$(sql site/hq.db 'SELECT count(*) FROM doc WHERE id > 20')" = 3 ]
    [ "$(ls alice.db-dx/attach | wc -l)" = 1 ] # one came with the rows, one in the session behind the apply
    remotesync --now alice.db site
    run -0 remotesync --now alice.db site
    [ -z "$(ls alice.db-dx/attach)" ]
    run -0 txnroute files --missing site/hq.db
}

@test "a transfer that was cut off goes on at its byte, in both directions" {
    head -c 300000 /dev/urandom >big
    sha=$(txnlog files site/hq.db big) sha=${sha%% *}
    sql site/hq.db "INSERT INTO doc VALUES (30, 'alice', '$sha', 300000, 'image/png')"
    dxcron site
    remotesync --fetch alice.db site
    remotesync --apply alice.db site
    head -c 123456 big >"alice.db-dx/files/.1.$sha.part"
    run -0 remotesync alice.db site
    cmp big "alice.db-dx/files/$sha"
    read -r line < <(grep 'fetched=[1-9]' alice.db-dx/session.log | tail -n 1)
    head -c 200000 /dev/urandom >up
    up=$(txnlog files alice.db up) up=${up%% *}
    head -c 150000 up >"site/docking/alice/files/.1.$up.part"
    sql alice.db "INSERT INTO doc VALUES (31, 'alice', '$up', 200000, 'image/png')"
    run -0 remotesync --now alice.db site
    cmp up "site/files/$up"
    [[ $(tail -n 1 alice.db-dx/session.log) == *" sent=2/50"* ]]
}

@test "a file that is damaged at either end is not kept, and holds up nothing" {
    printf 'for alicf' >"site/files/$(sum 'for alice')"
    office 8 alice 'sound'
    dxcron site
    run -0 remotesync alice.db site
    [[ $output == *"1 files that rows name are damaged"* ]]
    has alice.db sound
    [ ! -e "alice.db-dx/files/$(sum 'for alice')" ]
    printf 'for alice' >"site/files/$(sum 'for alice')"
    run -0 remotesync alice.db site
    has alice.db 'for alice'
    printf wrong >"alice.db-dx/files/$(sum right)"
    : >"alice.db-dx/attach/$(sum right)"
    sql alice.db "INSERT INTO doc VALUES (9, 'alice', '$(sum right)', 5, 'image/png')"
    run -0 remotesync --now alice.db site
    [ ! -e "site/files/$(sum right)" ]
    [ "$(sql site/hq.db 'SELECT count(*) FROM doc WHERE id = 9')" = 1 ]
}

@test "names cannot leave the store: digests of other forms are no files" {
    sql site/hq.db "INSERT INTO doc VALUES (40, 'alice', '../../../etc/passwd', 1, 'image/png'), (41, 'alice', upper('$(sum x)'), 1, 'image/png')"
    dxcron site
    run -0 remotesync alice.db site
    mapfile -t hello < <(greeting alice.db)
    run -3 talk alice "${hello[@]}" 'lacks ../../etc/passwd 0' over
    run -3 talk alice "${hello[@]}" "offer f1 5 $(sum stray) 0" over
    [ "$(ls alice.db-dx/files | wc -l)" = 2 ]
}

@test "the server removes what no row has named for unused_days" {
    printf '[grace]\nunused_days = 0\n' >site/site.conf
    sql site/hq.db 'DELETE FROM doc WHERE id = 3'
    run -0 txnroute files -v site/hq.db
    [ ! -e "site/files/$(sum 'for bob')" ]
    [ -e "site/files/$(sum 'for all')" ]
    printf '[grace]\nunused_days = 1\n' >site/site.conf
    sql site/hq.db 'DELETE FROM doc WHERE id = 1'
    run -0 txnroute files site/hq.db
    [ -e "site/files/$(sum 'for all')" ]
}

@test "files go by stick in both directions" {
    mkdir stick
    printf carried >f
    sha=$(txnlog files alice.db f) sha=${sha%% *}
    sql alice.db "INSERT INTO doc VALUES (50, 'all', '$sha', 7, 'image/png')"
    office 51 alice 'by stick'
    remotesync alice.db stick
    dxserve --site "$PWD/site" --stick stick
    [ "$(cat "site/files/$sha")" = carried ]
    remotesync alice.db stick
    dxserve --site "$PWD/site" --stick stick
    run -0 remotesync alice.db stick
    has alice.db 'by stick'
    has alice.db carried
    has alice.db 'for alice'
    right alice.db
}

@test "a package whose section is wrong is refused with its line" {
    run -3 conf 'delivery = sometimes'
    run -3 conf 'delivery = published'
    run -3 conf 'to = SELECT 1, 2'
    run -3 conf 'delivery = published' 'to = DELETE FROM doc'
    run -3 conf 'name = nothing'
    run -3 conf 'max = many'
    run -3 conf 'color = red'
}

@test "a line that breaks every 30 KB brings files through in both directions, byte after byte" {
    printf '%s\n' '#!/bin/bash' "exec line \$(cat '$PWD/how') dxserve --site '$PWD/site' --node alice" >line-stand-in
    chmod +x line-stand-in
    export DX_SSH=$PWD/line-stand-in
    head -c 80000 /dev/urandom >down
    head -c 80000 /dev/urandom >up
    down=$(txnlog files site/hq.db down) down=${down%% *}
    up=$(txnlog files alice.db up) up=${up%% *}
    sql site/hq.db "INSERT INTO doc VALUES (60, 'alice', '$down', 80000, 'image/png')"
    sql alice.db "INSERT INTO doc VALUES (61, 'alice', '$up', 80000, 'image/png')"
    dxcron site
    for way in down up; do
        code=4
        echo "--cut-$way 30000" >how
        for ((tries = 0; code == 4 && tries < 12; tries++)); do
            code=0
            remotesync alice.db host: 2>said || code=$?
        done
        [ $code -eq 0 ]
        [ $way = up ] || [ $tries -gt 1 ]
    done
    cmp down "alice.db-dx/files/$down"
    dxcron site
    cmp up "site/files/$up"
    [ -z "$(find alice.db-dx site/docking/alice -name '*.part')" ]
}

@test "taking files into the store may be killed at any of its steps; the next run completes it" {
    printf taken >f
    sha=$(txnlog files alice.db f) sha=${sha%% *}
    sql alice.db "INSERT INTO doc VALUES (70, 'alice', '$sha', 5, 'image/png')"
    remotesync alice.db site
    for file in site/docking/alice/inbox/*.dx; do dxapply site/hq.db --upload-from alice <"$file" && rm "$file"; done
    local n
    for n in 1 2 3; do
        run env DX_STOP_AT=$n txnroute files site/hq.db
    done
    run -0 txnroute files site/hq.db
    [ "$(cat "site/files/$sha")" = taken ]
    [ ! -e "site/docking/alice/files/$sha" ]
    [ "$(sql site/hq.db "SELECT sum(proven) FROM dx_file_claim WHERE digest = '$sha'")" = 1 ]
    [ -z "$(find site/files -name '.*' -type f)" ]
}

@test "a rule that does not work any more gives files to nobody, and holds up neither rows nor uploads" {
    sql site/hq.db 'CREATE TABLE reader(name TEXT PRIMARY KEY)'
    conf 'delivery = published' 'to = SELECT r.name, d.id FROM reader r, doc d'
    initsync alice.db site --node alice
    sql site/hq.db 'DROP TABLE reader' "INSERT INTO doc VALUES (80, 'alice', NULL, 0, '')"
    sql alice.db "INSERT INTO doc VALUES (81, 'alice', '$(sum new)', 3, 'image/png')"
    dxcron site
    run -0 remotesync --now alice.db site
    [ -z "$(ls alice.db-dx/files)" ]
    [ "$(sql site/hq.db 'SELECT count(*) FROM doc WHERE id = 81')" = 1 ]
    [ "$(sql alice.db 'SELECT count(*) FROM doc WHERE id = 80')" = 1 ]
}

@test "a digest in other letters opens nothing, whatever the collation of its column" {
    rm -rf site alice.db* bob.db* && mkdir site
    sql site/hq.db 'CREATE TABLE doc(id INTEGER PRIMARY KEY, who TEXT, sha TEXT COLLATE NOCASE, bytes INTEGER, kind TEXT)'
    txnlog attach site/hq.db
    conf 'delivery = broadcast'
    office 1 alice 'for alice'
    for who in alice bob; do
        txnroute node add site/hq.db $who --package p --user $who
        initsync $who.db site --node $who
    done
    remotesync alice.db site
    has alice.db 'for alice'
    sql bob.db "INSERT INTO doc VALUES (9, 'bob', upper('$(sum 'for alice')'), 9, 'image/png')"
    remotesync --now bob.db site
    [ "$(sql site/hq.db "SELECT count(*) FROM doc WHERE who = 'bob'")" = 1 ]
    { greeting bob.db; printf 'lacks %s 0\nover\nbye\n' "$(sum 'for alice')"; } | dxserve --site "$PWD/site" --node bob >answer
    run -1 grep -aq 'for alice' answer
    grep -aq 'bye' answer
}
