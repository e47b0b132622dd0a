#!/usr/bin/env bats
# syncdiff and desktopsync: comparison by key and change key.

load ../helper

# make_pair: a.db and b.db alike, three rows each, and what they agree on in base.
make_pair() {
    sql a.db "CREATE TABLE item(id TEXT PRIMARY KEY, name TEXT, v)" \
        "INSERT INTO item VALUES ('k1', 'one', 1), ('k2', 'two', 2), ('k3', 'three', 3)"
    sql a.db "VACUUM INTO 'b.db'"
    syncdiff compare a.db b.db --save-base base >report
}

# counts OPTION...: one line an object: to mine, to theirs (inserts, updates, deletes), conflicts. Fails with 1 when there are
# conflicts; that the comparison exits 1 when anything differs, and 0 when nothing does, is looked at here.
counts() {
    local code=0 expected
    syncdiff compare --json "$@" >report.json || code=$?
    if [ $code -le 1 ]; then
        expected=$(jq '[.objects[] | (.to_mine, .to_theirs | .insert, .update, .delete), .conflicts] | if add > 0 then 1 else 0 end' report.json)
        [ "$code" -eq "$expected" ] || return 99
        code=$(jq 'if (.conflicts | length) > 0 then 1 else 0 end' report.json)
    fi
    jq -r '.objects[] | [.object, (.to_mine, .to_theirs | .insert, .update, .delete), .conflicts] | join(" ")' report.json
    return $code
}

# conflicts: those of the report that counts left.
conflicts() {
    jq -r '.conflicts[] | "\(.object) \(.key | join("/")) \(.mine) \(.theirs)"' report.json
}

