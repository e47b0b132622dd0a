#!/usr/bin/env bats
# Forms of rules: what load says of each, and that copies are right under it. The commonest ones are in txnroute.bats.

load ../helper
load ../routing

@test "evaluated whole, and load names the word: INTERSECT, WITH, a value from a subquery, HAVING, EXISTS in CASE or under NOT, NOT IN a table, NATURAL, LEFT JOIN USING, views" {
    schema
    sql hq.db "CREATE VIEW mine AS SELECT a.id, p.login FROM account a JOIN position p ON p.territory = a.territory" \
        "CREATE VIEW ours AS SELECT id, login FROM mine WHERE id NOT IN (SELECT account FROM ban)" \
        "CREATE VIEW theirs AS SELECT a.id, login FROM account a JOIN position p USING (territory)"
    txnlog attach hq.db
    mkdir docking
    local nth=0 # under sanitizers, every fifth
    while IFS='|' read -r word rule; do
        [ $((nth++ % $(sized 1 3))) -eq 0 ] || continue
        package "$rule"
        run -0 --separate-stderr txnroute load hq.db p
        [[ $stderr == *"object account: evaluated whole"*"$word"* ]] || { echo "$rule: $stderr"; false; }
        if [ ! -f ann.db ]; then
            txnroute node add hq.db ann --package p --user ann
            copy ann
        fi
        follow
        [ "$(sql ann.db "SELECT count(*) FROM account")" -gt 0 ]
        moves "UPDATE account SET territory = 't2' WHERE id = 1; INSERT INTO ban VALUES (1, 2, 'ann'); INSERT INTO share VALUES (2, 'ann'), (4, 'ann')"
        moves "UPDATE account SET territory = 't1' WHERE id = 1; DELETE FROM ban; DELETE FROM share"
    done <<'RULES'
INTERSECT|SELECT n.name, a.id FROM account a JOIN position p ON p.territory = a.territory JOIN dx_node n ON n.user = p.login INTERSECT SELECT n.name, a.id FROM account a, dx_node n WHERE a.id < 3
WITH|WITH t(x) AS (SELECT territory FROM position WHERE login = 'ann') SELECT n.name, a.id FROM account a JOIN t ON t.x = a.territory JOIN dx_node n ON n.user = 'ann'
WITH|WITH RECURSIVE below(id) AS (SELECT id FROM account WHERE parent IS NULL UNION SELECT a.id FROM account a JOIN below b ON a.parent = b.id) SELECT n.name, b.id FROM below b JOIN account a ON a.id = b.id JOIN position p ON p.territory = a.territory JOIN dx_node n ON n.user = p.login
a subquery for a value|SELECT n.name, a.id FROM account a, dx_node n WHERE n.user = (SELECT min(p.login) FROM position p WHERE p.territory = a.territory)
GROUP|SELECT n.name, a.id FROM account a JOIN position p ON p.territory = a.territory JOIN dx_node n ON n.user = p.login GROUP BY n.name, a.id HAVING count(*) > 0
EXISTS that is no condition of its own|SELECT n.name, a.id FROM account a JOIN dx_node n ON CASE WHEN EXISTS (SELECT 1 FROM position p WHERE p.territory = a.territory AND p.login = n.user) THEN 1 ELSE 0 END
NOT EXISTS that is no condition of its own|SELECT n.name, a.id FROM account a JOIN dx_node n WHERE NOT (NOT EXISTS (SELECT 1 FROM position p WHERE p.territory = a.territory AND p.login = n.user))
a view|SELECT n.name, o.id FROM ours o JOIN dx_node n ON n.user = o.login
a view|SELECT n.name, t.id FROM theirs t JOIN dx_node n ON n.user = t.login
NOT IN|SELECT n.name, a.id FROM account a JOIN position p ON p.territory = a.territory JOIN dx_node n ON n.user = p.login WHERE (a.id, n.user) NOT IN share
IN that is no condition of its own|SELECT n.name, a.id FROM account a JOIN position p ON p.territory = a.territory JOIN dx_node n ON n.user = p.login AND NOT ((a.id, n.user) IN share)
NATURAL|SELECT name, id FROM (SELECT a.id, p.login AS user FROM account a JOIN position p ON p.territory = a.territory) NATURAL JOIN dx_node
NATURAL|SELECT n.name, a.id FROM account a NATURAL JOIN (SELECT territory, login FROM position) p JOIN dx_node n ON n.user = p.login
LEFT|SELECT n.name, a.id FROM account a LEFT JOIN position p USING (territory) JOIN dx_node n ON n.user = p.login
RULES
}

