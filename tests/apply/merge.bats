#!/usr/bin/env bats
# dxapply on a server: uploads merged field by field, conflicts, permission; and logs that belong to no node.

load ../helper

# server [CONFLICT]: hq.db with a package and node alice, and alice.db, her copy.
server() {
    sql hq.db "CREATE TABLE item (id TEXT PRIMARY KEY, name TEXT UNIQUE, n INTEGER CHECK (n < 1000), secret TEXT, at TEXT)" \
        "CREATE TABLE part (item TEXT REFERENCES item, no INTEGER, what TEXT, PRIMARY KEY (item, no)) WITHOUT ROWID" \
        "CREATE TABLE price (id TEXT PRIMARY KEY, n REAL)" "CREATE TABLE payroll (id TEXT PRIMARY KEY, n REAL)" \
        "INSERT INTO item VALUES ('a', 'anvil', 1, 's1', '1'), ('b', 'bolt', 2, 's2', '1'), ('c', 'cog', 3, 's3', '1')" \
        "INSERT INTO part VALUES ('a', 1, 'top'), ('a', 2, 'foot'), ('b', 1, 'head')" \
        "INSERT INTO price VALUES ('a', 9.5)" "INSERT INTO payroll VALUES ('boss', 1e6)"
    txnlog attach hq.db
    mkdir package
    cat >package/package.conf <<-CONF
	[package]
	name = p
	version = 1

	[object item]
	visible = all
	columns = * except secret
	conflict = ${1:-server}

	[object part]
	visible = all

	[object price]
	visible = all
	write = no

	[object payroll]
	visible = none
	CONF
    txnroute load hq.db package
    txnroute node add hq.db alice --package p
    txnroute node add hq.db bob --package p
    epoch=$(sql hq.db "SELECT epoch FROM dx_nodes WHERE name = 'alice'")
    sql alice.db "CREATE TABLE item (id TEXT PRIMARY KEY, name TEXT, n INTEGER, at TEXT)" "$(tables_of hq.db part)" \
        "CREATE TABLE price (id TEXT PRIMARY KEY, n REAL)"
    sql alice.db "ATTACH 'hq.db' AS hq" "INSERT INTO item SELECT id, name, n, at FROM hq.item" \
        "INSERT INTO part SELECT * FROM hq.part" "INSERT INTO price SELECT * FROM hq.price"
}

# tables_of DB TABLE...: their CREATE statements, without what capture added.
tables_of() {
    local db=$1 table
    shift
    for table; do sql "$db" "SELECT sql || ';' FROM sqlite_schema WHERE type = 'table' AND name = '$table'"; done
}

# upload NUMBER STATEMENT...: what the statements do to alice.db, as an upload of hers; table forged_X as dx_X.
upload() {
    local number=$1
    shift
    rm -f was.db
    sql alice.db "VACUUM INTO 'was.db'" "$@"
    changeset diff was.db alice.db | LC_ALL=C sed 's/forged_/dx_/g' |
        wrap alice.db upload from=alice epoch="$epoch" number="$number"
}

forced() {
    sql hq.db "SELECT group_concat(tbl || ' ' || quote(key), '; ') FROM (SELECT * FROM dx_force ORDER BY tbl, key)"
}

conflicts() {
    sql hq.db "SELECT kind, tbl, quote(key), coalesce(col, ''), quote(base), quote(ours), quote(theirs), outcome, origin
        FROM dx_conflict ORDER BY id"
}