@test "keys lists key and change key of every row, the same bytes each time" {
    make_pair
    syncdiff keys a.db >a.keys
    syncdiff keys b.db >b.keys
    cmp a.keys b.keys
    cmp a.keys base
    [ "$(dxpack cat a.keys | jq -r '"\(.op) \(.key.id)"')" = "insert k1
insert k2
insert k3" ]
}

@test "a base knows who changed what; the sides swapped give the same, mirrored" {
    make_pair
    sql a.db "UPDATE item SET v = 10 WHERE id = 'k1'" "INSERT INTO item VALUES ('k4', 'four', 4)"
    sql b.db "DELETE FROM item WHERE id = 'k2'" "INSERT INTO item VALUES ('k5', 'five', 5), ('k6', 'six', 6)"
    [ "$(counts --base base a.db b.db)" = "item 2 0 1 1 1 0 0" ]
    [ "$(counts --base base b.db a.db)" = "item 1 1 0 2 0 1 0" ]
}

@test "the same answer from databases and from archives of keys, in any mix" {
    make_pair
    sql a.db "UPDATE item SET v = 10 WHERE id = 'k1'" "INSERT INTO item VALUES ('k4', 'four', 4)"
    sql b.db "DELETE FROM item WHERE id = 'k2'"
    syncdiff keys a.db >a.keys
    syncdiff keys b.db >b.keys
    for mine in a.db a.keys; do
        for theirs in b.db b.keys; do
            [ "$(counts --base base $mine $theirs)" = "item 0 0 1 1 1 0 0" ]
        done
    done
    [ "$(syncdiff keys b.db | counts --base base a.db -)" = "item 0 0 1 1 1 0 0" ]
}

@test "both changed: a conflict unless both made the same of it" {
    make_pair
    sql a.db "UPDATE item SET v = 10 WHERE id = 'k1'" "UPDATE item SET v = 20 WHERE id = 'k2'" \
        "DELETE FROM item WHERE id = 'k3'" "INSERT INTO item VALUES ('k4', 'a', 1), ('k5', 'same', 1)"
    sql b.db "UPDATE item SET v = 11 WHERE id = 'k1'" "UPDATE item SET v = 20 WHERE id = 'k2'" \
        "UPDATE item SET v = 30 WHERE id = 'k3'" "INSERT INTO item VALUES ('k4', 'b', 1), ('k5', 'same', 1)"
    run -1 counts --base base a.db b.db
    [ "$output" = "item 0 0 0 0 0 0 3" ]
    [ "$(conflicts)" = "item k1 updated updated
item k3 deleted updated
item k4 inserted inserted" ]
    run -1 syncdiff compare --base base a.db b.db
    [[ $output == *"conflict: item 'k3': deleted in mine, updated in theirs"* ]]
}

@test "no base: an initial comparison, in which nothing counts as deleted" {
    make_pair
    sql a.db "DELETE FROM item WHERE id = 'k1'" "UPDATE item SET v = 0 WHERE id = 'k2'"
    sql b.db "DELETE FROM item WHERE id = 'k3'"
    run -1 counts a.db b.db
    [ "$output" = "item 1 0 0 1 0 0 1" ]
    sql a.db "DELETE FROM item"
    [ "$(counts a.db b.db)" = "item 2 0 0 0 0 0 0" ]
}

@test "an emptied side stops, and no file is written; approved, it goes on" {
    make_pair
    sql b.db "UPDATE item SET v = 5 WHERE id = 'k1'" "INSERT INTO item VALUES ('k9', 'new', 9)"
    sql a.db "DELETE FROM item"
    run -5 --separate-stderr syncdiff compare --base base --to-mine m --to-theirs t --save-base new a.db b.db
    [[ $stderr == *"item: all rows are gone on the other side, 2 of 3 rows would be deleted in theirs"*"--approve item:2"* ]]
    [ ! -e m ] && [ ! -e t ] && [ ! -e new ]
    run -5 counts --base base --approve item:3,other:2 a.db b.db
    run -5 counts --base base b.db a.db
    run -1 counts --base base --to-theirs t --approve other:1,item:2 a.db b.db
    [ "$output" = "item 1 0 0 0 0 2 1" ]
    [ -e t ]
}

@test "both sides emptied: the base forgets the rows" {
    make_pair
    sql a.db "DELETE FROM item"
    sql b.db "DELETE FROM item"
    [ "$(counts --base base --save-base base a.db b.db)" = "item 0 0 0 0 0 0 0" ]
    [ "$(jq '.objects[0].base' report.json)" = 3 ]
    [ "$(counts --base base a.db b.db)" = "item 0 0 0 0 0 0 0" ]
    [ "$(jq '.objects[0].base' report.json)" = 0 ]
}

@test "more deletes than allowed stop: by number, by per cent, and half of the rows by default" {
    sql a.db "CREATE TABLE item(id INTEGER PRIMARY KEY, v)" \
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20) INSERT INTO item SELECT i, i FROM n"
    sql a.db "VACUUM INTO 'b.db'"
    syncdiff compare a.db b.db --save-base base
    sql a.db "DELETE FROM item WHERE id <= 10"
    counts --base base a.db b.db
    run -5 counts --base base --max-delete 9 a.db b.db
    counts --base base --max-delete 10 a.db b.db
    run -5 --separate-stderr syncdiff compare --base base --max-delete 49% a.db b.db
    [[ $stderr == *"10 of 20 rows would be deleted in theirs"* ]]
    counts --base base --max-delete 50% a.db b.db
    counts --base base --max-delete 49% --approve item:10 a.db b.db
    sql a.db "DELETE FROM item WHERE id <= 11"
    run -5 counts --base base b.db a.db
    counts --base base --max-delete 100% b.db a.db
    run -2 syncdiff compare --max-delete 101% a.db b.db
    run -2 syncdiff compare --max-delete some a.db b.db
}

@test "every kind of key and value: composite, WITHOUT ROWID, numbers, blobs, other collations, odd names" {
    sql a.db 'CREATE TABLE "odd ""name""" ("the key" TEXT COLLATE NOCASE, n, "käse", PRIMARY KEY("the key", n)) WITHOUT ROWID' \
        "INSERT INTO \"odd \"\"name\"\"\" VALUES ('b', 1, 'x'), ('B', 2.5, NULL), ('a', x'00', 9223372036854775807), ('a', 10, -0.0)" \
        "CREATE TABLE real_key(k REAL PRIMARY KEY, v)" "INSERT INTO real_key VALUES (1e300, 1), (-2.5, 2), (3, 3)"
    sql a.db "VACUUM INTO 'b.db'"
    counts a.db b.db --save-base base >said
    [ "$(cat said)" = "odd \"name\" 0 0 0 0 0 0 0
real_key 0 0 0 0 0 0 0" ]
    sql a.db "UPDATE \"odd \"\"name\"\"\" SET \"käse\" = 0.0 WHERE n = 10" "DELETE FROM real_key WHERE k > 1e10"
    sql b.db "UPDATE \"odd \"\"name\"\"\" SET \"käse\" = 1 WHERE n = x'00'" "INSERT INTO real_key VALUES (4.5, x'')"
    counts a.db b.db --base base >said
    [ "$(cat said)" = "odd \"name\" 0 1 0 0 1 0 0
real_key 1 0 0 0 0 1 0" ]
}

@test "the configuration: change keys, columns, tables left out" {
    sql a.db "CREATE TABLE acct(id TEXT PRIMARY KEY, name, rating, last_upd, mod INTEGER)" "CREATE TABLE secret(id INTEGER PRIMARY KEY)" \
        "INSERT INTO acct VALUES ('1', 'one', 5, '2025-01-01', 1), ('2', 'two', 5, '2025-01-01', 1)"
    sql a.db "VACUUM INTO 'b.db'"
    cat >conf <<-END
	[package]
	name = x
	[object account]
	table = acct
	columns = * except rating
	change_key = last_upd, mod
	[object secret]
	visible = none
	END
    counts --conf conf --save-base base a.db b.db
    sql a.db "UPDATE acct SET rating = 1" "INSERT INTO secret VALUES (1)"
    sql b.db "UPDATE acct SET name = 'zwei', mod = 2 WHERE id = '2'"
    [ "$(counts --conf conf --base base --to-mine plan a.db b.db)" = "acct 0 1 0 0 0 0 0" ]
    syncdiff rows --conf conf b.db <plan | zstd -dc | tar -xO dx.json >dx.json
    [ "$(jq -c .tables dx.json)" = '[{"name":"acct","columns":["id","name","last_upd","mod"],"key":["id"]}]' ]
    sql b.db "ALTER TABLE acct ADD COLUMN other"
    counts --conf conf --base base a.db b.db
}

@test "a configuration that cannot be meant is refused with its line" {
    make_pair
    refused() {
        printf '%s\n' "$2" >conf
        run -3 --separate-stderr syncdiff compare --conf conf a.db b.db
        [[ $stderr == *"$1"* ]] || { echo "$stderr"; return 1; }
    }
    refused "conf:2: [object item] chnage_key: no such setting" $'[object item]\nchnage_key = v'
    refused "no such table: nothing" $'[object nothing]'
    refused "no column w for the change key" $'[object item]\nchange_key = v, w'
    refused "id is part of the key" $'[object item]\nchange_key = id'
    refused "column id is in the key" $'[object item]\ncolumns = * except id'
    refused "no column w for the user key" $'[object item]\nuser_key = name | w'
    refused "conf:2: neither" $'[object item]\nwhat is this'
    refused "no [object NAME]" $'[package]\nname = x'
    refused "table item is in two objects" $'[object item]\n[object other]\ntable = item'
    refused "conf:2: [object item] conflict: 'some' is none of" $'[object item]\nconflict = some'
    refused "conf:2: [object item] deletes: 'some' is none of" $'[object item]\ndeletes = some'
    refused "conf:2: [object item] write: 'some' is none of" $'[object item]\nwrite = some'
    refused "conf:2: [object item] keys: rekey is for an INTEGER PRIMARY KEY" $'[object item]\nkeys = rekey'
    refused "[object item] via: COLUMN -> OBJECT is wanted" $'[object item]\nvia = somewhere'
    refused "[theirs itme] is of no object" $'[object item]\n[theirs itme]\ntable = x'
    refused "no column w" $'[object item]\n[theirs item]\nname = w'
    refused "a column of the key cannot be fixed" $'[object item]\n[theirs item]\nid = 1'
    refused "conf:2: a line over" "[object item]
user_key = $(printf '%070000d' 0)"
    run -4 syncdiff compare --conf missing a.db b.db
}

@test "what cannot be compared is refused: other columns, no key, NULL keys, no such file, another kind of file" {
    make_pair
    sql b.db "ALTER TABLE item ADD COLUMN w"
    run -1 --separate-stderr syncdiff compare a.db b.db
    [[ $stderr == *"item: not compared: mine has no column w; name the columns to compare"* ]]
    syncdiff keys a.db >a.keys
    run -3 syncdiff compare a.keys b.db
    sql c.db "CREATE TABLE t(k TEXT PRIMARY KEY, v)" "INSERT INTO t VALUES (NULL, 1)"
    sql c.db "VACUUM INTO 'd.db'"
    run -1 --separate-stderr syncdiff compare c.db d.db
    [[ $stderr == *"t: 1 rows of mine are not compared: they have NULL in their key"* ]]
    run -4 syncdiff compare a.db missing.db
    echo "some text" >text
    run -3 --separate-stderr syncdiff compare a.db text
    [[ $stderr == *"neither a database nor an archive of keys"* ]]
    : >empty
    run -3 syncdiff compare a.db empty
    head -c 200 a.keys >cut
    run -3 syncdiff compare a.db cut
    run -2 syncdiff compare a.db
    run -2 syncdiff rows a.db extra
    run -3 syncdiff rows a.db </dev/null
}

@test "a table of the base that one side lost is refused; one that only one side has is not compared" {
    make_pair
    sql a.db "CREATE TABLE mine_only(id INTEGER PRIMARY KEY)"
    run -1 --separate-stderr syncdiff compare --base base a.db b.db
    [[ $stderr == *"mine_only: not compared: only in mine"* ]]
    sql a.db "DROP TABLE mine_only"
    syncdiff compare --base base a.db b.db
    sql b.db "DROP TABLE item"
    run -3 --separate-stderr syncdiff compare --base base a.db b.db
    [[ $stderr == *"table item, known to the base, is gone from b.db"* ]]
}

@test "what a base knows of tables that are not compared is carried over" {
    make_pair
    sql a.db "CREATE TABLE other(id INTEGER PRIMARY KEY)" "INSERT INTO other VALUES (1), (2)"
    sql b.db "CREATE TABLE other(id INTEGER PRIMARY KEY)" "INSERT INTO other VALUES (1), (2)"
    syncdiff compare --save-base base a.db b.db
    sql a.db "DELETE FROM other WHERE id = 1" "DELETE FROM item WHERE id = 'k1'"
    printf '[object item]\n' >conf
    run -1 syncdiff compare --conf conf --base base --save-base new a.db b.db
    [ "$(counts --base new a.db b.db)" = "item 0 0 0 0 0 1 0
other 0 0 0 0 0 1 0" ]
}

@test "rows of a plan that moved since the comparison: as they are now, or left out and told" {
    make_pair
    sql a.db "INSERT INTO item VALUES ('k4', 'four', 4), ('k5', 'five', 5)" "DELETE FROM item WHERE id = 'k1'" \
        "UPDATE item SET v = 20 WHERE id = 'k2'"
    run -1 syncdiff compare --base base --to-theirs plan a.db b.db
    sql a.db "DELETE FROM item WHERE id = 'k4'" "INSERT INTO item VALUES ('k1', 'one', 1)" \
        "UPDATE item SET v = 21 WHERE id = 'k2'"
    run -1 --separate-stderr bash -c 'syncdiff rows a.db <plan >rows.dx'
    [[ $stderr == *"item 'k1': was to be deleted and is back"* ]]
    [[ $stderr == *"item 'k4': was to be sent and is gone"* ]]
    [ "$(dxpack cat rows.dx | jq -r '"\(.op) \(.key.id) \(.new.v)"')" = "update k2 21
insert k5 5" ]
    run -3 --separate-stderr bash -c 'syncdiff rows a.db <rows.dx >/dev/null'
    [[ $stderr == *"not a plan"* ]]
    run -3 bash -c 'syncdiff compare a.db plan'
}

@test "a configuration says of archives of keys what it says of databases, and is refused for the same" {
    make_pair
    printf '[object item]\nconflict = nonsense\n' >conf
    run -3 --separate-stderr syncdiff keys a.db --conf conf
    archives=$stderr
    run -3 --separate-stderr syncdiff compare --conf conf a.db b.db
    [[ $archives == *"conf:2: "*"'nonsense' is none of"* && $stderr == "$archives"* ]]
    printf '[object item]\nuser_key = v |\nchange_key = id\n' >conf
    run -3 --separate-stderr syncdiff keys a.db --conf conf
    [[ $stderr == *"conf:3: "*"id is part of the key, it cannot be the change key"* ]]
    printf '[object item]\nfilter = v > 1\n' >conf
    run -3 --separate-stderr syncdiff keys a.db --conf conf
    [[ $stderr == *"conf:2: "*"archives of keys know no filters; compare the databases"* ]]
}

@test "keys names the tables that it leaves out" {
    make_pair
    sql a.db "CREATE TABLE loose(v)" "CREATE TABLE dx_mine(id INTEGER PRIMARY KEY)"
    run -1 --separate-stderr bash -c 'syncdiff keys a.db >a.keys'
    [[ $stderr == *"loose: not compared: it has no primary key; give it one"*"dx_mine: not compared: names that begin with dx_"* ]]
    [ "$(dxpack list --json a.keys | jq -r '[.tables[].name] | join(" ")')" = item ]
}

@test "two databases here, joined inside SQLite, compare as their lists do, bit by bit" {
    sql a.db "CREATE TABLE plain (id INTEGER PRIMARY KEY, i INTEGER, r REAL, t TEXT, n TEXT COLLATE NOCASE, any, d NUMERIC);
        CREATE TABLE pair (a TEXT COLLATE BINARY, b INTEGER, v, PRIMARY KEY (a, b));
        CREATE TABLE word (w TEXT PRIMARY KEY, v) WITHOUT ROWID;
        CREATE TABLE loose (k PRIMARY KEY, v); CREATE TABLE folded (k TEXT PRIMARY KEY COLLATE NOCASE, v);
        WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)
        INSERT INTO plain SELECT i, i, i / 2.0, 't' || i, 'n' || i, i, i FROM n;
        INSERT INTO pair VALUES ('a', 1, 1), ('a', 2, 2), (NULL, 3, 3), ('b', NULL, 4), ('c', 5, zeroblob(3));
        INSERT INTO word VALUES ('x', 0.0), ('y', 1), ('Y', 2), ('', 3); INSERT INTO loose VALUES (1, 1), ('1', 2), (x'31', 3), (2.5, 4);
        INSERT INTO folded VALUES ('a', 1), ('B', 2)"
    cp a.db b.db
    sql b.db "UPDATE plain SET i = NULL WHERE id = 1; UPDATE plain SET r = 0.0 WHERE id = 2; UPDATE plain SET t = 'T3' WHERE id = 3;
        UPDATE plain SET n = 'N4' WHERE id = 4; UPDATE plain SET any = 5.0 WHERE id = 5; UPDATE plain SET any = '6' WHERE id = 6;
        UPDATE plain SET any = x'37' WHERE id = 7; UPDATE plain SET d = 8.5 WHERE id = 8; UPDATE plain SET t = 't9' || char(0) WHERE id = 9;
        DELETE FROM plain WHERE id IN (10, 40); INSERT INTO plain (id) VALUES (0), (99); UPDATE plain SET any = 9007199254740993 WHERE id = 11;
        DELETE FROM pair WHERE b = 2; INSERT INTO pair VALUES ('a', 7, 1), (NULL, 9, 1), ('c', 6, 1);
        UPDATE word SET v = -0.0 WHERE w = 'x'; INSERT INTO word VALUES ('z', 1); UPDATE loose SET v = 9 WHERE k = '1';
        UPDATE folded SET k = 'A' WHERE k = 'a'"
    sql a.db "UPDATE plain SET r = -0.0 WHERE id = 2; UPDATE plain SET any = 9007199254740992.0 WHERE id = 11; UPDATE plain SET r = -0.0 WHERE id = 12"
    sql b.db "UPDATE plain SET r = -0.0 WHERE id = 12"
    for change in '' 'change_key = any'; do
        for t in plain pair word loose folded; do printf '[object %s]\n' $t; done >joined
        [ -z "$change" ] || sed -i "1a $change" joined
        sed 's/^\[.*/&\nfilter = 1/' joined >listed # what has a filter is compared by lists
        for show in --json --rows --stat --sql; do
            run -1 --separate-stderr syncdiff compare --conf joined $show a.db b.db
            one=$output warned=$stderr
            run -1 --separate-stderr syncdiff compare --conf listed $show a.db b.db
            diff <(echo "$one") <(echo "$output")
            [ "$warned" = "$stderr" ]
        done
        [[ $one == *plain* && $one == *word* && $warned == *"2 rows of mine are not compared"* ]]
    done
}

@test "all objects that differ are compared, with every kind of output, and the plan makes the databases equal" {
    local t
    for t in a b c; do
        sql a.db "CREATE TABLE $t (id INTEGER PRIMARY KEY, v); INSERT INTO $t VALUES (1, 1), (2, 2), (3, 3)" \
            "CREATE TABLE w$t (id TEXT PRIMARY KEY, v); INSERT INTO w$t VALUES ('1', 1), ('2', 2), ('3', 3)"
    done
    cp a.db b.db
    for t in a b c; do
        sql b.db "UPDATE $t SET v = 9 WHERE id = 3; DELETE FROM $t WHERE id = 1" "UPDATE w$t SET v = 9 WHERE id = '3'; INSERT INTO w$t VALUES ('4', 4)"
    done
    for show in --json --rows --stat --sql ''; do
        run -1 syncdiff compare $show a.db b.db
        for t in a b c wa wb wc; do [[ $output == *"$t"* ]]; done
    done
    syncdiff compare --only mine --revert --to-mine plan.dx a.db b.db >said || [ $? -eq 1 ]
    syncdiff rows b.db <plan.dx | dxapply a.db
    same_tables a.db b.db
}

@test "what is compared by joining is one state of the other database" {
    sql a.db "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (1, 1), (2, 2)"
    cp a.db b.db
    sql b.db "PRAGMA journal_mode = WAL; UPDATE t SET v = 5 WHERE id = 2"
    run -1 syncdiff compare --json a.db b.db
    [[ $output == *'"agreed":1'* || $output == *'"agreed": 1'* ]]
    ln -s b.db c.db # one file by two names
    run -0 syncdiff compare b.db c.db
}
