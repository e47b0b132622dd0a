#!/usr/bin/env bats
# desktopsync: what stops a run: bases and databases that do not belong together, plans that nobody can want; and what
# brings it on again.

load ../helper

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    sql a.db "CREATE TABLE item(id INTEGER PRIMARY KEY, v, m INTEGER DEFAULT 1)" \
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20) INSERT INTO item(id, v) SELECT i, 'v' || i FROM n"
    sql a.db "VACUUM INTO 'b.db'"
    desktopsync a.db b.db --base base
}

# stopped TEXT OPTION...: a run exits 5, says so, and nothing is changed.
stopped() {
    local before text=$1
    shift
    before=$(sha256sum ./*.db base)
    run -5 --separate-stderr desktopsync "$@"
    [[ $stderr == *"$text"* ]] || { echo "$stderr"; return 1; }
    [ "$before" = "$(sha256sum ./*.db base)" ]
}

digest() {
    printf '%s\n' "${stderr##*--approve }"
}

@test "another database than the base's is found out; --initial begins again, and nothing counts as deleted" {
    sql c.db "CREATE TABLE item(id INTEGER PRIMARY KEY, v, m INTEGER DEFAULT 1)" "INSERT INTO item VALUES (99, 'c', 1)"
    stopped "c.db has never been synchronized with base" a.db c.db --base base
    desktopsync a.db c.db --base base --initial
    [ "$(sql a.db "SELECT count(*) FROM item")" = 21 ]
    same_tables a.db c.db
    stopped "b.db has never been synchronized with base" a.db b.db --base base
}

@test "a database that was restored from a backup is found out, and takes nothing of the other's work back" {
    sql a.db "VACUUM INTO 'backup'"
    sql b.db "INSERT INTO item VALUES (21, 'new', 1)" "UPDATE item SET v = 'changed' WHERE id = 1"
    desktopsync a.db b.db --base base
    mv backup a.db
    stopped "a.db was restored from a backup: it knows run 1 of base, the newest is 2" a.db b.db --base base
    run -1 desktopsync a.db b.db --base base --initial
    [ "$(sql b.db "SELECT v FROM item WHERE id IN (1, 21)")" = "changed
new" ]
    [ "$(sql a.db "SELECT v FROM item WHERE id = 21")" = new ]
}

@test "the other side restored is found out, too" {
    sql b.db "VACUUM INTO 'backup'"
    sql b.db "INSERT INTO item VALUES (21, 'new', 1)"
    desktopsync a.db b.db --base base
    mv backup b.db
    stopped "b.db was restored from a backup" a.db b.db --base base
}

@test "a base that was restored from a backup is found out" {
    cp base backup
    sql b.db "INSERT INTO item VALUES (21, 'new', 1)"
    desktopsync a.db b.db --base base
    cp backup base
    stopped "base is older than" a.db b.db --base base
}

@test "a base that is lost is found out; --initial begins again" {
    rm base
    run -5 --separate-stderr desktopsync a.db b.db --base base
    [[ $stderr == *"the base is lost, or has another name"* ]]
    sql a.db "DELETE FROM item WHERE id = 20"
    desktopsync a.db b.db --base base --initial
    [ "$(sql a.db "SELECT count(*) FROM item")" = 20 ]
}

@test "the sides in each other's place" {
    stopped "mine and theirs have changed places" b.db a.db --base base
}

@test "a configuration that is another, and a schema that is another: --initial, and deleted rows do not come back" {
    printf '[object item]\nchange_key = m\n' >conf
    sql a.db "DELETE FROM item WHERE id = 20"
    stopped "the configuration, or the tables of" a.db b.db --base base --conf conf
    desktopsync a.db b.db --base base --conf conf --initial
    [ "$(sql b.db "SELECT count(*) FROM item")" = 19 ]
    sql a.db "ALTER TABLE item ADD COLUMN more"
    sql b.db "ALTER TABLE item ADD COLUMN more" "DELETE FROM item WHERE id = 19"
    stopped "are not what they were in the last run" a.db b.db --base base --conf conf
    desktopsync a.db b.db --base base --conf conf --initial
    [ "$(sql a.db "SELECT count(*) FROM item")" = 18 ]
    desktopsync a.db b.db --base base --conf conf
}

@test "an emptied side" {
    sql a.db "DELETE FROM item"
    stopped "item: all rows are gone on the other side, 20 of 20 rows would be deleted in theirs" a.db b.db --base base
}

@test "an emptied side of a table of one row" {
    sql a.db "DELETE FROM item WHERE id > 1"
    run -5 --separate-stderr desktopsync a.db b.db --base base
    desktopsync a.db b.db --base base --approve "$(digest)"
    sql b.db "DELETE FROM item"
    stopped "item: all rows are gone on the other side, 1 of 1 rows would be deleted in mine" a.db b.db --base base
}

@test "a shrunken side, of a small table too" {
    sql a.db "DELETE FROM item WHERE id > 3"
    stopped "item: 17 of 20 rows would be deleted in theirs" a.db b.db --base base
    desktopsync a.db b.db --base base --approve "$(digest)"
    sql b.db "DELETE FROM item WHERE id > 1"
    stopped "item: 2 of 3 rows would be deleted in mine" a.db b.db --base base
}

@test "a number, or a part, of deletes and of updates" {
    sql a.db "DELETE FROM item WHERE id > 17" "UPDATE item SET v = 'x' WHERE id < 5"
    stopped "3 of 20 rows would be deleted" a.db b.db --base base --max-delete 2
    stopped "3 of 20 rows would be deleted" a.db b.db --base base --max-delete 14%
    stopped "4 of 20 rows would be overwritten" a.db b.db --base base --max-update 3
    stopped "4 of 20 rows would be overwritten" a.db b.db --base base --max-update 19%
    desktopsync a.db b.db --base base --max-delete 3 --max-update 20%
    run -2 desktopsync a.db b.db --base base --max-update 101%
}

@test "every row changed, and more than half of them" {
    sql a.db "UPDATE item SET v = 'x'"
    stopped "item: every row is changed, 20 of 20 rows would be overwritten in theirs" a.db b.db --base base
    sql a.db "UPDATE item SET v = 'v' || id WHERE id > 11"
    stopped "item: 11 of 20 rows would be overwritten in theirs" a.db b.db --base base
}

@test "an approval lets through the plan that was shown, and no other" {
    sql a.db "DELETE FROM item WHERE id > 3"
    run -5 --separate-stderr desktopsync a.db b.db --base base
    local approved
    approved=$(digest)
    sql a.db "INSERT INTO item VALUES (4, 'v4', 1)" "DELETE FROM item WHERE id = 3"
    stopped "17 of 20 rows would be deleted" a.db b.db --base base --approve "$approved"
    sql a.db "INSERT INTO item VALUES (3, 'v3', 1)" "DELETE FROM item WHERE id = 4"
    desktopsync a.db b.db --base base --approve "$approved"
    same_tables a.db b.db
}

@test "change keys that go backwards" {
    printf '[object item]\nchange_key = m\n' >conf
    sql a.db "UPDATE item SET m = 5"
    desktopsync a.db b.db --base other --conf conf --initial --take mine --max-update 100%
    sql b.db "UPDATE item SET m = 4, v = 'old' WHERE id < 4" "INSERT INTO item VALUES (30, 'n', 1)"
    stopped "the change key of 3 rows went backwards in theirs" a.db b.db --base other --conf conf
    desktopsync a.db b.db --base other --conf conf --approve "$(digest)"
    same_tables a.db b.db
}

@test "-n shows the plan and writes nothing, not even a base" {
    sql a.db "DELETE FROM item WHERE id = 20" "UPDATE item SET v = 'x' WHERE id = 1"
    local before
    before=$(sha256sum a.db b.db base)
    run -1 desktopsync a.db b.db --base base -n --rows
    [ "$output" = "item 1: update in theirs
  - v = \"v1\"
  + v = \"x\"
item 20: delete in theirs
  - v = \"v20\"
  - m = 1" ]
    run -1 desktopsync a.db b.db --base base -n --stat
    [[ $output == *"item -> theirs |      2 ~-"* ]]
    [ "$before" = "$(sha256sum a.db b.db base)" ]
    sql a.db "VACUUM INTO 'c.db'"
    sql c.db "DROP TABLE dx_sync"
    run -1 desktopsync c.db b.db --base none -n
    [ ! -e none ]
}

@test "each side gets an archive that takes the writing back" {
    sql a.db "VACUUM INTO 'a.before'"
    sql b.db "VACUUM INTO 'b.before'"
    sql a.db "DELETE FROM item WHERE id = 20" "UPDATE item SET v = 'x' WHERE id = 1"
    sql b.db "INSERT INTO item VALUES (21, 'new', 1)"
    sql a.db "VACUUM INTO 'a.edited'"
    run -0 desktopsync -v a.db b.db --base base
    [[ $output == *"b.db: 0 inserted, 1 updated, 1 deleted; dxapply --log takes them back with base.undo-theirs.dx"* ]]
    dxapply --log b.db <base.undo-theirs.dx
    sql b.before "INSERT INTO item VALUES (21, 'new', 1)"
    same_tables b.before b.db
    dxapply --log a.db <base.undo-mine.dx
    same_tables a.edited a.db
}

@test "a read-only side: nothing is written there, the way it is known is told" {
    sql c.db "CREATE TABLE item(id INTEGER PRIMARY KEY, v, m INTEGER DEFAULT 1)" "INSERT INTO item VALUES (1, 'c', 1), (2, 'd', 1)"
    sql d.db "CREATE TABLE item(id INTEGER PRIMARY KEY, v, m INTEGER DEFAULT 1)" "INSERT INTO item VALUES (3, 'e', 1)"
    local before
    before=$(sha256sum c.db)
    run -1 --separate-stderr desktopsync d.db c.db --base half --only mine
    [[ $stderr == *"c.db: is not written, so it is known by its path only"* ]]
    [[ $stderr == *"item 3: not done: theirs is not written"* ]]
    [ "$(sql d.db "SELECT group_concat(v) FROM item")" = "c,d,e" ]
    run -1 desktopsync d.db c.db --base half --only mine
    [ "$before" = "$(sha256sum c.db)" ]
    cp c.db moved.db
    run -5 --separate-stderr desktopsync d.db moved.db --base half --only mine
    [[ $stderr == *"half is the base of"*"not of"* ]]
    desktopsync d.db c.db --base half --only mine --revert
    same_tables c.db d.db
    sql d.db "UPDATE item SET v = 'mine' WHERE id = 1" "DELETE FROM item WHERE id = 2" "INSERT INTO item VALUES (9, 'mine', 1)"
    desktopsync d.db c.db --base half --only mine --revert
    same_tables c.db d.db
    [ "$before" = "$(sha256sum c.db)" ]
}

@test "three databases in a triangle: a row that was deleted and made again is not lost" {
    sql a.db "VACUUM INTO 'c.db'"
    sql c.db "DROP TABLE dx_sync"
    desktopsync b.db c.db --base bc
    desktopsync a.db c.db --base ac
    sql a.db "DELETE FROM item WHERE id = 7"
    desktopsync a.db b.db --base base
    [ "$(sql b.db "SELECT count(*) FROM item WHERE id = 7")" = 0 ]
    sql a.db "INSERT INTO item VALUES (7, 'v7', 1)"
    desktopsync b.db c.db --base bc
    [ "$(sql c.db "SELECT count(*) FROM item WHERE id = 7")" = 0 ]
    desktopsync a.db c.db --base ac
    desktopsync a.db b.db --base base
    desktopsync b.db c.db --base bc
    local db
    for db in a.db b.db c.db; do
        [ "$(sql $db "SELECT v FROM item WHERE id = 7")" = v7 ]
        [ "$(sql $db "SELECT count(*) FROM item")" = 20 ]
    done
}

@test "a disk that is full while a side is written: nothing is lost, and the next run does the rest" {
    sql b.db "INSERT INTO item VALUES (21, hex(randomblob(60000)), 1)"
    sql a.db "UPDATE item SET v = 'x' WHERE id = 1"
    local before
    before=$(sql a.db "PRAGMA page_count")
    # The file may not grow: as on a full disk, the write fails in the middle.
    run -4 bash -c "trap '' XFSZ; ulimit -f 64; exec desktopsync a.db b.db --base base"
    [ "$(sql a.db "PRAGMA page_count")" = "$before" ]
    desktopsync a.db b.db --base base
    same_tables a.db b.db
    [ "$(sql b.db "SELECT v FROM item WHERE id = 1")" = x ]
}
