#!/usr/bin/env bats
# The router over time: two at once, many rows at once, nodes that stay away.

load ../helper
load ../routing

# ---- one at a time ----

@test "a second router is told which process holds the docking directory; when that one is killed, the next run goes on" {
    rule=$by_position
    start "$rule"
    sql hq.db "UPDATE account SET territory = 't2' WHERE id = 1; UPDATE product SET name = 'p'"
    # A writer holds the database, so that the router stands still between its files and its commit.
    mkfifo hold
    sqlite3 hq.db <hold >/dev/null 3>&- &
    writer=$!
    exec 9>hold
    echo 'BEGIN IMMEDIATE;' >&9
    txnroute run hq.db docking </dev/null 2>first.err 3>&- 9>&- &
    first=$!
    eventually 10 test -e docking/bob/outbox/00000001.dx.new
    kill -STOP $first
    run -6 --separate-stderr txnroute run hq.db docking </dev/null
    [[ $stderr == *"docking/lock"*"txnroute run"*"process $first"* ]]
    [ -z "$(find docking -name '[0-9]*.dx')" ]
    # A snapshot waits for its turn.
    txnroute extract hq.db ann docking >ann.dx 2>extract.err 3>&- 9>&- </dev/null &
    extract=$!
    kill -KILL $first
    wait $first || [ $? -eq 137 ]
    echo 'ROLLBACK;' >&9
    exec 9>&-
    wait $writer
    wait $extract
    [ ! -e docking/unfinished ]
    [ -z "$(find docking -name '*.new')" ]
    rm ann.db
    dxapply ann.db <ann.dx
    follow
    [ "$(basename "$(newest bob)")" = 00000001.dx ]
    right
    [ "$(sql hq.db "SELECT count(*) FROM dx_node")" = 2 ]
}

@test "three routers begun together: the first routes, the others get exit 6, nothing is sent twice" {
    rule=$by_position
    start "$rule"
    for i in 1 2 3 4 5; do
        sql hq.db "UPDATE account SET name = 'n$i', territory = CASE territory WHEN 't1' THEN 't2' ELSE 't1' END"
        for r in 1 2 3; do
            { code=0; txnroute run hq.db docking </dev/null 2>"err$r" || code=$?; echo $code >"code$r"; } 3>&- &
        done
        wait
        [ -z "$(cat code1 code2 code3 | grep -v '^[06]$')" ]
        grep -q 0 code1 code2 code3
        [ "$(basename "$(newest ann)")" = "$(printf '%08d.dx' $i)" ]
    done
    follow
    right
}

# ---- many rows at once ----

@test "what two tables join goes in both of them at once, while the row itself stays as it is" {
    rule="SELECT n.name, a.id FROM account a JOIN position p ON p.territory = a.territory JOIN share s ON s.login = p.login JOIN dx_node n ON n.user = p.login WHERE s.account < 9"
    start "$rule"
    moves "INSERT INTO share VALUES (1, 'ann'), (2, 'bob')"
    [ "$(sql ann.db "SELECT count(*) FROM account")" = 2 ]
    moves "DELETE FROM position; DELETE FROM share"
    [ "$(sql ann.db "SELECT count(*) FROM account")" = 0 ]
    moves "INSERT INTO position VALUES (1, 't1', 'ann'), (2, 't2', 'bob'); INSERT INTO share VALUES (1, 'ann'), (2, 'bob')"
    txnroute node set hq.db ann --user zoe
    moves "UPDATE position SET login = 'yan' WHERE id = 1"
    [ "$(sql ann.db "SELECT count(*) FROM account")" = 0 ]
    txnroute node set hq.db ann --user ann
    moves "UPDATE position SET login = 'ann' WHERE id = 1"
    [ "$(sql ann.db "SELECT count(*) FROM account")" = 2 ]
    txnroute node set hq.db ann --user bob
    moves "UPDATE position SET login = 'bob' WHERE id = 1; UPDATE share SET account = 10 WHERE login = 'ann'"
    [ "$(sql ann.db "SELECT count(*) FROM account")" = 3 ]
}

