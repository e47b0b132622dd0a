#!/usr/bin/env bats
# A device and its companion: restored, copied, lost, and wrongly paired. Nothing that was done on a device is lost.

load ../helper

# A server with the nodes a and b, a's copy a.db, and its device palm.
setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    mkdir site pkg
    sql site/hq.db "CREATE TABLE note (id TEXT PRIMARY KEY, body TEXT)" "INSERT INTO note VALUES ('1', 'one'), ('2', 'two')"
    printf '[package]\nname = p\nversion = 1\n[object note]\nvisible = all\n' >pkg/package.conf
    txnlog attach site/hq.db
    txnroute load site/hq.db pkg
    for n in a b; do
        txnroute node add site/hq.db $n --package p --user $n
        initsync $n.db site --node $n
    done
    hhextract pair a.db palm.db --device palm
}

# note DB KEY: a row of its own.
note() {
    sql "$1" "INSERT INTO note VALUES ('$2', 'from $1')"
}

notes() {
    sql "$1" "SELECT group_concat(id, ' ') FROM (SELECT id FROM note ORDER BY id)"
}

# alike: device and companion hold the same.
alike() {
    [ "$(txnlog digest palm.db)" = "$(txnlog digest a.db --node palm)" ]
}

# backup, restore: the device's database, and nothing beside it.
backup() {
    rm -f old.db
    sql palm.db "VACUUM INTO 'old.db'"
}

restore() {
    rm -f palm.db palm.db-wal palm.db-shm
    cp old.db palm.db
}

@test "a device restored from an older file is found, and made right with what it had not sent" {
    note palm.db 3
    companionsync a.db palm.db
    backup
    note palm.db 4
    companionsync a.db palm.db
    restore
    note palm.db 5
    run -3 companionsync a.db palm.db
    [[ $output == *"restored from an older file"*"hhextract pair --adopt a.db palm.db --device palm"* ]]
    [ "$(notes a.db)" = "1 2 3 4" ]
    hhextract pair --adopt a.db palm.db --device palm
    [ "$(notes palm.db)" = "1 2 3 4 5" ]
    companionsync a.db palm.db
    [ "$(notes a.db)" = "1 2 3 4 5" ]
    alike
}

@test "a device restored from an older file that had only received since is found, and not left as it was" {
    backup
    note a.db 4
    companionsync a.db palm.db
    companionsync a.db palm.db # the companion learns that 4 is there
    restore
    run -3 companionsync a.db palm.db
    [[ $output == *"restored from an older file"*"hhextract pair --adopt a.db palm.db --device palm"* ]]
    run -3 hhextract run a.db --device palm
    [[ $output == *"restored from an older file"* ]]
    hhextract pair --adopt a.db palm.db --device palm
    companionsync a.db palm.db
    alike
}

@test "of two copies of a device the second is found, and its work is taken" {
    note palm.db 3
    companionsync a.db palm.db
    backup
    note palm.db 4
    companionsync a.db palm.db
    mv palm.db first.db
    cp old.db palm.db
    note palm.db 5
    run -3 companionsync a.db palm.db
    [[ $output == *"a second copy"* ]]
    hhextract pair --adopt a.db palm.db --device palm
    companionsync a.db palm.db
    [ "$(notes a.db)" = "1 2 3 4 5" ]
    alike
    note first.db 6
    run -1 companionsync a.db first.db # of a numbering that is over
    [[ $output == *"first.db: numbered again by a.db, and right"* ]]
    [ "$(notes a.db)" = "1 2 3 4 5 6" ]
}

@test "an acknowledgement of an upload that a device never made is refused" {
    note palm.db 3
    companionsync a.db palm.db
    backup
    note palm.db 4
    companionsync a.db palm.db
    note a.db 7
    hhextract run a.db --device palm >7.dx
    restore
    run -3 dxapply palm.db <7.dx
    [[ $output == *"acknowledges upload 2, but this copy has made only 1"*"hhextract pair --adopt"* ]] ||
        [[ $output == *"is missing"* ]]
    [ "$(notes palm.db)" = "1 2 3" ]
}

@test "a visit to a wrong companion is refused before anything is written, and does no harm at home" {
    note palm.db 3
    find b.db-dx -type f | sort >before
    run -3 companionsync b.db palm.db
    [[ $output == *"paired with another companion"* ]]
    [ ! -e palm.db-dx ]
    diff before <(find b.db-dx -type f | sort)
    run -3 integratedsync b.db palm.db site
    [ ! -e palm.db-dx ]
    companionsync a.db palm.db
    [ "$(notes a.db)" = "1 2 3" ]
    alike
}

@test "an extract that is foreign or stale is discarded" {
    mkdir -p palm.db-dx/inbox
    hhextract pair b.db other.db --device other
    note b.db 8
    hhextract run b.db --device other >palm.db-dx/inbox/extract.dx
    companionsync a.db palm.db
    alike
    [ -z "$(find palm.db-dx/inbox -type f)" ]
}

