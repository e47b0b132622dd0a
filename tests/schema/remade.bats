# A table that an application makes again (create, copy, drop, rename), as Django, Rails, Alembic and the manual of
# sqlite3 do to alter it: capture, columns and identity of a table are checked apart from each other.
load ../helper

# remake DB [MORE-COLUMNS] [STATEMENTS]: makes table c again.
remake() {
    sql "$1" "CREATE TABLE n (id INTEGER PRIMARY KEY, name${2:+, $2}); INSERT INTO n (id, name) SELECT id, name FROM c;
        DROP TABLE c; ALTER TABLE n RENAME TO c; ${3:-}"
}

one_table() {
    sql hq.db "CREATE TABLE c (id INTEGER PRIMARY KEY, name); INSERT INTO c VALUES (1, 'one'), (2, 'two')"
    txnlog attach hq.db
}

@test "a table made again is refused by read and status, with new columns or without, and attach begins a new epoch" {
    one_table
    for columns in '' vat; do
        epoch=$(sql hq.db "SELECT value FROM dx_meta WHERE name = 'epoch'")
        remake hq.db "$columns" "UPDATE c SET name = 'lost' WHERE id = 1"
        run -3 txnlog read hq.db
        [[ $output == *"table c: the table was made again after it was captured"*"run \`txnlog attach\` again"* ]]
        run -1 txnlog status hq.db
        [[ $output == *"table c: captured: the table was made again"* ]]
        run -1 txnlog attach hq.db
        [[ $output == *"what was changed meanwhile is not in the journal: extract the copies again"* ]]
        [ "$(sql hq.db "SELECT value FROM dx_meta WHERE name = 'epoch'")" != "$epoch" ]
        run -0 txnlog status hq.db
    done
}

@test "a table made again is found where the application put the triggers back, and after VACUUM" {
    one_table
    triggers=$(sql hq.db "SELECT group_concat(sql, '; ') FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'c'")
    remake hq.db '' "UPDATE c SET name = 'lost' WHERE id = 1"
    sqlite3 hq.db "$triggers"
    run -3 txnlog read hq.db
    [[ $output == *"table c: the table was made again"* ]]
    sql hq.db VACUUM
    run -3 txnlog read hq.db
    run -1 txnlog attach hq.db
    sql hq.db VACUUM "UPDATE c SET name = 'seen'"
    run -0 txnlog status hq.db
    txnlog read hq.db >log.dx
}

@test "a table renamed away, and another under its name: the triggers are on the wrong table" {
    one_table
    sql hq.db "ALTER TABLE c RENAME TO old; CREATE TABLE c (id INTEGER PRIMARY KEY, name); INSERT INTO c SELECT * FROM old"
    run -3 txnlog read hq.db
    [[ $output == *"table c: the table was made again"* ]]
    run -1 txnlog attach hq.db
    [[ $output == *"table c: "*"not in the journal"* ]]
}

@test "a unique index is a gap only when rows came that could have replaced others" {
    one_table
    sql hq.db "UPDATE c SET name = 'uno' WHERE id = 1"
    txnlog attach hq.db
    sql hq.db "CREATE UNIQUE INDEX u ON c (name)"
    run -0 txnlog attach hq.db
    sql hq.db "DROP INDEX u; INSERT INTO c VALUES (3, 'three')"
    run -0 txnlog attach hq.db
    sql hq.db "CREATE UNIQUE INDEX u ON c (name); INSERT OR REPLACE INTO c VALUES (4, 'three')"
    run -1 txnlog attach hq.db
    [[ $output == *"not in the journal"* ]]
}

# site_and_copy: site/ with table c, and a.db, the copy of node a.
site_and_copy() {
    mkdir site p
    sql site/hq.db "CREATE TABLE c (id INTEGER PRIMARY KEY, name); INSERT INTO c VALUES (1, 'one'), (2, 'two'), (5, 'five'), (6, 'six')"
    printf '[package]\nname = p\nversion = 1\n[object c]\nvisible = all\n' >p/package.conf
    txnlog attach site/hq.db
    txnroute load site/hq.db p
    txnroute node add site/hq.db a --package p
    initsync a.db site --node a
}

@test "a client's table made again: what was written without capture is found at the next sync, and travels" {
    site_and_copy
    remake a.db vat "UPDATE c SET name = 9 WHERE id = 1; DELETE FROM c WHERE id = 2; INSERT INTO c VALUES (3, 3, 3)"
    run -1 txnlog attach a.db
    [[ $output == *"is found by comparison with the server: run remotesync"* ]]
    sql a.db "UPDATE c SET name = name || '!' WHERE id = 1" # captured again
    run -1 txnlog status a.db
    [[ $output == *"table c: changed while it was not captured; waits to be compared with the server"* ]]
    run -7 txnlog upload a.db out
    run -0 remotesync --now a.db site
    [ "$(sql site/hq.db "SELECT id, name FROM c")" = $'1|9!\n3|3\n5|five\n6|six' ]
    [ "$(sql a.db "SELECT id, name, vat FROM c")" = $'1|9!|\n3|3|3\n5|five|\n6|six|' ]
    run -0 remotesync --now --prove a.db site
    run -0 txnlog status a.db
}

