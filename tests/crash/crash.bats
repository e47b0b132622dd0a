#!/usr/bin/env bats
# Whatever is killed, lost, repeated or cut off, and whenever: run again, everything ends as if nothing had happened.

load ../helper
load ../site

# The scene, made once: two copies and their server, all three changed since, with a conflict and a handover.
setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    make_site 60
    make_clients
    sql site/hq.db "UPDATE position SET login = 'bob' WHERE row_id = 'P-001'" \
        "UPDATE account SET name = 'HQ ' || name, city = 'Oslo' WHERE row_id < 'A-000030'" \
        "DELETE FROM activity WHERE row_id < 'V-000020'" "UPDATE product SET price = price * 2"
    sql alice.db "UPDATE account SET city = 'Turku', revenue = 1e6" "DELETE FROM opportunity WHERE row_id < 'O-000015'" \
        "INSERT INTO contact(row_id, account_id, last_name, last_upd)
         SELECT 'C-A-' || row_id, row_id, 'Quist', '2026' FROM account"
    sql bob.db "UPDATE contact SET phone = '+47 1', photo = zeroblob(2000)" "UPDATE account SET city = 'Bergen'"
    undisturbed=$BATS_FILE_TMPDIR/undisturbed
    mkdir "$undisturbed" && cd "$undisturbed" || return
    scene
    for step in "${steps[@]}"; do take_step "$step"; done
    right alice.db
    right bob.db
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    scene
}

scene() {
    cp -a "$BATS_FILE_TMPDIR"/{site,alice.db,alice.db-dx,bob.db,bob.db-dx} .
}

# The steps that bring all together.
steps=("remotesync alice.db site" "remotesync bob.db site" "dxcron site" "remotesync alice.db site"
    "remotesync bob.db site" "dxcron site" "remotesync alice.db site" "remotesync bob.db site")

# take_step "COMMAND...": to its end; conflicts are to be expected, and a killed run's last processes may still hold
# a lock for a moment.
take_step() {
    local code=6 tries
    for ((tries = 0; code == 6 && tries < 100; tries++)); do
        code=0
        $1 || code=$?
        [ $code -ne 6 ] || sleep 0.05
    done
    [ $code -le 1 ] || { echo "$1: exit $code"; return 1; }
}

# The steps from number $1 on, then: everything equals the undisturbed end.
all_ends_well() {
    local step db
    for step in "${steps[@]:${1:-0}}"; do take_step "$step"; done
    right alice.db
    right bob.db
    for db in site/hq.db alice.db bob.db; do
        same_tables "$BATS_FILE_TMPDIR/undisturbed/$db" $db
    done
    no_litter site alice.db-dx bob.db-dx
    for db in site/hq.db alice.db bob.db; do
        [ "$(sql $db "PRAGMA integrity_check")" = ok ]
    done
}

