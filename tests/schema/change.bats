# The office changes the schema: what is added travels by itself; for the rest the copy is made again.
load ../helper

# site OBJECTS STATEMENTS: site/ with these tables, a package of these objects, and a.db, the copy of node a.
site() {
    mkdir site p
    sql site/hq.db "$2"
    printf '[package]\nname = p\nversion = 1\n%b' "$1" >p/package.conf
    txnlog attach site/hq.db
    txnroute load site/hq.db p
    txnroute node add site/hq.db a --package p
    initsync a.db site --node a
}

# alter STATEMENTS: the office changes tables and loads its package again.
alter() {
    sql site/hq.db "$1"
    txnlog attach site/hq.db || [ $? -eq 1 ]
    txnroute load site/hq.db p
}

# The declared columns of a table, and its indexes.
shape() {
    sql "$1" "SELECT group_concat(name || ' ' || type || ' ' || \"notnull\" || ' ' || coalesce(dflt_value, '-'), ', ') FROM pragma_table_info('$2')" \
        "SELECT sql FROM sqlite_schema WHERE type = 'index' AND tbl_name = '$2' AND sql IS NOT NULL ORDER BY name"
}

c='[object c]\nvisible = all\n'

@test "a column that is added travels with the next archive: declaration, values, index; and is captured" {
    site "$c" "CREATE TABLE c (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO c VALUES (1, 'one'), (2, 'two')"
    alter "ALTER TABLE c ADD COLUMN tel TEXT NOT NULL DEFAULT 'none' COLLATE NOCASE; CREATE INDEX ct ON c (tel); UPDATE c SET tel = '1' WHERE id = 1"
    run -0 remotesync --now --prove a.db site
    [ "$(shape a.db c)" = "$(shape site/hq.db c)" ]
    [ "$(sql a.db "SELECT * FROM c WHERE tel = 'NONE' OR id = 1 ORDER BY id")" = $'1|one|1\n2|two|none' ]
    sql a.db "UPDATE c SET tel = '2' WHERE id = 2"
    run -0 remotesync --now --prove a.db site
    [ "$(sql site/hq.db "SELECT tel FROM c WHERE id = 2")" = 2 ]
}

@test "a node that gets no rows is told of a new column all the same" {
    site "$c" "CREATE TABLE c (id INTEGER PRIMARY KEY, name TEXT)"
    alter "ALTER TABLE c ADD COLUMN tel TEXT"
    run -0 remotesync --now a.db site
    [ "$(shape a.db c)" = "$(shape site/hq.db c)" ]
}

@test "a table that is added travels with the next archive, with rows and indexes, and is captured" {
    site "$c" "CREATE TABLE c (id INTEGER PRIMARY KEY, name TEXT)"
    printf '[object d]\nvia = c -> c\n' >>p/package.conf
    alter "CREATE TABLE d (id INTEGER PRIMARY KEY, c INTEGER REFERENCES c (id), v); CREATE INDEX dc ON d (c); INSERT INTO c VALUES (1, 'one'); INSERT INTO d VALUES (7, 1, 'x')"
    run -0 remotesync --now --prove a.db site
    [ "$(shape a.db d)" = "$(shape site/hq.db d)" ]
    sql a.db "UPDATE d SET v = 'y'"
    run -0 remotesync --now --prove a.db site
    [ "$(sql site/hq.db "SELECT v FROM d")" = y ]
}

@test "an index that is added travels without a new package" {
    site "$c" "CREATE TABLE c (id INTEGER PRIMARY KEY, name TEXT)"
    sql site/hq.db "CREATE INDEX cn ON c (name)"
    txnlog attach site/hq.db
    run -0 remotesync --now a.db site
    [ "$(shape a.db c)" = "$(shape site/hq.db c)" ]
    run -0 remotesync --now --prove a.db site
}

@test "a client with columns of its own keeps them and their values; a name that the server sends later is pending" {
    site "$c" "CREATE TABLE c (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO c VALUES (1, 'one'), (2, 'two')"
    sql a.db "ALTER TABLE c ADD COLUMN mine TEXT; ALTER TABLE c ADD COLUMN tel TEXT; UPDATE c SET mine = 'm', tel = 'a' WHERE id = 1"
    run -0 remotesync --now a.db site
    alter "ALTER TABLE c ADD COLUMN tel TEXT; UPDATE c SET tel = 'b' WHERE id = 2"
    run -0 remotesync --now a.db site
    run -0 remotesync --now --prove a.db site
    [ "$(sql a.db "SELECT id, name, mine, tel FROM c")" = $'1|one|m|a\n2|two||b' ]
    [ "$(sql site/hq.db "SELECT * FROM c")" = $'1|one|a\n2|two|b' ]
}

