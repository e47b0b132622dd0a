#!/usr/bin/env bats
# handheld.conf: what a device gets of its companion's copy.

load ../helper

# A server with one node, a; accounts that refer to territories and to each other, contacts below them, with
# categories, and visits.
setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    mkdir site pkg
    sql site/hq.db <<'SQL'
CREATE TABLE territory (id TEXT PRIMARY KEY, name TEXT);
CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT, territory TEXT REFERENCES territory, parent INTEGER REFERENCES account);
CREATE TABLE contact (id INTEGER PRIMARY KEY, account INTEGER REFERENCES account, name TEXT, note TEXT);
CREATE TABLE contact_category (contact INTEGER REFERENCES contact, category TEXT, PRIMARY KEY (contact, category));
CREATE TABLE visit (id INTEGER PRIMARY KEY, contact INTEGER REFERENCES contact ON DELETE CASCADE, day TEXT, place TEXT NOT NULL);
INSERT INTO territory VALUES ('n','north'), ('s','south'), ('e','east');
INSERT INTO account VALUES (1,'top','e',NULL), (2,'mid','s',1), (3,'low','n',2), (4,'other','s',NULL), (5,'alone','s',NULL);
INSERT INTO contact VALUES (10,3,'ann','x'), (11,4,'bob','x'), (12,5,'cid','x');
INSERT INTO contact_category VALUES (10,'Private'), (10,'Business'), (10,'Other'), (11,'Private');
INSERT INTO visit VALUES (100,10,'2026-01-01','Oslo'), (101,11,'2026-02-01','Rome');
SQL
    {
        printf '[package]\nname = p\nversion = 1\n'
        for t in territory account contact contact_category visit; do printf '[object %s]\nvisible = all\n' $t; done
    } >pkg/package.conf
    txnlog attach site/hq.db
    txnroute load site/hq.db pkg
    txnroute node add site/hq.db a --package p --user a
    initsync a.db site --node a
}

conf() {
    cat >handheld.conf
}

standard() {
    conf <<'END'
[handheld]
name = palm
[object territory]
filter = id = 'n'
[object account]
filter = territory = 'n'
[object contact]
follows = account -> account
columns = * except note
[object contact_category]
follows = contact -> contact
category = category
order = Business, Private
[object visit]
filter = day > '2026-01-15'
END
}

pair() {
    hhextract pair a.db palm.db --device palm --conf handheld.conf
}

# keys TABLE: those on the device.
keys() {
    sql palm.db "SELECT group_concat(id, ' ') FROM (SELECT id FROM $1 ORDER BY id)"
}

# refused MESSAGE: pairing with handheld.conf is, and leaves nothing.
refused() {
    run -3 hhextract pair a.db palm.db --device palm --conf handheld.conf
    echo "$output"
    [[ $output == *"$1"* ]]
    [ ! -e palm.db ]
    [ "$(hhextract status a.db --json | jq length)" = 0 ]
}

@test "filters choose, children follow, and what rows inside refer to comes along: no reference dangles" {
    standard
    pair
    [ "$(keys account)" = "1 2 3 4" ] # 3 by its filter, 2 and 1 above it, 4 for the visit's contact
    [ "$(keys territory)" = "e n s" ]
    [ "$(keys contact)" = "10 11" ]   # 11 for the visit
    [ "$(keys visit)" = 101 ]
    [ -z "$(sql palm.db "PRAGMA foreign_key_check")" ]
    [ "$(sql palm.db "SELECT count(*) FROM pragma_table_info('contact') WHERE name = 'note'")" = 0 ]
}

@test "a stub leaves when nothing refers to it any more, and comes when something does" {
    standard
    pair
    sql a.db "UPDATE account SET parent = NULL WHERE id = 2" "UPDATE visit SET contact = 12 WHERE id = 101"
    companionsync a.db palm.db
    [ "$(keys account)" = "2 3 5" ]
    [ "$(keys contact)" = "10 12" ]
    [ -z "$(sql palm.db "PRAGMA foreign_key_check")" ]
}

