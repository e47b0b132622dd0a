# Backup and restore as dx(7) tells it, and the commands of its "CHANGING THE SCHEMA".
load ../helper

# page NAME: the commands that dx(7) marks with that name, as a reader sees them.
page() {
    awk -v mark=".\\\\\" run $1" '$0 == mark { marked = 1; next }
         marked && /^\.Bd / { on = 1; marked = 0; next }
         /^\.Ed/ { on = 0 }
         on { gsub(/\\e/, "\\"); sub(/^\\&/, ""); print }' "$DX_ROOT/man/dx.7"
}

# run_page NAME: runs them, as printed.
run_page() {
    page "$1" >commands
    [ -s commands ]
    cat commands
    bash -euo pipefail commands
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    mkdir site package
    sql site/hq.db "CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO account VALUES (1, 'one')"
    printf '[package]\nname = p\nversion = 1\n[object account]\nvisible = all\n' >package/package.conf
    txnlog attach site/hq.db
    txnroute load site/hq.db package
    txnroute node add site/hq.db a --package p
    initsync a.db site --node a
}

@test "changing the schema: the commands of dx(7) in their order give every copy the column" {
    sql site/hq.db "ALTER TABLE account ADD COLUMN phone TEXT"
    run -1 dxcron site
    [[ $output == *"column phone is new and not captured; run \`txnlog attach\` again"* ]]
    run -0 txnlog attach site/hq.db
    run -1 txnroute try site/hq.db package
    [ "$(sed -z 's/\n      / /g' <<<"$output")" = "table account gets column phone; it comes with the next archive. Nodes: 1, rows with values for it: 0" ]
    run -0 txnroute load site/hq.db package
    sql site/hq.db "UPDATE account SET phone = '7'"
    run -0 dxcron site
    run -0 remotesync --now --prove a.db site
    [ "$(sql a.db "SELECT * FROM account")" = '1|one|7' ]
}

@test "a column is dropped by the commands of dx(7); a change that was not sent is kept" {
    sql site/hq.db "ALTER TABLE account ADD COLUMN phone TEXT"
    txnlog attach site/hq.db
    txnroute load site/hq.db package
    run -0 remotesync --now a.db site
    sql a.db "UPDATE account SET name = 'uno'"
    run_page drop
    run -7 remotesync a.db site
    [[ $output == *"remotesync --yes a.db site, or initsync a.db site --node a"* ]]
    run -0 initsync a.db site --node a
    run -0 remotesync --now --prove a.db site
    [ "$(sql site/hq.db "SELECT * FROM account")" = '1|uno' ]
}

@test "the server is restored: what only the copy has is saved, named, and can be put back; nothing is lost" {
    sql site/hq.db ".backup bak.db"
    sql a.db "INSERT INTO account VALUES (5, 'mine')"
    remotesync --now a.db site
    sql site/hq.db "INSERT INTO account VALUES (9, 'office')"
    remotesync --now a.db site
    rm -rf site/hq.db-wal site/hq.db-shm site/docking
    cp bak.db site/hq.db
    run -1 remotesync --now a.db site
    [[ $output == *"the server was restored from a backup"*"this copy is made again"* ]]
    [[ $output == *"is behind a.db; what it lacks is saved as it was here, in a.db-dx/saved/restored-1.dx"* ]]
    run -0 dxapply --log site/hq.db <a.db-dx/saved/restored-1.dx
    [ "$(sql site/hq.db "SELECT * FROM account")" = $'1|one\n5|mine\n9|office' ]
    run -0 remotesync --now --prove a.db site
    same_tables a.db site/hq.db
}

@test "a client is restored: initsync makes it whole again, and what it had not sent goes up" {
    sql a.db "INSERT INTO account VALUES (5, 'sent')"
    remotesync --now a.db site
    sql a.db "INSERT INTO account VALUES (6, 'unsent')" ".backup bak.db"
    sql a.db "INSERT INTO account VALUES (7, 'later')"
    remotesync --now a.db site
    rm -f a.db-wal a.db-shm
    cp bak.db a.db
    run -3 remotesync --now a.db site
    [[ $output == *initsync* ]]
    run initsync a.db site --node a
    [ "$status" -le 1 ]
    remotesync --now a.db site || [ $? -eq 1 ]
    run -0 remotesync --now --prove a.db site
    [[ $(sql site/hq.db "SELECT group_concat(name) FROM account") == *unsent*later* ]]
}