@test "a table that the client has already, of a name that the server sends later: its rows are pending" {
    site "$c" "CREATE TABLE c (id INTEGER PRIMARY KEY, name TEXT)"
    sql a.db "CREATE TABLE d (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO d VALUES (5, 'client')"
    printf '[object d]\nvisible = all\n' >>p/package.conf
    alter "CREATE TABLE d (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO d VALUES (7, 'office')"
    run -0 remotesync --now a.db site
    run -0 remotesync --now --prove a.db site
    [ "$(sql site/hq.db "SELECT * FROM d")" = $'5|client\n7|office' ]
}

@test "a column that is not sent any more: sync again with a new copy, and what was not sent of it is saved" {
    site "$c" "CREATE TABLE c (id INTEGER PRIMARY KEY, name TEXT, tel TEXT, note TEXT); INSERT INTO c VALUES (1, 'one', '1', 'n'), (2, 'two', '2', 'n')"
    printf 'columns = * except tel\n' >>p/package.conf
    txnroute load site/hq.db p
    dxcron site
    run -7 remotesync a.db site
    [[ $output == *"table c: column tel is not sent any more; make the copy again, what was not sent is kept: initsync a.db SITE --node a"* ]]
    [ "$(sql a.db "SELECT tel FROM c WHERE id = 1")" = 1 ]
    sql a.db "UPDATE c SET tel = 'lost', note = 'kept' WHERE id = 1; INSERT INTO c VALUES (3, 'three', NULL, 'new')"
    run -1 initsync a.db site --node a
    [[ $output == *"1 changes that were not sent have no place any more; they are saved in a.db-dx/saved/unsent-1.dx"* ]]
    [[ $(dxpack cat a.db-dx/saved/unsent-1.dx) == *'"new":{"tel":"lost","note":"kept"}'* ]]
    run -0 remotesync --now a.db site
    run -0 remotesync --now --prove a.db site
    [ "$(sql a.db "SELECT * FROM c")" = $'1|one|kept\n2|two|n\n3|three|new' ]
    [ "$(sql site/hq.db "SELECT * FROM c")" = $'1|one|1|kept\n2|two|2|n\n3|three||new' ]
}

@test "a column or a table that somebody drops from a copy: it has to be made again, and has both then" {
    site "${c}[object d]\nvisible = all\n" "CREATE TABLE c (id INTEGER PRIMARY KEY, name TEXT, tel TEXT); INSERT INTO c VALUES (1, 'one', '1'); CREATE TABLE d (id INTEGER PRIMARY KEY, v); INSERT INTO d VALUES (1, 'd')"
    txnlog detach a.db
    sql a.db "ALTER TABLE c DROP COLUMN tel; UPDATE c SET name = 'uno'"
    txnlog attach a.db
    run -7 remotesync --now a.db site
    [[ $output == *"table c: column tel is not in this copy any more; make the copy again, what was not sent is kept: initsync a.db SITE --node a"* ]]
    run -0 remotesync --yes --now a.db site
    run -0 remotesync --now --prove a.db site
    [ "$(sql a.db "SELECT * FROM c")" = '1|uno|1' ]
    sql a.db "DROP TABLE d"
    sql site/hq.db "UPDATE c SET tel = '2'"
    run -3 remotesync --now a.db site
    [[ $output == *"table d: the table is gone; run \`txnlog attach\` again"* ]]
    run -1 txnlog attach a.db
    run -7 remotesync --now a.db site
    [[ $output == *"table d: it is not in this copy any more; "* ]]
    run -0 remotesync --yes --now a.db site
    run -0 remotesync --now --prove a.db site
    [ "$(sql a.db "SELECT * FROM c" "SELECT * FROM d")" = $'1|uno|2\n1|d' ]
}

