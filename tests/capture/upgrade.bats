#!/usr/bin/env bats
# txnlog attach on databases of older formats of the toolkit's own tables: tests/data/formats has some of each, as the
# programs of that format made them.

load ../helper

# old FORMAT: hq.db, ann.db and bob.db of that format, with their docking directory and ann's upload under way.
old() {
    local db
    cp -r "$DX_ROOT/tests/data/formats/$1/docking" .
    mkdir ann-out
    cp "$DX_ROOT/tests/data/formats/$1"/*.dx ann-out
    for db in hq ann bob; do
        sqlite3 -bail "$db.db" <"$DX_ROOT/tests/data/formats/$1/$db.sql"
        sqlite3 "$db.db" 'PRAGMA journal_mode = WAL' >wal
    done
}

upgrade() {
    local db
    for db in hq ann bob; do txnlog attach "$db.db" 2>>upgrade.err; done
}

# books DB: what must be the same after an upgrade as before, in the columns that there were when it was first asked, by
# their names of now: the journal and all that waits, was decided or is known.
books() {
    local table columns
    for table in dx_journal dx_table dx_upload dx_quarantine dx_conflict dx_rekey dx_renamed dx_copy dx_nodes dx_package \
        dx_object dx_audience dx_archive dx_routed dx_force dx_seen; do
        echo "$table"
        columns=$1.$table.columns
        [ -e "$columns" ] || sql "$1" "SELECT group_concat('\"' || name || '\"', ', ') FROM pragma_table_info('$table')" >"$columns"
        case $table.$(sql "$1" "SELECT group_concat(name) FROM pragma_table_info('$table')") in
        dx_nodes.*suspended_at*) sed -i 's/"asleep"/"suspended_at"/; s/"slept"/"suspended_run"/; s/"told"/"last_ack"/' "$columns" ;;
        dx_quarantine.*sent_back*) sed -i 's/"told"/"sent_back"/' "$columns" ;;
        esac
        [ -z "$(cat "$columns")" ] || sqlite3 "$1" -cmd '.mode insert' "SELECT $(cat "$columns") FROM $table ORDER BY 1, 2" |
            sed 's/^INSERT INTO "table"([^)]*)/row/'
    done
    sql "$1" "SELECT iif(name = 'asleep', 'suspended', name), value FROM dx_meta WHERE name NOT IN ('format', 'captured_schema', 'captured_upto') ORDER BY 1" "SELECT name, mark FROM dx_peer ORDER BY 1"
}

# own_columns DB TABLE: its columns, by name; without the journal's for values, which are as many as tables want.
own_columns() {
    sql "$1" "SELECT '$2', name, type, \"notnull\", pk FROM pragma_table_info('$2')
        WHERE name NOT GLOB '[cd][0-9]*' ORDER BY name"
}

@test "a database of an older format is refused by all but attach, and the message names it" {
    for format in $(sized "1 2 3 4 5" "1 5"); do
        rm -rf -- *
        old $format
        sqlite3 hq.db .dump >hq.sql
        for try in "txnlog status hq.db" "txnlog read hq.db" "txnroute run hq.db docking" "txnroute status hq.db" \
            "txnlog upload ann.db ann-out" "dxapply ann.db"; do
            # shellcheck disable=SC2086 # words of a command line
            run -3 --separate-stderr $try <docking/ann/outbox/00000001.dx
            [[ $stderr == *".db: its dx_ tables are of format $format, these programs use format "*"upgrade it with \`txnlog attach "*".db\`"* ]]
        done
        diff hq.sql <(sqlite3 hq.db .dump)
    done
}

@test "attach upgrades an older format and says so; journal, books and pending changes stay; again it does nothing" {
    for format in $(sized "1 2 3 4 5" "1 5"); do
        rm -rf -- *
        old $format
        for db in hq ann bob; do
            books "$db.db" >"$db.books"
            run -0 --separate-stderr txnlog attach "$db.db"
            [[ $stderr == "txnlog: its dx_ tables were of format $format and are of format "* ]]
            diff "$db.books" <(books "$db.db")
            sqlite3 "$db.db" .dump >"$db.sql"
            run -0 --separate-stderr txnlog attach "$db.db"
            [ -z "$stderr" ]
            diff "$db.sql" <(sqlite3 "$db.db" .dump)
        done
        run -1 dxapply conflicts --json --all hq.db
        [ "${#lines[@]}" -eq 3 ]
        [ "$(txnlog status --json ann.db | jq '[.unsent, .uploads]' -c)" = '[3,1]' ]
    done
}

@test "what is held and what moved is the same after the upgrade" {
    old 1
    sql hq.db "SELECT obj, quote(key), audience FROM dx_member ORDER BY 1, 2" >member
    sql hq.db "SELECT count(*) FROM dx_history" >moves
    [ "$(wc -l <member)" -eq 9 ]
    upgrade
    for id in $(sql hq.db "SELECT id FROM dx_object ORDER BY id"); do
        sql hq.db "SELECT $id, quote(key), audience FROM dx_member_$id ORDER BY 2"
    done | diff member -
    [ "$(cat moves)" -eq 15 ]
    run -0 txnroute why hq.db ann account 2
    [[ $output == *"archive 2"* ]]
    run -1 txnroute why hq.db ann visit 4 thu
    [[ $output == *"archive 3"* ]]
    run -1 txnroute why hq.db ann contact c4
    [[ $output == *"archive 3"* ]]
}

@test "upgraded databases go on: pending changes travel, what was not routed is, all copies are the server's view" {
    for format in $(sized "1 2 3 4 5" "1 5"); do
        rm -rf -- *
        old $format
        upgrade
        exchange ann bob
        [ "$(sql hq.db "SELECT name, credit FROM account WHERE id = 2")" = 'pending|2.5' ]
        [ "$(sql hq.db "SELECT email, hex(photo) FROM contact WHERE code = 'new'")" = 'n@x|01' ]
        [ "$(sql hq.db "SELECT group_concat(day) FROM (SELECT day FROM visit WHERE account IN (1, 2) ORDER BY 1)")" = sat ]
        [ "$(sql hq.db "SELECT credit FROM account WHERE id = 3")" = 7.0 ]
        [ "$(sql bob.db "SELECT group_concat(id || name) FROM account ORDER BY id")" = 1moved,3three,5five ]
        [ "$(sql ann.db "SELECT group_concat(name) FROM (SELECT name FROM product ORDER BY id)")" = p1,replaced,hq,ann ]
        run -0 txnlog read hq.db --peer warehouse
        txnlog read hq.db --peer warehouse | dxpack list --json >list
        [ "$(jq -s '.[0].after' list)" -eq 3 ]
    done
}

# today: a server and a copy as they are made today, with something in most of their books.
today() {
    printf '[package]\nname = p\nversion = 1\n[object account]\nvisible = all\n' >package.conf
    sql hq.db "CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT)" "INSERT INTO account VALUES (1, 'one')"
    txnlog attach hq.db
    txnlog read hq.db | txnlog ack hq.db
    txnroute load hq.db .
    txnroute node add hq.db ann --package p --user ann
    txnroute extract hq.db ann | dxapply ann.db
    sql hq.db "UPDATE account SET name = 'ours'" "INSERT INTO account VALUES (2, 'hq')"
    sql ann.db "UPDATE account SET name = 'theirs'" "INSERT INTO account VALUES (2, 'ann')"
    exchange ann
}

@test "an upgraded database has the tables and columns of one made today" {
    mkdir new
    (cd new && today)
    for format in $(sized "1 2 3 4 5" "1 5"); do
        find . -maxdepth 1 ! -name . ! -name new -exec rm -r {} +
        old $format
        upgrade
        exchange ann bob
        for db in hq ann; do
            sql new/$db.db "SELECT name FROM sqlite_schema WHERE name GLOB 'dx_*' AND name NOT GLOB '*_[0-9]*'" |
                grep -Fxf <(sql $db.db "SELECT name FROM sqlite_schema") >both
            [ "$(wc -l <both)" -ge 8 ]
            while read -r table; do
                diff <(own_columns new/$db.db "$table") <(own_columns $db.db "$table")
            done <both
        done
    done
}

@test "a view of the application that is broken does not stop an upgrade, and a node's number is not given again" {
    old 4
    sql hq.db "INSERT INTO dx_nodes (name, user, package, epoch, active) VALUES ('gone', '', 'p', 'x', 0)" "DELETE FROM dx_nodes WHERE name = 'gone'"
    sql hq.db "CREATE VIEW broken AS SELECT * FROM nosuch"
    seq=$(sql hq.db "SELECT seq FROM sqlite_sequence WHERE name = 'dx_nodes'")
    txnlog attach hq.db
    [ "$(sql hq.db "SELECT seq FROM sqlite_sequence WHERE name = 'dx_nodes'")" = "$seq" ]
    [ "$(sql hq.db "SELECT count(*) FROM dx_nodes WHERE id < $seq")" -eq 2 ]
}

@test "an upgrade that fails leaves the database as it was" {
    old 1
    sql hq.db "CREATE TABLE dx_member_3 (key)"
    sqlite3 hq.db .dump >hq.sql
    run -3 txnlog attach hq.db
    diff hq.sql <(sqlite3 hq.db .dump)
}
