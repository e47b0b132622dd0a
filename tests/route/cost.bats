#!/usr/bin/env bats
# What a run costs, counted in SQL's own instructions: as much more as there are more rows, not more than that.

load ../helper

# server KEY ROWS: payments of two stores, with a key of that type; a few are banned.
server() {
    rm -rf hq.db* docking p
    mkdir docking p
    sql hq.db "CREATE TABLE pay (id $1 PRIMARY KEY, store INT, at TEXT, amount INT)" \
        "CREATE TABLE ban (id INTEGER PRIMARY KEY, pay $1)" "CREATE INDEX pay_store ON pay (store)" "CREATE INDEX ban_pay ON ban (pay)" \
        "INSERT INTO pay SELECT value, 1 + value % 2, date('2026-01-01', '+' || (value % 300) || ' days'), 1 FROM generate_series(1, $2)" \
        "INSERT INTO ban (pay) SELECT id FROM pay WHERE amount = 1 AND store = 1 LIMIT 10"
    txnlog attach hq.db
}

# steps: thousands of instructions that the run takes, in which a few rows change.
steps() {
    printf "[package]\\nname = p\\nversion = 1\\n[object pay]\\n%b\\n" "$rule" >p/package.conf
    txnroute load hq.db p 2>load.err
    for n in 1; do
        txnroute node add hq.db s$n --package p --user $n
        txnroute extract hq.db s$n >s$n.dx
    done
    txnroute run --now 2026-11-01 hq.db docking </dev/null
    sql hq.db "UPDATE pay SET store = 3 - store WHERE id = '6'; INSERT INTO ban (pay) SELECT id FROM pay WHERE id = '9'"
    run -0 --separate-stderr txnroute run -v --now 2026-11-02 hq.db docking </dev/null
    [[ $stderr =~ ([0-9]+)" thousand steps" ]]
    echo "${BASH_REMATCH[1]}"
}

@test "a rule evaluated whole takes steps in proportion to the rows, whatever the key's type: LEFT JOIN, NOT IN, GROUP BY, WITH, UNION, a time filter" {
    while IFS='|' read -r key rule; do
        server "$key" 1000
        few=$(steps)
        server "$key" 4000
        many=$(steps)
        [ "$few" -gt 0 ]
        [ "$many" -lt $((few * 6)) ] || { echo "$key key, $rule: $few thousand steps for 1000 rows, $many for 4000"; false; }
    done <<'RULES'
INTEGER|visible = SELECT n.name, p.id FROM pay p LEFT JOIN ban b ON b.pay = p.id JOIN dx_node n ON n.user = p.store WHERE b.id IS NULL
INTEGER|visible = SELECT n.name, p.id FROM pay p JOIN dx_node n ON n.user = p.store WHERE p.id NOT IN (SELECT pay FROM ban WHERE pay IS NOT NULL)
INTEGER|visible = SELECT n.name, p.id FROM pay p JOIN dx_node n ON n.user = p.store GROUP BY n.name, p.id HAVING sum(p.amount) > 0
TEXT|visible = WITH mine AS (SELECT id, store FROM pay) SELECT n.name, p.id FROM mine p JOIN dx_node n ON n.user = p.store
INTEGER|visible = SELECT n.name, p.id FROM pay p JOIN dx_node n ON n.user = p.store EXCEPT SELECT n.name, b.pay FROM ban b, dx_node n
INTEGER|visible = all\nkeep = at > date('now', '-2 years')
INTEGER|visible = SELECT n.name, p.id FROM pay p JOIN dx_node n ON n.user = p.store\nkeep = at > date('now', '-2 years')
RULES
}

@test "a snapshot made in the run in which its rows move takes steps in proportion to the rows" {
    rule='visible = SELECT n.name, p.id FROM pay p JOIN dx_node n ON n.user = p.store'
    counted=()
    for rows in 1000 4000; do
        server INTEGER $rows
        steps >/dev/null
        sql hq.db "UPDATE pay SET store = 3 - store"
        txnroute extract -v hq.db s1 2>said >s1.dx
        [[ $(<said) =~ ([0-9]+)" thousand steps" ]]
        counted+=("${BASH_REMATCH[1]}")
    done
    [ "${counted[1]}" -lt $((counted[0] * 6)) ]
}

@test "a snapshot is made once: nothing is encoded for the node that it is for, in a new database or for a further node" {
    printf '[package]\nname = p\nversion = 1\n[object t]\nvisible = all\n' >package.conf
    sql hq.db "CREATE TABLE t (id INTEGER PRIMARY KEY, v)" "INSERT INTO t SELECT value, 'v' || value FROM generate_series(1, 5000)"
    txnlog attach hq.db
    txnroute load hq.db .
    counted=()
    for node in a a b b; do
        [ "$(txnroute node list hq.db | grep -c "^$node ")" = 1 ] || txnroute node add hq.db $node --package p
        txnroute extract -v hq.db $node 2>said >$node.dx
        grep -q ' 0 rows moved, 0 changes in 0 archives' said
        [[ $(<said) =~ ([0-9]+)" thousand steps" ]]
        counted+=("${BASH_REMATCH[1]}")
    done
    [ "${counted[0]}" -lt $((counted[1] * 2)) ]
    [ "${counted[2]}" -lt $((counted[3] * 2)) ]
    [ "$(dxpack cat <b.dx | wc -l)" = 5000 ]
}