@test "a server restored to before a copy was made again gets all uploads since, also of what the copy holds no more" {
    printf '[package]\nname = p\nversion = 1\n[object account]\nvisible = SELECT n.name, a.id FROM account a JOIN dx_node n WHERE a.name <> %s\n' "'hidden'" >package/package.conf
    txnroute load site/hq.db package
    remotesync --now a.db site
    sql site/hq.db ".backup bak.db"
    initsync a.db site --node a
    sql a.db "INSERT INTO account VALUES (5, 'mine'), (6, 'hidden')"
    remotesync --now a.db site
    run -0 remotesync --now a.db site
    [ "$(sql a.db "SELECT count(*) FROM account WHERE id = 6")" = 0 ]
    rm -rf site/hq.db-wal site/hq.db-shm site/docking
    cp bak.db site/hq.db
    run -3 remotesync --now a.db site
    [[ $output == *initsync* ]]
    run -1 initsync a.db site --node a
    run -0 remotesync --now a.db site
    [ "$(sql site/hq.db "SELECT * FROM account")" = $'1|one\n5|mine\n6|hidden' ]
    [ -z "$(ls a.db-dx/replay)" ]
    run -0 remotesync --now --prove a.db site
}

@test "an upload that the server had merged when the copy was made again goes up again after a restore of the server" {
    printf '[package]\nname = p\nversion = 1\n[object account]\nvisible = SELECT n.name, a.id FROM account a JOIN dx_node n WHERE a.name <> %s\n' "'hidden'" >package/package.conf
    txnroute load site/hq.db package
    remotesync --now a.db site
    sql site/hq.db ".backup bak.db"
    sql a.db "INSERT INTO account VALUES (6, 'hidden')"
    remotesync --now a.db site # the file is in the outbox yet
    initsync a.db site --node a
    sql a.db "INSERT INTO account VALUES (7, 'hidden')"
    remotesync a.db site
    dxcron site # merged, and the copy does not know
    initsync a.db site --node a
    rm -rf site/hq.db-wal site/hq.db-shm site/docking
    cp bak.db site/hq.db
    run -3 remotesync --now a.db site
    run -1 initsync a.db site --node a
    run -0 remotesync --now a.db site
    [ "$(sql site/hq.db "SELECT * FROM account")" = $'1|one\n6|hidden\n7|hidden' ]
}

@test "a restored server that has caught up in numbers since does not know the copy's numbering: what it lacks is saved and named" {
    sql site/hq.db ".backup bak.db"
    sql site/hq.db "INSERT INTO account VALUES (9, 'office')"
    initsync a.db site --node a
    [ "$(sql a.db "SELECT count(*) FROM account")" = 2 ]
    rm -rf site/hq.db-wal site/hq.db-shm site/docking
    cp bak.db site/hq.db
    for n in 2 3 4; do
        sql site/hq.db "INSERT INTO account VALUES ($n, 'later')"
        dxcron site || [ $? -eq 1 ]
    done
    run -3 remotesync --now a.db site
    run -1 initsync a.db site --node a
    [[ $output == *"the server was restored from a backup and is behind a.db; what it lacks is saved as it was here, in a.db-dx/saved/restored-1.dx"* ]]
    run -0 dxapply --log site/hq.db <a.db-dx/saved/restored-1.dx
    [ "$(sql site/hq.db "SELECT name FROM account WHERE id = 9")" = office ]
    run -0 initsync a.db site --node a # an ordinary one saves nothing
    [ "$(ls a.db-dx/saved)" = restored-1.dx ]
}