@test "most rows change hands at once, while some come, some go and some stay: each is remembered with who holds it now" {
    rule="$by_position UNION $by_share"
    start "$rule"
    sql hq.db "WITH RECURSIVE r(i) AS (SELECT 1000 UNION ALL SELECT i + 1 FROM r WHERE i < 4999)
        INSERT INTO account SELECT i, 'a' || i, CASE WHEN i < 4000 THEN 't1' WHEN i < 4500 THEN 't2' ELSE 't3' END, 1, NULL, NULL FROM r"
    follow
    right
    # The rows that are remembered of object 1, with their holders (numbers 1 and 2), are those that the rule gives them now.
    kept() {
        diff <(sql hq.db "SELECT m.key, CASE hex(a.nodes) WHEN '01' THEN 'ann' WHEN '02' THEN 'bob' WHEN '0101' THEN 'ann,bob' END FROM dx_member_1 m LEFT JOIN dx_audience a ON a.id = m.audience ORDER BY 1") \
            <(sql hq.db "WITH r(n, k) AS ($rule) SELECT k, group_concat(n) FROM (SELECT DISTINCT n, k FROM r JOIN account ON id = k ORDER BY k, n) GROUP BY k ORDER BY k")
    }
    kept
    # 3000 of 3500 change hands, 500 go, 500 come.
    moves "UPDATE account SET territory = CASE territory WHEN 't1' THEN 't2' WHEN 't2' THEN 't3' ELSE 't1' END WHERE id >= 1000"
    kept
    # Some of them, and back.
    for n in 1000 999 1750; do
        moves "UPDATE account SET territory = CASE territory WHEN 't1' THEN 't2' ELSE 't1' END WHERE id IN (SELECT id FROM account WHERE territory IN ('t1', 't2') ORDER BY id LIMIT $n)"
        kept
    done
    # Whoever held them holds them together with another one.
    moves "UPDATE position SET login = 'bob'; INSERT INTO share SELECT id, 'ann' FROM account WHERE id BETWEEN 1500 AND 2500; DELETE FROM account WHERE id BETWEEN 1600 AND 1700; INSERT INTO account VALUES (6000, 'new', 't1', 1, NULL, NULL)"
    kept
}

# ---- nodes that stay away ----

# book: how many rows the router's own tables hold; not counting the journal's.
book() {
    local t n=0
    for t in $(sql hq.db "SELECT name FROM sqlite_schema WHERE type = 'table' AND name LIKE 'dx\\_%' ESCAPE '\\' AND name NOT LIKE 'dx\\_journal%' ESCAPE '\\'"); do
        n=$((n + $(sql hq.db "SELECT count(*) FROM \"$t\"")))
    done
    echo $n
}

