#!/usr/bin/env bats
# hhextract and what it is for: three levels, server, companion, device.

load ../helper
load ../site

# The server, alice's copy, and her device palm.
make_levels() {
    make_site
    initsync alice.db site --node alice
    hhextract pair alice.db palm.db --device palm
}

# alike DEVICE COMPANION: the device holds, byte for byte, what the companion says that it should.
alike() {
    local name=${1%.db}
    [ "$(txnlog digest "$1")" = "$(txnlog digest "$2" --node "$name")" ] ||
        { diff <(txnlog digest "$1") <(txnlog digest "$2" --node "$name"); return 1; }
}

@test "pair makes the device's database, whole and bound to its companion; again, nothing happens" {
    make_levels
    alike palm.db alice.db
    same_table palm.db alice.db account contact opportunity activity product territory
    [ "$(txnlog status palm.db --json | jq -r .node)" = palm ]
    sha256sum palm.db >before
    hhextract pair alice.db palm.db --device palm
    sha256sum --quiet -c before
    [ ! -e palm.db.new ]
}

@test "a device belongs to one companion and has one name" {
    make_levels
    initsync bob.db site --node bob
    run -3 hhextract pair bob.db palm.db --device palm
    [[ $output == *"palm.db: this device is paired with another companion"* ]]
    run -3 companionsync bob.db palm.db
    run -3 hhextract pair alice.db palm.db --device other
    [[ $output == *"this is device palm, not other"* ]]
    run -3 hhextract pair alice.db bob.db --device other
    [[ $output == *"no device"* ]]
    run -3 hhextract pair alice.db second.db --device palm
    [[ $output == *"device palm is paired here; its database was $PWD/palm.db"*"--anew"* ]]
    [ ! -e second.db ]
    run -2 hhextract pair alice.db new.db
    run -2 hhextract pair alice.db new.db --device "no name"
    sql plain.db "CREATE TABLE t(id INTEGER PRIMARY KEY)"
    run -3 hhextract pair plain.db new.db --device x
    [ ! -e new.db ]
}

@test "device changes reach the companion, the server and the others; theirs reach the device" {
    make_levels
    initsync bob.db site --node bob
    local account
    account=$(sql palm.db "SELECT row_id FROM account ORDER BY row_id LIMIT 1")
    sql palm.db "UPDATE account SET city = 'from palm' WHERE row_id = '$account'" \
        "INSERT INTO contact(row_id, account_id, last_name, last_upd) VALUES ('C-palm', '$account', 'Palm', '2025-01-01')"
    sql site/hq.db "UPDATE product SET name = 'from hq' WHERE rowid = 1"
    sql alice.db "UPDATE account SET name = 'from alice' WHERE row_id = '$account'"
    integratedsync --now alice.db palm.db site
    [ "$(sql site/hq.db "SELECT city FROM account WHERE row_id = '$account'")" = "from palm" ]
    [ "$(sql site/hq.db "SELECT last_name FROM contact WHERE row_id = 'C-palm'")" = Palm ]
    [ "$(sql site/hq.db "SELECT name FROM account WHERE row_id = '$account'")" = "from alice" ]
    [ "$(sql palm.db "SELECT count(*) FROM product WHERE name = 'from hq'")" = 1 ]
    right alice.db
    alike palm.db alice.db
}

@test "companionsync alone, as often as one likes: changes go up as the companion's own" {
    make_levels
    local account i
    account=$(sql palm.db "SELECT row_id FROM account ORDER BY row_id LIMIT 1")
    for i in 1 2 3; do
        sql palm.db "UPDATE account SET city = 'palm $i' WHERE row_id = '$account'"
        sql alice.db "UPDATE account SET name = 'alice $i' WHERE row_id = '$account'"
        companionsync alice.db palm.db
        alike palm.db alice.db
        [ "$(sql alice.db "SELECT city FROM account WHERE row_id = '$account'")" = "palm $i" ]
    done
    companionsync alice.db palm.db
    alike palm.db alice.db
    remotesync alice.db site
    dxcron site
    [ "$(sql site/hq.db "SELECT city FROM account WHERE row_id = '$account'")" = "palm 3" ]
}

