#!/usr/bin/env bats
# Whoever changed something that the server did not take learns it with the next archive.

load ../helper
load ../site

# office: site/ with the tables part (who is on the list sees it), fixed (may not be written) and order, and ann.db.
office() {
    mkdir site package
    sql site/hq.db "CREATE TABLE part (id INTEGER PRIMARY KEY, name TEXT, secret TEXT, stock INTEGER)" \
        "CREATE TABLE fixed (id INTEGER PRIMARY KEY, v)" "CREATE TABLE line (id INTEGER PRIMARY KEY, part REFERENCES part, n)" \
        "INSERT INTO part VALUES (1, 'bolt', 's1', 5), (2, 'nut', 's2', 6)" "INSERT INTO fixed VALUES (1, 'a')"
    cat >package/package.conf <<-'CONF'
	[package]
	name = p
	version = 1
	[object part]
	visible = SELECT n.name, p.id FROM part p JOIN dx_node n
	columns = * except secret
	[object fixed]
	visible = all
	write = no
	[object line]
	visible = all
	CONF
    txnlog attach site/hq.db
    txnroute load site/hq.db package
    txnroute node add site/hq.db ann --package p
    initsync ann.db site --node ann
}

mine() {
    dxapply conflicts --json "$@" ann.db | jq -c 'del(.made, .archive, .origin, .resolved, .key)'
}

@test "an overruled change of a column stands in the copy's own conflicts, and one sync exits 1" {
    office
    sql ann.db "UPDATE part SET name = 'mine', stock = 7 WHERE id = 1"
    sql site/hq.db "UPDATE part SET name = 'ours', secret = 'new' WHERE id = 1"
    run -1 remotesync --now ann.db site
    [[ $output == *"1 conflicts"*"dxapply conflicts ann.db"* ]]
    run mine
    [ "$output" = '{"id":1,"kind":"update","table":"part","column":"name","own":true,"base":"bolt","ours":"mine","theirs":"ours","outcome":"theirs","reason":null}' ]
    run -1 dxapply conflicts ann.db
    [[ $(tr -s ' \n' ' ' <<<"$output") == *"part 1.name: was 'bolt', changed here to 'mine', the server has 'ours'"* ]]
    remotesync --now ann.db site
    right ann.db
    dxapply resolve ann.db 1 ours
    remotesync --now ann.db site
    [ "$(sql site/hq.db "SELECT name, secret, stock FROM part WHERE id = 1")" = 'mine|new|7' ]
    dxapply conflicts ann.db
}

@test "refused rows are told with the reason, and never a value that the copy may not see" {
    office
    sql ann.db "UPDATE fixed SET v = 'b'" "INSERT INTO fixed VALUES (2, 'c')" "DELETE FROM part WHERE id = 2" \
        "INSERT INTO line VALUES (1, 77, 'no such part')"
    sql site/hq.db "UPDATE part SET secret = 'hidden', stock = 99 WHERE id = 1" "DELETE FROM part WHERE id = 1"
    sql ann.db "UPDATE part SET stock = 8 WHERE id = 1"
    run -1 remotesync --now ann.db site
    run mine
    [[ $output == *'"kind":"permission","table":"fixed","column":null,"own":true,"ours":{"v":"b"},"outcome":"theirs","reason":"the node'"'"'s package does not allow it"'* ]]
    [[ $output == *'"ours":{"id":2,"v":"c"}'* ]]
    [[ $output == *'"kind":"gone","table":"part","column":null,"own":true,"ours":{"stock":8}'* ]]
    [[ $output == *'"kind":"quarantine","table":"line"'*'"outcome":"waits"'* ]]
    [ "$(wc -l <<<"$output")" -eq 4 ]
    [ "$(sql ann.db "SELECT count(*) FROM dx_conflict WHERE quote(incoming) LIKE '%' || hex('hidden') || '%'")" -eq 0 ]
    right ann.db
    remotesync --now ann.db site
    [ "$(sql site/hq.db "SELECT count(*) FROM dx_verdict WHERE archive IS NULL")" -eq 0 ]
}

@test "an insert that is refused can be made again from the record, and is told again" {
    office
    sql ann.db "INSERT INTO fixed VALUES (2, 'c')"
    run -1 remotesync --now ann.db site
    [ "$(sql ann.db "SELECT count(*) FROM fixed")" -eq 1 ]
    dxapply resolve ann.db 1 ours
    [ "$(sql ann.db "SELECT v FROM fixed WHERE id = 2")" = c ]
    run -1 remotesync --now ann.db site
    run mine
    [ "$(wc -l <<<"$output")" -eq 1 ]
    dxapply resolve ann.db 2 theirs
    remotesync --now ann.db site
}

@test "what no archive could tell before a copy is made again is told after it, once" {
    office
    sql ann.db "UPDATE fixed SET v = 'b'"
    remotesync --send ann.db site
    dxcron site || [ $? -eq 1 ]
    initsync ann.db site --node ann
    dxapply conflicts ann.db
    run -1 remotesync --now ann.db site
    run mine
    [ "$(wc -l <<<"$output")" -eq 1 ]
    remotesync --now ann.db site
}

@test "more verdicts than one archive takes come with the next ones; nothing of it is left" {
    office
    sql ann.db "WITH RECURSIVE n(i) AS (SELECT 10 UNION ALL SELECT i + 1 FROM n WHERE i < 1300) INSERT INTO fixed SELECT i, 'x' FROM n"
    run -1 remotesync --now ann.db site
    [ "$(sql ann.db "SELECT count(*) FROM dx_conflict")" -eq 1000 ]
    run -1 remotesync --now ann.db site
    [ "$(sql ann.db "SELECT count(*) FROM dx_conflict")" -eq 1291 ]
    remotesync --now ann.db site
    right ann.db
}