@test "a second copy synchronizes first with a restored server: uploads of the first under the same numbers are named" {
    printf '[package]\nname = p\nversion = 1\n[object account]\nvisible = SELECT n.name, a.id FROM account a JOIN dx_node n WHERE a.name <> %s\n' "'hidden'" >package/package.conf
    txnroute load site/hq.db package
    remotesync --now a.db site
    sql site/hq.db ".backup bak.db"
    sql a.db ".backup b.db"
    sql a.db "INSERT INTO account VALUES (6, 'hidden')"
    remotesync --now a.db site
    remotesync --now a.db site
    rm -rf site/hq.db-wal site/hq.db-shm site/docking
    cp bak.db site/hq.db
    sql b.db "INSERT INTO account VALUES (7, 'second')"
    remotesync --now b.db site
    run -1 remotesync --now a.db site
    [[ $output == *"if a second copy of a.db was in use, uploads from here may be missing on the server; they are kept in a.db-dx/outbox/sent/"*".*.dx"* ]]
    [[ $(cat a.db-dx/outbox/sent/*.dx | dxpack cat) == *hidden* ]]
}

@test "a table made again on a client of a server that was restored: its rows are saved and named, and the copy comes back" {
    sql site/hq.db ".backup bak.db"
    sql a.db "INSERT INTO account VALUES (5, 'sent')"
    remotesync --now a.db site
    remotesync --now a.db site
    rm -rf site/hq.db-wal site/hq.db-shm site/docking
    cp bak.db site/hq.db
    sql a.db "CREATE TABLE n (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO n SELECT * FROM account; DROP TABLE account" \
        "ALTER TABLE n RENAME TO account; INSERT INTO account VALUES (6, 'uncaptured')"
    run -1 remotesync --now a.db site
    [[ $output == *"3 rows of tables that were not captured are saved in a.db-dx/saved/rows-1.dx"* ]]
    run -0 remotesync --now --prove a.db site
    [ "$(sql site/hq.db "SELECT * FROM account")" = $'1|one\n5|sent' ]
    dxapply --log site/hq.db <a.db-dx/saved/rows-1.dx
    run -0 remotesync --now --prove a.db site
    [ "$(sql site/hq.db "SELECT * FROM account")" = $'1|one\n5|sent\n6|uncaptured' ]
}

# A companion pc.db, of node ann, and its device palm.db; what was done on both has reached the server.
with_device() {
    txnroute node add site/hq.db ann --package p
    initsync pc.db site --node ann
    hhextract pair pc.db palm.db --device palm
    sql palm.db "INSERT INTO account VALUES (11, 'device')"
    sql pc.db "INSERT INTO account VALUES (12, 'companion')"
    integratedsync pc.db palm.db site
    remotesync --now pc.db site
}

names() {
    sql "$1" "SELECT group_concat(name) FROM (SELECT name FROM account ORDER BY id)"
}

all_have() {
    for db in pc.db palm.db site/hq.db; do [ "$(names $db)" = "$1" ] || { echo "$db: $(names $db)"; return 1; }; done
    [ "$(txnlog digest palm.db)" = "$(txnlog digest pc.db --node palm)" ]
}

@test "a companion is restored by the commands of dx(7): nothing of it and of its device is lost" {
    with_device
    sql pc.db "INSERT INTO account VALUES (13, 'unsent')" ".backup bak.db"
    sql palm.db "INSERT INTO account VALUES (14, 'after')"
    companionsync pc.db palm.db
    remotesync --now pc.db site
    sql palm.db "INSERT INTO account VALUES (15, 'waits')"
    rm -f pc.db-wal pc.db-shm
    cp bak.db pc.db
    run -3 companionsync pc.db palm.db
    run_page companion
    all_have one,device,companion,unsent,after,waits
}

@test "a companion whose database is lost is made again by the commands of dx(7), with what its device has" {
    with_device
    sql palm.db "INSERT INTO account VALUES (15, 'waits')"
    rm -rf pc.db*
    run_page companion
    all_have one,device,companion,waits
}

@test "a device is restored by the commands of dx(7), with what it had not sent" {
    with_device
    sql palm.db "INSERT INTO account VALUES (14, 'unsent')" ".backup bak.db"
    sql palm.db "INSERT INTO account VALUES (15, 'after')"
    companionsync pc.db palm.db
    rm -f palm.db-wal palm.db-shm
    cp bak.db palm.db
    run -3 companionsync pc.db palm.db
    run_page device
    remotesync --now pc.db site
    all_have one,device,companion,unsent,after
}

@test "a device that is lost is made again by the commands of dx(7)" {
    with_device
    rm -f palm.db palm.db-wal palm.db-shm
    run_page "device lost"
    all_have one,device,companion
}

@test "the commands of dx(7) for an upload that a guard has stopped" {
    sed -i '$aguard = rows 1' package/package.conf
    txnroute load site/hq.db package
    sql site/hq.db "INSERT INTO account VALUES (2, 'two'), (3, 'three')"
    remotesync --now a.db site
    page guard | sed 's/NODE/a/g; s/00000007/00000001/' >commands
    [ "$(wc -l <commands)" -eq 3 ]
    for decision in approve reject; do
        sql a.db "UPDATE account SET name = '$decision'"
        run -1 remotesync --now a.db site
        grep -v "node $([ $decision = approve ] && echo reject || echo approve)" commands >now
        [ "$(wc -l <now)" -eq 2 ]
        run -0 bash -euo pipefail now
        [[ $output == *"$decision"* ]]
        remotesync --now a.db site || [ $? -eq 1 ]
        [ "$(names site/hq.db)" = approve,approve,approve ]
        [ "$(names a.db)" = approve,approve,approve ]
        sed -i 's/00000001/00000002/' commands
    done
}