# away_runs N: so many runs in which rows change, move, come and go; only bob fetches.
away_runs() {
    local i file
    for ((i = 1; i <= $1; i++)); do
        sql hq.db "UPDATE account SET name = 'run $i' WHERE id < 3" "UPDATE account SET territory = CASE territory WHEN 't1' THEN 't2' ELSE 't1' END WHERE id = 3" \
            "INSERT INTO contact SELECT max(999, max(id)) + 1, 1, 'c$i' FROM contact" "DELETE FROM contact WHERE id >= 1000 AND id = (SELECT max(id) - 2 FROM contact)" "UPDATE product SET name = 'p$i'"
        txnroute run hq.db docking --fold 2 </dev/null
        for file in docking/bob/outbox/*.dx; do
            [ ! -e "$file" ] || { dxapply bob.db <"$file" && rm "$file"; }
        done
    done
}

@test "nodes that stay away: their outboxes stand still, and a run costs at most a row for each" {
    rule=$by_position
    start "$rule"
    mkdir one
    cp -r hq.db* docking p one
    # As many rows in the books after eight more runs, whether one node is suspended or nine: at most one each a run.
    for i in 1 2 3 4 5 6 7 8; do txnroute node add hq.db "away$i" --package p --user ann; done
    for i in 1 2 3 4 5 6 7 8; do txnroute extract hq.db "away$i" >/dev/null; done
    away_runs 4
    [ "$(find docking/ann docking/away* -name '*.dx' | wc -l)" -eq 18 ]
    find docking/ann docking/away* -name '*.dx' -exec sha256sum {} + | sort >before
    before=$(book)
    away_runs 8
    find docking/ann docking/away* -name '*.dx' -exec sha256sum {} + | sort >after
    diff before after
    nine=$(($(book) - before))
    [ "$(sql hq.db "SELECT count(*) FROM dx_archive WHERE node IN (SELECT id FROM dx_nodes WHERE name LIKE 'away%') AND NOT snapshot")" -le 16 ]
    sql hq.db "UPDATE account SET name = 'one more' WHERE id = 1"
    run -0 --separate-stderr txnroute run -v hq.db docking --fold 2 </dev/null
    [[ $stderr == *" 0 changes in 0 archives"* ]] # only suspended nodes hold it: nothing is encoded
    routes=$(sql hq.db "SELECT value FROM dx_meta WHERE name = 'routes'")
    txnroute run hq.db docking </dev/null
    [ "$(sql hq.db "SELECT value FROM dx_meta WHERE name = 'routes'")" = "$routes" ] # nothing new, nobody back: nothing done
    find docking/away1 -name '*.dx' -delete
    txnroute run hq.db docking </dev/null
    [ "$(sql hq.db "SELECT value FROM dx_meta WHERE name = 'routes'")" -gt "$routes" ]
    rm -rf hq.db* docking p bob.db
    cp -r one/* .
    copy bob
    away_runs 4
    before=$(book)
    away_runs 8
    one=$(($(book) - before))
    [ "$one" -gt 0 ]
    [ "$nine" -le $((one + 8 * 8)) ]
}

@test "a node that was away for forty runs gets one archive with at most one image of each row" {
    rule=$by_position
    start "$rule"
    away_runs 40
    [ "$(find docking/ann/outbox -name '*.dx' | wc -l)" -eq 2 ]
    for file in docking/ann/outbox/*.dx; do dxapply ann.db <"$file" && rm "$file"; done
    sql ann.db "SELECT 'account ' || id FROM account UNION ALL SELECT 'contact ' || id FROM contact UNION ALL SELECT 'note ' || id FROM note UNION ALL SELECT 'product ' || id FROM product" | sort >held
    txnroute run hq.db docking --fold 2 </dev/null
    [ "$(find docking/ann/outbox -name '*.dx' | wc -l)" -eq 1 ]
    sent ann >came
    [ -s came ]
    [ "$(cut -d ' ' -f 1,3 came | sort | uniq -d)" = '' ]
    # Nothing is taken away that it does not hold, nothing put in that it holds.
    [ -z "$(awk '$2 == "delete" { print $1, $3 }' came | sort | comm -23 - held)" ]
    [ -z "$(awk '$2 == "insert" { print $1, $3 }' came | sort | comm -12 - held)" ]
    dxapply ann.db <"$(newest ann)"
    right
    # What it missed in between is as many changes as one run brings, not forty.
    [ "$(wc -l <came)" -le 12 ]
}

@test "rows that age out while a node is suspended leave it when it is resumed; those that came and aged out meanwhile are never sent" {
    schema
    sql hq.db "CREATE TABLE visit (id INTEGER PRIMARY KEY, account INTEGER, day TEXT)" "CREATE INDEX visit_account ON visit (account)" \
        "CREATE TABLE news (id INTEGER PRIMARY KEY, day TEXT)" \
        "INSERT INTO visit VALUES (1, 1, '2025-01-05'), (2, 1, '2025-06-01'), (3, 2, '2025-01-20'), (4, 3, '2025-06-01')" \
        "INSERT INTO news VALUES (1, '2025-01-05'), (2, '2025-06-01')"
    txnlog attach hq.db
    mkdir docking
    package "$by_position"
    printf "[object visit]\nvia = account -> account\nkeep = day > date('now', '-1 month')\n[object news]\nvisible = all\nkeep = day > date('now', '-1 month')\n" >>p/package.conf
    txnroute load hq.db p 2>load.err
    txnroute node add hq.db ann --package p --user ann
    txnroute extract hq.db ann --now 2025-01-10 | dxapply ann.db
    at() { txnroute run hq.db docking --fold 2 --now "$1" </dev/null; }
    for day in 11 12 13 14; do
        sql hq.db "UPDATE product SET name = 'd$day'"
        at 2025-01-$day
    done
    [ "$(find docking/ann/outbox -name '*.dx' | wc -l)" -eq 2 ]
    sql hq.db "INSERT INTO visit VALUES (5, 1, '2025-01-15'), (6, 1, '2025-05-20'); INSERT INTO news VALUES (3, '2025-01-15')"
    at 2025-01-15
    at 2025-02-10 # visit 1, news 1 go
    sql hq.db "UPDATE visit SET day = '2025-05-25' WHERE id = 1"
    at 2025-02-11 # ... and visit 1 comes back
    at 2025-03-01 # visits 3, 5 and news 3 go
    [ "$(find docking/ann/outbox -name '*.dx' | wc -l)" -eq 2 ]
    for file in docking/ann/outbox/*.dx; do dxapply ann.db <"$file" && rm "$file"; done
    at 2025-03-02
    [ "$(sent ann | grep -E '^(visit|news)' | sort)" = "$(printf '%s\n' 'news delete 1' 'visit delete 3' 'visit insert 6' 'visit update 1')" ]
    dxapply ann.db <"$(newest ann)"
    [ "$(sql ann.db "SELECT (SELECT group_concat(id) FROM visit), (SELECT group_concat(id) FROM news)")" = '1,2,6|2' ]
    diff <(txnlog digest ann.db) <(txnlog digest hq.db --node ann)
}

@test "forty archives in one run, which are synced together, killed at many steps: whole numbered files or none, and none missing" {
    start "$by_position"
    for i in $(seq 40); do txnroute node add hq.db "n$i" --package p --user ann; done
    txnroute run hq.db docking </dev/null
    sql hq.db "UPDATE account SET name = 'x'"
    mkdir before
    cp -r hq.db* docking before
    steps=-4 code=137 last=0
    while [ $code -eq 137 ]; do
        steps=$((steps + $(sized 7 19)))
        rm -rf hq.db* docking
        cp -r before/* .
        code=0
        DX_STOP_AT=$steps txnroute run hq.db docking </dev/null || code=$?
        [ $code -eq 0 ] || [ $code -eq 137 ]
        for i in $(seq 40); do [ ! -e "docking/n$i/outbox/00000002.dx" ] || dxpack verify "docking/n$i/outbox/00000002.dx"; done
        [ "$(sqlite3 hq.db "SELECT count(*) FROM dx_nodes WHERE archive > 1 AND name LIKE 'n%'")" -ge $last ]
        last=$(sqlite3 hq.db "SELECT count(*) FROM dx_nodes WHERE archive > 1 AND name LIKE 'n%'")
        txnroute run hq.db docking </dev/null
        [ -z "$(find docking -name '*.new' -o -name unfinished)" ]
        [ "$(find docking -path '*/n*/outbox/00000002.dx' | wc -l)" -eq 40 ]
    done
    [ $last -eq 40 ]
    [ $steps -gt 80 ]
}

