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
        [[ $output == *"what was changed meanwhile is not in the journal: extract the copies anew"* ]]
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

@test "merge, routing and apply refuse a database with a table made again; nothing is done" {
    mkdir site p
    sql site/hq.db "CREATE TABLE c (id INTEGER PRIMARY KEY, name); INSERT INTO c VALUES (1, 'one')"
    printf '[package]\nname = p\nversion = 1\n[object c]\nvisible = all\n' >p/package.conf
    txnlog attach site/hq.db
    txnroute load site/hq.db p
    txnroute node add site/hq.db a --package p
    initsync a.db site --node a
    sql a.db "UPDATE c SET name = 'from a'"
    txnlog upload a.db out
    remake site/hq.db vat
    run -3 dxapply site/hq.db <out/00000001.dx
    [[ $output == *"table c: the table was made again"*"run \`txnlog attach\` again"* ]]
    run -3 txnroute run site/hq.db site/docking
    [[ $output == *"table c: the table was made again"* ]]
    run -3 txnroute extract site/hq.db a
    run -3 dxcron site
    [[ $output == *"table c: the table was made again"* ]]
    [ "$(sql site/hq.db "SELECT id, name, vat FROM c")" = '1|one|' ]
}
