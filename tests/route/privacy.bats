#!/usr/bin/env bats
# What a node is told names nothing that it may not see.

load ../helper

@test "an archive names no table and no column outside of the node's package, and no position of the server's journal" {
    mkdir -p site/docking p
    sql site/hq.db "CREATE TABLE note (id INTEGER PRIMARY KEY, who TEXT, txt TEXT, pay TEXT)" \
        "CREATE TABLE seen_by (id INTEGER PRIMARY KEY, note_id INTEGER REFERENCES note, hidden_ref INTEGER REFERENCES note)" \
        "CREATE TABLE secret_review (id INTEGER PRIMARY KEY, note_id INTEGER REFERENCES note)" \
        "CREATE INDEX note_who ON note (who)" "INSERT INTO note VALUES (1, 'bob', 'b', 'x')"
    cat >p/package.conf <<'CONF'
[package]
name = p
version = 1
[object note]
visible = SELECT d.name, n.id FROM note n JOIN dx_node d ON d.user = n.who
columns = * except pay
[object seen_by]
via = note_id -> note
columns = id, note_id
CONF
    txnlog attach site/hq.db
    txnroute load site/hq.db p
    for n in ann bob; do
        txnroute node add site/hq.db $n --package p --user $n
        initsync $n.db site --node $n
    done
    for i in $(seq 20); do echo "INSERT INTO secret_review (note_id) VALUES (1);"; done | sql site/hq.db
    sql ann.db "INSERT INTO note (id, who, txt) VALUES (1, 'ann', 'mine'); INSERT INTO seen_by (id, note_id) VALUES (1, 1)"
    txnlog upload ann.db up
    dxapply --upload-from ann site/hq.db <up/00000001.dx
    txnroute run site/hq.db site/docking </dev/null
    file=$(find site/docking/ann/outbox -name '*.dx')
    dxpack list --json "$file" >list
    jq -e '.upto == .number and (.after // 0) == .number - 1' list
    [ "$(jq -c '[.rekeys[] | .table]' list)" = '["note"]' ]
    tar --zstd -xOf "$file" dx.json >head
    grep -q note_id head
    run -1 grep -E 'secret|hidden_ref|pay' head
    txnroute extract site/hq.db ann >snap.dx
    tar --zstd -xOf snap.dx dx.json >head
    grep -q note_id head
    run -1 grep -E 'secret|hidden_ref|pay' head
    dxpack list --json snap.dx | jq -e '.upto == .number'
}
