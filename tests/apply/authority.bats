#!/usr/bin/env bats
# What a node's upload may do on its server: what the node's package lets it do, whatever the bytes say of themselves.

load ../helper

# office: hq.db with tables of each permission, a package, and the nodes alice and mallory, who see the accounts of
# their own region.
office() {
    sql hq.db "CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT, region TEXT, credit INTEGER)" \
        "CREATE TABLE note (id INTEGER PRIMARY KEY, account INTEGER REFERENCES account ON DELETE CASCADE, text TEXT)" \
        "CREATE TABLE price (id TEXT PRIMARY KEY, n REAL)" "CREATE TABLE payroll (id TEXT PRIMARY KEY, n REAL)" \
        "INSERT INTO account VALUES (1, 'Acme', 'alice', 100), (2, 'Bolt', 'mallory', 200)" \
        "INSERT INTO note VALUES (1, 1, 'private'), (2, 2, 'hers')" \
        "INSERT INTO price VALUES ('a', 9.5)" "INSERT INTO payroll VALUES ('boss', 1e6)"
    txnlog attach hq.db
    mkdir package
    cat >package/package.conf <<-'CONF'
	[package]
	name = p
	version = 1

	[object account]
	visible = SELECT n.name, a.id FROM account a JOIN dx_node n ON n.user = a.region
	columns = * except credit

	[object note]
	via = account -> account

	[object price]
	visible = all
	write = no

	[object payroll]
	visible = none
	CONF
    txnroute load hq.db package
    for who in alice mallory; do
        txnroute node add hq.db $who --package p --user $who
        txnroute extract hq.db $who docking | dxapply $who.db
    done
    epoch=$(epoch_of mallory)
}

epoch_of() {
    sql hq.db "SELECT epoch FROM dx_nodes WHERE name = '$1'"
}

# forge NUMBER [OPTION...] < LINES: an upload of mallory's with these changes.
forge() {
    local number=$1
    shift
    dxpack make --kind upload --from mallory --epoch "$epoch" --number "$number" "$@"
}

# other_head JQ < ARCHIVE: the archive with another head, sound in all else.
# shellcheck disable=SC2086 # names of members, without blanks
other_head() {
    local members
    rm -rf d
    dxpack extract -C d
    jq -c "$1" d/dx.json >d/head && mv d/head d/dx.json
    members="dx.json $(cd d && ls changes/*)"
    jq -c --arg sum "$(cd d && sha256sum $members | sha256sum | cut -d ' ' -f 1)" \
        --argjson bytes "$(cd d && cat $members | wc -c)" '.sha256 = $sum | .bytes = $bytes' d/end.json >d/end && mv d/end d/end.json
    tar --format=ustar --owner=0 --group=0 --mtime=@0 -C d -cf - $members end.json | seal
}

# dump: all of the application's rows on the server.
dump() {
    local table
    for table in $(app_tables hq.db); do table_rows hq.db "$table"; done
}

no_change() {
    diff before <(dump)
}

log_of_everything() {
    dxpack make <<-'LINES'
	{"table":"account","op":"update","key":{"id":1},"old":{"credit":100},"new":{"credit":1}}
	{"table":"price","op":"update","key":{"id":"a"},"old":{"n":9.5},"new":{"n":0.0}}
	{"table":"payroll","op":"delete","key":{"id":"boss"},"old":{"n":1000000.0}}
	LINES
}

honest() {
    forge "$@" <<<'{"table":"account","op":"update","key":{"id":2},"old":{"name":"Bolt"},"new":{"name":"Bolts"}}'
}

@test "a node's upload is exactly one archive: another behind it is refused, and so is the upload" {
    office
    dump >before
    honest 1 >1.dx
    log_of_everything >log.dx
    honest 2 >2.dx
    for second in log.dx 2.dx 1.dx; do
        run -3 dxapply hq.db --upload-from mallory < <(cat 1.dx $second)
        [[ $output == *"another archive follows"* ]]
        no_change
    done
    run -3 dxapply hq.db --upload-from mallory < <(cat 1.dx <(echo tail))
    no_change
    [ "$(sql hq.db "SELECT merged FROM dx_nodes WHERE name = 'mallory'")" -eq 0 ]
    dxapply hq.db --upload-from mallory <1.dx
    dxapply hq.db --upload-from mallory <1.dx
    # one that was merged before is no door either
    dump >before
    run -3 dxapply hq.db --upload-from mallory < <(cat 1.dx log.dx)
    no_change
}

@test "only an upload of the node whose place it is: no log, no download, no snapshot, no other node's" {
    office
    dump >before
    log_of_everything >log.dx
    dxpack make --to server --number 1 --epoch "$epoch" </dev/null >download.dx
    txnroute extract hq.db alice >snapshot.dx
    dxpack make --kind rows </dev/null >rows.dx
    dxpack make --kind upload --from alice --epoch "$(epoch_of alice)" --number 1 >other.dx \
        <<<'{"table":"account","op":"update","key":{"id":1},"old":{"name":"Acme"},"new":{"name":"Acne"}}'
    for file in log download snapshot rows other; do
        run -3 dxapply hq.db --upload-from mallory <$file.dx
        [[ $output == *"not an upload of node mallory"* ]]
        run -3 dxapply hq.db --upload-from nobody <$file.dx
        no_change
    done
}

@test "a log is applied only to order, and never as a node's upload" {
    office
    dump >before
    log_of_everything >log.dx
    run -3 dxapply hq.db <log.dx
    [[ $output == *"--log"* ]]
    run -2 dxapply hq.db --log --upload-from mallory <log.dx
    honest 1 >1.dx
    run -3 dxapply hq.db --log <1.dx
    [[ $output == *"not a log"* ]]
    no_change
    dxapply hq.db --log <log.dx
    [ "$(sql hq.db "SELECT credit, (SELECT n FROM price), (SELECT count(*) FROM payroll) FROM account WHERE id = 1")" = "1|0.0|0" ]
}

@test "the epoch, the number and the archive applied are those that the server knows" {
    office
    dump >before
    honest 1 >1.dx
    for claim in "--number 0" "--number 2" "--number 9223372036854775807" "--epoch e0" "--epoch $(epoch_of alice)" \
        "--applied 9" "--applied 9223372036854775807"; do
        # shellcheck disable=SC2086 # words of options
        honest 1 $claim >bad.dx
        run -3 dxapply hq.db --upload-from mallory <bad.dx
        no_change
    done
    [ "$(sql hq.db "SELECT merged FROM dx_nodes WHERE name = 'mallory'")" -eq 0 ]
    dxapply hq.db --upload-from mallory <1.dx
}