@test "followed from changes: USING, CROSS JOIN, a subquery in FROM, an alias named like a table, DISTINCT, UNION ALL, a constant node, BETWEEN, LIKE, IN a table" {
    schema
    txnlog attach hq.db
    mkdir docking
    local nth=0 # under sanitizers, every fifth
    while read -r rule; do
        [ $((nth++ % $(sized 1 3))) -eq 0 ] || continue
        package "$rule"
        run -0 --separate-stderr txnroute load hq.db p
        [[ $stderr != *"evaluated whole"* ]] || { echo "$rule: $stderr"; false; }
        if [ ! -f ann.db ]; then
            txnroute node add hq.db ann --package p --user ann
            copy ann
        fi
        follow
        [ "$(sql ann.db "SELECT count(*) FROM account")" -gt 0 ]
        moves "UPDATE account SET territory = 't2' WHERE id = 1; UPDATE position SET login = CASE login WHEN 'ann' THEN 'bob' ELSE 'ann' END; INSERT INTO share VALUES (4, 'ann')"
        moves "UPDATE account SET territory = 't1' WHERE id = 1; UPDATE position SET login = CASE login WHEN 'ann' THEN 'bob' ELSE 'ann' END; DELETE FROM share"
    done <<'RULES'
SELECT n.name, a.id FROM account a JOIN position p USING (territory) JOIN dx_node n ON n.user = p.login
SELECT n.name, a.id FROM dx_node n JOIN (SELECT territory, login FROM position) p ON p.login = n.user JOIN account a ON a.territory = p.territory JOIN (SELECT id FROM account WHERE owner > 0) o USING (id)
SELECT n.name, a.id FROM position p CROSS JOIN account a CROSS JOIN dx_node n WHERE a.territory = p.territory AND n.user = p.login
SELECT DISTINCT n.name, a.id FROM (SELECT id, territory AS t FROM account) a JOIN position p ON p.territory = a.t JOIN dx_node n ON n.user = p.login
SELECT n.name, position.id FROM account position JOIN position account ON account.territory = position.territory JOIN dx_node n ON n.user = account.login
SELECT n.name, a.id FROM account a JOIN position p ON p.territory = a.territory JOIN dx_node n ON n.user = p.login UNION ALL SELECT 'ann', id FROM account WHERE id BETWEEN 3 AND 3
SELECT n.name, a.id FROM account a JOIN position p ON p.territory = a.territory AND p.login LIKE 'a%' JOIN dx_node n ON n.user = p.login UNION SELECT s.login, s.account FROM share s
SELECT n.name, a.id FROM account a JOIN position p ON p.territory = a.territory JOIN dx_node n ON n.user = p.login UNION SELECT n.name, a.id FROM account a, dx_node n WHERE (a.id, n.user) IN share
RULES
}

@test "a table of which only the columns of USING or NATURAL are read counts, in a rule and in a view" {
    schema
    sql hq.db "CREATE VIEW staffed AS SELECT a.id FROM account a JOIN position p USING (territory)" \
        "CREATE VIEW staffed2 AS SELECT s.id FROM staffed s NATURAL JOIN (SELECT id FROM account WHERE owner > 0)"
    txnlog attach hq.db
    mkdir docking
    local nth=0 # under sanitizers, every fifth
    while IFS='|' read -r said rule; do
        [ $((nth++ % $(sized 1 3))) -eq 0 ] || continue
        package "$rule"
        run -0 --separate-stderr txnroute load hq.db p
        [[ $stderr == *"$said"* ]] && { [ -n "$said" ] || [[ $stderr != *"evaluated whole"* ]]; } || { echo "$rule: $stderr"; false; }
        if [ ! -f ann.db ]; then
            txnroute node add hq.db ann --package p --user ann
            copy ann
        fi
        follow
        [ "$(sql ann.db "SELECT count(*) FROM account")" -gt 0 ]
        moves "INSERT INTO position VALUES (3, 't3', NULL)"
        [ "$(sql ann.db "SELECT count(*) FROM account WHERE id = 4")" = 1 ]
        moves "UPDATE position SET territory = 't9' WHERE id = 3"
        [ "$(sql ann.db "SELECT count(*) FROM account WHERE id = 4")" = 0 ]
        moves "DELETE FROM position WHERE id = 3"
    done <<'RULES'
|SELECT n.name, a.id FROM account a JOIN position p USING (territory), dx_node n
|SELECT n.name, a.id FROM dx_node n, account a JOIN position USING (territory)
NATURAL|SELECT n.name, a.id FROM (SELECT id, territory FROM account) a NATURAL JOIN (SELECT territory FROM position) p, dx_node n
a view|SELECT n.name, s.id FROM staffed s, dx_node n
a view|SELECT n.name, s.id FROM staffed2 s, dx_node n
a view|SELECT n.name, a.id FROM account a JOIN staffed USING (id), dx_node n
RULES
}

