#!/usr/bin/env bats
# Sessions over a directory: initsync, remotesync, dxserve, dxcron.

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

accounts() {
    sql "$1" "SELECT row_id FROM account ORDER BY row_id LIMIT ${2:-1} OFFSET ${3:-0}"
}

@test "initsync makes the server's view of the node, once more changes nothing, and its journal is empty" {
    right alice.db
    right bob.db
    no_litter .
    before=$(sql alice.db .dump | sha256sum)
    run -0 initsync alice.db site --node alice
    right alice.db
    [ "$(txnlog read alice.db | dxpack cat)" = "" ]
    run -0 remotesync -v alice.db site
    [[ $output == *"0 files sent (0 bytes), 0 received (0 bytes)"* ]]
}

@test "initsync refuses unknown nodes, ended ones, databases of other nodes, and files that are none" {
    run -3 initsync carol.db site --node carol
    [[ $output == *carol* ]]
    [ ! -e carol.db ]
    txnroute node end site/hq.db bob
    run -3 initsync new.db site --node bob
    [[ $output == *bob*ended* ]]
    run -3 initsync alice.db site --node bob
    echo text >note.db
    run -3 initsync note.db site --node alice
    [ "$(cat note.db)" = text ]
    run -2 initsync x.db site --node ../x
    run -2 initsync x.db site
    run -4 initsync x.db nowhere --node alice
}

@test "a row that a first copy cannot hold waits there, is named, and the others are served" {
    sqlite3 site/hq.db "CREATE TABLE t (id INTEGER PRIMARY KEY, v INTEGER CHECK (v > 0)); INSERT INTO t VALUES (1, 1);
        PRAGMA ignore_check_constraints = 1; INSERT INTO t VALUES (2, -1)"
    txnlog attach site/hq.db
    mkdir p
    printf '[package]\nname = q\nversion = 1\n[object t]\nvisible = all\n' >p/package.conf
    txnroute load site/hq.db p
    txnroute node add site/hq.db carol --package q --user carol
    run -1 initsync carol.db site --node carol
    [[ $output == *"1 rows quarantined"*"dxapply conflicts carol.db"* ]]
    [ "$(sql carol.db "SELECT id FROM t")" = 1 ]
    no_litter carol.db-dx
    sql site/hq.db "UPDATE t SET v = 2 WHERE id = 2"
    run -0 remotesync --now --prove carol.db site
    [ "$(sql carol.db "SELECT count(*) FROM t WHERE v = 2")" = 1 ]
}

@test "what is changed on either side arrives on the other, and a second round moves nothing" {
    account=$(accounts alice.db)
    sql alice.db "UPDATE account SET city = 'Turku' WHERE row_id = '$account'" \
        "INSERT INTO contact(row_id, account_id, last_name, last_upd) VALUES ('C-NEW', '$account', 'Quist', '2026')"
    sql site/hq.db "UPDATE account SET name = 'Renamed' WHERE row_id = '$account'" "DELETE FROM product WHERE row_id = 'R-0007'"
    run -0 remotesync -v alice.db site
    [[ $output == *"1 files sent"* ]]
    run -0 dxcron site
    [ -z "$output" ]
    [ "$(sql site/hq.db "SELECT city, name FROM account WHERE row_id = '$account'")" = "Turku|Renamed" ]
    run -0 remotesync alice.db site
    [ -z "$output" ]
    right alice.db
    run -0 remotesync bob.db site
    right bob.db
    run -0 dxcron site
    run -0 remotesync -v alice.db site
    [[ $output == *"0 files sent (0 bytes), 0 received (0 bytes)"* ]]
    no_litter .
}

@test "remotesync --now brings the server's answer in the same session" {
    account=$(accounts alice.db)
    sql alice.db "UPDATE account SET city = 'Turku' WHERE row_id = '$account'"
    run -0 remotesync --now alice.db site
    right alice.db
    [ "$(sql site/hq.db "SELECT city FROM account WHERE row_id = '$account'")" = Turku ]
}