# make_stages: a directory of commands, to be put first in PATH. The scripts in it are the real ones, and find the
# others beside them: stand-ins, as for the tools of the system that they call. Each counts one; at number DIE_AT all
# processes of the session are killed, just before the command or just after it (DIE).
make_stages() {
    local name
    mkdir stages
    cat >stages/.stage <<'END'
#!/bin/bash
name=${0##*/}
real=$DX_BUILD/bin/$name
[ -x "$real" ] || real=$(PATH=$REAL_PATH type -P "$name") || exit 127
exec {guard}<>"$STAGES/.count"
PATH=$REAL_PATH flock $guard
read -r n <"$STAGES/.count"
echo $((n + 1)) >"$STAGES/.count"
exec {guard}>&-
[ "$DIE $DIE_AT" != "before $n" ] || kill -9 0
(exec -a "$STAGES/$name" "$real" "$@") # so that it finds its siblings here
code=$?
[ "$DIE $DIE_AT" != "after $n" ] || kill -9 0
exit $code
END
    chmod +x stages/.stage
    for name in txnlog txnroute dxapply dxpack hhextract sync mv rm mkdir flock sha256sum tail find; do
        ln -s .stage stages/$name
    done
    for name in remotesync initsync dxserve dxcron companionsync integratedsync; do
        cp "$DX_BUILD/bin/$name" stages/
    done
    mkdir -p share && cp -R "$DX_BUILD/share/dx" share/
    export STAGES=$PWD/stages REAL_PATH=$PATH
}

# die_at_each_stage before|after "COMMAND..." [STRIDE]: killed at the first stage, run again and killed at the second
# (or the one so much later), and so on until it gets through. Just before one is nearly just after the one before:
# a third of these will do.
die_at_each_stage() {
    local code=137 stride=${3:-1}
    [ "$1" != before ] || stride=3
    for ((kills = 0; code == 137; kills++)); do
        [ $kills -lt 200 ] || return 1
        echo 1 >stages/.count
        code=0
        DIE=$1 DIE_AT=$((kills * stride + 1)) PATH=$STAGES:$PATH setsid --wait $2 >out 2>&1 </dev/null || code=$?
        if [ $code -eq 6 ]; then # a last process was about to go
            sleep 0.05
            code=137
            kills=$((kills - 1))
        fi
    done
    [ $code -le 1 ] || { echo "$2: exit $code"; cat out; return 1; }
    [ $((kills * stride)) -ge 5 ] || { echo "$2: only $kills stages"; return 1; }
}

@test "the first remotesync, killed at every stage boundary" {
    make_stages
    for when in $(sized "before after" after); do
        rm -rf site alice.db* bob.db*
        scene
        die_at_each_stage $when "remotesync alice.db site" "$(sized 1 2)"
        all_ends_well 1
    done
}

@test "dxcron, killed at every stage boundary" {
    make_stages
    take_step "${steps[0]}"
    take_step "${steps[1]}"
    mkdir saved
    cp -a site alice.db* bob.db* saved
    for when in $(sized "before after" after); do
        rm -rf site alice.db* bob.db*
        cp -a saved/* .
        die_at_each_stage $when "dxcron site" "$(sized 1 2)"
        all_ends_well 3
    done
}

@test "the remotesync that brings the answers, killed at every stage boundary" {
    make_stages
    for step in "${steps[@]:0:3}"; do take_step "$step"; done
    mkdir saved
    cp -a site alice.db* bob.db* saved
    for when in $(sized "before after" after); do
        rm -rf site alice.db* bob.db*
        cp -a saved/* .
        die_at_each_stage $when "remotesync alice.db site" "$(sized 1 2)"
        all_ends_well 4
    done
}

@test "remotesync --now, with all that the server does in it, killed at every stage boundary" {
    make_stages
    die_at_each_stage after "remotesync --now alice.db site" "$(sized 1 2)"
    take_step "${steps[1]}"
    take_step "${steps[2]}"
    all_ends_well 3
}

@test "initsync, killed at every stage boundary" {
    make_stages
    for when in $(sized "before after" after); do
        die_at_each_stage $when "initsync new.db site --node alice" "$(sized 1 2)"
        right new.db alice
        no_litter new.db-dx
        rm -r new.db*
        rm -rf site
        cp -a "$BATS_FILE_TMPDIR/site" .
    done
}

@test "initsync of a second copy, killed at every stage boundary: the copy before goes on until the new one has reported back" {
    make_stages
    cat >attempt <<'END'
#!/bin/bash
PATH=$REAL_PATH remotesync alice.db site
code=$?
[ $code -le 1 ] || [ -e new.db ] || exit 99
exec initsync new.db site --node alice
END
    chmod +x attempt
    die_at_each_stage after ./attempt "$(sized 1 6)"
    right new.db alice
    run -3 remotesync alice.db site
    no_litter new.db-dx
}

@test "integratedsync, killed at every third stage boundary" {
    hhextract pair bob.db palm.db --device palm
    make_stages
    mkdir saved
    cp -a site bob.db* palm.db* saved
    for when in $(sized "before after" after); do
        rm -rf site bob.db* palm.db*
        cp -a saved/* .
        sql palm.db "UPDATE account SET name = 'P ' || name" "DELETE FROM contact WHERE row_id < 'C-000030'"
        die_at_each_stage $when "integratedsync --now bob.db palm.db site" "$(sized 3 9)"
        take_step "integratedsync --now bob.db palm.db site"
        right bob.db
        [ "$(txnlog digest palm.db)" = "$(txnlog digest bob.db --node palm)" ]
        [ "$(sql site/hq.db "SELECT count(*) FROM account WHERE name LIKE 'P P %'")" = 0 ]
        [ "$(sql site/hq.db "SELECT count(*) FROM account WHERE name LIKE 'P %'")" -gt 0 ]
        no_litter site bob.db-dx palm.db-dx
    done
}

# killed_at_random "COMMAND..." TIMES: started and killed after some milliseconds, time and again.
killed_at_random() {
    local i group
    for ((i = 0; i < $2; i++)); do
        setsid $1 >out 2>&1 </dev/null 3>&- &
        group=$!
        sleep "0.0$((RANDOM % 10))$((RANDOM % 10))"
        if [ $((i % 3)) -eq 0 ]; then kill -9 $group; else kill -9 -- -$group; fi 2>/dev/null || true
        wait $group || true
    done
}

@test "every step killed at random moments" {
    RANDOM=20260101
    for ((round = 0; round < $(sized 3 1); round++)); do
        rm -rf site alice.db* bob.db*
        scene
        for step in "${steps[@]}"; do
            killed_at_random "$step" 4
            take_step "$step"
        done
        all_ends_well 8
    done
}

@test "txnlog upload, txnroute run and dxapply by themselves, killed at random moments" {
    RANDOM=7
    sql alice.db "UPDATE contact SET photo = zeroblob(50000)"
    killed_at_random "txnlog upload alice.db alice.db-dx/outbox" 12
    find alice.db-dx/outbox -name '*.dx' -exec dxpack verify {} \;
    find alice.db-dx/outbox -name '*.tmp' -delete
    killed_at_random "txnroute run site/hq.db site/docking" 12
    txnroute run site/hq.db site/docking </dev/null
    find site/docking -name '[0-9]*.dx' -exec dxpack verify {} +
    take_step "remotesync bob.db site"
    take_step "remotesync alice.db site"
    upload=$(echo site/docking/alice/inbox/*1.dx)
    for i in {1..12}; do
        dxapply site/hq.db <"$upload" >out 2>&1 &
        sleep "0.0$((RANDOM % 10))"
        kill -9 $! 2>/dev/null || true
        wait $! || true
    done
    [ "$(sql site/hq.db "PRAGMA integrity_check")" = ok ]
    for step in "${steps[@]}"; do take_step "$step"; done
    right alice.db
    right bob.db
}

@test "overlapping runs of everything end as one after the other" {
    take_step "${steps[0]}"
    take_step "${steps[1]}"
    for round in 1 2 3; do
        for command in "dxcron site" "dxcron site" "remotesync alice.db site" "remotesync alice.db site" "remotesync bob.db site"; do
            $command >/dev/null 2>out.$round 3>&- &
        done
        wait
    done
    all_ends_well 2
}

@test "an outbox file cut off, replaced, or missing is refused by number, and initsync is the way out" {
    dxcron site
    sql site/hq.db "UPDATE product SET price = price + 1"
    dxcron site
    files=(site/docking/bob/outbox/*.dx)
    [ ${#files[@]} -eq 2 ]
    before=$(txnlog digest bob.db)
    cp "${files[0]}" saved
    truncate -s -100 "${files[0]}"
    run -3 remotesync bob.db site
    [[ $output == *"damaged on the server"* ]]
    [ "$(txnlog digest bob.db)" = "$before" ]
    cp "${files[1]}" "${files[0]}"
    run -3 remotesync bob.db site
    [ "$(txnlog digest bob.db)" = "$before" ]
    rm "${files[0]}"
    run -3 remotesync bob.db site
    [[ $output == *"archive $((10#$(basename "${files[0]}" .dx))) is missing"* ]]
    [ "$(txnlog digest bob.db)" = "$before" ]
    cp saved "${files[0]}"
    take_step "remotesync bob.db site"
    rm "$(find site/docking/alice/outbox -name '*.dx' | sort | head -n 1)"
    run -3 remotesync alice.db site
    run initsync alice.db site --node alice
    [ "$status" -le 1 ]
    for step in "${steps[@]}"; do take_step "$step"; done
    right alice.db
    right bob.db
}

@test "an inbox file repeated, or ahead of a lost one, does no harm" {
    take_step "remotesync bob.db site"
    inbox=site/docking/bob/inbox
    cp $inbox/00000001.dx first
    dxcron site || [ $? -eq 1 ]
    cp first $inbox/00000001.dx
    run -0 dxcron site
    [ ! -e $inbox/00000001.dx ]
    take_step "remotesync bob.db site"
    sql bob.db "UPDATE account SET revenue = 2"
    take_step "remotesync bob.db site"
    mv $inbox/00000002.dx second
    sql bob.db "UPDATE account SET revenue = 3"
    cp bob.db-dx/outbox/00000002.dx kept
    txnlog upload bob.db bob.db-dx/outbox
    cp bob.db-dx/outbox/00000003.dx $inbox/
    run -1 dxcron site
    [[ $output == *"00000003.dx: left where it is"* ]]
    take_step "remotesync bob.db site"
    [ -e $inbox/00000002.dx ]
    dxcron site || [ $? -eq 1 ]
    take_step "remotesync bob.db site"
    right bob.db
    [ -z "$(find $inbox -type f)" ]
}

@test "a damaged file in a client's inbox is fetched again" {
    dxcron site
    file=$(echo site/docking/bob/outbox/*.dx)
    head -c 500 "$file" >"bob.db-dx/inbox/${file##*/}"
    echo junk >bob.db-dx/inbox/00000099.dx
    take_step "remotesync bob.db site"
    take_step "dxcron site"
    take_step "remotesync bob.db site"
    right bob.db
    no_litter bob.db-dx
}

