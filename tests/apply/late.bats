#!/usr/bin/env bats
# `late`: changes of rows that have gone to other nodes since their node saw them.

load ../helper
load ../office

# moved [LATE]: alice edits a row offline; meanwhile the office gives it to bob, and the router runs.
moved() {
    rm -rf -- *
    office "CREATE TABLE account (id INTEGER PRIMARY KEY, own TEXT, name TEXT)" "CREATE TABLE visit (id INTEGER PRIMARY KEY, account INTEGER REFERENCES account, day TEXT)" \
        "INSERT INTO account VALUES (1, 'alice', 'one'), (2, 'bob', 'two')" <<-END
	[object account]
	visible = SELECT n.name, a.id FROM account a JOIN dx_node n ON n.user = a.own
	${1:+late = $1}
	[object visit]
	via = account -> account
	${1:+late = $1}
	END
    sql alice.db "UPDATE account SET name = 'by alice' WHERE id = 1" "INSERT INTO visit VALUES (1, 1, 'mon')"
    sql hq.db "UPDATE account SET own = 'bob' WHERE id = 1"
    txnroute run hq.db docking </dev/null
}

# taken, refused: what became of alice's changes; every copy is right afterwards.
taken() {
    exchange alice bob
    [ "$(sql bob.db "SELECT name FROM account WHERE id = 1" "SELECT day FROM visit")" = $'by alice\nmon' ]
    [ "$(sql alice.db "SELECT count(*) FROM account")" = 0 ]
    run -0 dxapply conflicts hq.db
}

refused() {
    exchange alice bob
    [ "$(sql bob.db "SELECT name FROM account WHERE id = 1" "SELECT count(*) FROM visit")" = $'one\n0' ]
    [ "$(sql alice.db "SELECT count(*) FROM account")" = 0 ]
    run -1 dxapply conflicts --json hq.db
    [ "$(jq -rs '.[] | select(.kind == "permission") | .table' <<<"$output")" = account ]
    [[ $output == *"until it went to others"* ]]
    [ "$(sql hq.db "SELECT tbl FROM dx_quarantine")" = visit ] # it waits for a parent that its node may see
    run -1 dxapply conflicts alice.db
}

# made AGO: the archives, of which the newest take the row from alice and give it to bob, were made so long ago.
made() {
    sql hq.db "UPDATE dx_archive SET made = datetime('now', '$1')"
}

@test "a change of a row that its node saw is merged as usual after the row has gone to another node, who gets it" {
    moved
    made '-300 days'
    taken
    moved accept
    taken
}

@test "late = refuse: it is recorded and told, and nothing else happens" {
    moved refuse
    refused
}

@test "late = DAYS: it is merged for so many days after the row has left, and refused afterwards" {
    moved 3
    made '-2 days'
    taken
    moved 3
    made '-4 days'
    refused
}

@test "the days count for a node, too, that has been away so long that no archives are made for it" {
    moved 3
    exchange alice bob
    sql hq.db "UPDATE account SET own = 'alice' WHERE id = 1"
    exchange alice bob
    sql alice.db "UPDATE account SET name = 'late' WHERE id = 1"
    for name in two three four; do
        sql hq.db "UPDATE account SET name = '$name'"
        txnroute run hq.db docking --fold 1 </dev/null
        for file in docking/bob/outbox/*.dx; do dxapply bob.db <"$file" && rm "$file"; done
    done
    sql hq.db "UPDATE account SET own = 'bob' WHERE id = 1"
    txnroute run hq.db docking --fold 1 </dev/null
    [ "$(sql hq.db "SELECT name FROM dx_nodes WHERE suspended_at NOTNULL")" = alice ]
    newest=$(sql hq.db "SELECT max(number) FROM dx_archive WHERE node = (SELECT id FROM dx_nodes WHERE name = 'alice')")
    [ -z "$(dxpack cat <docking/alice/outbox/"$(printf %08d.dx "$newest")" | jq -c 'select(.op == "delete")')" ] # it is still hers there
    made '-4 days'
    txnlog upload alice.db alice-out
    run -1 dxapply hq.db <"$(ls alice-out/*.dx | tail -n 1)"
    [ "$(sql hq.db "SELECT kind FROM dx_conflict")" = permission ]
    [ "$(sql hq.db "SELECT name FROM account WHERE id = 1")" = four ]
}

@test "what late may say is looked at when the package is loaded" {
    moved
    for late in 0 -1 soon 3days 36501 99999999999999999999 ''; do
        sed "s/^visible.*/&\nlate = $late/" package/package.conf >bad.conf
        mkdir -p bad && mv bad.conf bad/package.conf
        run -3 txnroute load hq.db bad
        [[ $output == *"late = accept"*"refuse"*"number of days"* ]]
    done
}