@test "run refuses while changes on the device wait, recorded as an upload or not, and says what to do" {
    make_levels
    sql palm.db "UPDATE product SET name = 'x' WHERE rowid = 1"
    run -3 --separate-stderr bash -c 'hhextract run alice.db --device palm >archive'
    [[ $stderr == *"1 changes of device palm are not processed here yet; run: companionsync alice.db"* ]]
    [ ! -s archive ]
    txnlog upload palm.db outbox
    run -3 bash -c 'hhextract run alice.db --device palm >archive'
    dxapply alice.db --as-local <outbox/00000001.dx
    hhextract run alice.db --device palm | dxapply palm.db
    alike palm.db alice.db
}

@test "run gives all that the device has not applied, in order, also when an archive was lost" {
    make_levels
    sql alice.db "UPDATE product SET name = 'one' WHERE rowid = 1"
    hhextract run alice.db --device palm >lost
    sql alice.db "UPDATE product SET name = 'two' WHERE rowid = 2"
    hhextract run alice.db --device palm >both
    [ "$(dxpack list --json both | wc -l)" = 2 ]
    dxapply palm.db <both
    alike palm.db alice.db
    hhextract run alice.db --device palm >nothing
    [ "$(dxpack cat nothing | wc -l)" = 0 ]
    dxapply palm.db <nothing
    alike palm.db alice.db
}

@test "run --out makes a file that is whole, or none when there is nothing new, and looks at the device as check does" {
    make_levels
    sql alice.db "UPDATE product SET name = 'one' WHERE rowid = 1"
    hhextract run --out file.dx alice.db palm.db
    dxapply palm.db <file.dx
    alike palm.db alice.db
    rm file.dx
    hhextract ready palm.db --hold "patch 2 was installed"
    hhextract run --out file.dx alice.db palm.db
    [ -z "$(find . -name '*file.dx*')" ]
    run -7 hhextract ready palm.db # what a person says, a synchronization does not take back
    cp palm.db other.db
    sql other.db "UPDATE dx_meta SET value = 'x' WHERE name = 'companion'"
    run -3 hhextract run --out file.dx alice.db other.db
    [[ $output == *"paired with another companion"* ]]
    run -2 hhextract run --out file.dx alice.db palm.db --device palm
    run -4 hhextract run --full --out missing/file.dx alice.db palm.db
}

