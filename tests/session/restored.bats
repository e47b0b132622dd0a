#!/usr/bin/env bats
# The server was restored from a backup: nodes come back by themselves, with all that they had changed.

load ../helper
load ../site

# A site with a backup, and everybody has gone on since.
setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    make_site
    make_clients
    cp -r site backup
    sql alice.db "UPDATE account SET city = 'Turku'" "INSERT INTO contact(row_id, account_id, last_name, last_upd)
        SELECT 'C-NEW', min(row_id), 'Quist', '2026' FROM account"
    remotesync --now alice.db site
    sql site/hq.db "UPDATE product SET price = 77 WHERE row_id = 'R-0001'" "INSERT INTO product VALUES ('R-OFFICE', 'new', 1, '2026')"
    remotesync --now alice.db site
    remotesync --now bob.db site
    remotesync alice.db site
    sql alice.db "UPDATE contact SET phone = '9' WHERE row_id = 'C-NEW'"
    # bob has fetched what was done last, and not applied it
    sql site/hq.db "INSERT INTO product VALUES ('R-LATE', 'late', 1, '2026')"
    dxcron site
    cp -r bob.db-dx fetched
    remotesync --fetch bob.db site
    mv bob.db-dx more && mv fetched bob.db-dx && mv more fetched
    rm -r site
    mv backup site
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    cp -r "$BATS_FILE_TMPDIR"/{site,alice.db,alice.db-dx,bob.db,bob.db-dx} .
}

@test "uploads that were acknowledged stay in the outbox for a while, and no longer" {
    [ "$(ls alice.db-dx/outbox/sent)" != "" ]
    txnlog upload --keep-bytes 10 alice.db alice.db-dx/outbox
    [ -z "$(ls alice.db-dx/outbox/sent)" ]
    cp alice.db-dx/outbox/00000002.dx alice.db-dx/outbox/sent/0.00000001.dx
    txnlog upload alice.db alice.db-dx/outbox
    [ -e alice.db-dx/outbox/sent/0.00000001.dx ]
    touch -d '40 days ago' alice.db-dx/outbox/sent/0.00000001.dx
    txnlog upload --keep-days 50 alice.db alice.db-dx/outbox
    [ -e alice.db-dx/outbox/sent/0.00000001.dx ]
    txnlog upload alice.db alice.db-dx/outbox
    [ ! -e alice.db-dx/outbox/sent/0.00000001.dx ]
}

@test "the site says how long its nodes keep acknowledged uploads" {
    printf '[uploads]\nkeep_bytes = 0\n' >site/site.conf
    sql site/hq.db "UPDATE product SET price = 3"
    remotesync --now bob.db site || true
    [ "$(cat bob.db-dx/keep)" = "30 0" ]
}

@test "a node sends again what the restored server had acknowledged, and what it had not sent; its other rows are saved" {
    run -1 remotesync --now alice.db site
    [[ $output == *"the server was restored from a backup; this copy is made again"* ]]
    [[ $output == *"saved as it was here, in alice.db-dx/saved/restored-1.dx"* ]]
    right alice.db
    [ "$(sql site/hq.db "SELECT last_name, phone FROM contact WHERE row_id = 'C-NEW'")" = "Quist|9" ]
    [ "$(sql site/hq.db "SELECT count(*) > 0 FROM account WHERE city = 'Turku'")" = 1 ]
    dxapply --log site/hq.db <alice.db-dx/saved/restored-1.dx
    [ "$(sql site/hq.db "SELECT price FROM product WHERE row_id = 'R-0001'; SELECT name FROM product WHERE row_id = 'R-OFFICE'")" = "77.0
new" ]
    run -0 remotesync --now alice.db site
    right alice.db
    run -1 remotesync --now bob.db site
    right bob.db
    run -0 remotesync --now alice.db site
    right alice.db
    no_litter .
}

@test "killed at every step of it, a node comes back all the same" {
    mkdir saved
    cp -r site alice.db alice.db-dx saved
    for ((at = 1, code = 137; code > 1; at += $(sized 3 9))); do
        rm -rf site alice.db*
        cp -r saved/* .
        code=0
        DX_STOP_AT=$at remotesync --now alice.db site >out 2>&1 || code=$?
        [ $at -lt 200 ]
        for _ in 1 2 3; do remotesync --now alice.db site >>out 2>&1 || [ $? -le 1 ] || { cat out; return 1; }; done
        right alice.db
        [ "$(sql site/hq.db "SELECT last_name, phone FROM contact WHERE row_id = 'C-NEW'")" = "Quist|9" ] || { echo "stopped at $at"; cat out; return 1; }
    done
    [ $at -gt 4 ]
}

@test "where an upload is not kept any more, a person decides, and nothing is changed" {
    rm -r alice.db-dx/outbox/sent
    before=$(txnlog digest alice.db)
    run -3 remotesync alice.db site
    [[ $output == *"upload 1 is not on the server any more, and is not kept here"*"save a copy of that, then run initsync"* ]]
    [ "$(txnlog digest alice.db)" = "$before" ]
}

@test "what a killed upload left in the outbox goes with the next one, also where its number never comes again" {
    : >alice.db-dx/outbox/00000001.dx.4194305.tmp
    : >alice.db-dx/outbox/00000007.dx.$$.tmp # of a process that lives
    txnlog upload alice.db alice.db-dx/outbox
    [ ! -e alice.db-dx/outbox/00000001.dx.4194305.tmp ]
    [ -e alice.db-dx/outbox/00000007.dx.$$.tmp ]
}

# The server, put back from its backup, has made more archives than bob's copy had applied, and one is lost.
outrun() {
    local i
    for i in 1 2 3; do
        sql site/hq.db "UPDATE product SET price = 100 + $i"
        dxcron site
    done
    rm "$(find site/docking/bob/outbox -name '*.dx' | sort | head -n 1)"
}

@test "a restored server that has made more archives than the copy had applied is found out by what was in them" {
    outrun
    run -3 remotesync bob.db site
    run -1 initsync bob.db site --node bob
    [[ $output == *"the server was restored from a backup"*"bob.db-dx/saved/restored-1.dx"* ]]
    right bob.db
    dxapply --log site/hq.db <bob.db-dx/saved/restored-1.dx
    [ "$(sql site/hq.db "SELECT name FROM product WHERE row_id = 'R-OFFICE'")" = "new" ]
    run -0 remotesync --now bob.db site
    right bob.db
}

@test "what came from the server before it was restored, and was not applied yet, is not lost" {
    rm -r bob.db-dx
    cp -r "$BATS_FILE_TMPDIR/fetched" bob.db-dx
    run -1 initsync bob.db site --node bob
    right bob.db
    dxapply --log site/hq.db <bob.db-dx/saved/restored-1.dx
    [ "$(sql site/hq.db "SELECT name FROM product WHERE row_id = 'R-LATE'")" = "late" ]
}

@test "an archive of the server before it was restored that cannot be applied is saved, and named" {
    rm -r bob.db-dx
    cp -r "$BATS_FILE_TMPDIR/fetched" bob.db-dx
    file=$(echo bob.db-dx/inbox/*.dx)
    mv "$file" bob.db-dx/inbox/00000099.dx
    dxpack cat <bob.db-dx/inbox/00000099.dx | dxpack make >"$file"
    run -1 initsync bob.db site --node bob
    [[ $output == *"${file##*/}, of the server before, could not be applied; it is saved as bob.db-dx/saved/received-1.dx"* ]]
    [[ $(dxpack cat <bob.db-dx/saved/received-1.dx) == *R-LATE* ]]
    right bob.db
}
