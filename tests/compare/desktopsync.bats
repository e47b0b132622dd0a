#!/usr/bin/env bats
# desktopsync: two databases without a journal brought together; scenarios run straight, again, interrupted at every
# step and resumed, and with the sides swapped.

load ../helper

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    sql a.db "CREATE TABLE item(id TEXT PRIMARY KEY, v, w)" "INSERT INTO item VALUES ('k1', 1, 'x'), ('k2', 2, 'y')" \
        "CREATE TABLE part(item TEXT, n INTEGER, v, PRIMARY KEY(item, n)) WITHOUT ROWID" "INSERT INTO part VALUES ('k1', 1, 0.5)"
    sql a.db "VACUUM INTO 'b.db'"
    desktopsync a.db b.db --base base
}

# again: a further run finds nothing to do and writes nothing, wherever it is run from.
again() {
    local before
    before=$(sha256sum a.db b.db base)
    desktopsync a.db b.db --base base
    [ "$before" = "$(sha256sum a.db b.db base)" ]
}

# items DB: its items, one a line.
items() {
    sql "$1" "SELECT id, v FROM item ORDER BY id"
}

# scenario NAME: what one of the two (A, B) does to each side, with what both hold in the end; the same with the sides
# swapped. From stdin: "one:SQL", "other:SQL" and "result:ROW" lines.
scenario() {
    local one=() other=() result='' line mine theirs
    while read -r line; do
        case $line in
        one:*) one+=("${line#*:}") ;;
        other:*) other+=("${line#*:}") ;;
        result:*) result+="${result:+$'\n'}${line#*:}" ;;
        esac
    done
    for mine in a.db b.db; do
        theirs=b.db
        [ $mine = a.db ] || theirs=a.db
        mkdir run && cp a.db b.db base run/ && cd run || return
        [ ${#one[@]} -eq 0 ] || sql $mine "${one[@]}"
        [ ${#other[@]} -eq 0 ] || sql $theirs "${other[@]}"
        desktopsync a.db b.db --base base || return
        [ "$(items a.db)" = "$result" ] || { echo "$1: $mine: $(items a.db)"; return 1; }
        same_tables a.db b.db || return
        again || return
        cd .. && rm -r run || return
    done
}

@test "what one side alone has done is done on the other" {
    scenario insert <<-END
	one:INSERT INTO item VALUES ('k3', 3, NULL)
	result:k1|1
	result:k2|2
	result:k3|3
	END
    scenario update <<-END
	one:UPDATE item SET v = 10 WHERE id = 'k1'
	result:k1|10
	result:k2|2
	END
    scenario delete <<-END
	one:DELETE FROM item WHERE id = 'k1'
	result:k2|2
	END
    scenario 'both, different rows' <<-END
	one:UPDATE item SET v = 10 WHERE id = 'k1'
	one:INSERT INTO item VALUES ('k3', 3, NULL)
	one:INSERT INTO part VALUES ('k3', 1, x'00')
	other:DELETE FROM item WHERE id = 'k2'
	other:UPDATE part SET v = 1e300
	result:k1|10
	result:k3|3
	END
    scenario 'a row gets another key' <<-END
	one:UPDATE item SET id = 'k0' WHERE id = 'k1'
	result:k0|1
	result:k2|2
	END
    scenario 'deleted and made again' <<-END
	one:DELETE FROM item WHERE id = 'k1'
	one:INSERT INTO item VALUES ('k1', 5, 'new')
	result:k1|5
	result:k2|2
	END
}

@test "what both sides have done alike is no conflict" {
    scenario 'same update' <<-END
	one:UPDATE item SET v = 10 WHERE id = 'k1'
	other:UPDATE item SET v = 10 WHERE id = 'k1'
	result:k1|10
	result:k2|2
	END
    scenario 'same insert' <<-END
	one:INSERT INTO item VALUES ('k3', 3, 'z')
	other:INSERT INTO item VALUES ('k3', 3, 'z')
	result:k1|1
	result:k2|2
	result:k3|3
	END
    scenario 'same delete' <<-END
	one:DELETE FROM item WHERE id = 'k1'
	other:DELETE FROM item WHERE id = 'k1'
	result:k2|2
	END
    scenario 'written, but nothing changed' <<-END
	one:UPDATE item SET v = v
	other:UPDATE item SET v = 2 WHERE id = 'k2'
	result:k1|1
	result:k2|2
	END
}

@test "a conflict is reported in every run and left alone, the rest goes on, until someone decides" {
    sql a.db "UPDATE item SET v = 10 WHERE id = 'k1'" "UPDATE item SET v = 20 WHERE id = 'k2'"
    sql b.db "UPDATE item SET v = 11 WHERE id = 'k1'" "DELETE FROM item WHERE id = 'k2'" "INSERT INTO item VALUES ('k3', 3, 3)"
    for _ in first second; do
        run -1 desktopsync a.db b.db --base base
        [ "$output" = "conflict: item 'k1': updated in mine, updated in theirs
conflict: item 'k2': updated in mine, deleted in theirs" ]
        [ "$(items a.db)" = "k1|10
k2|20
k3|3" ]
        [ "$(items b.db)" = "k1|11
k3|3" ]
    done
    sql a.db "UPDATE item SET v = 11 WHERE id = 'k1'" "DELETE FROM item WHERE id = 'k2'"
    desktopsync a.db b.db --base base
    same_tables a.db b.db
    again
    sql b.db "UPDATE item SET v = 12 WHERE id = 'k1'"
    desktopsync a.db b.db --base base
    [ "$(items a.db)" = "k1|12
k3|3" ]
}

@test "a conflict settled by taking back one's change: the other side's goes through" {
    sql a.db "UPDATE item SET v = 10 WHERE id = 'k1'"
    sql b.db "UPDATE item SET v = 11 WHERE id = 'k1'"
    run -1 desktopsync a.db b.db --base base
    sql a.db "UPDATE item SET v = 1 WHERE id = 'k1'"
    desktopsync a.db b.db --base base
    [ "$(items a.db)" = "k1|11
k2|2" ]
}

@test "an emptied side stops everything, also what else was to be done; approved, it goes on" {
    sql a.db "DELETE FROM item" "INSERT INTO part VALUES ('k9', 9, 9)"
    local before
    before=$(sha256sum a.db b.db base)
    run -5 --separate-stderr desktopsync a.db b.db --base base
    [[ $stderr == *"item: all rows are gone on the other side, 2 of 2 rows would be deleted in theirs"* ]]
    [ "$before" = "$(sha256sum a.db b.db base)" ]
    desktopsync a.db b.db --base base --approve "${stderr##*--approve }"
    [ -z "$(items b.db)" ]
    same_tables a.db b.db
    again
}

@test "a row that one side keeps others from having is left for the next run, the rest goes on" {
    sql b.db "CREATE UNIQUE INDEX one_w ON item(w)"
    sql a.db "INSERT INTO item VALUES ('k3', 3, 'x'), ('k4', 4, 'z')"
    run -1 --separate-stderr desktopsync a.db b.db --base base
    [[ $stderr == *"item 'k3': left alone in theirs: UNIQUE constraint failed: item.w"* ]]
    [ "$(items b.db)" = "k1|1
k2|2
k4|4" ]
    run -1 desktopsync a.db b.db --base base
    sql a.db "UPDATE item SET w = 'free' WHERE id = 'k3'"
    desktopsync a.db b.db --base base
    same_tables a.db b.db
    again
}

@test "unique values that change places, and a freed one taken at once, go through in one run" {
    sql a.db "CREATE UNIQUE INDEX one_w ON item(w)"
    sql b.db "CREATE UNIQUE INDEX one_w ON item(w)"
    sql a.db "UPDATE item SET w = 't' WHERE id = 'k1'" "UPDATE item SET w = 'x' WHERE id = 'k2'" "UPDATE item SET w = 'y' WHERE id = 'k1'"
    desktopsync a.db b.db --base base
    same_tables a.db b.db
    sql b.db "DELETE FROM item WHERE id = 'k2'" "INSERT INTO item VALUES ('k0', 0, 'x')"
    desktopsync a.db b.db --base base
    same_tables a.db b.db
    again
}

@test "an insert whose user key another row has is an issue until one of them is gone" {
    printf '[object item]\nuser_key = w | v, id\n[object part]\nwrite = yes\n' >conf
    sql a.db "INSERT INTO item VALUES ('k3', 3, 'same'), ('k4', 4, NULL)"
    sql b.db "INSERT INTO item VALUES ('k5', 5, 'same'), ('k6', 6, NULL)"
    run -1 --separate-stderr desktopsync a.db b.db --base base --conf conf
    [[ $stderr == *"item 'k5': left alone in mine: another row has its user key, key 'k3'"* ]]
    [[ $stderr == *"item 'k3': left alone in theirs: another row has its user key, key 'k5'"* ]]
    [ "$(items a.db | tail -n +3)" = "k3|3
k4|4
k6|6" ]
    sql b.db "DELETE FROM item WHERE id = 'k5'"
    desktopsync a.db b.db --base base --conf conf
    same_tables a.db b.db
}

# The sqlite3 program has a collation (uint) and functions (sha3) that no other program has.
@test "tables that need what only an application has, and keys too wide, are named; the others are synchronized" {
    local wide
    wide=$(seq -s , -f k%g 300)
    for db in c d; do
        sqlite3 $db.db "CREATE TABLE by_uint (k TEXT COLLATE uint PRIMARY KEY, v);
            CREATE TABLE wide ($wide, PRIMARY KEY ($wide));
            CREATE TABLE checked (k INTEGER PRIMARY KEY, v CHECK (sha3(v) IS NOT NULL));
            CREATE TABLE indexed (k INTEGER PRIMARY KEY, v); CREATE INDEX indexed_v ON indexed (sha3(v));
            CREATE TABLE fired (k INTEGER PRIMARY KEY, v);
            CREATE TRIGGER fired_t AFTER INSERT ON fired WHEN sha3(new.v) IS NULL BEGIN SELECT raise(ABORT, 'no'); END;
            CREATE TABLE zz (k INTEGER PRIMARY KEY, v)"
    done
    for table in by_uint checked indexed fired zz; do sqlite3 c.db "INSERT INTO $table VALUES (1, 'x')"; done
    run -1 --separate-stderr desktopsync c.db d.db --base other
    [[ $stderr == *"by_uint: not compared: c.db: no such collation sequence: uint"* ]]
    [[ $stderr == *"wide: not compared: c.db: the key of table wide has 300 columns, 255 are the most"* ]]
    for table in checked indexed fired; do
        [[ $stderr == *"$table 1: left alone in theirs: the table cannot be written to: d.db: "*"sha3"* ]]
        [ "$(sqlite3 d.db "SELECT count(*) FROM $table")" = 0 ]
    done
    [ "$(sqlite3 d.db "SELECT * FROM zz")" = "1|x" ]
}

@test "one run at a time with the same base" {
    exec 9<>base.lock
    flock -n 9
    run -6 desktopsync a.db b.db --base base
}

@test "misuse and refusals leave everything as it was" {
    local before
    before=$(sha256sum a.db b.db base)
    run -2 desktopsync a.db b.db
    run -2 desktopsync a.db --base base
    run -2 desktopsync a.db b.db --base base --wrong
    run -2 desktopsync a.db b.db --base base --max-delete
    run -2 desktopsync a.db b.db --base base --revert
    run -2 desktopsync a.db b.db --base base --take what
    run -2 desktopsync a.db b.db --base base --only ours
    run -3 desktopsync a.db a.db --base other
    run -4 desktopsync a.db b.db --base base --conf nowhere
    run -4 desktopsync a.db nowhere.db --base base
    sql c.db "CREATE TABLE item(id TEXT PRIMARY KEY, other)" "CREATE TABLE part(item, n, v, PRIMARY KEY(item, n))"
    run -5 desktopsync a.db c.db --base base
    echo junk >broken
    run -3 desktopsync a.db b.db --base broken
    [ "$(cat broken)" = junk ]
    run -3 desktopsync a.db b.db --base a.db
    [ "$before" = "$(sha256sum a.db b.db base)" ]
}

@test "the other side on another host: commands, names and the configuration travel safely" {
    mkdir "other host" && mv b.db "other host/it's b.db"
    cat >ssh <<-'END'
	#!/bin/bash
	[ "$1" = me@there ] || exit 255
	shift
	cd "other host" && exec sh -c "$*"
	END
    chmod +x ssh
    printf "[object item]\n; it's a trap \$(exit 3)\nuser_key = w\nchange_key = v, w\n" >conf
    export DX_SSH=./ssh
    desktopsync a.db "me@there:it's b.db" --base base --conf conf --initial
    sql a.db "INSERT INTO item VALUES ('k3', 3, 'o''ne')" "DELETE FROM item WHERE id = 'k1'"
    sql "other host/it's b.db" "UPDATE item SET v = 20 WHERE id = 'k2'" "INSERT INTO item VALUES ('k4', 4, 'o''ne')"
    run -1 --separate-stderr desktopsync a.db "me@there:it's b.db" --base base --conf conf
    [[ $stderr == *"item 'k3': left alone in theirs: another row has its user key, key 'k4'"* ]]
    [ "$(items a.db)" = "k2|20
k3|3" ]
    [ "$(items "other host/it's b.db")" = "k2|20
k4|4" ]
    sql a.db "UPDATE item SET w = 'two' WHERE id = 'k3'"
    desktopsync a.db "me@there:it's b.db" --base base --conf conf
    run -5 desktopsync a.db "me@there:it's b.db" --base base2
    [[ $output == *"no base is there, but a.db and theirs have been synchronized with each other"* ]]
    desktopsync a.db "me@there:it's b.db" --base base2 --initial
    same_tables a.db "other host/it's b.db"
    run -4 desktopsync a.db "nobody@there:it's b.db" --base base
    [[ $output == *"no connection"* ]]
}

@test "databases that capture their changes journal what they get as made here" {
    txnlog attach a.db
    sql b.db "UPDATE item SET v = 10 WHERE id = 'k1'" "DELETE FROM item WHERE id = 'k2'" "INSERT INTO item VALUES ('k3', 3, 3)"
    desktopsync a.db b.db --base base
    [ "$(txnlog read a.db | dxpack cat | jq -c '[.op, .key.id, .old.v, .new.v]' | sort)" = '["delete","k2",2,null]
["insert","k3",null,3]
["update","k1",1,10]' ]
    same_tables a.db b.db
}

# real NAME SQL-HERE SQL-THERE: a public database, edited on both sides, ends with the same rows on both.
real() {
    local shared
    shared_data "$1.db.xz"
    xz -dc "$shared" >mine.db
    cp mine.db theirs.db
    desktopsync mine.db theirs.db --base real.base
    sql mine.db "$2"
    sql theirs.db "$3"
    desktopsync mine.db theirs.db --base real.base --max-update 100%
    same_tables mine.db theirs.db
    sha256sum mine.db theirs.db real.base >before
    desktopsync mine.db theirs.db --base real.base
    sha256sum --quiet -c before
    sql mine.db "PRAGMA integrity_check" | grep -qx ok
}

@test "real data: chinook" {
    real chinook "UPDATE Customer SET City = 'Oslo' WHERE CustomerId % 7 = 0; DELETE FROM PlaylistTrack WHERE PlaylistId = 5;
        INSERT INTO Artist(ArtistId, Name) VALUES (10001, 'Björk & Söhne')" \
        "UPDATE Track SET UnitPrice = UnitPrice * 1.1 WHERE TrackId % 3 = 0; UPDATE Customer SET Phone = NULL WHERE CustomerId % 7 = 1;
        DELETE FROM InvoiceLine WHERE InvoiceLineId % 50 = 0"
}

@test "real data: sakila, with triggers and views of its own" {
    real sakila "UPDATE actor SET first_name = lower(first_name) WHERE actor_id % 2 = 0; DELETE FROM film_actor WHERE film_id < 20" \
        "UPDATE payment SET amount = amount + 0.01 WHERE payment_id % 10 = 0; UPDATE film SET length = NULL WHERE film_id % 9 = 0;
        INSERT INTO category(category_id, name, last_update) VALUES (99, 'Nöw', '2025-01-01 00:00:00')"
}

@test "real data: northwind, with spaces in its names" {
    real northwind "UPDATE \"Order Details\" SET Quantity = Quantity + 1 WHERE OrderID % 100 = 3; UPDATE Employees SET Photo = x'00'" \
        "DELETE FROM \"Order Details\" WHERE OrderID % 100 = 5; UPDATE Products SET UnitPrice = UnitPrice / 3; UPDATE Customers SET ContactName = ContactName || ' ü'"
}
