#!/usr/bin/env bats
# duplicates = adopt: two rows that mean the same become one, and what referred to either refers to that one.

load ../helper

# office [KEY]: items with tags; a tag is known by its name.
office() {
    local key=${1:-INTEGER}
    sql hq.db "CREATE TABLE tag (id $key PRIMARY KEY, name TEXT NOT NULL UNIQUE, color TEXT)" "CREATE TABLE item (id TEXT PRIMARY KEY, name TEXT)" \
        "CREATE TABLE item_tag (item TEXT REFERENCES item, tag $key REFERENCES tag, PRIMARY KEY (item, tag))" \
        "CREATE TABLE favourite (id INTEGER PRIMARY KEY, what TEXT, tag $key)" "INSERT INTO item VALUES ('I', 'x')"
    txnlog attach hq.db
    mkdir -p docking package
    cat >package/package.conf <<-'END'
	[package]
	name = p
	version = 1
	[object item]
	visible = all
	[object tag]
	visible = all
	user_key = name
	duplicates = adopt
	[object item_tag]
	via = item -> item
	[object favourite]
	visible = all
	references = tag -> tag
	END
    txnroute load hq.db package 2>load.err
    for who in alice bob; do
        txnroute node add hq.db $who --package p --user $who
        txnroute extract hq.db $who docking | dxapply $who.db
    done
}

tags() {
    sql "$1" "SELECT group_concat(name) FROM (SELECT t.name FROM item_tag JOIN tag t ON t.id = tag ORDER BY 1)" \
        "SELECT what, t.name FROM favourite f LEFT JOIN tag t ON t.id = f.tag ORDER BY 1"
}

same_everywhere() {
    for who in alice bob; do
        [ "$(tags $who.db)" = "$(tags hq.db)" ] || return
    done
    run -0 dxapply conflicts hq.db
    [ "$(sql hq.db "PRAGMA foreign_key_check")" = "" ]
}