@test "a row that is on the device only because others refer to it is read-only: a change of it is refused, told on both sides, and taken back" {
    standard
    pair
    sql palm.db "UPDATE account SET name = 'changed' WHERE id = 2" "UPDATE account SET name = 'low 2' WHERE id = 3" \
        "UPDATE contact SET name = 'stub' WHERE id = 11" "UPDATE visit SET place = 'Bonn' WHERE id = 101" \
        "INSERT INTO account VALUES (9, 'new', 's', NULL)"
    run -1 companionsync a.db palm.db
    [ "$(sql a.db "SELECT name FROM account WHERE id IN (2, 3, 9) ORDER BY id" "SELECT name FROM contact WHERE id = 11" "SELECT place FROM visit WHERE id = 101")" = $'mid\nlow 2\nnew\nbob\nBonn' ]
    [ "$(sql palm.db "SELECT name FROM account WHERE id IN (2, 3) ORDER BY id" "SELECT name FROM contact WHERE id = 11")" = $'mid\nlow 2\nbob' ]
    for db in a palm; do
        run -1 dxapply conflicts --json $db.db
        [ "$(jq -r '[.kind, .reason] | join(": ")' <<<"$output" | sort -u)" = "permission: the row is on the device only because others refer to it" ]
    done
    companionsync a.db palm.db
    [ "$(txnlog digest palm.db)" = "$(txnlog digest a.db --node palm)" ]
}

@test "without stubs the device gets only what its filters choose" {
    standard
    sed -i 's/^name = palm/&\nstubs = no/' handheld.conf
    pair
    [ "$(keys account)" = 3 ]
    [ "$(keys territory)" = n ]
    [ "$(keys contact)" = 10 ]
}

@test "of several categories the device shows the first in the configured order" {
    standard
    pair
    [ "$(sql palm.db "SELECT contact, category FROM contact_category")" = "10|Business" ]
    sql a.db "DELETE FROM contact_category WHERE category = 'Business'"
    companionsync a.db palm.db
    [ "$(sql palm.db "SELECT contact, category FROM contact_category")" = "10|Private" ]
}

@test "a category changed on the device replaces that one and keeps the others" {
    standard
    pair
    sql palm.db "UPDATE contact_category SET category = 'Customer' WHERE contact = 10"
    companionsync a.db palm.db
    [ "$(sql a.db "SELECT group_concat(category, ' ') FROM (SELECT category FROM contact_category WHERE contact = 10 ORDER BY category)")" = "Customer Other Private" ]
    [ "$(sql palm.db "SELECT category FROM contact_category WHERE contact = 10")" = Private ]
}

@test "a category cleared on the device removes that one only; a new contact gets the one it was given" {
    standard
    pair
    sql palm.db "DELETE FROM contact_category WHERE contact = 10" \
        "INSERT INTO contact (id, account, name) VALUES (20, 3, 'new')" "INSERT INTO contact_category VALUES (20, 'Business')"
    companionsync a.db palm.db
    [ "$(sql a.db "SELECT group_concat(category, ' ') FROM (SELECT category FROM contact_category WHERE contact = 10 ORDER BY category)")" = "Other Private" ]
    [ "$(sql a.db "SELECT category FROM contact_category WHERE contact = 20")" = Business ]
    [ "$(sql palm.db "SELECT category FROM contact_category WHERE contact = 20")" = Business ]
}

@test "a column that the device does not hold is kept when it changes the rest" {
    standard
    pair
    sql palm.db "UPDATE contact SET name = 'anna' WHERE id = 10"
    companionsync a.db palm.db
    [ "$(sql a.db "SELECT name, note FROM contact WHERE id = 10")" = "anna|x" ]
}

@test "deleting on the device a row with children that it does not hold is refused, recorded, and takes none of them; with cascade = yes it takes them" {
    standard
    sed -i 's/2026-01-15/2026-12-31/' handheld.conf # no visit is on the device
    sql a.db "DELETE FROM contact_category WHERE contact = 10"
    pair
    sql palm.db "DELETE FROM contact WHERE id = 10"
    run -1 companionsync a.db palm.db
    [ "$(sql a.db "SELECT name FROM contact WHERE id = 10" "SELECT place FROM visit WHERE contact = 10")" = $'ann\nOslo' ]
    [ "$(keys contact)" = 10 ] # it is there again
    run -1 dxapply conflicts a.db
    [[ $output == *"contact 10"* ]]
    run -1 dxapply conflicts palm.db
    [[ $output == *"contact 10"* ]]
    sed -i 's/^name = palm/&\ncascade = yes/' handheld.conf
    companionsync a.db palm.db --conf handheld.conf
    sql palm.db "DELETE FROM contact WHERE id = 10"
    run companionsync a.db palm.db
    [ "$status" -le 1 ]
    [ "$(sql a.db "SELECT count(*) FROM contact WHERE id = 10" "SELECT count(*) FROM visit WHERE contact = 10")" = $'0\n0' ]
    [ "$(keys contact)" = "" ]
}

