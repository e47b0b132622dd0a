#!/usr/bin/env bats
# integratedsync: the device, its companion and the server with one button; three steps under one lock.

load ../helper
load ../site

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    make_site
    initsync alice.db site --node alice
    hhextract pair alice.db palm.db --device palm
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    cp -r "$BATS_FILE_TMPDIR"/. .
}

# edit: something new on the device, and at the server.
edit() {
    sql palm.db "UPDATE account SET city = 'from palm' WHERE row_id = (SELECT min(row_id) FROM account)"
    sql site/hq.db "UPDATE product SET name = 'from hq' WHERE rowid = 2"
}

# whole: both have arrived everywhere.
whole() {
    local db
    for db in site/hq.db alice.db palm.db; do
        [ "$(sql $db "SELECT count(*) FROM account WHERE city = 'from palm'" "SELECT count(*) FROM product WHERE name = 'from hq'")" = $'1\n1' ] ||
            { echo "$db lacks something"; return 1; }
    done
    [ "$(txnlog digest palm.db)" = "$(txnlog digest alice.db --node palm)" ]
    right alice.db
    no_litter site alice.db-dx palm.db-dx
}

three_steps="step 1 of 3: device's upload
step 2 of 3: synchronization with the server
step 3 of 3: extract and download"

@test "it says in which of its three steps it is, with -v and on a terminal; in a pipe it is silent" {
    edit
    run -0 integratedsync -v --now alice.db palm.db site
    [ "$(sed -n 's/^integratedsync: step/step/p' <<<"$output")" = "$three_steps" ]
    whole
    run -0 script -qec 'integratedsync alice.db palm.db site' said
    [ "$(tr -d '\r' <said | sed -n 's/^integratedsync: step/step/p')" = "$three_steps" ]
    run -0 integratedsync alice.db palm.db site
    [ "$output" = "" ]
}

# killed_at COMMAND [VERB]: integratedsync is killed, with all that it runs, where it would call the command.
killed_at() {
    rm -rf stages share
    mkdir stages
    ln -s "$DX_BUILD"/bin/* stages
    ln -s "$DX_BUILD/share" share
    rm stages/"$1"
    printf '#!/bin/bash\n[ -n "%s" ] && [ "$1" != "%s" ] || kill -9 0\nexec "%s/bin/%s" "$@"\n' "${2:-}" "${2:-}" "$DX_BUILD" "$1" >stages/"$1"
    chmod +x stages/"$1"
    run -137 setsid --wait stages/integratedsync -v --now alice.db palm.db site </dev/null
}

# arrived DB: whether what the device changed is there, as 1 or 0.
arrived() {
    sql "$1" "SELECT count(*) FROM account WHERE city = 'from palm'"
}

@test "killed in any of its steps it goes on there: what was done before stays done, and all arrives once" {
    cp -r . ../whole
    while read -r step there command verb; do
        rm -rf ./* && cp -r ../whole/. .
        edit
        killed_at "$command" "$verb"
        [[ $output == *"step $step of 3"* && $output != *"step $((step + 1)) of 3"* ]]
        [ "$(arrived alice.db)$(arrived site/hq.db)" = "$there" ]
        run -0 integratedsync --now alice.db palm.db site
        whole
    done <<'STEPS'
1 00 dxapply --as-local
2 10 dxpack exchange
3 11 hhextract run
STEPS
}

@test "a synchronization that cron has started is waited for; with --wait 0 it is busy, and says with what" {
    edit
    printf '#!/bin/bash\nsleep 1\nshift 2\nexec bash -c "exec $*"\n' >slow
    chmod +x slow
    DX_SSH=$PWD/slow remotesync alice.db "host:$PWD/site" &
    eventually 10 grep -q remotesync alice.db-dx/lock
    run -6 integratedsync --wait 0 alice.db palm.db site
    [[ $output == *"alice.db is being synchronized already: remotesync (process "* ]]
    run -0 integratedsync --now alice.db palm.db site
    wait
    whole
}

@test "a server whose cron job is at work is waited for" {
    edit
    mkdir -p site/docking
    exec 7<>site/docking/cron.lock
    flock 7
    (sleep 1; flock -u 7) &
    run -0 integratedsync --now alice.db palm.db site 7>&-
    exec 7>&-
    wait
    whole
}

@test "one button by stick: what the device changed goes with it, and what comes with it reaches the device" {
    mkdir stick
    edit
    run -0 integratedsync alice.db palm.db stick
    dxserve --site "$PWD/site" --stick stick
    run -0 integratedsync alice.db palm.db stick
    [ "$(sql palm.db "SELECT count(*) FROM product WHERE name = 'from hq'")" = 1 ]
    whole
}

@test "the companion's database is locked for all three steps, and the device's, too" {
    printf '#!/bin/bash\ncd "%s" && { flock -n alice.db-dx/lock true || flock -n palm.db-dx/lock true || : >locked; }\nshift 2\nexec bash -c "exec $*"\n' "$PWD" >look
    chmod +x look
    DX_SSH=$PWD/look run -0 integratedsync alice.db palm.db "host:$PWD/site"
    [ -e locked ]
    flock -n alice.db-dx/lock true
    flock -n palm.db-dx/lock true
}

@test "what the server decides against a device's change is told on the device, once; what is decided against the companion's own is not" {
    local key
    key=$(sql palm.db "SELECT min(row_id) FROM account")
    sql palm.db "UPDATE account SET city = 'palm' WHERE row_id = '$key'"
    run -0 companionsync alice.db palm.db
    sql alice.db "UPDATE account SET name = 'alice' WHERE row_id = '$key'"
    sql site/hq.db "UPDATE account SET city = 'hq', name = 'hq' WHERE row_id = '$key'"
    run -1 integratedsync --now alice.db palm.db site
    [ "$(dxapply conflicts --json alice.db | jq -r '.column' | sort | xargs)" = "city name" ]
    [ "$(dxapply conflicts --json palm.db | jq -r '[.kind, .column, .own, .ours, .theirs] | join(" ")')" = "update city true palm hq" ]
    [[ $output == *"palm.db: 1 conflicts"* ]]
    run -0 integratedsync --now alice.db palm.db site
    [ "$(sql palm.db "SELECT city, name FROM account WHERE row_id = '$key'")" = "hq|hq" ]
    [ "$(txnlog digest palm.db)" = "$(txnlog digest alice.db --node palm)" ]
}