@test "an upload is merged, journalled with its origin, and counted" {
    server
    upload 1 "UPDATE item SET n = 10 WHERE id = 'a'" "INSERT INTO item VALUES ('d', 'dowel', 4, '2')" \
        "DELETE FROM part WHERE item = 'b'" "INSERT INTO part VALUES ('d', 1, 'new')" >1.dx
    dxapply hq.db <1.dx
    [ "$(sql hq.db 'SELECT id, name, n, secret FROM item ORDER BY id')" = "a|anvil|10|s1
b|bolt|2|s2
c|cog|3|s3
d|dowel|4|" ]
    [ "$(sql hq.db 'SELECT item, no, what FROM part ORDER BY item, no')" = "a|1|top
a|2|foot
d|1|new" ]
    [ "$(sql hq.db "SELECT count(*), min(origin), max(origin) FROM dx_journal")" = "4|alice|alice" ]
    [ "$(sql hq.db "SELECT merged FROM dx_nodes WHERE name = 'alice'")" -eq 1 ]
    [ -z "$(forced)" ]
    txnlog read hq.db | dxpack cat | grep -q '"secret"'
}

@test "an upload counts once; gaps, strangers, other epochs and ended nodes are refused" {
    server
    upload 1 "UPDATE item SET n = 10 WHERE id = 'a'" >1.dx
    upload 2 "UPDATE item SET n = 11 WHERE id = 'a'" >2.dx
    upload 3 "UPDATE item SET n = 12 WHERE id = 'a'" >3.dx
    run -3 dxapply hq.db <2.dx
    [[ $output == *"upload 1 is missing"* ]]
    dxapply hq.db <1.dx
    run -3 dxapply hq.db <3.dx
    [[ $output == *"upload 2 is missing"* ]]
    dxapply hq.db <1.dx
    cat 2.dx 3.dx | dxapply hq.db
    [ "$(sql hq.db "SELECT n FROM item WHERE id = 'a'")" -eq 12 ]
    [ "$(sql hq.db 'SELECT count(*) FROM dx_journal')" -eq 3 ]
    upload 4 "UPDATE item SET n = 13 WHERE id = 'a'" >4.dx
    for field in from=carol epoch=e0 number=0 applied=7; do
        changeset diff was.db alice.db | wrap alice.db upload from=alice epoch="$epoch" number=4 "$field" >bad.dx
        run -3 dxapply hq.db <bad.dx
    done
    [[ $output == *"restored from a backup"* ]]
    txnroute node end hq.db alice
    run -3 dxapply hq.db <4.dx
    [[ $output == *ended* ]]
    [ "$(sql hq.db "SELECT n FROM item WHERE id = 'a'")" -eq 12 ]
}

@test "an upload with a number merged before, but other content, is refused" {
    server
    upload 1 "UPDATE item SET n = 10 WHERE id = 'a'" | dxapply hq.db
    upload 1 "UPDATE item SET n = 11 WHERE id = 'b'" >other.dx
    run -3 dxapply hq.db <other.dx
    [[ $output == *"restored from a backup"* ]]
}

@test "columns that nobody else changed are merged; equal changes are no conflict; the server wins the rest" {
    server
    sql hq.db "UPDATE item SET n = 50, name = 'amboss' WHERE id = 'a'" "UPDATE item SET n = 7 WHERE id = 'b'"
    upload 1 "UPDATE item SET n = 60, at = '9' WHERE id = 'a'" "UPDATE item SET n = 7, at = '8' WHERE id = 'b'" >1.dx
    run -1 dxapply hq.db <1.dx
    [ "$(sql hq.db "SELECT id, name, n, at FROM item WHERE id < 'c'")" = "a|amboss|50|9
b|bolt|7|8" ]
    [ "$(conflicts)" = "update|item|'a'|n|1|50|60|ours|alice" ]
    [ "$(forced)" = "item 'a'" ]
}

@test "client wins" {
    server client
    sql hq.db "UPDATE item SET n = 50 WHERE id = 'a'"
    upload 1 "UPDATE item SET n = 60 WHERE id = 'a'" >1.dx
    run -1 dxapply hq.db <1.dx
    [ "$(sql hq.db "SELECT n FROM item WHERE id = 'a'")" -eq 60 ]
    [ "$(conflicts)" = "update|item|'a'|n|1|50|60|theirs|alice" ]
    [ "$(forced)" = "item 'a'" ]
}

@test "the newest by a column wins" {
    server "newest at"
    sql hq.db "UPDATE item SET n = 50, at = '5' WHERE id = 'a'" "UPDATE item SET n = 50, at = '5' WHERE id = 'b'"
    upload 1 "UPDATE item SET n = 60, at = '6' WHERE id = 'a'" "UPDATE item SET n = 60, at = '4' WHERE id = 'b'" >1.dx
    run -1 dxapply hq.db <1.dx
    [ "$(sql hq.db "SELECT id, n, at FROM item WHERE id < 'c'")" = "a|60|6
b|50|5" ]
    [ "$(forced)" = "item 'a'; item 'b'" ]
}

@test "delete wins, and what it cost is recorded" {
    server
    sql hq.db "DELETE FROM item WHERE id = 'c'" "UPDATE part SET what = 'changed' WHERE item = 'b'"
    upload 1 "UPDATE item SET n = 60 WHERE id = 'c'" "DELETE FROM part WHERE item = 'b'" >1.dx
    run -1 dxapply hq.db <1.dx
    [ "$(sql hq.db "SELECT count(*) FROM item WHERE id = 'c'") $(sql hq.db "SELECT count(*) FROM part WHERE item = 'b'")" = "0 0" ]
    [ "$(conflicts | cut -d '|' -f 1,2,8)" = "gone|item|ours
deleted|part|theirs" ]
    [ "$(forced | grep -c "item 'c'; part")" -eq 1 ]
}

@test "deleted by both is no conflict; the same row inserted by both is none" {
    server
    sql hq.db "DELETE FROM item WHERE id = 'c'" "INSERT INTO item VALUES ('d', 'dowel', 4, NULL, '2')"
    upload 1 "DELETE FROM item WHERE id = 'c'" "INSERT INTO item VALUES ('d', 'dowel', 4, '2')" | dxapply hq.db
    [ "$(sql hq.db "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_conflict'")" -eq 0 ]
    # a row of that key may come again before the router looks
    [[ "$(forced)" == *"item 'c'"* ]]
}

@test "different rows of one key: the server's stands, both are recorded" {
    server
    sql hq.db "INSERT INTO item VALUES ('d', 'dowel', 4, 'x', '2')"
    upload 1 "INSERT INTO item VALUES ('d', 'dagger', 5, '2')" >1.dx
    run -1 dxapply hq.db <1.dx
    [ "$(sql hq.db "SELECT name FROM item WHERE id = 'd'")" = dowel ]
    [ "$(conflicts | cut -d '|' -f 1-3,8)" = "insert|item|'d'|ask" ]
    [ "$(forced)" = "item 'd'" ]
}

@test "what a node may not do is refused row by row, recorded, and sent back" {
    server
    sql alice.db "CREATE TABLE payroll (id TEXT PRIMARY KEY, n REAL)" "CREATE TABLE dx_meta (name TEXT PRIMARY KEY, value)" \
        "CREATE TABLE forged_meta (name TEXT PRIMARY KEY, value)" \
        "ALTER TABLE item ADD COLUMN secret TEXT" "CREATE TABLE ghost (id TEXT PRIMARY KEY)"
    upload 1 "UPDATE price SET n = 0" "INSERT INTO payroll VALUES ('alice', 1e9)" "INSERT INTO forged_meta VALUES ('node', 'x')" \
        "INSERT INTO ghost VALUES ('boo')" "UPDATE item SET secret = 'known', n = 5 WHERE id = 'a'" \
        "UPDATE item SET n = 6 WHERE id = 'b'" >1.dx
    run -1 dxapply hq.db <1.dx
    [ "$(sql hq.db "SELECT n FROM price")" = 9.5 ]
    [ "$(sql hq.db "SELECT count(*) FROM payroll")" -eq 1 ]
    [ "$(sql hq.db "SELECT count(*) FROM dx_meta WHERE name = 'node'")" -eq 0 ]
    [ "$(sql hq.db "SELECT id, n, secret FROM item WHERE id < 'c'")" = "a|1|s1
b|6|s2" ]
    [ "$(sql hq.db "SELECT count(*), min(kind), max(kind) FROM dx_conflict")" = "5|permission|permission" ]
    [ "$(forced)" = "item 'a'; price 'a'" ]
}

@test "a row that refers to a missing one waits in quarantine, and goes in when that one comes" {
    server
    sql hq.db "DELETE FROM part WHERE item = 'c'" "DELETE FROM item WHERE id = 'c'"
    upload 1 "INSERT INTO part VALUES ('c', 1, 'tooth')" "INSERT INTO item VALUES ('d', 'dowel', 4, '2')" >1.dx
    run -1 dxapply hq.db <1.dx
    [ "$(sql hq.db "SELECT tbl, reason FROM dx_quarantine")" = "part|it refers to item 'c', which is not there" ]
    [ "$(forced)" = "$(forced | grep part)" ]
    cp hq.db strict.db
    upload 2 "UPDATE item SET n = 44 WHERE id = 'd'" >2.dx
    dxapply hq.db <2.dx
    [ "$(sql hq.db "SELECT count(*) FROM dx_quarantine")" -eq 1 ]
    sql hq.db "INSERT INTO item VALUES ('c', 'cog', 3, 's3', '1')"
    upload 3 "UPDATE item SET n = 45 WHERE id = 'd'" | dxapply hq.db
    [ "$(sql hq.db "SELECT count(*) FROM dx_quarantine")" -eq 0 ]
    [ "$(sql hq.db "SELECT what FROM part WHERE item = 'c'")" = tooth ]
}

@test "children may come before their parents, and rows may refer to each other" {
    server
    upload 1 "INSERT INTO part VALUES ('z', 1, 'child')" "INSERT INTO item VALUES ('z', 'zip', 1, '1')" >1.dx
    dxapply hq.db <1.dx
    [ "$(sql hq.db "SELECT count(*) FROM part WHERE item = 'z'")" -eq 1 ]
}

@test "a unique value that another row has is quarantined; a swap is not" {
    server
    upload 1 "UPDATE item SET name = CASE id WHEN 'a' THEN 'bolt' WHEN 'b' THEN 'anvil' ELSE name END" | dxapply hq.db
    [ "$(sql hq.db "SELECT group_concat(name) FROM (SELECT name FROM item ORDER BY id)")" = bolt,anvil,cog ]
    [ "$(sql hq.db "SELECT count(*) FROM dx_journal")" -eq 2 ]
    upload 2 "INSERT INTO item VALUES ('x', 'cog', 1, '1')" >2.dx
    run -1 dxapply hq.db <2.dx
    [[ $(sql hq.db "SELECT reason FROM dx_quarantine") == *UNIQUE* ]]
    [ "$(forced)" = "item 'x'" ]
    run -3 dxapply hq.db --strict < <(upload 3 "UPDATE item SET n = 2000 WHERE id = 'a'")
}

@test "a log is taken once, in order, onto any database" {
    server
    sql copy.db "$(tables_of hq.db item part price payroll)"
    sql copy.db "ATTACH 'hq.db' AS hq" "INSERT INTO item SELECT * FROM hq.item" "INSERT INTO part SELECT * FROM hq.part" \
        "INSERT INTO price SELECT * FROM hq.price" "INSERT INTO payroll SELECT * FROM hq.payroll"
    sql hq.db "UPDATE item SET n = n + 1" "UPDATE item SET id = 'k' WHERE id = 'c'"
    txnlog read hq.db >1.dx
    txnlog ack hq.db <1.dx
    sql hq.db "UPDATE item SET n = n + 1" "DELETE FROM part WHERE no = 2"
    txnlog read hq.db >2.dx
    txnlog ack hq.db <2.dx
    sql hq.db "UPDATE price SET n = 3"
    txnlog read hq.db >3.dx
    dxapply copy.db --log <1.dx
    run -3 dxapply copy.db --log <3.dx
    [[ $output == *"is missing"* ]]
    cat 1.dx 2.dx 2.dx 3.dx 1.dx | dxapply copy.db --log
    same_table hq.db copy.db item part price payroll
    run -3 dxapply hq.db --log <1.dx
    [[ $output == *"very database"* ]]
}

@test "what was applied to a database that captures is its own change" {
    server
    sql other.db "CREATE TABLE price (id TEXT PRIMARY KEY, n REAL)" "INSERT INTO price VALUES ('a', 9.5)"
    cp other.db changed.db
    sql changed.db "UPDATE price SET n = 8" "INSERT INTO price VALUES ('q', 1)"
    changeset diff other.db changed.db | wrap hq.db changes >log.dx
    dxapply hq.db --log <log.dx
    [ "$(sql hq.db "SELECT count(*), count(origin) FROM dx_journal")" = "2|0" ]
}

@test "undo takes exactly one apply back" {
    server
    cp hq.db before.db
    upload 1 "UPDATE item SET n = 10, at = '3' WHERE id = 'a'" "INSERT INTO item VALUES ('d', 'dowel', 4, '2')" \
        "DELETE FROM part WHERE item = 'b'" "UPDATE item SET name = CASE id WHEN 'c' THEN 'bolt' WHEN 'b' THEN 'cog' ELSE name END" >1.dx
    dxapply hq.db --undo undo.dx <1.dx
    cp hq.db after.db
    dxapply hq.db --log <undo.dx
    same_table before.db hq.db item part price payroll
    # later changes of other columns stay; of the same ones, they are a conflict
    cp after.db hq.db
    sql hq.db "UPDATE item SET secret = 'later' WHERE id = 'a'" "UPDATE item SET at = '7' WHERE id = 'a'"
    run -1 dxapply hq.db --log <undo.dx
    [ "$(sql hq.db "SELECT n, secret, at FROM item WHERE id = 'a'")" = "1|later|7" ]
}

@test "guards hold for an upload, too: the server stops before the commit, and lets that one through" {
    server
    upload 1 "UPDATE item SET n = n + 1" "DELETE FROM part" >1.dx
    cp hq.db before.db
    run -5 dxapply hq.db --guard-rows 2 <1.dx
    [[ $output == *"0 rows of table item would be deleted and 3 overwritten"*"--approve "* ]]
    digest=${output##*--approve }
    same_tables before.db hq.db
    run -5 dxapply hq.db --guard-rows 2 --approve "${digest//[0-9]/0}" <1.dx
    dxapply hq.db --guard-rows 2 --approve "$digest" <1.dx
    [ "$(sql hq.db "SELECT (SELECT group_concat(n) FROM item), (SELECT count(*) FROM part)")" = "2,3,4|0" ]
    upload 2 "DELETE FROM item" >2.dx
    run -5 dxapply hq.db --guard-rows 2 --approve "$digest" <2.dx
}

@test "REALs, blobs and integers are merged bit for bit" {
    server
    upload 1 "INSERT INTO price SELECT 'r' || value, value FROM (SELECT 1 AS value)" >1.dx
    run -1 dxapply hq.db <1.dx
    sql x.db "CREATE TABLE t (k INTEGER PRIMARY KEY, v)" "INSERT INTO t VALUES (1, 9e999), (2, -9e999), (3, 9007199254740993), (4, x''), (5, ''), (6, 3.40), (7, -0.0), (8, 0.1 + 0.2)"
    sql y.db "CREATE TABLE t (k INTEGER PRIMARY KEY, v)"
    cp y.db z.db
    txnlog attach x.db
    sql x.db "UPDATE t SET v = v" "CREATE TABLE u AS SELECT * FROM t" "DELETE FROM t" "INSERT INTO t SELECT * FROM u"
    changeset diff y.db x.db | wrap x.db changes | dxapply z.db --log
    same_table x.db z.db t
    txnlog attach z.db
    [ "$(txnlog digest x.db | grep ' t$')" = "$(txnlog digest z.db | grep ' t$')" ]
}

# lost: a conflict of each kind, the server's side standing. 1 update item a.n, 2 gone item c, 3 deleted part b 1,
# 4 insert item d, 5 permission price a.
lost() {
    server
    sql hq.db "UPDATE item SET n = 50 WHERE id = 'a'" "DELETE FROM item WHERE id = 'c'" \
        "UPDATE part SET what = 'changed' WHERE item = 'b'" "INSERT INTO item VALUES ('d', 'dowel', 4, 'x', '2')"
    upload 1 "UPDATE item SET n = 60 WHERE id = 'a'" "UPDATE item SET n = 61 WHERE id = 'c'" \
        "DELETE FROM part WHERE item = 'b'" "INSERT INTO item VALUES ('d', 'dagger', 5, '3')" "UPDATE price SET n = 0" >1.dx
    run -1 dxapply hq.db <1.dx
}

# id KIND: the number of the conflict of that kind.
id() {
    sql hq.db "SELECT id FROM dx_conflict WHERE kind = '$1'"
}

@test "conflicts are listed as text and as JSON, with base, ours and theirs" {
    lost
    run -1 dxapply conflicts hq.db
    output=${output//$'\n      '/ } # lines over 80 columns go on indented
    [[ $output == *"item 'a'.n: was 1, here 50, from alice 60"* ]]
    [[ $output == *"item 'c': here no row; alice update n 61"* ]]
    [ "$(wc -l <<<"$output")" -eq 6 ]
    dxapply conflicts hq.db --json >list || [ $? -eq 1 ]
    [ "$(jq -rc 'select(.kind == "update") | [.table, .key.id, .column, .base, .ours, .theirs, .outcome, .origin]' list)" = \
        '["item","a","n",1,50,60,"ours","alice"]' ]
    [ "$(jq -rc 'select(.kind == "deleted") | [.base.what, .ours.what, .theirs]' list)" = '["head","changed",null]' ]
    [ "$(jq -rc 'select(.kind == "gone") | [.base.n, .ours, .theirs.n]' list)" = '[3,null,61]' ]
    [ "$(jq -rc 'select(.kind == "insert") | [.base, .ours.name, .theirs.name]' list)" = '[null,"dowel","dagger"]' ]
    [ "$(jq -rc 'select(.kind == "permission") | .reason' list)" != null ]
    run -0 dxapply conflicts alice.db
    [ -z "$output" ]
}

@test "a resolution is an ordinary change, made once" {
    lost
    before=$(sql hq.db "SELECT max(seq) FROM dx_journal")
    dxapply resolve hq.db "$(id update)" theirs
    dxapply resolve hq.db "$(id gone)" theirs
    dxapply resolve hq.db "$(id deleted)" ours
    dxapply resolve hq.db "$(id insert)" theirs
    dxapply resolve hq.db "$(id permission)" ours
    [ "$(sql hq.db "SELECT * FROM item ORDER BY id")" = "a|anvil|60|s1|1
b|bolt|2|s2|1
c|cog|61|s3|1
d|dagger|5|x|3" ]
    [ "$(sql hq.db "SELECT what FROM part WHERE item = 'b'")" = changed ]
    [ "$(txnlog read hq.db --after "$before" | dxpack cat | wc -l)" = 4 ]
    [ "$(sql hq.db "SELECT count(origin) FROM dx_journal WHERE seq > $before")" = 0 ]
    run -3 dxapply resolve hq.db "$(id update)" ours
    [[ $output == *"resolved already"* ]]
    run -0 dxapply conflicts hq.db
    run -1 dxapply conflicts hq.db --all
    [ "$(grep -c ' resolved ' <<<"$output")" -eq 5 ]
}

@test "a conflict resolved with a value of its own: on the command line, in answers, on the terminal" {
    lost
    dxapply resolve hq.db "$(id update)" value 55
    dxapply resolve hq.db "$(id gone)" value '{"name":"cogwheel","n":3.5e0,"secret":null}'
    dxapply resolve hq.db "$(id deleted)" value '{"item":"b","no":1,"what":"third"}'
    [ "$(sql hq.db "SELECT n, typeof(n) FROM item WHERE id = 'a'")" = "55|integer" ]
    [ "$(sql hq.db "SELECT name, n FROM item WHERE id = 'c'")" = "cogwheel|3.5" ]
    [ "$(sql hq.db "SELECT what FROM part WHERE item = 'b'")" = third ]
    [ "$(sql hq.db "SELECT DISTINCT resolved FROM dx_conflict WHERE kind IN ('update', 'gone', 'deleted')")" = value ]
    # ordinary changes, made here
    [ "$(txnlog read hq.db | dxpack cat | tail -n 1 | jq -c '[.op, .new.what, .origin]')" = '["insert","third",null]' ]
    printf '{"id":%s,"value":null}\n' "$(id insert)" | dxapply resolve hq.db
    [ "$(sql hq.db "SELECT count(*) FROM item WHERE id = 'd'")" -eq 0 ]
    printf 's\nv\n{"n":\nv\n{"n":{"blob":"AP8="}}\nq\n' >typed
    sql hq.db "UPDATE dx_conflict SET resolved = NULL WHERE kind IN ('deleted', 'permission')"
    sed -i 's/^s$/v\n{"what":{"blob":"AP8="}}/; s/{"n":{"blob.*/{"n":0.25}/' typed
    script -qec "dxapply resolve hq.db" /dev/null <typed >log
    grep -q 'not JSON' log
    [ "$(sql hq.db "SELECT hex(what) FROM part WHERE item = 'b'") $(sql hq.db "SELECT n FROM price")" = "00FF 0.25" ]
}

@test "values that do not fit are refused, and the conflict stays" {
    lost
    for value in 'fifty' '{"blob":1}' '[1]'; do
        run -3 dxapply resolve hq.db "$(id update)" value "$value"
        [[ $output == *"conflict $(id update)"* ]]
    done
    for value in 5 '{"nothing":1}' '{"id":"other"}' '{"n":2000}' '{"n":1,"n":2}'; do
        run -3 dxapply resolve hq.db "$(id insert)" value "$value"
    done
    run -3 dxapply resolve hq.db <<<'{"id":1,"value":1,"take":"ours"}'
    run -2 dxapply resolve hq.db 1 value
    run -2 dxapply resolve hq.db 1 ours 5
    [ "$(sql hq.db "SELECT count(*) FROM dx_conflict WHERE resolved IS NOT NULL")" -eq 0 ]
}

@test "what cannot be resolved so is refused; misuse" {
    lost
    run -3 dxapply resolve hq.db 99 ours
    run -3 dxapply resolve hq.db "$(id insert)" base
    [[ $output == *"nothing to take"* ]]
    run -2 dxapply resolve hq.db 1
    run -2 dxapply resolve hq.db 1 mine
    sql hq.db "DELETE FROM item WHERE id = 'a'"
    run -3 dxapply resolve hq.db "$(id update)" theirs
    [[ $output == *"not there any more"* ]]
}

@test "answers come as JSON, or from a terminal" {
    lost
    printf '{"id":%s,"take":"base"}\n\n{"id":%s,"take":"ours"}\n' "$(id update)" "$(id insert)" | dxapply resolve hq.db
    [ "$(sql hq.db "SELECT n FROM item WHERE id = 'a'")" -eq 1 ]
    run -3 dxapply resolve hq.db <<<'{"id":"x"}'
    printf 't\ns\nq\n' | script -qec "dxapply resolve hq.db" /dev/null >log
    grep -q 'here no row; alice update n 61' log
    [ "$(sql hq.db "SELECT n FROM item WHERE id = 'c'")" -eq 61 ]
    [ "$(sql hq.db "SELECT count(*) FROM dx_conflict WHERE resolved IS NULL")" -eq 2 ]
}

@test "all conflicts of a kind, a table, a node or a time are decided at once, by options or by a capital letter" {
    lost
    n=$(sql hq.db "SELECT count(*) FROM dx_conflict WHERE kind = 'update'")
    sql hq.db "CREATE TEMP TABLE c AS SELECT * FROM dx_conflict WHERE kind = 'update'" "UPDATE c SET id = NULL, made = '2026-01-01T00:00:00Z'" \
        "INSERT INTO dx_conflict SELECT * FROM c"
    run -2 dxapply resolve hq.db theirs
    run -2 dxapply resolve --kind update hq.db 1 theirs
    run -2 dxapply resolve --kind update hq.db </dev/null
    run -1 dxapply conflicts --count hq.db
    [[ ${lines[0]} == "NODE "*" WEEK "*" KIND "*" NUMBER" ]]
    grep -Eq "^alice +2026-W01 +update +$n$" <<<"$output"
    grep -Eq "^alice +$(date -u +%G-W%V) +update +$n$" <<<"$output"
    [ "$(wc -L <<<"$output")" -le 80 ]
    run -2 dxapply conflicts --count --json hq.db
    open() { sql hq.db "SELECT count(*) FROM dx_conflict WHERE kind = '$1' AND resolved IS NULL"; }
    others=$(sql hq.db "SELECT count(*) FROM dx_conflict WHERE kind <> 'update' AND resolved IS NULL")
    run -0 dxapply resolve hq.db --kind update --table price theirs
    run -0 dxapply resolve hq.db --kind update --node nobody theirs
    [ "$(open update)" -eq $((2 * n)) ]
    run -0 dxapply resolve -v hq.db --kind update --table item theirs
    [[ $output == *"$((2 * n)) conflicts resolved"* ]]
    [ "$(open update)" -eq 0 ]
    [ "$(sql hq.db "SELECT count(*) FROM dx_conflict WHERE kind <> 'update' AND resolved IS NULL")" -eq "$others" ]
    sql hq.db "UPDATE dx_conflict SET resolved = NULL WHERE kind = 'update'"
    # What cannot be decided so stays open.
    run -1 dxapply resolve hq.db --kind insert base
    [[ $output == *"nothing to take"*"it stays open"* ]]
    [ "$(open insert)" -gt 0 ]
    echo O | script -qec "dxapply resolve hq.db --table item --kind update" /dev/null >log
    grep -q "$((2 * n)) conflicts of kind update in table item resolved" log
    [ "$(open update)" -eq 0 ]
}

@test "a delete is checked against every column of the row, of whatever affinity, collation, encoding and number" {
    local encoding
    for encoding in UTF-8 UTF-16le; do
        rm -f a.db b.db was.db
        sql a.db "PRAGMA encoding = '$encoding'" \
            "CREATE TABLE t (id INTEGER PRIMARY KEY, any, i INTEGER, r REAL, s TEXT COLLATE NOCASE, b BLOB, n NUMERIC)" \
            "INSERT INTO t WITH RECURSIVE k(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM k WHERE x < 9)
                SELECT x, 2, 9007199254740993, 0.1, 'Zoë €', x'00ff', '1e3' FROM k" \
            "INSERT INTO t VALUES (10, NULL, NULL, NULL, NULL, NULL, NULL), (11, '', -1, -0.0, '', x'', 'text'),
                (12, 9e999, 'word', 5, 7, 'blob', x'31')"
        cp a.db b.db
        sql b.db "UPDATE t SET any = 2.0 WHERE id = 1" "UPDATE t SET i = 9007199254740992 WHERE id = 2" \
            "UPDATE t SET r = 0.1 + 1e-18 WHERE id = 3" "UPDATE t SET r = 0.10000000000000002 WHERE id = 4" \
            "UPDATE t SET s = 'zoë €' WHERE id = 5" "UPDATE t SET b = x'00ff00' WHERE id = 6" \
            "UPDATE t SET n = NULL WHERE id = 7" "UPDATE t SET any = '2' WHERE id = 8"
        cp a.db was.db
        sql a.db "DELETE FROM t"
        changeset diff was.db a.db | wrap a.db changes >gone.dx
        run -1 dxapply b.db --log <gone.dx
        # 2.0 is 2, and 0.1 + 1e-18 is 0.1: no conflict.  The others lose what was changed, and it is recorded.
        [ "$(sql b.db 'SELECT count(*) FROM t')" = 0 ]
        [ "$(sql b.db "SELECT group_concat(key) FROM (SELECT key FROM dx_conflict ORDER BY key)")" = 2,4,5,6,7,8 ]
    done
}

@test "a delete of a row of more columns than a function takes is checked against all of them" {
    local i columns=id
    for ((i = 1; i <= 150; i++)); do columns+=", c$i"; done
    sql a.db "CREATE TABLE wide (${columns/id/id INTEGER PRIMARY KEY})" "INSERT INTO wide (id, c1, c150) VALUES (1, 1, 1), (2, 1, 1)"
    cp a.db b.db
    cp a.db was.db
    sql b.db "UPDATE wide SET c150 = 2 WHERE id = 2"
    sql a.db "DELETE FROM wide"
    changeset diff was.db a.db | wrap a.db changes >gone.dx
    run -1 dxapply b.db --log <gone.dx
    [ "$(sql b.db 'SELECT count(*) FROM wide')" = 0 ]
    [ "$(sql b.db 'SELECT group_concat(key) FROM dx_conflict')" = 2 ]
}

# The first 99 columns of the key are the same everywhere: what looks at fewer than all sees one row.
@test "keys and references of a hundred columns: conflicts, quarantine and a parent that must stay" {
    local i key='c1' definition='c1 INTEGER' same='1'
    for ((i = 2; i <= 100; i++)); do key+=", c$i" definition+=", c$i INTEGER" && [ "$i" -eq 100 ] || same+=", 1"; done
    sql hq.db "CREATE TABLE wide ($definition, x TEXT, PRIMARY KEY ($key))" \
        "CREATE TABLE child (id INTEGER PRIMARY KEY, $definition, FOREIGN KEY ($key) REFERENCES wide ($key))" \
        "INSERT INTO wide VALUES ($same, 1, 'one'), ($same, 2, 'two'), ($same, 3, 'three')"
    txnlog attach hq.db
    mkdir package docking
    printf '[package]\nname = p\nversion = 1\n[object %s]\nvisible = all\n' wide >package/package.conf
    printf '[object %s]\nvisible = all\n' child >>package/package.conf
    txnroute load hq.db package
    txnroute node add hq.db alice --package p
    epoch=$(sql hq.db "SELECT epoch FROM dx_nodes WHERE name = 'alice'")
    sql alice.db "$(tables_of hq.db wide)" "$(tables_of hq.db child)"
    sql alice.db "ATTACH 'hq.db' AS hq" "INSERT INTO wide SELECT * FROM hq.wide"
    sql hq.db "UPDATE wide SET x = 'zwei' WHERE c100 = 2" "INSERT INTO child VALUES (1, $same, 3)"
    upload 1 "UPDATE wide SET x = 'deux' WHERE c100 = 2" "INSERT INTO child VALUES (2, $same, 7), (3, $same, 1)" \
        "DELETE FROM wide WHERE c100 = 3" >1.dx
    run -1 dxapply hq.db <1.dx
    [ "$(sql hq.db "SELECT x FROM wide ORDER BY c100")" = "$(printf 'one\nzwei\nthree')" ]
    [ "$(sql hq.db "SELECT id FROM child ORDER BY id")" = "$(printf '1\n3')" ]
    [[ "$(sql hq.db "SELECT reason FROM dx_quarantine WHERE tbl = 'child'")" == "it refers to wide 1"*"not there" ]]
    [ "$(sql hq.db "SELECT count(*), count(DISTINCT key) FROM dx_conflict WHERE tbl = 'wide' AND length(key) >= 200")" = "2|2" ]
    dxapply conflicts hq.db | grep -q deux
    sql hq.db "INSERT INTO wide VALUES ($same, 7, 'seven')"
    upload 2 "UPDATE wide SET x = 'un' WHERE c100 = 1" | dxapply hq.db
    [ "$(sql hq.db "SELECT count(*) FROM child, dx_quarantine")" = 0 ]
    [ "$(sql hq.db "SELECT c100 FROM child WHERE id = 2")" = 7 ]
}