@test "over a row limit names object, limit and count, before anything is routed; the device stays as it was" {
    standard
    sed -i "s/^filter = day .*/&\nlimit = 1/" handheld.conf
    pair
    before=$(txnlog digest palm.db)
    sql a.db "INSERT INTO visit VALUES (102, 10, '2026-03-01', 'Bonn')"
    routed=$(sql a.db "SELECT value FROM dx_meta WHERE name = 'routed'")
    run -3 --separate-stderr companionsync a.db palm.db
    [[ $stderr == *"object visit: 2 rows, more than the limit of 1"* ]]
    [ "$(txnlog digest palm.db)" = "$before" ]
    [ "$(sql a.db "SELECT value FROM dx_meta WHERE name = 'routed'")" = "$routed" ]
    sed -i 's/^limit = 1/limit = 2/' handheld.conf
    companionsync --conf handheld.conf a.db palm.db
    [ "$(keys visit)" = "101 102" ]
}

@test "over the limit at pairing makes no device" {
    standard
    sed -i 's/^name = palm/&\nlimit = 2/' handheld.conf
    run -3 hhextract pair a.db palm.db --device palm --conf handheld.conf
    [[ $output == *"more than the limit of 2"* ]]
    [ ! -e palm.db ]
}

@test "run --full writes all that the device gets, over what it has" {
    standard
    pair
    sql a.db "UPDATE account SET name = 'x' WHERE id = 3"
    hhextract run a.db --device palm --full >full.dx
    [ "$(dxpack list --json full.dx | jq -r .kind)" = snapshot ]
    dxapply palm.db <full.dx
    [ "$(txnlog digest palm.db)" = "$(txnlog digest a.db --node palm)" ]
    companionsync a.db palm.db
}

@test "a rule by name chooses by more than the row itself" {
    conf <<'END'
[handheld]
name = palm
[rule visited]
select = SELECT account FROM contact WHERE id IN (SELECT contact FROM visit)
[object account]
filter = rule visited
[object contact]
follows = account -> account
END
    pair
    [ "$(keys account)" = "1 2 3 4" ]
    [ "$(keys contact)" = "10 11" ]
}

@test "a configuration that is wrong, or could lose work done on the device, is refused with the reason" {
    conf <<<$'[handheld]\nname = palm\n[object account]\nlimit = 5'
    refused "[object account] limit: which rows?"
    conf <<<$'[handheld]\nname = palm\n[object account]\nfilter = all\nfollows = parent -> account'
    refused "it has exactly one"
    conf <<<$'[handheld]\nname = palm\n[object nosuch]\nfilter = all'
    refused "nosuch"
    conf <<<$'[handheld]\nname = palm\n[object contact]\nfollows = account -> account'
    refused "there is no [object account] before it"
    conf <<<$'[handheld]\nname = palm\n[object visit]\nfilter = all\ncolumns = * except place'
    refused "rows inserted on the device would be lost: column place"
    conf <<<$'[handheld]\nname = palm\n[object visit]\nfilter = all\ncolumns = * except place\nwrite = update, delete'
    pair
    rm -r palm.db*
}

@test "what handheld.conf says wrong is named with its line" {
    conf <<<$'[handheld]\nrows = 5\n[object account]\nfilter = all'
    refused "handheld.conf:2: [handheld] rows: no such option"
    conf <<<$'[handheld]\nname = palm\n[object account]\nfilter = all\ncolour = red'
    refused "handheld.conf:5: [object account] colour: no such option"
    conf <<<$'[handheld]\nname = palm\n[object account]\nfilter = all\nlimit = many'
    refused "a number of rows"
    conf <<<$'[handheld]\nname = palm\n[thing x]\na = b'
    refused "no such section"
    conf <<<$'[handheld]\nlimit = 3'
    refused "no [object NAME] in it"
    conf <<<$'[handheld]\nname = palm\n[object account]\nfilter = rule mine'
    refused "there is no [rule mine]"
    conf <<<$'[handheld]\nname = palm\n[object contact]\nfilter = all\n[object contact_category]\nfollows = contact -> contact\ncategory = category'
    refused "a category needs"
    conf <<<$'[handheld]\nname = palm\n[object account]\nfilter = nosuch = 1'
    refused "nosuch"
}