@test "a package of its own: filters, and what a change of them moves" {
    make_site
    initsync alice.db site --node alice
    mkdir conf
    cat >conf/package.conf <<-END
	[package]
	name = palm
	version = 1
	[object account]
	visible = SELECT n.name, a.row_id FROM account a JOIN dx_node n ON n.user = 'alice' WHERE a.row_id < 'A-000020'
	[object contact]
	via = account_id -> account
	END
    hhextract pair alice.db palm.db --device palm --conf conf
    [ "$(app_tables palm.db)" = "account
contact" ]
    [ "$(sql palm.db "SELECT count(*) FROM account")" = "$(sql alice.db "SELECT count(*) FROM account WHERE row_id < 'A-000020'")" ]
    alike palm.db alice.db
    sed -i "s/A-000020/A-000010/; s/version = 1/version = 2/" conf/package.conf
    companionsync alice.db palm.db --conf conf/package.conf
    [ "$(sql palm.db "SELECT count(*) FROM account")" = "$(sql alice.db "SELECT count(*) FROM account WHERE row_id < 'A-000010'")" ]
    alike palm.db alice.db
    hhextract status alice.db --json >status
    [ "$(jq -r '.[0].objects[] | select(.object == "contact") | .filter' status)" = "via account_id -> account" ]
    [ "$(jq '.[0].objects[] | select(.object == "contact") | .rows' status)" = "$(sql palm.db "SELECT count(*) FROM contact")" ]
    cp conf/package.conf conf/other.conf
    run -3 hhextract pair alice.db new.db --device new --conf conf/other.conf
    run -4 hhextract pair alice.db new.db --device new --conf missing
}

@test "over the row limit is an error, and the device stays as it was" {
    make_levels
    sql alice.db "UPDATE product SET name = 'one' WHERE rowid = 1"
    txnlog digest palm.db >before
    run -3 --separate-stderr bash -c 'hhextract run alice.db --device palm --limit 3 >archive'
    [[ $stderr == *"more than the limit of 3; the device stays as it is"* ]]
    [ ! -s archive ]
    [ "$(txnlog digest palm.db)" = "$(cat before)" ]
    hhextract run alice.db --device palm --limit 100000 | dxapply palm.db
    alike palm.db alice.db
}

@test "a device that lost its database is made again, when that is said" {
    make_levels
    sql palm.db "UPDATE product SET name = 'x' WHERE rowid = 1"
    companionsync alice.db palm.db
    sql palm.db "UPDATE product SET name = 'y' WHERE rowid = 2"
    companionsync alice.db palm.db
    rm -r palm.db*
    run -3 hhextract pair alice.db palm.db --device palm
    [[ $output == *"--anew"* ]]
    hhextract pair alice.db palm.db --device palm --anew
    alike palm.db alice.db
    sql palm.db "UPDATE product SET name = 'z' WHERE rowid = 1"
    companionsync alice.db palm.db
    alike palm.db alice.db
    [ "$(sql alice.db "SELECT name FROM product WHERE rowid = 1")" = z ]
}

@test "ready says whether the device may start" {
    make_levels
    hhextract ready palm.db
    hhextract ready palm.db --hold "patch 2 was installed"
    run -7 hhextract ready palm.db
    [[ $output == *"palm.db: not ready: patch 2 was installed; synchronize again"* ]]
    hhextract ready palm.db --release
    hhextract ready palm.db
    run -2 hhextract ready palm.db --hold x --release
    run -3 hhextract ready alice.db
    run -3 hhextract ready nothing.db
    [ ! -e nothing.db ]
}

@test "status shows each device: how far it is, what waits on it, and what it holds" {
    make_levels
    [ "$(hhextract status site/hq.db --json | jq length)" = 0 ]
    sql palm.db "UPDATE product SET name = 'x' WHERE rowid = 1"
    [ "$(hhextract status alice.db --json | jq -c '.[] | [.device, .status, .pending, .user]')" = '["palm","active",1,"alice"]' ]
    hhextract status alice.db | grep -q "palm: active, package handheld, user alice"
    mv palm.db away.db
    [ "$(hhextract status alice.db --json | jq -c '.[] | [.device, .pending]')" = '["palm",null]' ]
}

@test "an unknown device, and a companion that is none, are refused" {
    make_levels
    run -3 bash -c 'hhextract run alice.db --device other >archive'
    run -3 bash -c 'hhextract run site/hq.db --device palm >archive'
    run -2 bash -c 'hhextract run alice.db >archive'
    run -2 bash -c 'hhextract run alice.db --device palm --limit x >archive'
}

# edit DB TAG: one random change, as somebody there would make it.
edit() {
    local some="ORDER BY (rowid * $((RANDOM * 2 + 1))) % 997 LIMIT 1" now="2025-01-01T00:00:0$((RANDOM % 10))Z"
    case $((RANDOM % 6)) in
    0) sql "$1" "UPDATE account SET city = '$2', last_upd = '$now' WHERE row_id = (SELECT row_id FROM account $some)" ;;
    1) sql "$1" "UPDATE contact SET phone = '$2' WHERE row_id = (SELECT row_id FROM contact $some)" ;;
    2) sql "$1" "UPDATE contact SET email = '$2', first_name = NULL WHERE row_id IN (SELECT row_id FROM contact WHERE rowid % 3 = $((RANDOM % 3)) $some)" ;;
    3) sql "$1" "INSERT INTO contact(row_id, account_id, last_name, last_upd) SELECT 'N-$2', row_id, '$2', '$now' FROM account $some" ;;
    4) sql "$1" "DELETE FROM contact WHERE row_id = (SELECT row_id FROM contact $some)" ;;
    5) sql "$1" "UPDATE opportunity SET amount = $RANDOM / 7.0, last_upd = '$now' WHERE row_id = (SELECT row_id FROM opportunity $some)" ;;
    esac
}

# passes COMMAND...: it ends with 0, or with 1, something to look at.
passes() {
    local code=0
    "$@" >>said 2>&1 || code=$?
    [ "$code" -le 1 ] || { tail -n 5 said; echo "exit $code: $*"; return 1; }
}