# small_disk DIR KIB: a disk of that size there, where we may mount one; else say no.
small_disk() {
    mkdir -p "$1"
    [ "$(id -u)" -eq 0 ] && mount -t tmpfs -o "size=$2k" none "$1" 2>/dev/null && disk=$1
}

teardown() {
    [ -z "${disk:-}" ] || umount -l "$disk"
}

# no_room COMMAND...: run with no room to write more than 16 KiB into a file: a small disk for everybody.
no_room() {
    (ulimit -f 16 && trap '' XFSZ && "$@")
}

@test "a file that cannot grow: nothing is half done, and the next run goes on" {
    sql alice.db "UPDATE contact SET photo = randomblob(2000)"
    sql site/hq.db "UPDATE product SET name = hex(randomblob(2000))"
    before=$(txnlog digest alice.db)
    for step in "remotesync alice.db site" "dxcron site"; do
        run no_room $step
        [ "$status" -ge 1 ]
        [ "$status" -ne 2 ]
    done
    [ "$(txnlog digest alice.db)" = "$before" ]
    [ -z "$(find site alice.db-dx -name '[0-9]*.dx' -size +16k)" ]
    find site alice.db-dx -name '[0-9]*.dx' -exec dxpack verify {} \;
    for step in "${steps[@]}"; do take_step "$step"; done
    right alice.db
    right bob.db
    no_litter site alice.db-dx bob.db-dx
}