@test "a conflict ends the same everywhere, is recorded on the server, and says so" {
    account=$(accounts alice.db)
    sql alice.db "UPDATE account SET city = 'Turku', revenue = 5.5 WHERE row_id = '$account'"
    sql site/hq.db "UPDATE account SET city = 'Oslo' WHERE row_id = '$account'"
    remotesync alice.db site
    run -1 dxcron site
    run remotesync alice.db site
    [ "$status" -le 1 ]
    right alice.db
    [ "$(sql alice.db "SELECT city, revenue FROM account WHERE row_id = '$account'")" = "Oslo|5.5" ]
    run -1 dxapply conflicts site/hq.db
    [[ $output == *"$account"* ]]
    run -0 dxcron site
    run -0 remotesync alice.db site
}

@test "a row that another one's change hands over leaves one copy and arrives on the other whole" {
    before=$(sql alice.db "SELECT count(*) FROM account")
    [ "$before" -gt 0 ]
    sql site/hq.db "UPDATE position SET login = 'bob' WHERE login = 'alice'"
    dxcron site
    remotesync alice.db site
    remotesync bob.db site
    right alice.db
    right bob.db
    [ "$(sql alice.db "SELECT count(*) FROM account")" = 0 ]
    [ "$(sql bob.db "SELECT count(*) FROM account")" -ge "$before" ]
}

@test "unknown and ended nodes get a clear error" {
    run -3 initsync carol.db site --node carol
    [[ $output == *"no node carol"* ]]
    [ -z "$(ls -d carol.db* 2>/dev/null)" ] # nothing is left of a copy that is not to be
    txnroute node end site/hq.db alice
    run -3 remotesync alice.db site
    [[ $output == *alice*ended* ]]
}

@test "a database that is no copy, no database, no site: refused with what to do" {
    "$DX_ROOT/tests/data/sales" plain.db 1 10
    run -3 remotesync plain.db site
    run -3 remotesync absent.db site
    [[ $output == *initsync* ]]
    run -4 remotesync alice.db nowhere
    run -2 remotesync alice.db
    run -2 remotesync --frob alice.db site
    right alice.db
}