@test "a tag that is there already takes the place of one that a node made, on the server and at its origin" {
    office
    sql hq.db "INSERT INTO tag VALUES (1, 'red', 'office')"
    sql alice.db "INSERT INTO tag VALUES (1, 'blue', NULL), (2, 'red', 'hers')" "INSERT INTO item_tag VALUES ('I', 1), ('I', 2)" \
        "INSERT INTO favourite VALUES (1, 'b', 1), (2, 'r', 2)"
    exchange alice bob
    [ "$(tags hq.db)" = "blue,red
b|blue
r|red" ]
    same_everywhere
    [ "$(sql alice.db "SELECT count(*) FROM tag")" = 2 ]
    [ "$(dxapply conflicts --all hq.db --json | jq -r 'select(.kind == "duplicate") | [.resolved, .theirs.color] | join(" ")')" = "adopted hers" ]
}

@test "rows trade places: each side has the other's number for the same name" {
    office
    sql hq.db "INSERT INTO tag VALUES (1, 'red', NULL), (2, 'blue', NULL), (3, 'green', NULL)"
    sql alice.db "INSERT INTO tag VALUES (1, 'blue', NULL), (2, 'green', NULL), (3, 'red', NULL)" \
        "INSERT INTO favourite VALUES (1, 'b', 1), (2, 'g', 2), (3, 'r', 3)"
    sql bob.db "INSERT INTO tag VALUES (7, 'green', NULL)" "INSERT INTO favourite VALUES (7, 'bob g', 7)"
    exchange alice bob
    [ "$(sql hq.db "SELECT what, t.name FROM favourite f JOIN tag t ON t.id = f.tag ORDER BY 1")" = "b|blue
bob g|green
g|green
r|red" ]
    same_everywhere
}

@test "keys that are texts, too; and what was changed after the upload follows" {
    office TEXT
    sql hq.db "INSERT INTO tag VALUES ('o-1', 'red', NULL)"
    sql alice.db "INSERT INTO tag VALUES ('a-1', 'red', NULL), ('2', 'blue', NULL)" "INSERT INTO item_tag VALUES ('I', 'a-1'), ('I', '2')"
    txnlog upload alice.db alice-out
    dxapply hq.db <alice-out/00000001.dx || [ $? -eq 1 ]
    sql alice.db "INSERT INTO favourite VALUES (1, 'later', 'a-1')"
    exchange alice bob
    [ "$(tags alice.db)" = "blue,red
later|red" ]
    same_everywhere
    [ "$(sql alice.db "SELECT group_concat(id) FROM tag WHERE name = 'red'")" = o-1 ]
}

@test "the newcomer deleted by its node before it hears of it: the row that is there stays, and the next under that key is another" {
    office
    sql hq.db "INSERT INTO tag VALUES (1, 'red', NULL)" "INSERT INTO favourite VALUES (1, 'office r', 1)"
    sql alice.db "INSERT INTO tag VALUES (5, 'red', NULL)"
    txnlog upload alice.db alice-out
    dxapply hq.db <alice-out/00000001.dx || [ $? -eq 1 ]
    sql alice.db "DELETE FROM tag WHERE id = 5"
    exchange alice
    [ "$(tags hq.db | tail -1)" = "office r|red" ]
    sql bob.db "INSERT INTO tag VALUES (5, 'red', NULL)"
    txnlog upload bob.db bob-out
    dxapply hq.db <bob-out/00000001.dx || [ $? -eq 1 ]
    sql bob.db "DELETE FROM tag WHERE id = 5"
    txnlog upload bob.db bob-out
    dxapply hq.db <bob-out/00000002.dx || [ $? -eq 1 ]
    sql bob.db "INSERT INTO tag VALUES (5, 'pink', NULL)" "INSERT INTO item_tag VALUES ('I', 5)"
    exchange alice bob
    [ "$(tags alice.db)" = "pink
office r|red" ]
    same_everywhere
}

@test "a reference that both would be is there once" {
    office
    sql hq.db "INSERT INTO tag VALUES (1, 'red', NULL)" "INSERT INTO item_tag VALUES ('I', 1)"
    sql alice.db "INSERT INTO tag VALUES (2, 'red', NULL)" "INSERT INTO item_tag VALUES ('I', 2)"
    exchange alice bob
    [ "$(tags hq.db)" = red ]
    same_everywhere
}

@test "what the newcomer said otherwise than the row there is not lost in silence: exit 1 at the server, and once at its node, which has it; one that says no more is quiet" {
    office
    sql hq.db "INSERT INTO tag VALUES (1, 'red', 'office'), (2, 'blue', 'office')"
    sql alice.db "INSERT INTO tag VALUES (5, 'red', 'hers')"
    sql bob.db "INSERT INTO tag VALUES (7, 'blue', 'office')" "INSERT INTO tag VALUES (8, 'red', NULL)"
    txnlog upload alice.db alice-out
    txnlog upload bob.db bob-out
    run -0 dxapply hq.db <bob-out/00000001.dx
    run -1 dxapply hq.db <alice-out/00000001.dx
    txnroute run hq.db docking </dev/null
    run -1 dxapply alice.db <docking/alice/outbox/00000001.dx
    [ "$(dxapply conflicts alice.db --json | jq -r '[.kind, .outcome, .ours.color] | join(" ")')" = "duplicate theirs hers" ]
    run -0 dxapply bob.db <docking/bob/outbox/00000001.dx
    run -0 dxapply conflicts bob.db
    same_everywhere
}

@test "adopt needs a user key and a key of one column" {
    office
    sed -i '/^user_key/d' package/package.conf
    run -3 --separate-stderr txnroute load hq.db package
    [[ $stderr == *"adopt needs \`user_key\`"* ]]
    printf '[package]\nname = q\nversion = 1\n[object item_tag]\nvisible = all\nuser_key = item\nduplicates = adopt\n' >package/package.conf
    run -3 --separate-stderr txnroute load hq.db package
    [[ $stderr == *"adopt needs a key of one column"* ]]
}

@test "a row that the node may not see takes nobody's place: the newcomer waits for somebody to decide" {
    office
    sed -i "s/^\\[object tag\\]/[object tag]\nkeep = color IS NOT 'hidden'/" package/package.conf
    sql hq.db "INSERT INTO tag VALUES (1, 'red', 'hidden')"
    txnroute load hq.db package 2>load.err
    sql alice.db "INSERT INTO tag VALUES (7, 'red', NULL)" "INSERT INTO favourite VALUES (1, 'r', 7)"
    exchange alice bob
    [ "$(dxapply conflicts hq.db --json | jq -r '[.kind, .resolved, .table] | join(" ")')" = "duplicate  tag
  favourite" ]
    [ "$(sql alice.db "SELECT count(*) FROM tag")" = 0 ]
    [ "$(sql hq.db "SELECT count(*) FROM favourite")" = 0 ]
    [ "$(sql hq.db "SELECT count(*) FROM dx_rekey WHERE adopt" 2>/dev/null || echo 0)" = 0 ]
}

@test "a row of a handheld that gets another key and then goes over to another row does so on the device, too" {
    mkdir -p deep/site deep/p && cd deep
    sql site/hq.db "CREATE TABLE tag (id INTEGER PRIMARY KEY, name TEXT)" "INSERT INTO tag VALUES (1, 'a')"
    printf '[package]\nname = p\nversion = 1\n[object tag]\nvisible = all\nuser_key = name\nduplicates = adopt\n' >p/package.conf
    txnlog attach site/hq.db
    txnroute load site/hq.db p
    txnroute node add site/hq.db pc --package p --user u
    initsync pc.db site --node pc
    hhextract pair pc.db palm.db --device palm
    sql site/hq.db "INSERT INTO tag VALUES (2, 'x'), (3, 'y')"
    sql palm.db "INSERT INTO tag VALUES (2, 'w'), (3, 'w')"
    integratedsync --now pc.db palm.db site || [ $? -eq 1 ]
    run -0 integratedsync --now pc.db palm.db site
    [ "$(sql site/hq.db "SELECT group_concat(name) FROM (SELECT name FROM tag ORDER BY name)")" = a,w,x,y ]
    same_table pc.db site/hq.db tag
    same_table palm.db site/hq.db tag
}

@test "a key that no archive's head can carry is not adopted: the row is a duplicate, and its node is served" {
    office TEXT
    sql hq.db "INSERT INTO tag VALUES ('k', 'red', 'r')"
    txnroute run hq.db docking </dev/null
    sql alice.db "INSERT INTO tag VALUES (CAST(x'ff80' AS TEXT), 'red', 'a'), (CAST(x'6100' AS TEXT) || 'b', 'red2', 'b')" \
        "INSERT INTO tag VALUES (printf('%.2000c', 'k'), 'blue', 'c')"
    sql hq.db "INSERT INTO tag VALUES ('l', 'red2', 'r'), ('m', 'blue', 'r')"
    txnlog upload alice.db out
    run -1 dxapply hq.db --upload-from alice <out/00000001.dx
    [ "$(sql hq.db "SELECT count(*) FROM dx_conflict WHERE kind = 'duplicate'")" -eq 3 ]
    [ "$(sql hq.db "SELECT group_concat(id) FROM tag")" = k,l,m ]
    exchange alice bob
    [ "$(sql alice.db "SELECT group_concat(id) FROM tag")" = k,l,m ]
}