@test "a full disk on the server, then on the client: nothing is half done, and the next run goes on" {
    if ! small_disk disk 6000; then
        echo "# no right to mount a small disk here: files that cannot grow, above, stand for it" >&3
        return 0
    fi
    sql alice.db "UPDATE contact SET photo = randomblob(20000)"
    mv site disk/
    ln -s disk/site site
    head -c 100000000 /dev/zero >disk/filler 2>/dev/null || true
    run -4 remotesync alice.db site
    [ -z "$(find disk/site/docking/alice/inbox -name '[0-9]*.dx')" ]
    run dxcron site
    [ "$status" -ge 1 ]
    rm disk/filler
    take_step "remotesync alice.db site"
    truncate -s 0 disk/filler
    head -c 100000000 /dev/zero >disk/filler 2>/dev/null || true
    before=$(txnlog digest site/hq.db)
    run dxcron site
    [ "$status" -ge 1 ]
    [ "$(txnlog digest site/hq.db)" = "$before" ]
    rm disk/filler
    take_step "dxcron site"
    rm site
    mv disk/site .
    mv bob.db bob.db-dx disk/
    before=$(txnlog digest disk/bob.db)
    head -c 100000000 /dev/zero >disk/filler 2>/dev/null || true
    run -4 remotesync disk/bob.db site
    rm disk/filler
    [ "$(txnlog digest disk/bob.db)" = "$before" ]
    mv disk/bob.db disk/bob.db-dx .
    for step in "${steps[@]}"; do take_step "$step"; done
    right alice.db
    right bob.db
}