@test "a column that is retyped: a new copy, with the values as on the server, and the application's own columns, triggers and views" {
    site "$c" "CREATE TABLE c (id INTEGER PRIMARY KEY, code INTEGER, name TEXT); INSERT INTO c VALUES (1, 7, 'one'), (2, 8, 'two')"
    sql a.db "ALTER TABLE c ADD COLUMN mine TEXT; UPDATE c SET mine = 'm', name = 'uno' WHERE id = 1; CREATE TABLE seen (id);
        CREATE VIEW v AS SELECT name FROM c; CREATE TABLE child (id INTEGER PRIMARY KEY, c REFERENCES c (id))"
    sql site/hq.db "CREATE TABLE n (id INTEGER PRIMARY KEY, code TEXT, name TEXT); INSERT INTO n SELECT id, '00' || code, name FROM c; DROP TABLE c; ALTER TABLE n RENAME TO c"
    run -1 txnlog attach site/hq.db
    txnroute load site/hq.db p
    run -0 initsync a.db site --node a
    [ "$(sql a.db "SELECT id, typeof(code), code, name, mine FROM c")" = $'1|text|007|uno|m\n2|text|008|two|' ]
    [ "$(sql a.db "SELECT * FROM v" "SELECT \"table\" FROM pragma_foreign_key_list('child')")" = $'uno\ntwo\nc' ]
    run -0 remotesync --now a.db site
    run -0 remotesync --now --prove a.db site
    [ "$(sql site/hq.db "SELECT name FROM c WHERE id = 1")" = uno ]
}

@test "a download that declares a column otherwise asks for a new copy" {
    site "$c" "CREATE TABLE c (id INTEGER PRIMARY KEY, code INTEGER); INSERT INTO c VALUES (1, 7)"
    sql site/hq.db "CREATE TABLE d (id INTEGER PRIMARY KEY, v)"
    printf '[object d]\nvisible = all\n' >>p/package.conf
    sql a.db "CREATE TABLE d (id INTEGER PRIMARY KEY, v TEXT)"
    alter "INSERT INTO d VALUES (1, 2)"
    dxcron site
    run -7 remotesync a.db site
    [[ $output == *"table d: column v is declared without a type now, not TEXT"*"initsync"*"remotesync --yes a.db site"* ]]
    run -0 remotesync --yes --now --prove a.db site
    [ "$(sql a.db "SELECT typeof(v) FROM d")" = integer ]
}

@test "another key: a new copy; changes under the old key that were not sent are saved" {
    site "$c" "CREATE TABLE c (id INTEGER PRIMARY KEY, code TEXT NOT NULL, name TEXT); INSERT INTO c VALUES (1, 'x', 'one'), (2, 'y', 'two')"
    sql a.db "UPDATE c SET name = 'uno' WHERE id = 1"
    sql site/hq.db "CREATE TABLE n (id INTEGER, code TEXT NOT NULL PRIMARY KEY, name TEXT); INSERT INTO n SELECT * FROM c; DROP TABLE c; ALTER TABLE n RENAME TO c"
    run -1 txnlog attach site/hq.db
    txnroute load site/hq.db p
    run -1 initsync a.db site --node a
    [[ $output == *"saved in a.db-dx/saved/unsent-1.dx"* ]]
    [[ $(dxpack cat a.db-dx/saved/unsent-1.dx) == *'"key":{"id":1}'*'"new":{"name":"uno"}'* ]]
    run -0 remotesync --now --prove a.db site
    sql a.db "UPDATE c SET name = 'zwei' WHERE code = 'y'"
    run -0 remotesync --now --prove a.db site
    [ "$(sql site/hq.db "SELECT name FROM c ORDER BY code")" = $'one\nzwei' ]
}

@test "a unique index that a pending row violates waits until the server has decided; nobody is stuck" {
    site "$c" "CREATE TABLE c (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO c VALUES (1, 'one')"
    sql a.db "INSERT INTO c VALUES (2, 'one')"
    sql site/hq.db "CREATE UNIQUE INDEX cu ON c (name)"
    run -1 dxcron site
    [[ $output == *"table c: trigger "*" does not fit the table's columns and indexes; run \`txnlog attach\` again"* ]]
    run -0 txnroute status site/hq.db
    [[ $(tr -s '\n ' ' ' <<<"$output") == *"run \`txnlog attach\` again"* ]]
    txnlog attach site/hq.db
    dxcron site
    run -1 dxapply a.db <site/docking/a/outbox/00000002.dx
    [[ $output == *"1 unique indexes are not made yet: rows here violate them"* ]]
    run -0 txnlog status a.db
    sql a.db "UPDATE c SET name = 'two' WHERE id = 2"
    run remotesync --now a.db site
    sql site/hq.db "INSERT INTO c VALUES (3, 'three')"
    run -0 remotesync --now --prove a.db site
    diff <(shape a.db c) <(shape site/hq.db c)
    sql a.db "INSERT OR REPLACE INTO c VALUES (9, 'three')"
    run -0 remotesync --now --prove a.db site
    [ "$(sql site/hq.db "SELECT * FROM c")" = $'1|one\n2|two\n9|three' ]
}