# An upload of alice's that lies in her outbox, and its number, size and digest.
make_upload() {
    sql alice.db "UPDATE account SET name = 'A ' || hex(randomblob(300))"
    txnlog upload alice.db alice.db-dx/outbox
    upload=$(echo alice.db-dx/outbox/*1.dx)
    bytes=$(stat -c %s "$upload")
    digest=$(sha256sum <"$upload")
    digest=${digest%% *}
}

@test "an interrupted upload goes on at its byte, also when what is there is damaged" {
    make_upload
    { greeting alice.db; echo "offer u1 $bytes $digest 0"; echo "data u1 0 $bytes"; head -c 1000 "$upload"; } >half
    run -4 dxserve --site "$PWD/site" --node alice <half
    touch alice.db-dx/under-way # as a session leaves it that was cut off
    part=site/docking/alice/inbox/.1.$digest.part
    [ "$(stat -c %s "$part")" = 1000 ]
    run -0 remotesync -v alice.db site
    [[ $output == *"1 files sent ($((bytes - 1000)) bytes)"* ]]
    cmp "$upload" site/docking/alice/inbox/00000001.dx
    # Again, with a piece that is not the file's.
    rm site/docking/alice/inbox/00000001.dx
    head -c 1000 /dev/zero >"$part"
    run -3 remotesync alice.db site
    [[ $output == *"damaged on the way"* ]]
    [ ! -e "$part" ]
    run -0 remotesync -v alice.db site
    cmp "$upload" site/docking/alice/inbox/00000001.dx
    run -0 dxcron site
    run -0 remotesync alice.db site
    right alice.db
    no_litter .
}

@test "an interrupted download goes on at its byte, also when what is there is damaged" {
    sql site/hq.db "UPDATE product SET name = 'P ' || hex(randomblob(300))"
    dxcron site
    file=$(echo site/docking/alice/outbox/*.dx)
    bytes=$(stat -c %s "$file")
    digest=$(sha256sum <"$file")
    part=alice.db-dx/inbox/.$((10#$(basename "$file" .dx))).${digest%% *}.part
    head -c 1000 "$file" >"$part"
    run -0 remotesync -v alice.db site
    [[ $output == *"1 received ($((bytes - 1000)) bytes)"* ]]
    right alice.db
    no_litter .
    part=bob.${part#alice.}
    file=${file/alice/bob}
    digest=$(sha256sum <"$file")
    head -c 1000 /dev/zero >"${part%/*}/.$((10#$(basename "$file" .dx))).${digest%% *}.part"
    run -3 remotesync bob.db site
    [[ $output == *"damaged on the way"* ]]
    run -0 remotesync bob.db site
    right bob.db
}

@test "an interrupted first copy goes on at its byte, unless the server has moved beyond it" {
    rm -r bob.db bob.db-dx
    talk bob "dx 2 test" "hello node=bob" "copy -" over bye >answer
    read -r _ _ bytes digest _ < <(grep -a -m 1 "^offer s0" answer)
    mkdir -p bob.db-dx/inbox
    head -c 100 site/docking/bob/snapshot.dx >"bob.db-dx/inbox/.0.$digest.part"
    run -0 initsync -v bob.db site --node bob
    [[ $output == *"1 received ($((bytes - 100)) bytes)"* ]]
    right bob.db
    no_litter .
}

@test "both ends keep a file until its receipt is proven" {
    make_upload
    sql site/hq.db "UPDATE product SET price = price + 1"
    dxcron site
    file=$(echo site/docking/alice/outbox/*.dx)
    remotesync alice.db site
    [ -e "$upload" ]
    [ -e "$file" ]
    remotesync alice.db site
    [ -e "$upload" ]
    [ ! -e "$file" ]
    [ "$(txnroute status --json site/hq.db | jq -c '.nodes[] | select(.name == "alice") | [.applied == .archive, .backlog_rows]')" = '[true,0]' ]
    dxcron site
    remotesync alice.db site
    remotesync alice.db site
    [ ! -e "$upload" ]
    [ -z "$(find site -name '[0-9]*.dx' -path '*alice*')" ]
    right alice.db
}

@test "a damaged file in the server's inbox is named and left; removed, it is sent again" {
    make_upload
    sql bob.db "UPDATE account SET city = 'Bergen'"
    remotesync alice.db site
    remotesync bob.db site
    file=site/docking/alice/inbox/00000001.dx
    printf 'X' | dd of=$file bs=1 seek=$((bytes / 2)) conv=notrunc status=none
    run -1 dxcron site
    [[ $output == *"docking/alice/inbox/00000001.dx: left where it is"* ]]
    [ -e $file ]
    [ ! -e site/docking/bob/inbox/00000001.dx ]
    remotesync bob.db site
    right bob.db
    rm $file
    remotesync alice.db site
    dxcron site
    remotesync alice.db site
    right alice.db
}

@test "a bad upload is said once, and again when it fails for another reason or is another file; status names it all the time" {
    sql alice.db "UPDATE account SET city = 'Here'"
    remotesync alice.db site
    file=site/docking/alice/inbox/00000001.dx
    cp $file good
    truncate -s -5 $file
    touch -d '1 minute ago' $file
    run -1 dxcron site
    [ "$(grep -c . <<<"$output")" -eq 1 ]
    [[ $output == *"docking/alice/inbox/00000001.dx: left where it is"* ]]
    run -1 dxcron site
    [ -z "$output" ]
    run -0 dxcron --node bob site
    run -1 dxcron -v site
    [[ $output == *"left where it is"* ]]
    run -1 dxcron site
    [ -z "$output" ]
    run -0 txnroute status site/hq.db site/docking
    [[ $output == *"upload 1 blocked"* ]]
    truncate -s -5 $file
    run -1 dxcron site
    [[ $output == *"left where it is"* ]]
    cp good $file
    run -0 dxcron site
    [ -z "$output" ]
    [ ! -s site/docking/.cron.said ]
}

@test "inboxes that are still empty are not opened, and what comes into one is found all the same" {
    touch -d '1 hour ago' site/docking/{alice,bob}/inbox
    run -0 dxcron site
    [ "$(grep -c '^alice \|^bob ' site/docking/.inboxes.empty)" -eq 2 ]
    [ "$(txnroute arrived site/docking)" = "" ]
    sql alice.db "UPDATE account SET city = 'Here'"
    txnlog upload alice.db out
    cp out/00000001.dx site/docking/alice/inbox
    [ "$(txnroute arrived site/docking)" = site/docking/alice/inbox/00000001.dx ]
    [ "$(txnroute arrived site/docking)" = site/docking/alice/inbox/00000001.dx ]
    touch -d '1 hour ago' site/docking/alice/inbox # not empty: its time does not matter
    [ "$(txnroute arrived --node alice site/docking)" = site/docking/alice/inbox/00000001.dx ]
    [ "$(txnroute arrived site/docking)" = site/docking/alice/inbox/00000001.dx ]
    grep -q '^bob ' site/docking/.inboxes.empty
    run -1 grep -q '^alice ' site/docking/.inboxes.empty
    touch -r site/docking/bob/inbox time
    cp out/00000001.dx site/docking/bob/inbox
    touch -r time site/docking/bob/inbox # as nothing but this does
    [ "$(txnroute arrived site/docking | wc -l)" -eq 1 ]
    sed -i '1s/[0-9]*$/1700000000/' site/docking/.inboxes.empty # once a day
    [ "$(txnroute arrived site/docking | wc -l)" -eq 2 ]
    for damage in ': >' 'echo bob 1 1 >' 'head -c 90 out/00000001.dx >' 'rm'; do
        eval "$damage site/docking/.inboxes.empty"
        [ "$(txnroute arrived site/docking | wc -l)" -eq 2 ]
    done
}

@test "uploads are merged in the order in which they arrived" {
    sql site/hq.db "UPDATE position SET territory = (SELECT territory FROM position WHERE login = 'alice') WHERE login = 'bob'"
    dxcron site
    remotesync alice.db site
    remotesync bob.db site
    account=$(accounts alice.db)
    for who in bob alice; do
        sql $who.db "UPDATE account SET city = '$who' WHERE row_id = '$account'"
        remotesync $who.db site
    done
    run -1 dxcron site
    [ "$(sql site/hq.db "SELECT city FROM account WHERE row_id = '$account'")" = bob ]
    remotesync alice.db site || [ $? -eq 1 ]
    remotesync bob.db site
    right alice.db
    right bob.db
}

@test "one session of a node, one sync of a database, one cron run at a time; the holder is named" {
    mkfifo line
    dxserve --site "$PWD/site" --node alice <line >/dev/null 3>&- &
    server=$!
    exec 7>line
    greeting alice.db >&7
    eventually 5 grep -q dxserve site/docking/alice/lock
    holder=$(sed 's/.*process \([0-9]*\).*/\1/' site/docking/alice/lock)
    run -6 remotesync alice.db site
    [[ $output == *"dxserve for alice (process $holder)"* ]]
    run -0 remotesync bob.db site
    exec 7>&-
    wait $server || true
    exec 7<>alice.db-dx/lock
    flock 7
    echo "someone (process 1)" >alice.db-dx/lock
    run -6 remotesync alice.db site 7>&-
    [[ $output == *"someone (process 1)"* ]]
    run -6 initsync alice.db site --node alice 7>&-
    exec 7<>site/docking/cron.lock
    flock 7
    for who in another "dxcron (process $$)" "dxcron (process 4194305)" ''; do
        echo "$who" >site/docking/cron.lock
        run -6 dxcron site 7>&-
        [[ $output == "dxcron: busy: no dxcron that is at work holds site/docking/cron.lock, but another program does"*"$who" ]]
    done
    exec 7>&-
    printf '[site]\nreport = touch began; until [ -e go ]; do sleep 0.1; done\n' >site/site.conf
    dxcron site 3>&- &
    eventually 20 [ -e site/began ]
    run -6 dxcron site
    [ -z "$output" ]
    run -6 dxcron -v site
    [ "$output" = "dxcron: busy: dxcron (process $!) is at work" ]
    touch site/go
    run -0 dxcron --wait 5 site
}

@test "a copy restored from a backup is refused with the way out, which keeps what was changed in it" {
    cp alice.db backup.db
    account=$(accounts alice.db)
    sql alice.db "UPDATE account SET city = 'Turku' WHERE row_id = '$account'"
    remotesync --now alice.db site
    remotesync alice.db site
    mv backup.db alice.db
    rm -f alice.db-wal alice.db-shm
    sql alice.db "UPDATE account SET revenue = 7.5 WHERE row_id = '$account'"
    for again in 1 2; do
        run -3 remotesync alice.db site
        [[ $output == *"restored from a backup"*"initsync"* ]]
    done
    run initsync alice.db site --node alice
    [ "$status" -le 1 ]
    run -0 remotesync --now alice.db site
    right alice.db
    [ "$(sql alice.db "SELECT city, revenue FROM account WHERE row_id = '$account'")" = "Turku|7.5" ]
}

@test "a server restored from a backup is noticed by the copies that are ahead of it" {
    cp -r site backup
    sql site/hq.db "UPDATE product SET price = 1"
    dxcron site
    remotesync alice.db site
    rm -r site
    mv backup site
    run -1 remotesync alice.db site
    [[ $output == *"the server was restored from a backup"*"initsync"* ]]
    right alice.db
    sql site/hq.db "UPDATE product SET price = 2"
    dxcron site
    run -0 remotesync alice.db site
    right alice.db
}

@test "a server restored from a backup that has caught up in numbers since is noticed by the digests" {
    cp -r site backup
    for price in 1 2; do
        sql site/hq.db "UPDATE product SET price = $price"
        dxcron site
        remotesync alice.db site
    done
    rm -r site
    mv backup site
    for price in 3 4; do
        sql site/hq.db "UPDATE product SET price = $price"
        dxcron site
    done
    # at the same number: by the greeting
    cp -r site at-same
    cp -r alice.db alice-same.db
    cp -r alice.db-dx alice-same.db-dx
    run -1 remotesync alice-same.db at-same
    [[ $output == *"another archive"*"the server was restored from a backup"*"initsync"* ]]
    # what goes on from it, whatever way it comes: by the archive itself
    sql site/hq.db "UPDATE product SET price = 5"
    dxcron site
    run -3 remotesync alice.db site
    [[ $output == *"does not follow the archive"*"initsync"* ]]
    # what the copy made since, brought by hand: by the upload
    sql alice.db "UPDATE account SET city = 'Turku' WHERE row_id = '$(accounts alice.db)'"
    txnlog upload alice.db by-hand
    run -3 dxapply site/hq.db <by-hand/00000001.dx
    [[ $output == *"not the one made here"*"restored from a backup"*"initsync"* ]]
    run initsync alice.db site --node alice
    [ "$status" -le 1 ]
    run -0 remotesync --now alice.db site
    right alice.db
    [ "$(sql site/hq.db "SELECT city FROM account WHERE row_id = '$(accounts alice.db)'")" = Turku ]
}

@test "a first copy over one with unsent changes keeps and sends them" {
    account=$(accounts alice.db)
    sql alice.db "UPDATE account SET city = 'Turku' WHERE row_id = '$account'"
    sql site/hq.db "UPDATE account SET name = 'Renamed' WHERE row_id = '$account'"
    initsync alice.db site --node alice
    [ "$(sql alice.db "SELECT city, name FROM account WHERE row_id = '$account'")" = "Turku|Renamed" ]
    remotesync --now alice.db site
    right alice.db
    [ "$(sql site/hq.db "SELECT city, name FROM account WHERE row_id = '$account'")" = "Turku|Renamed" ]
}

@test "a node's new copy elsewhere takes over; the old one is told" {
    txnroute node end site/hq.db alice
    txnroute node add site/hq.db alice --package sales --user alice
    run -7 remotesync alice.db site
    [[ $output == *"registered again"*"initsync"* ]]
    initsync other.db site --node alice
    right other.db alice
    sql site/hq.db "UPDATE product SET price = 3"
    dxcron site
    remotesync other.db site
    right other.db alice
    run -3 remotesync alice.db site
}

@test "two copies of one node do not swallow each other's changes" {
    cp alice.db twin.db
    sql alice.db "UPDATE account SET city = 'Turku'"
    sql twin.db "UPDATE account SET revenue = 7.5"
    remotesync alice.db site
    run -3 remotesync twin.db site
    [[ $output == *"two copies of this node"*"initsync"* ]]
    dxcron site
    run -3 remotesync twin.db site
    [[ $output == *"two copies of this node"* ]]
    [ "$(sql site/hq.db "SELECT count(*) FROM account WHERE revenue = 7.5")" = 0 ]
    initsync twin.db site --node alice
    run -0 remotesync --now twin.db site
    right twin.db alice
    [ "$(sql site/hq.db "SELECT count(*) FROM account WHERE revenue = 7.5 AND city = 'Turku'")" -gt 0 ]
    run -3 remotesync alice.db site
    [[ $output == *epoch*initsync* ]]
}

@test "a first copy over one whose upload has been merged does not send it again" {
    account=$(accounts alice.db)
    sql alice.db "UPDATE account SET city = 'Turku' WHERE row_id = '$account'"
    remotesync alice.db site
    dxcron site
    sql site/hq.db "UPDATE account SET city = 'Oslo' WHERE row_id = '$account'"
    initsync alice.db site --node alice
    right alice.db
    run -0 remotesync --now -v alice.db site
    [[ $output == *"0 files sent"* ]]
    right alice.db
    [ "$(sql site/hq.db "SELECT city FROM account WHERE row_id = '$account'")" = Oslo ]
}

@test "a session says that capture is amiss also where nothing is to be sent" {
    cp alice.db whole.db
    sql alice.db "DROP TRIGGER $(sql alice.db "SELECT min(name) FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'account'")"
    run -0 remotesync alice.db site
    [[ $output == *"table account: trigger "*" is missing; mended"* ]]
    cp whole.db alice.db
    sql alice.db "DROP TABLE activity"
    run -3 remotesync alice.db site
    [[ $output == *"table activity: the table is gone"* ]]
    cp whole.db alice.db
    txnlog detach alice.db
    run -3 remotesync alice.db site
    [[ $output == *"no table is captured"* ]]
    txnlog attach alice.db
    run -0 remotesync alice.db site
}

@test "database and site names with spaces, quotes and a leading dash" {
    mkdir -p "it's a" && mv site "it's a/si te"
    mv alice.db "al ice's.db"
    mv alice.db-dx "al ice's.db-dx"
    sql "al ice's.db" "UPDATE account SET city = 'Turku'"
    run -0 remotesync --now "al ice's.db" "it's a/si te"
    run -0 dxcron "it's a/si te"
}

@test "help and version" {
    for command in initsync remotesync companionsync integratedsync dxserve dxcron; do
        run -0 $command --help
        [[ $output == "usage: $command "* ]]
        run -0 $command --version
        [[ $output == "$command (dx) "* ]]
    done
}

@test "a copy that was away for long is current at the end, or the session says to sync again" {
    local n
    for n in 1 2 3 4; do
        sql site/hq.db "UPDATE product SET name = 'round $n'"
        txnroute run --fold 2 site/hq.db site/docking </dev/null
    done
    run -7 remotesync alice.db site
    [[ $output == *"alice is not current yet"* ]]
    [ "$(sql alice.db "SELECT DISTINCT name FROM product")" = "round 2" ]
    run -0 remotesync bob.db site --now
    right bob.db
    [ "$(sql bob.db "SELECT DISTINCT name FROM product")" = "round 4" ]
    run -7 remotesync alice.db site
    txnroute run site/hq.db site/docking </dev/null
    run -0 remotesync alice.db site
    right alice.db
    [ "$(sql alice.db "SELECT DISTINCT name FROM product")" = "round 4" ]
}