@test "the cron job takes what lies in a node's inbox for that node's upload, and nothing else" {
    mkdir site && cd site
    office
    dump >before
    mkdir -p docking/mallory/inbox docking/alice/inbox
    log_of_everything >docking/mallory/inbox/00000001.dx
    dxpack make --kind upload --from alice --epoch "$(epoch_of alice)" --number 1 >docking/alice/inbox/00000001.dx \
        <<<'{"table":"account","op":"update","key":{"id":1},"old":{"name":"Acme"},"new":{"name":"Acorn"}}'
    cp docking/alice/inbox/00000001.dx docking/mallory/inbox/00000002.dx
    run -1 dxcron .
    [ "$(sql hq.db "SELECT name FROM account WHERE id = 1")" = Acorn ]
    [ -e docking/mallory/inbox/00000001.dx ] && [ ! -e docking/alice/inbox/00000001.dx ]
    sql hq.db "UPDATE account SET name = 'Acme' WHERE id = 1"
    no_change
    # an upload of another node's, which would be that node's next
    rm docking/mallory/inbox/*
    dxpack make --kind upload --from alice --epoch "$(epoch_of alice)" --number 2 >docking/mallory/inbox/00000001.dx \
        <<<'{"table":"account","op":"update","key":{"id":1},"old":{"name":"Acme"},"new":{"name":"forged"}}'
    run -1 dxcron .
    [ -e docking/mallory/inbox/00000001.dx ]
    no_change
}

# permission_conflicts: how many rows were refused, and the rows to be sent back to mallory.
refused() {
    sql hq.db "SELECT count(*) FROM dx_conflict WHERE kind = 'permission' AND origin = 'mallory'"
}

@test "a key that is NULL, no number, or not of its column's type is refused row by row, and routing goes on" {
    office
    dump >before
    forge 1 >1.dx <<-'LINES'
	{"table":"note","op":"insert","key":{"id":null},"new":{"account":2,"text":"bait"}}
	{"table":"note","op":"insert","key":{"id":"1"},"new":{"account":2,"text":"bait"}}
	{"table":"note","op":"insert","key":{"id":1.0},"new":{"account":2,"text":"bait"}}
	{"table":"note","op":"insert","key":{"id":{"blob":"MQ=="}},"new":{"account":2,"text":"bait"}}
	{"table":"note","op":"insert","key":{"id":{"real":"7ff8000000000000"}},"new":{"account":2,"text":"bait"}}
	{"table":"note","op":"update","key":{"id":"2"},"old":{"text":"hers"},"new":{"text":"theirs"}}
	{"table":"note","op":"update","key":{"id":null},"old":{"text":"hers"},"new":{"text":"hers"}}
	{"table":"note","op":"delete","key":{"id":2.0},"old":{"text":"hers"}}
	{"table":"note","op":"insert","key":{"id":51},"new":{"account":2,"text":{"real":"7ff8000000000000"}}}
	{"table":"note","op":"insert","key":{"id":50},"new":{"account":2,"text":"sound"}}
	LINES
    run -1 dxapply hq.db --upload-from mallory <1.dx
    [ "$(refused)" -eq 9 ]
    [ "$(sql hq.db "SELECT count(*) FROM dx_quarantine" 2>/dev/null || echo 0)" -eq 0 ]
    [ "$(sql hq.db "SELECT group_concat(id || text) FROM note")" = "1private,2hers,50sound" ]
    txnroute run hq.db docking </dev/null
    [ ! -e docking/alice/outbox/00000001.dx ] || dxapply alice.db <docking/alice/outbox/00000001.dx
    diff <(txnlog digest alice.db) <(txnlog digest hq.db --node alice)
    [ "$(sql alice.db "SELECT group_concat(text) FROM note")" = private ]
}

@test "a text key takes no number, and no key of two columns a NULL" {
    sql hq.db "CREATE TABLE tag (name TEXT, no INTEGER, note TEXT, PRIMARY KEY (name, no))" "INSERT INTO tag VALUES ('2', 1, 'x')"
    txnlog attach hq.db
    mkdir package
    printf '[package]\nname = p\nversion = 1\n[object tag]\nvisible = all\n' >package/package.conf
    txnroute load hq.db package
    txnroute node add hq.db mallory --package p
    epoch=$(epoch_of mallory)
    forge 1 >1.dx <<-'LINES'
	{"table":"tag","op":"insert","key":{"name":2,"no":1},"new":{"note":"number"}}
	{"table":"tag","op":"insert","key":{"name":"a","no":null},"new":{"note":"null"}}
	{"table":"tag","op":"insert","key":{"name":"a","no":" 7"},"new":{"note":"text"}}
	{"table":"tag","op":"delete","key":{"name":2,"no":1},"old":{"note":"x"}}
	{"table":"tag","op":"insert","key":{"name":"a","no":"seven"},"new":{"note":"kept"}}
	LINES
    run -1 dxapply hq.db --upload-from mallory <1.dx
    [ "$(refused)" -eq 4 ]
    [ "$(sql hq.db "SELECT group_concat(note) FROM tag")" = x,kept ]
    txnroute run hq.db docking </dev/null
}

@test "no node takes the last keys of a table with AUTOINCREMENT: the office can insert rows after its upload" {
    sql hq.db "CREATE TABLE visit (id INTEGER PRIMARY KEY AUTOINCREMENT, what TEXT)" "INSERT INTO visit (what) VALUES ('x')"
    txnlog attach hq.db
    mkdir package
    printf '[package]\nname = p\nversion = 1\n[object visit]\nvisible = all\n' >package/package.conf
    txnroute load hq.db package
    txnroute node add hq.db mallory --package p
    epoch=$(epoch_of mallory)
    forge 1 >1.dx <<-'LINES'
	{"table":"visit","op":"insert","key":{"id":9223372036854775807},"new":{"what":"last"}}
	{"table":"visit","op":"insert","key":{"id":4611686018427387905},"new":{"what":"high"}}
	{"table":"visit","op":"insert","key":{"id":4611686018427387904},"new":{"what":"sound"}}
	LINES
    run -1 dxapply hq.db --upload-from mallory <1.dx
    [ "$(refused)" -eq 2 ]
    sql hq.db "INSERT INTO visit (what) VALUES ('office')"
    [ "$(sql hq.db "SELECT group_concat(what) FROM visit ORDER BY id")" = x,sound,office ]
    txnroute run hq.db docking </dev/null
}

@test "an insert under a row that its node does not see waits as under one that is not there" {
    office
    dump >before
    forge 1 >1.dx <<-'LINES'
	{"table":"note","op":"insert","key":{"id":70},"new":{"account":1,"text":"under alice's"}}
	{"table":"note","op":"insert","key":{"id":71},"new":{"account":99,"text":"under nothing"}}
	{"table":"note","op":"insert","key":{"id":72},"new":{"account":"1","text":"under text"}}
	{"table":"note","op":"update","key":{"id":2},"old":{"account":2},"new":{"account":1}}
	LINES
    run -1 dxapply hq.db --upload-from mallory <1.dx
    no_change
    [ "$(sql hq.db "SELECT count(*) FROM dx_quarantine")" -eq 4 ]
    # the answer is the same for the one that is there and the one that is not
    txnroute run hq.db docking </dev/null
    [ "$(dxpack cat docking/mallory/outbox/00000001.dx | jq -rc '[.table, .op, .key.id]' | sort | head -n 3)" = \
        "$(printf '["note","delete",%s]\n' 70 71 72)" ]
    # and it comes in when its node sees the row
    sql hq.db "UPDATE account SET region = 'mallory' WHERE id = 1"
    txnroute run hq.db docking </dev/null
    honest 2 >2.dx
    run dxapply hq.db --upload-from mallory <2.dx
    [ "$(sql hq.db "SELECT text FROM note WHERE id = 70")" = "under alice's" ]
}

@test "rows made in one upload may refer to each other, and to the node's rows of an earlier one" {
    office
    forge 1 >1.dx <<-'LINES'
	{"table":"account","op":"insert","key":{"id":10},"new":{"name":"New","region":"mallory"}}
	{"table":"note","op":"insert","key":{"id":80},"new":{"account":10,"text":"same upload"}}
	LINES
    forge 2 >2.dx <<<'{"table":"note","op":"insert","key":{"id":81},"new":{"account":10,"text":"later"}}'
    dxapply hq.db --upload-from mallory <1.dx
    dxapply hq.db --upload-from mallory <2.dx
    [ "$(sql hq.db "SELECT count(*) FROM note WHERE account = 10")" -eq 2 ]
}

@test "a delete takes rows that no node sees with it, as a delete made here does, and routing goes on" {
    sql hq.db "CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT)" \
        "CREATE TABLE audit (id INTEGER PRIMARY KEY, account INTEGER REFERENCES account ON DELETE CASCADE, what TEXT)" \
        "CREATE TABLE score (id INTEGER PRIMARY KEY, account INTEGER REFERENCES account ON DELETE SET NULL, n)" \
        "INSERT INTO account VALUES (1, 'Acme')" "INSERT INTO audit VALUES (1, 1, 'made')" "INSERT INTO score VALUES (1, 1, 5)"
    txnlog attach hq.db
    mkdir package
    printf '[package]\nname = p\nversion = 1\n[object account]\nvisible = all\n[object audit]\nvisible = none\n' >package/package.conf
    txnroute load hq.db package
    txnroute node add hq.db mallory --package p
    epoch=$(epoch_of mallory)
    forge 1 <<<'{"table":"account","op":"delete","key":{"id":1},"old":{"name":"Acme"}}' >1.dx
    run -1 dxapply hq.db --upload-from mallory <1.dx
    [ "$(sql hq.db "SELECT (SELECT count(*) FROM account), (SELECT count(*) FROM audit), (SELECT account FROM score)")" = "0|0|" ]
    txnroute run hq.db docking </dev/null
}

@test "a delete does not take rows with it that other nodes see and its node does not" {
    sql hq.db "CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT)" \
        "CREATE TABLE task (id INTEGER PRIMARY KEY, account INTEGER REFERENCES account ON DELETE CASCADE, who TEXT)" \
        "INSERT INTO account VALUES (1, 'Acme'), (2, 'Bolt')" "INSERT INTO task VALUES (1, 1, 'alice'), (2, 2, 'mallory')"
    txnlog attach hq.db
    mkdir package
    cat >package/package.conf <<-'CONF'
	[package]
	name = p
	version = 1
	[object account]
	visible = all
	[object task]
	visible = SELECT n.name, t.id FROM task t JOIN dx_node n ON n.user = t.who
	CONF
    txnroute load hq.db package
    for who in alice mallory; do
        txnroute node add hq.db $who --package p --user $who
        txnroute extract hq.db $who docking | dxapply $who.db
    done
    epoch=$(epoch_of mallory)
    forge 1 >1.dx <<-'LINES'
	{"table":"account","op":"delete","key":{"id":1},"old":{"name":"Acme"}}
	{"table":"account","op":"delete","key":{"id":2},"old":{"name":"Bolt"}}
	LINES
    run -1 dxapply hq.db --upload-from mallory <1.dx
    [ "$(sql hq.db "SELECT group_concat(name) FROM account")" = Acme ]
    [ "$(sql hq.db "SELECT group_concat(who) FROM task")" = alice ]
    [ "$(sql hq.db "SELECT kind, outcome FROM dx_conflict WHERE tbl = 'account'")" = "children|ours" ]
}

@test "cascade = yes lets a delete take rows with it that its node does not see, recorded, and other copies follow" {
    sql hq.db "CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT)" \
        "CREATE TABLE task (id INTEGER PRIMARY KEY, account INTEGER REFERENCES account ON DELETE CASCADE, who TEXT)" \
        "CREATE TABLE step (id INTEGER PRIMARY KEY, task INTEGER REFERENCES task ON DELETE CASCADE, text TEXT)" \
        "INSERT INTO account VALUES (1, 'Acme'), (2, 'Bolt')" "INSERT INTO task VALUES (1, 1, 'alice'), (2, 2, 'alice')" \
        "INSERT INTO step VALUES (1, 1, 'call')"
    txnlog attach hq.db
    mkdir package
    cat >package/package.conf <<-'CONF'
	[package]
	name = p
	version = 1
	[object account]
	visible = all
	cascade = yes
	[object task]
	visible = SELECT n.name, t.id FROM task t JOIN dx_node n ON n.user = t.who
	[object step]
	via = task -> task
	CONF
    txnroute load hq.db package
    for who in alice mallory; do
        txnroute node add hq.db $who --package p --user $who
        txnroute extract hq.db $who docking | dxapply $who.db
    done
    epoch=$(epoch_of mallory)
    forge 1 >1.dx <<<'{"table":"account","op":"delete","key":{"id":1},"old":{"name":"Acme"}}'
    run -1 dxapply hq.db --upload-from mallory <1.dx
    [ "$(sql hq.db "SELECT (SELECT group_concat(name) FROM account), (SELECT group_concat(id) FROM task), (SELECT count(*) FROM step)")" = "Bolt|2|0" ]
    [ "$(sql hq.db "SELECT group_concat(tbl || outcome) FROM dx_conflict")" = steptheirs,tasktheirs ]
    txnroute run hq.db docking </dev/null
    dxapply alice.db <docking/alice/outbox/00000001.dx
    diff <(txnlog digest alice.db) <(txnlog digest hq.db --node alice)
    sed -i 's/cascade = yes/&\nwrite = insert/' package/package.conf
    run -3 txnroute load hq.db package
    [[ $output == *"nodes may not delete"* ]]
    sed -i 's/cascade = yes/cascade = perhaps/' package/package.conf
    run -3 txnroute load hq.db package
}

@test "a row that is deleted and inserted in one upload keeps the columns that its node does not see" {
    office
    forge 1 >1.dx <<-'LINES'
	{"table":"account","op":"delete","key":{"id":2},"old":{"name":"Bolt","region":"mallory"}}
	{"table":"account","op":"insert","key":{"id":2},"new":{"name":"Bolts","region":"mallory"}}
	LINES
    run dxapply hq.db --upload-from mallory <1.dx
    [ "$(sql hq.db "SELECT name, credit FROM account WHERE id = 2")" = "Bolts|200" ]
}

@test "an upload tells of each row once: a second change of one is refused, in whatever table header and member" {
    office
    dump >before
    insert='{"table":"note","op":"insert","key":{"id":9},"new":{"account":2,"text":"x"}}'
    update='{"table":"note","op":"update","key":{"id":9},"old":{"text":"x"},"new":{"text":"y"}}'
    delete='{"table":"note","op":"delete","key":{"id":9},"old":{"account":2,"text":"x"}}'
    between='{"table":"account","op":"update","key":{"id":2},"old":{"name":"Bolt"},"new":{"name":"Bolts"}}'
    large='{"table":"note","op":"insert","key":{"id":8},"new":{"account":2,"text":"'$(printf '%01100000d' 0)'"}}'
    for changes in "$insert $insert" "$insert $update" "$insert $delete" "$update $update" "$update $delete" "$delete $update" \
        "$delete $delete" "$insert $between $insert" "$insert $large $insert" "$delete $insert $update" "$delete $insert $delete" \
        "$delete $insert $insert"; do
        printf '%s\n' "${changes//\} \{/\}$'\n'\{}" | forge 1 >1.dx
        run -3 dxapply hq.db --upload-from mallory <1.dx
        [[ $output == *"upload 1 of node mallory tells of row note 9 twice"*"nothing was changed"* ]]
        no_change
    done
    printf '%s\n' "$delete" "$insert" | forge 1 >1.dx
    run dxapply hq.db --upload-from mallory <1.dx
    [ "$(sql hq.db "SELECT group_concat(text) FROM note")" = private,hers,x ]
}

@test "what a copy uploads tells of each row once, whatever was done to it" {
    office
    sql mallory.db "DELETE FROM note; INSERT INTO note VALUES (2, 2, 'again'), (3, 2, 'c'); UPDATE note SET text = 'd'" \
        "UPDATE note SET id = id + 1 WHERE id = 3; UPDATE note SET id = id + 1 WHERE id = 2; DELETE FROM note WHERE id = 4" \
        "INSERT INTO note VALUES (4, 2, 'e'), (2, 2, 'f'); UPDATE account SET name = 'x'; UPDATE account SET name = 'Bolt'"
    txnlog upload mallory.db out
    [ -z "$(dxpack cat out/00000001.dx | jq -c '[.table, .key]' | sort | uniq -d)" ]
    dxapply hq.db --upload-from mallory <out/00000001.dx
    [ "$(sql hq.db "SELECT group_concat(id || text) FROM note WHERE account = 2")" = "2f,3d,4e" ]
}

@test "newest: a time in the future, a blob or another type does not win, and loses when it stands here" {
    sql hq.db "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, at)" \
        "INSERT INTO item VALUES (1, 'a', '2026-01-01 00:00:00'), (2, 'b', '2026-01-01'), (3, 'c', 1700000000)" \
        "INSERT INTO item VALUES (4, 'd', '2026-01-01'), (5, 'e', '9998-01-01'), (6, 'f', '2026-01-01')"
    txnlog attach hq.db
    mkdir package
    printf '[package]\nname = p\nversion = 1\n[object item]\nvisible = all\nconflict = newest at\n' >package/package.conf
    txnroute load hq.db package
    txnroute node add hq.db mallory --package p
    epoch=$(epoch_of mallory)
    sql hq.db "UPDATE item SET name = 'here'"
    forge 1 >1.dx <<-'LINES'
	{"table":"item","op":"update","key":{"id":1},"old":{"name":"a","at":"2025-01-01"},"new":{"name":"x","at":"9999-12-31 23:59:59"}}
	{"table":"item","op":"update","key":{"id":2},"old":{"name":"b","at":"2025-01-01"},"new":{"name":"x","at":{"blob":"/////w=="}}}
	{"table":"item","op":"update","key":{"id":3},"old":{"name":"c","at":1600000000},"new":{"name":"x","at":4102444800}}
	{"table":"item","op":"update","key":{"id":4},"old":{"name":"d","at":"2025-01-01"},"new":{"name":"x","at":"zzz"}}
	{"table":"item","op":"update","key":{"id":5},"old":{"name":"e","at":"2025-01-01"},"new":{"name":"x","at":"2026-02-02"}}
	{"table":"item","op":"update","key":{"id":6},"old":{"name":"f","at":"2025-01-01"},"new":{"name":"x","at":"2026-02-02"}}
	LINES
    run -1 dxapply hq.db --upload-from mallory <1.dx
    [ "$(sql hq.db "SELECT group_concat(name, '') FROM item")" = hereherehereherexx ]
    # the column that decides is no conflict itself
    [ "$(sql hq.db "SELECT group_concat(DISTINCT col) FROM dx_conflict")" = name ]
}

# newest OPTION: a table of rows 1 to 3 changed here at noon of today, of which mallory sends others.
newest() {
    sql hq.db "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, at)" \
        "INSERT INTO item SELECT value, 'old', '2026-01-01' FROM json_each('[1, 2, 3]')"
    txnlog attach hq.db
    mkdir package
    printf '[package]\nname = p\nversion = 1\n[object item]\nvisible = all\nconflict = newest at%s\n' "$1" >package/package.conf
    txnroute load hq.db package
    txnroute node add hq.db mallory --package p
    epoch=$(epoch_of mallory)
}

@test "newest: how far ahead of the server's clock a time may be is an option, a minute by default" {
    for option in '' ', ahead 7200' ', ahead 0'; do
        rm -rf hq.db* package
        newest "$option"
        sql hq.db "UPDATE item SET name = 'here', at = datetime('now', '-1 day')"
        for ahead in 30 3600 86400; do
            at=$(date -u -d "+$ahead seconds" '+%F %T')
            echo '{"table":"item","op":"update","key":{"id":'$((++id))'},"old":{"name":"old","at":"2026-01-01"},"new":{"name":"'$ahead'","at":"'"$at"'"}}'
        done | forge 1 >1.dx
        run -1 dxapply hq.db --upload-from mallory <1.dx
        sql hq.db "SELECT group_concat(name) FROM item"
    done >got
    diff got - <<-'END'
	30,here,here
	30,3600,here
	here,here,here
	END
    for option in ', ahead' ', ahead -1' ', ahead 1h' ', ahead 1, 2' ', ahead 9999999999'; do
        printf '[package]\nname = p\nversion = 2\n[object item]\nvisible = all\nconflict = newest at%s\n' "$option" >package/package.conf
        run -3 txnroute load hq.db package
        [[ $output == *"newest COLUMN, ahead SECONDS"* ]]
    done
}

@test "newest: times are compared as times, whatever zone they are written in" {
    newest ''
    sql hq.db "UPDATE item SET name = 'here', at = '2026-03-03 12:00:00'"
    forge 1 >1.dx <<-'LINES'
	{"table":"item","op":"update","key":{"id":1},"old":{"name":"old","at":"2026-01-01"},"new":{"name":"earlier","at":"2026-03-03 20:00:00+14:00"}}
	{"table":"item","op":"update","key":{"id":2},"old":{"name":"old","at":"2026-01-01"},"new":{"name":"later","at":"2026-03-03 11:00:00-05:00"}}
	LINES
    run -1 dxapply hq.db --upload-from mallory <1.dx
    [ "$(sql hq.db "SELECT group_concat(name) FROM item")" = here,later,here ]
}

@test "a value or a row beyond the server's limit is refused, though it comes in pieces, and routing goes on" {
    office
    printf '[limits]\nvalue_bytes = 1M\n' >site.conf
    big() { printf '{"table":"%s","op":"%s","key":{"id":%s},%s"new":{"%s":"%s"}}\n' "$1" "$2" "$3" "$4" "$5" "$(head -c "$6" /dev/zero | tr '\0' x)"; }
    forge 1 < <(big note insert 60 '' text 1100000) >1.dx
    run -1 dxapply hq.db --upload-from mallory <1.dx
    [ "$(refused)" -eq 1 ]
    [ "$(sql hq.db "SELECT count(*) FROM note WHERE id = 60")" -eq 0 ]
    txnroute run hq.db docking </dev/null
}

@test "a node that exceeds a limit is refused whole and held, until it is released; others go on" {
    office
    printf '[limits]\nopen_conflicts = 3\nquarantined_rows = 2\nrows = 6\n' >site.conf
    dump >before
    lines() { for n in $(seq "$1"); do printf "$2\n" "$n"; done; }
    lines 4 '{"table":"price","op":"insert","key":{"id":"%s"},"new":{"n":1.0}}' | forge 1 >conflicts.dx
    lines 3 '{"table":"note","op":"insert","key":{"id":9%s},"new":{"account":77,"text":"x"}}' | forge 1 >quarantine.dx
    lines 7 '{"table":"note","op":"insert","key":{"id":9%s},"new":{"account":2,"text":"x"}}' | forge 1 >rows.dx
    for file in conflicts quarantine rows; do
        run -5 dxapply hq.db --upload-from mallory <$file.dx
        [[ $output == *"site.conf allows"*"txnroute node release hq.db mallory"* ]]
        no_change
        honest 1 >1.dx
        run -5 dxapply hq.db --upload-from mallory <1.dx
        [[ $output == *"node mallory is held since"*"site.conf allows"* ]]
        [ "$(sql hq.db "SELECT count(*) FROM sqlite_schema WHERE name IN ('dx_conflict', 'dx_quarantine')")" -eq 0 ]
        txnroute node release hq.db mallory
    done
    txnroute node hold hq.db mallory --reason "lost laptop"
    dxpack make --kind upload --from alice --epoch "$(epoch_of alice)" --number 1 \
        <<<'{"table":"account","op":"update","key":{"id":1},"old":{"name":"Acme"},"new":{"name":"Acorn"}}' |
        dxapply hq.db --upload-from alice
    run -5 dxapply hq.db --upload-from mallory <1.dx
    [[ $output == *"lost laptop"* ]]
    txnroute node release hq.db mallory
    dxapply hq.db --upload-from mallory <1.dx
}

@test "what is refused for its size takes no room in the record of it, whatever table it is of" {
    office
    big() { printf '{"table":"%s","op":"insert","key":{"id":%s},"new":{"text":"%s"}}\n' "$1" "$2" "$(head -c 3000000 /dev/zero | tr '\0' x)"; }
    printf '[limits]\nvalue_bytes = 1M\n' >site.conf
    { big note 60; big nowhere 1
      printf '{"table":"price","op":"insert","key":{"id":"%s"},"new":{"n":1.0}}\n' "$(head -c 3000000 /dev/zero | tr '\0' k)"; } | forge 1 >1.dx
    before=$(stat -c %s hq.db)
    run -1 dxapply hq.db --upload-from mallory <1.dx
    [ "$(refused)" -eq 3 ]
    [ $(($(sql hq.db "PRAGMA page_count") * $(sql hq.db "PRAGMA page_size") - before)) -lt 500000 ]
    dxapply conflicts hq.db --json | grep -q '3000000 bytes, not kept'
    txnroute run hq.db docking </dev/null
}

@test "an upload that unpacks to far more than it is packed, and more merges than an hour allows, are refused" {
    office
    # 70 values of 1 MB, each of one letter
    for ((i = 0; i < 70; i++)); do
        printf '{"table":"note","op":"insert","key":{"id":%d},"new":{"account":2,"text":"%s"}}\n' $((i + 50)) "$(head -c 1000000 /dev/zero | tr '\0' x)"
    done | forge 1 >1.dx
    run -5 dxapply hq.db --upload-from mallory <1.dx
    [[ $output == *"expanded_ratio = 200 of site.conf allows"* ]]
    txnroute node release hq.db mallory
    printf '[limits]\nmerges_per_hour = 2\n' >site.conf
    honest 1 | dxapply hq.db --upload-from mallory
    forge 2 </dev/null | dxapply hq.db --upload-from mallory
    run -6 dxapply hq.db --upload-from mallory < <(forge 3 </dev/null)
    [[ $output == *"merges_per_hour of site.conf allows"* ]]
    sql hq.db "UPDATE dx_merges SET hour = '2026-01-01T00'"
    forge 3 </dev/null | dxapply hq.db --upload-from mallory
}

@test "an upload that ends its merge by a signal twice has its node held, and others are merged" {
    mkdir site && cd site
    office
    mkdir -p docking/mallory/inbox docking/alice/inbox
    cp -r "$DX_BUILD/bin" "$DX_BUILD/share" ..
    honest 1 >docking/mallory/inbox/00000001.dx
    printf '#!/bin/bash\n[[ $* != *mallory* ]] || kill -SEGV $$\nexec %q "$@"\n' "$DX_BUILD/bin/dxapply" >../bin/stub
    chmod +x ../bin/stub
    mv ../bin/stub ../bin/dxapply
    PATH=$PWD/../bin:$PATH run -1 ../bin/dxcron .
    txnroute node release hq.db mallory
    dxpack make --kind upload --from alice --epoch "$(epoch_of alice)" --number 1 >docking/alice/inbox/00000001.dx \
        <<<'{"table":"account","op":"update","key":{"id":1},"old":{"name":"Acme"},"new":{"name":"Acorn"}}'
    PATH=$PWD/../bin:$PATH run -1 ../bin/dxcron .
    [ "$(sql hq.db "SELECT why FROM dx_hold")" = "its upload 00000001.dx has twice ended its merge by signal 11" ]
    [ "$(sql hq.db "SELECT name FROM account WHERE id = 1")" = Acorn ]
    run -1 dxcron .
    [[ $output == *"node mallory is held"* ]]
    txnroute node release hq.db mallory
    dxcron .
    [ "$(sql hq.db "SELECT name FROM account WHERE id = 2")" = Bolts ]
}

# beside_alice: an upload of hers waits, too.
beside_alice() {
    mkdir -p docking/mallory/inbox docking/alice/inbox
    dxpack make --kind upload --from alice --epoch "$(epoch_of alice)" --number 1 >docking/alice/inbox/00000001.dx \
        <<<'{"table":"account","op":"update","key":{"id":1},"old":{"name":"Acme"},"new":{"name":"Acorn"}}'
}

# aside WHY: the second run holds mallory for it, alice was served by the first, nothing of mallory's is merged.
aside() {
    run -1 dxcron .
    [[ $output == *"dx: it took more $1 than"* ]]
    [ "$(sql hq.db "SELECT name FROM account WHERE id = 1")" = Acorn ]
    run -1 dxcron .
    [[ "$(sql hq.db "SELECT why FROM dx_hold")" == "its upload 00000001.dx has twice taken more $1 than"* ]]
    [ "$(sql hq.db "SELECT count(*) FROM note WHERE id = 9")" -eq 0 ]
    [ "$(sql hq.db "PRAGMA integrity_check")" = ok ]
    run -0 txnroute status hq.db docking
    [[ $output == *"taken more $1"* ]]
    txnroute node release hq.db mallory
    rm site.conf
}

@test "an upload whose merge takes more memory than memory_bytes is set aside after two tries, and others are merged" {
    of_plain_build
    mkdir site && cd site
    office
    beside_alice
    printf '[limits]\nmemory_bytes = 64M\n' >site.conf
    long=$(printf '%016000000d' 0)
    { printf '{"table":"note","op":"insert","key":{"id":9},"new":{"account":2,"text":"%s"}}\n' "$long"
      printf '{"table":"account","op":"update","key":{"id":2},"old":{"name":"%s"},"new":{"name":"%s"}}\n' "$long" "${long}"; } |
        forge 1 >docking/mallory/inbox/00000001.dx
    aside memory
    run dxcron .
    [ "$(sql hq.db "SELECT count(*) FROM note WHERE id = 9")" -eq 1 ]
}

@test "an upload whose merge takes more processor time than cpu_seconds is set aside after two tries, and others are merged" {
    mkdir site && cd site
    office
    beside_alice
    printf '[limits]\ncpu_seconds = 1\n' >site.conf
    sql hq.db "CREATE TRIGGER slow AFTER INSERT ON note BEGIN SELECT count(*) FROM
        (WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 1000000000) SELECT n FROM c); END"
    txnlog attach hq.db
    forge 1 >docking/mallory/inbox/00000001.dx <<<'{"table":"note","op":"insert","key":{"id":9},"new":{"account":2,"text":"x"}}'
    aside "processor time"
    sql hq.db "DROP TRIGGER slow"
    dxcron .
    [ "$(sql hq.db "SELECT text FROM note WHERE id = 9")" = x ]
}

@test "the answer does not tell whether a row that its node does not see is there, or what is in it" {
    office
    forge 1 >1.dx <<-'LINES'
	{"table":"note","op":"insert","key":{"id":1},"new":{"account":1,"text":"private"}}
	LINES
    run dxapply hq.db --upload-from mallory <1.dx
    [ "$(sql hq.db "SELECT count(*) FROM note WHERE text = 'private'")" -eq 1 ]
    forge 2 >2.dx <<-'LINES'
	{"table":"note","op":"update","key":{"id":1},"old":{"text":"private"},"new":{"text":"x"}}
	{"table":"note","op":"update","key":{"id":1234},"old":{"text":"private"},"new":{"text":"x"}}
	LINES
    run -1 dxapply hq.db --upload-from mallory <2.dx
    [ "$(sql hq.db "SELECT text FROM note WHERE id = 1")" = private ]
    [ "$(sql hq.db "SELECT count(*) FROM note")" -eq 2 ]
    txnroute run hq.db docking </dev/null
    [ -z "$(dxpack cat docking/mallory/outbox/00000001.dx | grep -v '"op":"delete"')" ]
}

@test "a guess at what is in a row that its node does not see is answered as a wrong one: the row gets another key" {
    office
    forge 1 >1.dx <<-'LINES'
	{"table":"note","op":"insert","key":{"id":1},"new":{"text":"private"}}
	LINES
    run -0 dxapply hq.db --upload-from mallory <1.dx
    [ "$(sql hq.db "SELECT count(*) FROM note WHERE text = 'private'")" -eq 2 ]
    [ "$(sql hq.db "SELECT account FROM note WHERE id = 1")" -eq 1 ]
}

@test "no archive changes the tables of the toolkit itself, a log neither" {
    office
    sqlite3 hq.db .dump >whole
    dxpack make >log.dx <<<'{"table":"dx_nodes","op":"update","key":{"id":1},"old":{"user":"alice"},"new":{"user":"mallory"}}'
    run -3 dxapply --log hq.db <log.dx
    [[ $output == *"table dx_nodes is not for archives to change"* ]]
    diff whole <(sqlite3 hq.db .dump)
    forge 1 >1.dx <<<'{"table":"dx_nodes","op":"update","key":{"id":1},"old":{"user":"alice"},"new":{"user":"mallory"}}'
    run -1 dxapply hq.db --upload-from mallory <1.dx
    [ "$(refused)" -eq 1 ]
    [ "$(sql hq.db "SELECT group_concat(user) FROM dx_nodes")" = alice,mallory ]
}

@test "a change that waits keeps no other node's change of the row waiting" {
    sql hq.db "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, n INTEGER CHECK (n < 1000))" "INSERT INTO item VALUES (1, 'a', 1)"
    txnlog attach hq.db
    mkdir package
    printf '[package]\nname = p\nversion = 1\n[object item]\nvisible = all\n' >package/package.conf
    txnroute load hq.db package
    for who in alice mallory; do txnroute node add hq.db $who --package p; done
    epoch=$(epoch_of mallory)
    forge 1 <<<'{"table":"item","op":"update","key":{"id":1},"old":{"n":1},"new":{"n":5000}}' >1.dx
    run -1 dxapply hq.db --upload-from mallory <1.dx
    [ "$(sql hq.db "SELECT count(*) FROM dx_quarantine")" -eq 1 ]
    dxpack make --kind upload --from alice --epoch "$(epoch_of alice)" --number 1 \
        <<<'{"table":"item","op":"update","key":{"id":1},"old":{"name":"a"},"new":{"name":"b"}}' |
        dxapply hq.db --upload-from alice
    [ "$(sql hq.db "SELECT name, n FROM item")" = "b|1" ]
    # her own later ones wait behind it
    forge 2 <<<'{"table":"item","op":"update","key":{"id":1},"old":{"name":"b"},"new":{"name":"c"}}' >2.dx
    run -1 dxapply hq.db --upload-from mallory <2.dx
    [ "$(sql hq.db "SELECT name FROM item")" = b ]
}

@test "a download, a snapshot or a new key speaks of the copy's tables only: what else the application has stays its own" {
    office
    sql alice.db "CREATE TABLE diary (id INTEGER PRIMARY KEY, text TEXT)" "INSERT INTO diary VALUES (1, 'private')"
    theirs=$(epoch_of alice)
    down() { dxpack make --to alice --epoch "$theirs" --number "$@"; }
    down 1 <<<'{"table":"diary","op":"insert","key":{"id":1},"new":{"text":"theirs"}}' >row.dx
    run -3 dxapply alice.db <row.dx
    [[ $output == *"speaks of table diary, which is no part of this copy"* ]]
    dxpack make --kind snapshot --to alice --epoch "$theirs" --number 1 >snapshot.dx <<<'{"table":"diary","op":"insert","key":{"id":1},"new":{"text":"theirs"}}'
    run -3 dxapply alice.db <snapshot.dx
    [[ $output == *"speaks of table diary"* ]]
    key='{"table":"diary","old":1,"new":5,"id":1,"refs":[]}'
    ref='{"table":"note","old":1,"new":5,"id":1,"refs":["diary","id"]}'
    for rekey in "$key" "$ref"; do
        down 1 <<<'{"table":"note","op":"insert","key":{"id":7},"new":{"account":1,"text":"x"}}' |
            other_head ".rekeys = [$rekey]" >rekey.dx
        run -3 dxapply alice.db <rekey.dx
        [[ $output == *"speaks of table diary"* ]]
    done
    [ "$(sql alice.db "SELECT * FROM diary")" = "1|private" ]
    down 1 <<<'{"table":"note","op":"insert","key":{"id":7},"new":{"account":1,"text":"x"}}' | dxapply alice.db
}

@test "the journal of a copy keeps no values of what the server has acknowledged" {
    office
    sql alice.db "UPDATE note SET text = 'a very private note of alice' WHERE id = 1"
    mkdir up
    txnlog upload alice.db up
    run -0 dxapply hq.db --upload-from alice <up/00000001.dx
    sql hq.db "UPDATE account SET region = 'mallory' WHERE id = 1"
    txnroute run hq.db docking </dev/null
    dxapply alice.db <docking/alice/outbox/00000001.dx
    txnlog trim alice.db
    [ "$(sql alice.db "SELECT count(*) FROM dx_journal")" -eq 1 ]
    sql alice.db "PRAGMA wal_checkpoint(TRUNCATE)"
    run -1 grep -c "very private note" alice.db
    # the copy goes on from there
    sql alice.db "INSERT INTO price VALUES ('b', 1.5)"
    txnlog upload alice.db up
    run -1 dxapply hq.db --upload-from alice <up/00000002.dx
    txnroute run hq.db docking </dev/null
    run -1 dxapply alice.db <docking/alice/outbox/00000002.dx
    diff <(txnlog digest alice.db) <(txnlog digest hq.db --node alice)
}

@test "a row that left a copy leaves no trace in its file" {
    office
    sql hq.db "UPDATE note SET text = 'a very private note of alice' WHERE id = 1"
    txnroute run hq.db docking </dev/null
    dxapply alice.db <docking/alice/outbox/00000001.dx
    sql alice.db "PRAGMA wal_checkpoint(TRUNCATE)"
    grep -q "very private note" alice.db
    sql hq.db "UPDATE account SET region = 'mallory' WHERE id = 1"
    txnroute run hq.db docking </dev/null
    dxapply alice.db <docking/alice/outbox/00000002.dx
    txnlog trim alice.db
    sql alice.db "PRAGMA wal_checkpoint(TRUNCATE)"
    run -1 grep -c "very private note" alice.db
}

@test "an insert does not overwrite a row of its key that its node does not see, or may not update, whatever the policy" {
    sql hq.db "CREATE TABLE tag (name TEXT PRIMARY KEY, owner TEXT, what TEXT, at TEXT)" \
        "INSERT INTO tag VALUES ('a', 'alice', 'hers', '2020-01-01'), ('m', 'mallory', 'mine', '2020-01-01')"
    sql hq.db "CREATE TABLE log (name TEXT PRIMARY KEY, what TEXT)" "INSERT INTO log VALUES ('l', 'kept')"
    office
    cat >>package/package.conf <<-'CONF'

	[object tag]
	visible = SELECT n.name, t.name FROM tag t JOIN dx_node n ON n.user = t.owner
	conflict = newest at

	[object log]
	visible = all
	write = insert
	conflict = client
	CONF
    txnroute load hq.db package
    txnroute run hq.db docking </dev/null
    before=$(table_rows hq.db log; sql hq.db "SELECT * FROM tag WHERE name = 'a'")
    forge 1 <<-'LINES' >up
	{"table":"tag","op":"insert","key":{"name":"a"},"new":{"owner":"mallory","what":"stolen","at":"2026-01-01"}}
	{"table":"tag","op":"insert","key":{"name":"m"},"new":{"owner":"mallory","what":"again","at":"2026-01-01"}}
	{"table":"log","op":"insert","key":{"name":"l"},"new":{"what":"forged"}}
	LINES
    run -1 dxapply hq.db --upload-from mallory <up
    [ "$(table_rows hq.db log; sql hq.db "SELECT * FROM tag WHERE name = 'a'")" = "$before" ]
    [ "$(sql hq.db "SELECT what FROM tag WHERE name = 'm'")" = again ]
    [ "$(sql hq.db "SELECT group_concat(kind || outcome) FROM (SELECT kind, outcome FROM dx_conflict ORDER BY tbl, key)")" = insertask,insertask,inserttheirs ]
}

@test "a new row under the key of one that stays gets none of the values that its node does not see" {
    office
    sql hq.db "CREATE TABLE visit (id INTEGER PRIMARY KEY, account INTEGER REFERENCES account, region TEXT)" \
        "INSERT INTO visit VALUES (1, 2, 'alice')"
    txnlog attach hq.db
    printf '\n[object visit]\nvisible = SELECT n.name, v.id FROM visit v JOIN dx_node n ON n.user = v.region\n' >>package/package.conf
    txnroute load hq.db package
    txnroute run hq.db docking </dev/null
    forge 1 <<-'LINES' >up.dx
	{"table":"account","op":"delete","key":{"id":2},"old":{"name":"Bolt","region":"mallory"}}
	{"table":"account","op":"insert","key":{"id":2},"new":{"name":"Bait","region":"mallory"}}
	LINES
    run -1 dxapply hq.db --upload-from mallory <up.dx
    [ "$(sql hq.db "SELECT name, credit FROM account ORDER BY name")" = "Acme|100
Bait|
Bolt|200" ]
}

@test "what a node or an archive says reaches no terminal as it is: names and values are shown without control characters" {
    esc=$'\e]0;OWNED\a\e[31m\n\xc2\x9b'
    office
    sql mallory.db "UPDATE note SET text = 'x$esc' WHERE id = 2"
    sql hq.db "UPDATE note SET text = 'the office' WHERE id = 2" "CREATE TABLE \"odd$esc\" (id INTEGER PRIMARY KEY)"
    mkdir out
    txnlog upload mallory.db out
    run -1 dxapply --upload-from mallory hq.db <out/00000001.dx
    run -1 dxapply conflicts hq.db
    [[ $output == *"x?]0;OWNED??[31m??"* ]]
    [ "${#lines[@]}" -eq 3 ]
    run -1 grep -c '[[:cntrl:]]' <<<"$output"
    dxpack make --kind upload --from mallory --epoch "$epoch" --number 2 <<<'{"table":"note","op":"insert","key":{"id":9},"new":{"account":999}}' >up.dx
    run -1 dxapply --upload-from mallory hq.db <up.dx
    sql hq.db "UPDATE dx_quarantine SET reason = 'x$esc'"
    run -0 txnroute status hq.db
    [[ $output == *"x?]0;OWNED??[31m??"* ]]
    run -1 grep -c '[[:cntrl:]]' <<<"$output"
    sql other.db "CREATE TABLE \"odd$esc\" (id INTEGER PRIMARY KEY)"
    txnlog attach other.db
    sql other.db "INSERT INTO \"odd$esc\" VALUES (1)"
    txnlog read other.db >log.dx
    run -0 dxpack list log.dx
    [[ $output == *"odd?]0;OWNED??[31m??"* ]]
    run -1 grep -c '[[:cntrl:]]' <<<"$output"
    run -3 dxapply --log alice.db <log.dx
    [[ $output == *"odd?]0;OWNED??[31m??"* ]]
    run -1 grep -c '[[:cntrl:]]' <<<"$output"
}
