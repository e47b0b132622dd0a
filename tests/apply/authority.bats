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
}