@test "random work on three levels, synchronized in any order: all copies end right" {
    local seed step territory
    for seed in $(seq "${SEED:-1}" $((${SEED:-1} + $(sized 2 0)))); do
        RANDOM=$seed
        mkdir "run$seed" && cd "run$seed" || return
        make_levels
        for step in $(seq 1 "$(sized 25 12)"); do
            case $((RANDOM % 9)) in
            0 | 1) edit site/hq.db "hq-$step" ;;
            2) edit alice.db "alice-$step" ;;
            3 | 4) edit palm.db "palm-$step" ;;
            5) territory=$(sql site/hq.db "SELECT row_id FROM territory LIMIT 1 OFFSET $((RANDOM % 4))")
                sql site/hq.db "UPDATE account SET territory = '$territory' WHERE row_id = (SELECT row_id FROM account LIMIT 1 OFFSET $((RANDOM % 40)))" ;;
            6) passes companionsync alice.db palm.db ;;
            7) passes remotesync alice.db site && passes dxcron site ;;
            8) passes integratedsync --now alice.db palm.db site ;;
            esac
        done
        for step in 1 2 3; do
            passes integratedsync --now alice.db palm.db site
        done
        right alice.db || { echo "seed $seed"; return 1; }
        alike palm.db alice.db || { echo "seed $seed"; return 1; }
        [ "$(hhextract status alice.db --json | jq '.[0].pending')" = 0 ]
        cd ..
    done
}