@test "remotesync mends a client's capture by itself; pending changes and those of the office stand beside what is found" {
    site_and_copy
    sql a.db "UPDATE c SET name = 'pending' WHERE id = 5"
    remake a.db '' "UPDATE c SET name = 'here' WHERE id IN (1, 6); INSERT INTO c VALUES (9, 'nine')"
    sql site/hq.db "UPDATE c SET name = 'office' WHERE id = 6; INSERT INTO c VALUES (7, 'seven')"
    run -1 remotesync --now a.db site
    [[ $output == *"1 rows were changed by the server meanwhile"*"saved in a.db-dx/saved/uncaptured-1.dx"* ]]
    [ "$(dxpack cat a.db-dx/saved/uncaptured-1.dx)" = '{"table":"c","op":"update","key":{"id":6},"old":{"name":"office"},"new":{"name":"here"}}' ]
    [ "$(sql site/hq.db "SELECT id, name FROM c")" = $'1|here\n2|two\n5|pending\n6|office\n7|seven\n9|nine' ]
    same_tables a.db site/hq.db
    run -0 remotesync --now --prove a.db site
}

@test "nothing is downloaded over what is not compared; recover takes only what leads up to the server's rows" {
    site_and_copy
    remake a.db '' "UPDATE c SET name = 'here' WHERE id = 1"
    sql site/hq.db "UPDATE c SET name = 'office' WHERE id = 2"
    dxcron site
    run -1 txnlog attach a.db
    run -7 dxapply a.db <site/docking/a/outbox/00000002.dx
    [[ $output == *"table c was changed while it was not captured"* ]]
    txnlog digest site/hq.db --node a --at 2 --rows --whole c >rows.dx
    run -7 txnlog recover a.db rows.dx
    [[ $output == *"rows after archive 2, but those here lead to archive 1"* ]]
    txnlog digest site/hq.db --node a --rows --whole c >loose.dx
    run -3 txnlog recover a.db loose.dx
    run -1 txnlog recover a.db
    [ "$output" = c ]
    run -2 txnlog recover a.db rows.dx site/docking/a/outbox/00000002.dx # row 2 may have been changed here, too
    run -1 txnlog recover a.db --save saved.dx rows.dx site/docking/a/outbox/00000002.dx
    [ "$(dxpack cat saved.dx)" = '{"table":"c","op":"update","key":{"id":2},"old":{"name":"office"},"new":{"name":"two"}}' ]
    run -0 txnlog recover a.db
    txnlog upload a.db out
    [ "$(dxpack cat out/00000001.dx)" = '{"table":"c","op":"update","key":{"id":1},"old":{"name":"one"},"new":{"name":"here"}}' ]
    run -0 dxapply a.db <site/docking/a/outbox/00000002.dx
    [ "$(sql a.db "SELECT name FROM c WHERE id < 3")" = $'here\noffice' ]
}

@test "a copy that was detached is compared, too" {
    site_and_copy
    txnlog detach a.db
    sql a.db "UPDATE c SET name = 'unseen' WHERE id = 1"
    txnlog attach a.db
    run -0 remotesync --now a.db site
    [ "$(sql site/hq.db "SELECT name FROM c WHERE id = 1")" = unseen ]
}

@test "initsync over a table made again sends what was written to it, or saves it where the server does not know the copy" {
    site_and_copy
    remake a.db '' "UPDATE c SET name = 'here' WHERE id = 1"
    run -0 initsync a.db site --node a
    run -0 remotesync --now a.db site
    [ "$(sql site/hq.db "SELECT name FROM c WHERE id = 1")" = here ]
    remake a.db '' "UPDATE c SET name = 'again' WHERE id = 1"
    initsync other.db site --node a # another copy: this one's numbering is over
    run -1 initsync a.db site --node a
    [[ $output == *"saved in a.db-dx/saved/rows-1.dx"* ]]
    [[ $(dxpack cat a.db-dx/saved/rows-1.dx) == *'"new":{"id":1,"name":"again"}'* ]]
    [ "$(sql a.db "SELECT name FROM c WHERE id = 1")" = here ]
}

@test "merge and extract refuse a database with a table made again; the router sets aside what reads it" {
    site_and_copy
    sql a.db "UPDATE c SET name = 'from a'"
    txnlog upload a.db out
    remake site/hq.db vat
    run -3 dxapply --upload-from a site/hq.db <out/00000001.dx
    [[ $output == *"table c: the table was made again"*"run \`txnlog attach\` again"* ]]
    run -1 txnroute run site/hq.db site/docking </dev/null
    [[ $output == *"object p/c is set aside: table c: the table was made again"* ]]
    run -3 txnroute extract site/hq.db a
    run -1 dxcron site
    [[ $output == *"table c: the table was made again"* ]]
    [ "$(sql site/hq.db "SELECT id, name, vat FROM c WHERE id = 1")" = '1|one|' ]
}