@test "a node that is away holds the journal back: what it needs is not trimmed, and when it is resumed, it is" {
    rule=$by_position
    start "$rule"
    away_runs 6
    rm ann.db
    copy ann # begins again: nobody waits for anything now
    for file in docking/ann/outbox/*.dx; do [ ! -e "$file" ] || rm "$file"; done
    away_runs 4
    txnroute node add hq.db cid --package p --user ann
    txnroute extract hq.db cid >/dev/null
    away_runs 6
    rest=$(sql hq.db "SELECT suspended_at FROM dx_nodes WHERE name = 'ann'")
    [ "$rest" -gt 0 ]
    [ "$(sql hq.db "SELECT suspended_at FROM dx_nodes WHERE name = 'cid'")" -gt $((rest + 2)) ] # holds it back less
    txnlog trim hq.db
    [ "$(sql hq.db "SELECT min(seq) FROM dx_journal")" -le $((rest + 1)) ]
    txnroute node end hq.db cid
    for file in docking/ann/outbox/*.dx; do dxapply ann.db <"$file" && rm "$file"; done
    txnroute run hq.db docking --fold 2 </dev/null
    dxapply ann.db <"$(newest ann)"
    right
    txnlog trim hq.db
    [ "$(sql hq.db "SELECT coalesce(min(seq), 0) > $rest + 1 OR count(*) = 0 FROM dx_journal")" = 1 ]
}

@test "what changed in the very run with which a node is suspended is in the archive that resumes it" {
    rule=$by_position
    start "$rule"
    for i in 1 2; do
        sql hq.db "UPDATE product SET name = 'x' WHERE id = $i" "UPDATE contact SET name = 'x' WHERE id % 4 = $i"
        txnroute run hq.db docking --fold 1 </dev/null
    done
    [ "$(sql hq.db "SELECT count(suspended_at) FROM dx_nodes")" = 2 ]
    follow
    rm docking/*/outbox/*.dx
    follow
    right
}

@test "nodes suspended since different runs, with different rows, are resumed in one run, each with its own" {
    rule=$by_position
    start "$rule"
    for n in cid dan; do
        txnroute node add hq.db $n --package p --user "$([ $n = cid ] && echo ann || echo bob)"
        copy $n
    done
    txnroute node set hq.db bob --user ann
    take() {
        local file
        for file in "docking/$1"/outbox/*.dx; do [ ! -e "$file" ] || { dxapply "$1.db" <"$file" && rm "$file"; }; done
    }
    for i in 1 2 3 4 5 6 7 8 9 10; do
        sql hq.db "UPDATE account SET territory = CASE WHEN $i % 2 THEN 't2' ELSE 't1' END, name = 'n$i' WHERE id = 1 + $i % 4" "UPDATE product SET name = 'p$i'" \
            "INSERT INTO contact VALUES ($((100 + i)), $((1 + i % 4)), 'c')"
        txnroute run hq.db docking --fold 1 </dev/null
        [ "$i" -gt 5 ] || take ann
        [ "$i" -gt 5 ] || take cid
    done
    [ "$(sql hq.db "SELECT count(DISTINCT suspended_at) FROM dx_nodes WHERE suspended_at IS NOT NULL")" = 2 ]
    [ "$(sql hq.db "SELECT count(*) FROM dx_nodes WHERE suspended_at IS NOT NULL")" = 4 ]
    for n in ann bob cid dan; do take $n; done
    txnroute run hq.db docking --fold 1 </dev/null
    for n in ann bob cid dan; do
        [ "$(find docking/$n/outbox -name '*.dx' | wc -l)" = 1 ]
        [ -z "$(sent $n | cut -d ' ' -f 1,3 | sort | uniq -d)" ]
        take $n
        diff <(txnlog digest $n.db) <(txnlog digest hq.db --node $n)
    done
    rm cid.db dan.db
    right
}

@test "a set of nodes that comes back is the same audience, after a run that was killed, too" {
    rule=$by_position
    start "$rule"
    audience() { sql hq.db "SELECT audience FROM dx_member_1 WHERE key = 1"; }
    anns=$(audience)
    moves "INSERT INTO position VALUES (3, 't1', 'bob')"
    both=$(audience)
    [ "$both" != "$anns" ]
    moves "DELETE FROM position WHERE id = 3"
    [ "$(audience)" = "$anns" ]
    sql hq.db "INSERT INTO position VALUES (3, 't1', 'bob')"
    for at in 1 2 3; do
        run -137 env DX_STOP_AT=$at txnroute run hq.db docking </dev/null
        [ "$(audience)" = "$anns" ]
    done
    follow
    [ "$(audience)" = "$both" ]
    right
    [ "$(sql hq.db "SELECT count(*) - count(DISTINCT nodes) FROM dx_audience")" = 0 ]
}

# Each account is shared with the nodes that its pattern's bits name: other sets for every account, and others again.
@test "sets of nodes that no row has any more are forgotten, once they are as many as the others" {
    rule=$by_share
    start "$rule"
    pattern() {
        echo "DELETE FROM share; WITH RECURSIVE a(id) AS (SELECT 1001 UNION ALL SELECT id + 1 FROM a WHERE id < 1600),
            b(bit, login) AS (SELECT 0, 'ann' UNION ALL SELECT bit + 1, iif(bit, 'n' || bit, 'bob') FROM b WHERE bit < 11)
            INSERT INTO share SELECT id, login FROM a, b WHERE (id - 1000 + 600 * $1) >> bit & 1;"
    }
    sets() { sql hq.db "SELECT count(*) FROM dx_audience"; }
    sql hq.db "WITH RECURSIVE a(id) AS (SELECT 1001 UNION ALL SELECT id + 1 FROM a WHERE id < 1600)
        INSERT INTO account (id, name) SELECT id, 'a' || id FROM a"
    for n in n1 n2 n3 n4 n5 n6 n7 n8 n9 n10; do txnroute node add hq.db $n --package p --user $n; done
    moves "$(pattern 0)"
    moves "$(pattern 1)"
    [ "$(sets)" -ge 1200 ]
    moves "DELETE FROM dx_history; $(pattern 2)"
    [ "$(sets)" -ge 1800 ]
    moves "DELETE FROM dx_history; $(pattern 3)"
    [ "$(sets)" -le 1210 ]
    [ "$(sql hq.db "SELECT count(*) FROM dx_member_1 WHERE audience NOT IN (SELECT id FROM dx_audience)")" = 0 ]
    # Those of the past are still known: 600 before, 600 now.
    [ "$(sets)" -ge 1200 ]
    for id in 1001 1234 1600; do
        run txnroute why hq.db n10 account $id
        [ "$status" -le 1 ]
        [[ $output != *lacks* ]]
    done
    moves "$(pattern 1)"
    [ "$(sets)" -ge 1200 ]
}