@test "the companion's database is lost: its new copy adopts the device, with the changes made on it" {
    note palm.db 3
    companionsync a.db palm.db
    remotesync --now a.db site
    note palm.db 4
    txnlog upload palm.db palm.db-dx/outbox
    note palm.db 5
    rm -r a.db*
    initsync a.db site --node a
    run -3 companionsync a.db palm.db
    [[ $output == *"hhextract pair --adopt a.db palm.db --device palm"* ]]
    hhextract pair --adopt a.db palm.db --device palm
    [ "$(notes palm.db)" = "1 2 3 4 5" ]
    companionsync a.db palm.db
    [ "$(notes a.db)" = "1 2 3 4 5" ]
    alike
    remotesync --now a.db site
    [ "$(notes site/hq.db)" = "1 2 3 4 5" ]
}

@test "a lost device is made again beside the directory that it left, with the package it had" {
    mkdir small
    printf '[package]\nname = small\nversion = 1\n[object note]\nvisible = all\nkeep = id > 1\n' >small/package.conf
    companionsync --conf small a.db palm.db
    [ "$(notes palm.db)" = 2 ]
    note palm.db 3
    companionsync a.db palm.db
    rm palm.db
    run -0 hhextract pair --anew a.db palm.db --device palm
    [ "$(notes palm.db)" = "2 3" ]
    [ "$(hhextract status a.db --json | jq -r '.[0].package')" = small ]
    [ -z "$(find palm.db-dx -name '*.dx')" ]
    note palm.db 4
    companionsync a.db palm.db
    [ "$(notes a.db)" = "1 2 3 4" ]
    alike
}

@test "changes of a lost device that lie in its directory alone are named before the device is made again" {
    note palm.db 3
    companionsync a.db palm.db
    note palm.db 4
    txnlog upload palm.db palm.db-dx/outbox
    rm palm.db
    run -3 hhextract pair --anew a.db palm.db --device palm
    [[ $output == *"palm.db-dx/outbox/00000002.dx: changes of device palm that are nowhere else"* ]]
    [ ! -e palm.db ]
    dxapply --as-local --upload-from palm a.db <palm.db-dx/outbox/00000002.dx
    hhextract pair --anew a.db palm.db --device palm
    [ "$(notes palm.db)" = "1 2 3 4" ]
    alike
}

@test "a package of another name is taken over by the next synchronization" {
    mkdir other
    printf '[package]\nname = other\nversion = 1\n[object note]\nvisible = all\nkeep = id > 1\n' >other/package.conf
    companionsync --conf other a.db palm.db
    [ "$(notes palm.db)" = 2 ]
    companionsync a.db palm.db
    [ "$(notes palm.db)" = 2 ]
    alike
}

@test "a device that is full gets a smaller extract when its filter has been made narrower" {
    sql a.db "WITH n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 99)
        INSERT INTO note SELECT i, hex(randomblob(20000)) FROM n"
    mkdir narrow
    printf '[package]\nname = handheld\nversion = 2\n[object note]\nvisible = all\nkeep = id < 15\n' >narrow/package.conf
    # The device lies on a disk of 2 MB.
    run -4 unshare -rm bash -c 'mkdir disk && mount -t tmpfs -o size=2m none disk && mv palm.db disk/ && ln -s disk/palm.db . &&
        { companionsync a.db disk/palm.db; companionsync --conf narrow a.db disk/palm.db; [ $? -eq 1 ] && touch small;
          sqlite3 disk/palm.db "SELECT count(*) FROM note" >count; exit 4; }'
    echo "$output"
    [ -e small ]
    [ "$(cat count)" = "$(sql a.db "SELECT count(*) FROM note WHERE id < '15'")" ]
}

@test "one lock: while another holds the companion a synchronization is busy, or waits for it" {
    exec 9<>a.db-dx/lock
    flock 9
    run -6 bash -c 'companionsync a.db palm.db 9>&-'
    (sleep 1; flock -u 9) &
    run -0 bash -c 'companionsync --wait 30 a.db palm.db 9>&-'
    exec 9>&-
    wait
}

@test "companionsync finds its commands beside itself, whatever PATH is" {
    run -0 env -i PATH=/usr/bin:/bin "$DX_BUILD/bin/companionsync" a.db palm.db
}

@test "archives that a restored companion made for its device before are not given to the device that it adopts" {
    sql a.db ".backup pc.bak"
    for n in 3 4 5; do
        note a.db $n
        companionsync a.db palm.db
    done
    [ -n "$(ls a.db-docking/palm/outbox)" ]
    rm -f a.db a.db-wal a.db-shm
    cp pc.bak a.db
    run -3 companionsync a.db palm.db
    run -1 hhextract pair --adopt a.db palm.db --device palm
    [[ $output == *"saved in palm.db-dx/saved/adopted-1.dx"* ]]
    note palm.db 6
    run -0 companionsync a.db palm.db
    [ "$(notes a.db)" = "1 2 6" ]
    alike
    dxapply --log a.db <palm.db-dx/saved/adopted-1.dx # what the companion had lost
    run -0 companionsync a.db palm.db
    [ "$(notes a.db)" = "1 2 3 4 5 6" ]
    alike
}