@test "refused at load, with the remedy: OFFSET, named windows, FULL JOIN, oid, changes(), a table that is not captured, keys and columns that compare otherwise" {
    schema
    sql hq.db "CREATE TABLE loose (id INTEGER PRIMARY KEY, account INTEGER, login TEXT)"
    txnlog attach hq.db account position share ban contact note product cost
    local nth=0 # under sanitizers, every fifth
    while IFS='|' read -r why rule; do
        [ $((nth++ % $(sized 1 3))) -eq 0 ] || continue
        package "$rule"
        run --separate-stderr txnroute load hq.db p
        [ "$status" -eq 3 ] || { echo "$rule: exit $status, $stderr"; false; }
        [[ $stderr == *"[object account]"*"$why"* || $stderr == *"object account"*"$why"* ]] || { echo "$rule: $stderr"; false; }
    done <<'RULES'
LIMIT|SELECT n.name, a.id FROM account a, dx_node n LIMIT 3 OFFSET 1
WINDOW|SELECT n.name, row_number() OVER w FROM account a, dx_node n WINDOW w AS (PARTITION BY a.id)
FULL|SELECT n.name, a.id FROM account a FULL JOIN dx_node n ON n.user = a.name
name the key|SELECT n.name, oid FROM account a, dx_node n
name the key|SELECT n.name, a."rowid" FROM account a, dx_node n
same rows each time|SELECT n.name, a.id FROM account a, dx_node n WHERE changes() > 0
same rows each time|SELECT n.name, a.id FROM account a, dx_node n WHERE "random"() > 0
same rows each time|SELECT n.name, a.id FROM account a, dx_node n WHERE [Random] () > 0
table's name alone|SELECT n.name, a.id FROM "main".account a, dx_node n
table's name alone|SELECT n.name, a.id FROM account a JOIN 'position' USING (territory), dx_node n
loose|SELECT n.name, a.id FROM account a JOIN (SELECT id FROM account) b USING (id) JOIN loose USING (id), dx_node n
same rows each time|SELECT n.name, a.id FROM account a, dx_node n WHERE randomblob(1) > x'00'
loose|SELECT n.name, l.account FROM loose l JOIN dx_node n ON n.user = l.login
RULES
    sql hq.db "CREATE TABLE soft (id TEXT PRIMARY KEY COLLATE NOCASE, v)" "CREATE TABLE leaf (id INTEGER PRIMARY KEY, account TEXT)"
    txnlog attach hq.db soft leaf
    printf '[package]\nname = p\nversion = 1\n[object soft]\nvisible = all\n' >p/package.conf
    run -3 --separate-stderr txnroute load hq.db p
    [[ $stderr == *soft*NOCASE* ]]
    printf '[package]\nname = p\nversion = 1\n[object account]\nvisible = all\n[object leaf]\nvia = account -> account\n' >p/package.conf
    run -3 --separate-stderr txnroute load hq.db p
    [[ $stderr == *leaf*account* ]]
}

@test "refused in keep, with the remedy: random, rowid, parameters, other rows, a parenthesis too many" {
    schema
    txnlog attach hq.db
    local nth=0 # under sanitizers, every fifth
    while IFS='|' read -r why keep; do
        [ $((nth++ % $(sized 1 3))) -eq 0 ] || continue
        package "$by_position" "keep = $keep"
        run --separate-stderr txnroute load hq.db p
        [ "$status" -eq 3 ] || { echo "$keep: exit $status, $stderr"; false; }
        [[ $stderr == *"object account"*"$why"* ]] || { echo "$keep: $stderr"; false; }
    done <<'KEEP'
same rows each time|random() > 0
same rows each time|"changes"() > 0
name the key|rowid > 3
no parameters|id > ?
the row's own columns|id = (SELECT max(id) FROM account)
the row's own columns|id IN (SELECT account FROM share)
does not open|id > 1) OR (id = 1
KEEP
    package "$by_position" "keep = (id > 1 OR name IN ('one', 'two')) AND name < date('now')"
    run -0 --separate-stderr txnroute load hq.db p
    [[ $stderr == *"object account: evaluated whole when the time in it moves on"* ]]
}