@test "a device's first package takes what looks like a reference for one: it follows rows that get other keys" {
    mkdir site package
    sql site/hq.db "CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT)" "CREATE TABLE stock (id INTEGER PRIMARY KEY, product_id INT, name TEXT)" \
        "INSERT INTO product VALUES (1, 'milk')" "INSERT INTO stock VALUES (1, 1, 'milk')"
    printf '[package]\nname = p\nversion = 1\n[object product]\nvisible = all\n[object stock]\nvisible = all\nreferences = product_id -> product\n' >package/package.conf
    txnlog attach site/hq.db
    txnroute load site/hq.db package
    txnroute node add site/hq.db alice --package p --user alice
    initsync alice.db site --node alice
    hhextract pair alice.db palm.db --device palm
    sql alice.db "INSERT INTO product VALUES (2, 'beer')" "INSERT INTO stock VALUES (2, 2, 'beer')"
    sql palm.db "INSERT INTO product VALUES (2, 'wine')" "INSERT INTO stock VALUES (2, 2, 'wine')"
    companionsync alice.db palm.db || [ $? -eq 1 ]
    companionsync alice.db palm.db
    for db in alice.db palm.db; do
        [ "$(sql $db "SELECT s.name, p.name FROM stock s JOIN product p ON p.id = product_id ORDER BY 1")" = "beer|beer
milk|milk
wine|wine" ]
    done
}

# with_other_keys PAIRING...: rows that the device has get other keys at the server; later the office's rows come under theirs.
with_other_keys() {
    mkdir site package
    sql site/hq.db "CREATE TABLE account (id INTEGER PRIMARY KEY, own TEXT, name TEXT)" "INSERT INTO account VALUES (1, 'alice', 'one')" \
        "CREATE TABLE visit (id INTEGER PRIMARY KEY, account INTEGER REFERENCES account, name TEXT)"
    printf '[package]\nname = p\nversion = 1\n[object account]\nvisible = SELECT n.name, a.id FROM account a JOIN dx_node n ON n.user = a.own
[object visit]\nvia = account -> account\n' >package/package.conf
    txnlog attach site/hq.db
    txnroute load site/hq.db package
    txnroute node add site/hq.db alice --package p --user alice
    initsync alice.db site --node alice
    hhextract pair alice.db palm.db --device palm "$@"
    sql alice.db "INSERT INTO account VALUES (2, 'alice', 'of the copy')"
    sql palm.db "INSERT INTO account VALUES (3, 'alice', 'of the device')" "INSERT INTO visit VALUES (2, 3, 'of the device')"
    companionsync alice.db palm.db
    sql site/hq.db "INSERT INTO account VALUES (2, 'bob', 'of the office'), (3, 'bob', 'of the office')"
    remotesync --now alice.db site || [ $? -eq 1 ]
    companionsync alice.db palm.db || [ $? -eq 1 ]
    for db in alice.db palm.db; do
        [ "$(sql $db "SELECT name, id > 3 FROM account ORDER BY name")" = $'of the copy|1\nof the device|1\none|0' ]
        [ "$(sql $db "SELECT v.name, a.name FROM visit v JOIN account a ON a.id = v.account ORDER BY 1")" = 'of the device|of the device' ]
    done
    sql site/hq.db "UPDATE account SET own = 'alice' WHERE id IN (2, 3)"
    remotesync --now alice.db site
    companionsync alice.db palm.db
    sql site/hq.db "UPDATE account SET name = 'new' WHERE id = 2"
    remotesync --now alice.db site
    companionsync alice.db palm.db
    for db in alice.db palm.db; do
        [ "$(sql $db "SELECT name FROM account WHERE id IN (2, 3) ORDER BY id")" = $'new\nof the office' ]
    done
    [ "$(txnlog digest palm.db)" = "$(txnlog digest alice.db --node palm)" ]
}

@test "a row that the server gives another key keeps it on a device that has it; rows that come under its old key are whole there" {
    with_other_keys
}

@test "the same on a device that gets what rows inside refer to" {
    printf '[handheld]\nname = palm\n[object account]\nfilter = all\n[object visit]\nfilter = all\n' >palm.conf
    with_other_keys --conf palm.conf
}

@test "a row that comes under the old key with the archive that gives the device's row another one is whole there" {
    mkdir site package
    sql site/hq.db "CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT, city TEXT)" "INSERT INTO account VALUES (1, 'one', 'Oslo')"
    printf '[package]\nname = p\nversion = 1\n[object account]\nvisible = all\n' >package/package.conf
    txnlog attach site/hq.db
    txnroute load site/hq.db package
    txnroute node add site/hq.db alice --package p --user alice
    initsync alice.db site --node alice
    hhextract pair alice.db palm.db --device palm
    sql palm.db "INSERT INTO account VALUES (2, 'of the device', 'Oslo')"
    for city in Lima Quito Cusco; do
        companionsync alice.db palm.db
        sql alice.db "UPDATE account SET city = '$city' WHERE id = 1"
        companionsync alice.db palm.db
    done
    [ "$(find alice.db-docking/palm/outbox -type f | wc -l)" -le 1 ] # what the device has applied is kept no more
    sql site/hq.db "INSERT INTO account VALUES (2, 'of the office', 'Oslo')"
    remotesync --now alice.db site || [ $? -eq 1 ]
    companionsync alice.db palm.db || [ $? -eq 1 ]
    [ "$(sql palm.db "SELECT name, city FROM account WHERE id = 2")" = 'of the office|Oslo' ]
    [ "$(txnlog digest palm.db)" = "$(txnlog digest alice.db --node palm)" ]
}

@test "run reports of each object its filter, rows, changes, bytes and seconds, as text and as JSON" {
    make_levels
    sql alice.db "UPDATE account SET city = 'Lima'"
    run -0 --separate-stderr hhextract run alice.db --device palm -v
    [[ $stderr == *"hhextract: account: "*" rows; here "*" changes, "*" bytes, "*" s"* ]]
    hhextract run alice.db --device palm --json 2>report >extract.dx
    [ "$(jq -r '.[0] | keys_unsorted | join(" ")' report)" = "object table filter rows changes bytes seconds" ]
    of() { jq ".[] | select(.object == \"account\") | $1" report; }
    [ "$(of .rows)" = "$(sqlite3 alice.db "SELECT count(*) FROM account")" ]
    [ "$(of .changes)" = "$(dxpack cat extract.dx | jq -s 'map(select(.table == "account")) | length')" ]
    [ "$(of .changes)" -gt 0 ]
    [ "$(of .bytes)" -gt "$(of .changes)" ]
    [ "$(jq '[.[].seconds] | all(. >= 0)' report)" = true ]
    hhextract run alice.db --device palm --full --json 2>report >extract.dx
    [ "$(of .changes)" = "$(of .rows)" ]
    [ "$(of '.seconds > 0')" = true ]
}

@test "a device that was changed without capture is found by ready, status and companionsync, and its changes are saved" {
    make_levels
    key=$(sqlite3 palm.db "SELECT row_id FROM account ORDER BY row_id LIMIT 1")
    other=$(sqlite3 palm.db "SELECT row_id FROM account ORDER BY row_id LIMIT 1 OFFSET 1")
    run -0 hhextract ready palm.db
    sqlite3 palm.db "SELECT 'DROP TRIGGER \"' || name || '\";' FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = 'account'" >drop
    sqlite3 palm.db <drop
    sqlite3 palm.db "UPDATE account SET city = 'unseen' WHERE row_id IN ('$key', '$other'); UPDATE contact SET phone = 'captured'"
    sql alice.db "UPDATE account SET tax_id = 'ours' WHERE row_id = '$other'"
    run -7 hhextract ready palm.db
    [[ $output == *"not captured"*"companionsync"* ]]
    run -1 hhextract status alice.db
    [[ $output == *"palm: "*"NOT CAPTURED"* ]]
    run -1 hhextract status alice.db --json
    [ "$(jq '.[0].captured' <<<"$output")" = false ]
    run -1 companionsync alice.db palm.db
    [[ $output == *"saved in palm.db-dx/saved/uncaptured-1.dx"* ]]
    # What the device changed is changed on the companion; a column that both may have changed is saved, and the companion's
    # stands.
    [ "$(sqlite3 alice.db "SELECT count(*) FROM account WHERE city = 'unseen' AND row_id IN ('$key', '$other')")" = 2 ]
    [ "$(sqlite3 palm.db "SELECT tax_id FROM account WHERE row_id = '$other'")" = ours ]
    [ "$(dxpack cat palm.db-dx/saved/uncaptured-1.dx | jq -r '.old.tax_id')" = ours ]
    [ "$(sqlite3 alice.db "SELECT count(*) FROM contact WHERE phone = 'captured'")" -gt 0 ]
    alike palm.db alice.db
    run -0 hhextract ready palm.db
    run -0 hhextract status alice.db
    run -0 companionsync alice.db palm.db
}

@test "a row of the device that cannot be applied stops --strict with nothing changed; without it the row is kept, told on both sides, and the rest goes on" {
    make_levels
    sqlite3 palm.db "INSERT INTO contact (row_id, account_id, last_name, last_upd) VALUES ('C-x', 'nowhere', 'Lost', '2026');
        UPDATE account SET city = 'Lima'"
    before=$(txnlog digest alice.db)
    run -3 companionsync --strict alice.db palm.db
    [ "$(txnlog digest alice.db)" = "$before" ]
    run -1 companionsync alice.db palm.db
    [ "$(sqlite3 alice.db "SELECT DISTINCT city FROM account")" = Lima ]
    run -1 dxapply conflicts alice.db
    [[ $output == *quarantine*"C-x"* || $output == *"C-x"*quarantine* ]]
    run -1 dxapply conflicts palm.db
    [[ $output == *"C-x"* ]]
}

@test "what an extract costs is what the device gets: all of it, and a difference, are the same from a companion of ten times the rows" {
    printf '[handheld]\nname = palm\n[object t]\nfilter = region = 1\nlimit = 400\n[object u]\nfilter = all\nlimit = 400\n' >handheld.conf
    counted=()
    for rows in 2000 20000; do
        sql pc$rows.db "CREATE TABLE t (id INTEGER PRIMARY KEY, region INT, v)" "CREATE INDEX t_region ON t (region)" \
            "CREATE TABLE u (id INTEGER PRIMARY KEY, v)" "INSERT INTO u SELECT value, value FROM generate_series(1, 300)" \
            "INSERT INTO t SELECT value, value <= 300, 'v' || value FROM generate_series(1, $rows)"
        txnlog attach pc$rows.db
        hhextract pair pc$rows.db palm$rows.db --device palm --conf handheld.conf
        hhextract run -v pc$rows.db --device palm --full >all.dx 2>all
        dxapply palm$rows.db <all.dx
        sql pc$rows.db "UPDATE t SET v = 'new' WHERE region = 1 AND id % 3 = 0"
        hhextract run -v pc$rows.db --device palm >some.dx 2>some
        [ "$(dxpack cat all.dx | wc -l) $(dxpack cat some.dx | wc -l)" = '600 100' ]
        for said in all some; do
            [[ $(<$said) =~ ([0-9]+)" thousand steps" ]]
            counted+=("${BASH_REMATCH[1]}")
        done
    done
    [ "${counted[0]}" -gt 0 ]
    [ "${counted[2]}" -le $((counted[0] + 2)) ]
    [ "${counted[3]}" -le $((counted[1] + 2)) ]
}