@test "try and load say what nodes get, which need a new copy, and how many rows travel" {
    site "${c}[object d]\nvisible = all\n[object e]\nvisible = all\n" "CREATE TABLE c (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO c VALUES (1, 'one'), (2, 'two');
        CREATE TABLE d (id INTEGER PRIMARY KEY, n INTEGER, gone TEXT); INSERT INTO d VALUES (1, 1, 'x');
        CREATE TABLE e (id INTEGER PRIMARY KEY, n); CREATE TABLE f (id INTEGER PRIMARY KEY); INSERT INTO f VALUES (1)"
    run -0 txnroute try site/hq.db p
    [ -z "$output" ]
    sql site/hq.db "ALTER TABLE c ADD COLUMN tel TEXT" "ALTER TABLE c ADD COLUMN fax TEXT" "UPDATE c SET tel = '7' WHERE id = 1" \
        "CREATE INDEX n_of_e ON e (n)"
    txnlog attach site/hq.db || [ $? -eq 1 ]
    printf '[package]\nname = p\nversion = 2\n%b' "${c}[object d]\nvisible = all\ncolumns = * except gone\n[object e]\nvisible = all\n[object f]\nvisible = all\n" >p/package.conf
    said='table c gets column tel, fax; it comes with the next archive. Nodes: 1, rows with values for it: 1
table d: column gone is not sent any more; it needs new copies (initsync). Nodes: 1, rows of the table: 1
table e gets other indexes, or is declared otherwise; it comes with the next archive. Nodes: 1, rows with values for it: 0
table f is new; it comes with the next archive. Nodes: 1, rows with values for it: 1'
    before=$(sqlite3 site/hq.db .dump | sha256sum)
    run -1 txnroute try site/hq.db p
    echo "$output"
    [ "$(tail -n +3 <<<"$output" | sed -z 's/\n      / /g')" = "$said" ]
    [[ ${lines[1]} == "a "*" f "*" 1 "* ]]
    [ "$(txnroute try site/hq.db p --json | jq -c '[.[] | select(.schema) | .object, .new_copy, .nodes, .rows]')" = '["c",false,1,1,"d",true,1,1,"e",false,1,0,"f",false,1,1]' ]
    [ "$(sqlite3 site/hq.db .dump | sha256sum)" = "$before" ]
    run -0 --separate-stderr txnroute load site/hq.db p
    [ "$(grep '^txnroute: table' <<<"$stderr" | sed 's/^txnroute: //')" = "$said" ]
    dxcron site
    run -7 remotesync a.db site
    run -0 txnroute try site/hq.db p
    [ -z "$output" ]
}

@test "a schema that uses JSON, from the beginning, added later, and in triggers of the copy: it travels, and is written to" {
    site "$c" "CREATE TABLE c (id INTEGER PRIMARY KEY, name TEXT CHECK (json_valid(name))); CREATE INDEX cn ON c (name->>'a')"
    sql a.db "CREATE TABLE mine (a)" "CREATE TRIGGER t AFTER INSERT ON c BEGIN INSERT INTO mine VALUES (json_extract(NEW.name, '\$.a')); END" \
        "INSERT INTO c VALUES (1, '{\"a\":1}')"
    alter "ALTER TABLE c ADD COLUMN d TEXT DEFAULT '{}' CHECK (json_valid(d)); CREATE INDEX cd ON c (json_extract(d, '\$.b')); INSERT INTO c VALUES (2, '{}', '{\"b\":2}')"
    run -0 remotesync --now --prove a.db site
    sql a.db "UPDATE c SET d = '{\"b\":3}' WHERE id = 2"
    run -0 remotesync --now --prove a.db site
    [ "$(sql site/hq.db "SELECT json_extract(d, '\$.b') FROM c ORDER BY id")" = $'\n3' ]
    [ "$(shape a.db c)" = "$(shape site/hq.db c)" ]
}