@test "a package's SQL reads tables of the application and dx_node: functions that reach outside, and what SQLite and the toolkit keep, are refused" {
    schema
    txnlog attach hq.db
    while IFS='|' read -r why rule keep; do
        package "$rule" "${keep:+keep = $keep}"
        run --separate-stderr txnroute load hq.db p
        [ "$status" -eq 3 ] || { echo "$rule: exit $status, $stderr"; false; }
        [[ $stderr == *"object account"*"$why"* ]] || { echo "$rule: $stderr"; false; }
    done <<'RULES'
function load_extension is not for|SELECT n.name, a.id FROM account a, dx_node n WHERE load_extension(a.name) IS NULL
function load_extension is not for|SELECT n.name, a.id FROM account a, dx_node n WHERE "LOAD_EXTENSION"(a.name) IS NULL
table dbstat is not for|SELECT n.name, a.id FROM account a, dx_node n WHERE a.id IN (SELECT pgsize FROM dbstat)
table pragma_table_list is not for|SELECT n.name, a.id FROM account a, dx_node n WHERE a.name IN (SELECT name FROM pragma_table_list)
sqlite_master is not for|SELECT n.name, a.id FROM account a, dx_node n WHERE a.name IN (SELECT name FROM sqlite_schema)
table dx_meta is not for|SELECT n.name, a.id FROM account a, dx_node n WHERE a.name IN (SELECT value FROM dx_meta)
table dx_journal is not for|SELECT n.name, a.id FROM account a, dx_node n WHERE a.id IN (SELECT c0 FROM dx_journal)
function load_extension is not for|all|load_extension(name) IS NULL
function load_extension is not for|SELECT n.name, a.id FROM account a, dx_node n|load_extension(name) IS NULL
RULES
    # table-valued functions that keep nothing are fine
    sql hq.db "UPDATE account SET name = '[\"ann\",\"x\"]' WHERE id = 2"
    package "SELECT n.name, a.id FROM account a, json_each(iif(json_valid(a.name), a.name, '[]')) j JOIN dx_node n ON n.user = j.value"
    txnroute load hq.db p
    txnroute node add hq.db ann --package p --user ann
    mkdir docking
    txnroute run hq.db docking </dev/null
    copy ann
    [ "$(sql ann.db "SELECT group_concat(id) FROM account")" = 2 ]
}

@test "refused at load: a key of more columns than can be routed; one fewer is routed" {
    for n in 127 128; do
        columns=$(seq -f 'c%g' -s ', ' 1 $n)
        sql hq.db "CREATE TABLE w$n ($columns, x, PRIMARY KEY ($columns))" "INSERT INTO w$n VALUES ($(seq -s ', ' 1 $n), 'was')"
    done
    txnlog attach hq.db
    mkdir p docking
    printf '[package]\nname = p\nversion = 1\n[object w128]\nvisible = all\n' >p/package.conf
    run -3 --separate-stderr txnroute load hq.db p
    [[ $stderr == *"object w128: the key of table w128 has 128 columns, 127 are the most that can be routed"* ]] || { echo "$stderr"; false; }
    printf '[package]\nname = p\nversion = 1\n[object w127]\nvisible = SELECT n.name, %s FROM w127 w, dx_node n WHERE w.x <> 1\n' \
        "$(seq -f 'w.c%g' -s ', ' 1 127)" >p/package.conf
    txnroute load hq.db p 2>/dev/null
    txnroute node add hq.db ann --package p
    txnroute extract hq.db ann | dxapply ann.db
    sql hq.db "UPDATE w127 SET x = 'now'"
    txnroute run hq.db docking </dev/null
    dxapply ann.db <docking/ann/outbox/00000001.dx
    [ "$(sql ann.db "SELECT x FROM w127")" = now ]
    sql hq.db "UPDATE w127 SET x = 1"
    txnroute run hq.db docking </dev/null
    dxapply ann.db <docking/ann/outbox/00000002.dx
    [ "$(sql ann.db "SELECT count(*) FROM w127")" = 0 ]
}
