#!/usr/bin/env bats
# txnroute: what each node gets, and why. Copies are made and followed with the real commands, and compared with a
# query on the server that says what the node should hold.

load ../helper
load ../routing

# ---- every cause ----

@test "the row's own column changes: it leaves one node and enters another, with all that is below it" {
    rule=$by_position
    start "$rule"
    moves "UPDATE account SET territory = 't2' WHERE id = 1"
    [ "$(sent ann)" = "$(printf '%s\n' 'note delete 100' 'contact delete 10' 'contact delete 11' 'account delete 1')" ]
    [ "$(sent bob)" = "$(printf '%s\n' 'account insert 1' 'contact insert 10' 'contact insert 11' 'note insert 100')" ]
}

@test "a column that no rule reads: an update of that column alone, and no rule is asked" {
    rule=$by_position
    start "$rule"
    sql hq.db "UPDATE account SET name = 'uno' WHERE id = 1"
    run -0 --separate-stderr bash -c 'txnlog read hq.db | txnroute run -v hq.db docking'
    [[ $stderr == *" 0 rule statements"* ]]
    follow
    right
    [ "$(dxpack cat <"$(newest ann)" | jq -c .new)" = '{"name":"uno"}' ]
    [ -z "$(newest bob)" ]
}

@test "a column that does not travel: nobody hears of it" {
    start "$by_position"
    moves "UPDATE account SET secret = 'y'"
    [ -z "$(newest ann)$(newest bob)" ]
}

@test "a parent changes hands, and back: the levels below follow both ways" {
    rule=$by_position
    start "$rule"
    moves "UPDATE contact SET account = 3 WHERE id = 10"
    [ "$(sent ann)" = "$(printf '%s\n' 'note delete 100' 'contact delete 10')" ]
    [ "$(sent bob)" = "$(printf '%s\n' 'contact insert 10' 'note insert 100')" ]
    moves "UPDATE contact SET account = 1 WHERE id = 10"
    [ "$(sent bob)" = "$(printf '%s\n' 'note delete 100' 'contact delete 10')" ]
}

@test "a member of the team is added, and removed" {
    rule="$by_position UNION $by_share"
    start "$rule"
    moves "INSERT INTO share VALUES (1, 'bob')"
    [ "$(sent bob | head -n 1)" = 'account insert 1' ]
    moves "DELETE FROM share"
    [ "$(sent bob | tail -n 1)" = 'account delete 1' ]
}

@test "a position's owner changes" {
    rule=$by_position
    start "$rule"
    moves "UPDATE position SET login = 'bob' WHERE id = 1"
    [ "$(sent ann | grep -c delete)" -eq 7 ]
    [ "$(sent bob | grep -c insert)" -eq 7 ]
}

@test "a node's user changes, in the run in which rows change, too" {
    rule=$by_position
    start "$rule"
    txnroute node set hq.db ann --user bob
    moves "UPDATE account SET name = 'tres' WHERE id = 3"
    txnroute node set hq.db ann --user ann
    moves "UPDATE account SET territory = 't1' WHERE id = 3"
}

@test "the rule's table and the row change in one run: old and old, old and new, new and new" {
    rule=$by_position
    start "$rule"
    moves "UPDATE account SET territory = 't9' WHERE id = 1; DELETE FROM position WHERE id = 1"
    moves "UPDATE account SET territory = 't2' WHERE id = 1; UPDATE position SET login = 'ann' WHERE id = 2"
    moves "UPDATE account SET territory = 't7' WHERE id = 1; INSERT INTO position VALUES (7, 't7', 'bob')"
    moves "UPDATE account SET territory = 't1' WHERE id = 1; UPDATE position SET login = 'ann', territory = 't1' WHERE id = 7"
}

@test "a row that two rules give leaves only when the last one fails" {
    rule="$by_position UNION $by_share"
    start "$rule"
    moves "INSERT INTO share VALUES (1, 'ann')"
    [ -z "$(newest ann)" ]
    moves "DELETE FROM position WHERE id = 1"
    [ "$(sent ann | grep -c 'account delete 1')" -eq 0 ]
    moves "DELETE FROM share"
    [ "$(sent ann | tail -n 1)" = 'account delete 1' ]
}

@test "two positions give one user the account; one goes: nothing is sent" {
    rule=$by_position
    start "$rule"
    moves "INSERT INTO position VALUES (3, 't1', 'ann')"
    moves "DELETE FROM position WHERE id = 1"
    [ -z "$(newest ann)" ]
}

@test "a row leaves and comes back within one run: nothing is sent, or what changed" {
    rule=$by_position
    start "$rule"
    moves "UPDATE account SET territory = 't2' WHERE id = 1; UPDATE account SET territory = 't1' WHERE id = 1"
    [ -z "$(newest ann)$(newest bob)" ]
    moves "UPDATE position SET login = 'bob' WHERE id = 1; UPDATE account SET name = 'x' WHERE id = 1; UPDATE position SET login = 'ann' WHERE id = 1"
    [ "$(sent ann)" = 'account update 1' ]
    moves "DELETE FROM account WHERE id = 2; INSERT INTO account VALUES (2, 'zwei', 't1', 1, 1, 'x')"
    [ "$(sent ann)" = 'account update 2' ]
}

@test "a row is deleted that has just moved: its old holder removes it, nobody else hears of it" {
    rule=$by_position
    start "$rule"
    moves "UPDATE account SET territory = 't2' WHERE id = 2; DELETE FROM account WHERE id = 2"
    [ "$(sent ann)" = "$(printf '%s\n' 'note delete 200' 'contact delete 20' 'account delete 2')" ] ||
        [ "$(sent ann)" = 'account delete 2' ]
    [ -z "$(newest bob)" ]
}

@test "a key changes: the old one goes, the new one comes whole, children that follow are updated" {
    rule=$by_position
    start "$rule"
    moves "UPDATE account SET id = 9 WHERE id = 1; UPDATE contact SET account = 9 WHERE account = 1"
    [ "$(sent ann)" = "$(printf '%s\n' 'account delete 1' 'account insert 9' 'contact update 10' 'contact update 11')" ]
    moves "UPDATE account SET id = 1 WHERE id = 9"
    [ "$(sent ann | grep -c 'contact delete')" -eq 2 ]
}

@test "a parent is deleted, with its children or without them" {
    rule=$by_position
    start "$rule"
    moves "PRAGMA foreign_keys = ON; DELETE FROM account WHERE id = 1"
    [ "$(sent ann)" = "$(printf '%s\n' 'note delete 100' 'contact delete 10' 'contact delete 11' 'account delete 1')" ]
    moves "PRAGMA foreign_keys = OFF; DELETE FROM account WHERE id = 2"
    [ "$(sent ann)" = "$(printf '%s\n' 'note delete 200' 'contact delete 20' 'account delete 2')" ]
}

@test "re-parented while the old parent leaves: it stays with who holds the new one, as an update" {
    rule=$by_position
    start "$rule"
    moves "UPDATE contact SET account = 2 WHERE id = 10; UPDATE account SET territory = 't2' WHERE id = 1"
    [ "$(sent ann | grep ' 10$')" = 'contact update 10' ]
    [ "$(sent ann | grep -c 'note')" -eq 0 ]
}

@test "an orphan's parent comes: the orphan and what is below it come, too" {
    rule=$by_position
    start "$rule"
    moves "INSERT INTO contact VALUES (50, 5, 'early'); INSERT INTO note VALUES (500, 50, 'earlier')"
    [ -z "$(newest ann)" ]
    moves "INSERT INTO account VALUES (5, 'late', 't1', 1, NULL, NULL)"
    [ "$(sent ann)" = "$(printf '%s\n' 'account insert 5' 'contact insert 50' 'note insert 500')" ]
}

@test "a self-join: only the owner of the one above changes, and what is below moves" {
    rule="SELECT n.name, b.id FROM account b JOIN account x ON x.id = b.parent JOIN dx_node n ON n.user = CASE x.owner WHEN 1 THEN 'ann' ELSE 'bob' END"
    start "$rule"
    moves "UPDATE account SET owner = 2 WHERE id = 1"
    [ "$(sent ann | grep -c 'account delete')" -eq 2 ]
    [ "$(sent bob | grep -c 'account insert')" -eq 2 ]
}

@test "the key is not in the object's table yet: the row comes when it does" {
    rule=$by_share
    start "$rule"
    moves "INSERT INTO share VALUES (7, 'ann')"
    moves "UPDATE product SET name = 'p' WHERE id = 1"
    moves "INSERT INTO account VALUES (7, 'seven', NULL, NULL, NULL, NULL)"
    [ "$(sent ann)" = 'account insert 7' ]
}

@test "NOT EXISTS: what blocks comes, goes, changes, while the row changes, too" {
    rule="$by_position WHERE NOT EXISTS (SELECT 1 FROM ban b WHERE b.account = a.id AND b.login = n.user)"
    start "$rule"
    moves "INSERT INTO ban VALUES (1, 1, 'ann')"
    [ "$(sent ann | tail -n 1)" = 'account delete 1' ]
    moves "UPDATE ban SET account = 2"
    moves "UPDATE ban SET login = 'bob'; UPDATE account SET territory = 't2' WHERE id = 2"
    moves "DELETE FROM ban; UPDATE account SET territory = 't1' WHERE id = 2"
    moves "INSERT INTO ban VALUES (2, 2, 'ann'), (3, 2, 'ann')"
    moves "DELETE FROM ban WHERE id = 2"
    [ "$(sent ann | tail -n 1)" = 'account delete 2' ]
    moves "DELETE FROM ban"
}

@test "EXISTS, IN and OR are followed from changes" {
    rule="SELECT n.name, a.id FROM account a, dx_node n WHERE (EXISTS (SELECT 1 FROM position p WHERE p.territory = a.territory AND p.login = n.user) OR a.owner = 77) AND a.id NOT NULL
  UNION ALL SELECT n.name, a.id FROM account a JOIN dx_node n ON a.id IN (SELECT s.account FROM share s WHERE s.login = n.user)"
    start "$rule"
    run -0 cat load.err
    [[ $output != *"evaluated whole"* ]]
    moves "UPDATE account SET owner = 77 WHERE id = 4"
    moves "INSERT INTO share VALUES (4, 'bob')"
    moves "UPDATE account SET owner = 1 WHERE id = 4; DELETE FROM position WHERE id = 1"
    moves "DELETE FROM share"
}

@test "rules evaluated whole are right as well: LEFT JOIN, NOT IN, GROUP BY, views" {
    schema
    sql hq.db "CREATE VIEW mine AS SELECT a.id, p.login FROM account a JOIN position p ON p.territory = a.territory"
    txnlog attach hq.db
    mkdir docking
    mapfile -t rules <<'RULES'
SELECT n.name, a.id FROM account a JOIN position p ON p.territory = a.territory JOIN dx_node n ON n.user = p.login LEFT JOIN ban b ON b.account = a.id WHERE b.id IS NULL
SELECT n.name, a.id FROM account a JOIN position p ON p.territory = a.territory JOIN dx_node n ON n.user = p.login WHERE a.id NOT IN (SELECT account FROM ban)
SELECT n.name, p.a FROM (SELECT a.id AS a, p.login AS l FROM account a JOIN position p ON p.territory = a.territory GROUP BY a.id, p.login) p JOIN dx_node n ON n.user = p.l
SELECT n.name, m.id FROM mine m JOIN dx_node n ON n.user = m.login
SELECT n.name, a.id FROM account a JOIN position p ON p.territory = a.territory JOIN dx_node n ON n.user = p.login EXCEPT SELECT b.login, b.account FROM ban b
RULES
    [ ${#rules[@]} -eq 5 ]
    for rule in "${rules[@]}"; do
        package "$rule"
        run -0 --separate-stderr txnroute load hq.db p
        [[ $stderr == *"object account: evaluated whole"* ]]
        if [ ! -f ann.db ]; then
            txnroute node add hq.db ann --package p --user ann
            copy ann
        fi
        follow
        right
        moves "UPDATE account SET territory = 't2' WHERE id = 1; INSERT INTO ban VALUES (1, 2, 'ann')"
        moves "UPDATE position SET login = 'bob' WHERE id = 1"
        moves "UPDATE account SET territory = 't1' WHERE id = 1; UPDATE position SET login = 'ann' WHERE id = 1; DELETE FROM ban"
    done
}

@test "refused at load, with the remedy: LIMIT, windows, RIGHT JOIN, rowid, INDEXED BY, random, main., dx_ tables, circles" {
    schema
    txnlog attach hq.db
    while IFS='|' read -r why rule; do
        package "$rule"
        run -3 --separate-stderr txnroute load hq.db p
        [[ $stderr == *"$why"* ]] || { echo "$rule: $stderr"; false; }
    done <<'RULES'
LIMIT|SELECT n.name, a.id FROM account a, dx_node n LIMIT 3
OVER|SELECT n.name, max(a.id) OVER () FROM account a, dx_node n
LEFT JOIN|SELECT n.name, a.id FROM account a RIGHT JOIN dx_node n ON n.user = a.name
name the key|SELECT n.name, a.rowid FROM account a, dx_node n
leave the index|SELECT n.name, a.id FROM account a INDEXED BY account_territory, dx_node n WHERE a.territory = 't1'
same rows each time|SELECT n.name, a.id FROM account a, dx_node n WHERE random() > 0
table's name alone|SELECT n.name, a.id FROM main.account a, dx_node n
and dx_node|SELECT n.name, a.id FROM account a, dx_node n, dx_meta
leave ORDER BY out|SELECT n.name, a.id FROM account a, dx_node n ORDER BY 1
2 for table|SELECT n.name FROM account a, dx_node n
2 for table|SELECT n.name, a.id, a.name FROM account a, dx_node n
no such column|SELECT n.name, a.missing FROM account a, dx_node n
RULES
    cat >p/package.conf <<'CONF'
[package]
name = p
version = 1
[object contact]
via = account -> account
[object account]
via = parent -> contact
CONF
    run -3 --separate-stderr txnroute load hq.db p
    [[ $stderr == *"circle"* ]]
    run -0 sql hq.db "SELECT count(*) FROM sqlite_schema WHERE name = 'dx_package'"
    [ "$output" = 0 ]
}

@test "load names the indexes that a rule wants, and references that lead out of a view" {
    schema
    txnlog attach hq.db
    package "$by_position" 'conflict = server'
    run -0 --separate-stderr txnroute load hq.db p
    [ -z "$stderr" ]
    sql hq.db "DROP INDEX account_territory" "DROP INDEX note_contact" \
        "CREATE TABLE call (id INTEGER PRIMARY KEY, contact INTEGER REFERENCES contact, cost INTEGER REFERENCES cost)"
    txnlog attach hq.db
    printf '[object call]\nvisible = all\n' >>p/package.conf
    run -0 --separate-stderr txnroute load hq.db p
    [[ $stderr == *"object account: when position changes, account is read whole; an index on account (territory) is wanted"* ]]
    [[ $stderr == *"table note wants an index on (contact)"* ]]
    [[ $stderr == *"object call: (contact) refers to table contact, and can point to a row that the node does not hold"* ]]
    [[ $stderr == *"object call: (cost) refers to table cost, of which nodes have nothing"* ]]
}

@test "a journal begun again is not routed over; loading again begins again" {
    rule=$by_position
    start "$rule"
    txnlog detach hq.db
    sql hq.db "UPDATE account SET territory = 't2' WHERE id = 1"
    txnlog attach hq.db
    run -3 --separate-stderr txnroute run hq.db docking </dev/null
    [[ $stderr == *"begun again"* ]]
    run -0 --separate-stderr txnroute load hq.db p
    [[ $stderr == *"every node needs a new snapshot"* ]]
    txnlog read hq.db | txnroute run hq.db docking
    run -3 dxapply ann.db <"$(newest ann)"
    rm ann.db bob.db
    copy ann
    copy bob
    right
}

# ---- comparisons ----

@test "affinity and collation: a text key from a number, a NOCASE column, 2 and 2.0, 0.0 and -0.0" {
    sql hq.db "PRAGMA journal_mode = WAL" \
        "CREATE TABLE t (id TEXT PRIMARY KEY, code TEXT COLLATE NOCASE, v)" \
        "CREATE TABLE grants (n INTEGER PRIMARY KEY, id INTEGER, code TEXT, who)" \
        "INSERT INTO t VALUES ('1', 'Ab', 2), ('01', 'ab', 0.0), ('2', 'x', NULL)" \
        "INSERT INTO grants VALUES (1, 1, NULL, 'ann'), (2, NULL, 'AB', 'bob')"
    txnlog attach hq.db
    mkdir -p docking p
    cat >p/package.conf <<'CONF'
[package]
name = p
version = 1
[object t]
visible = SELECT g.who, g.id FROM grants g
          UNION SELECT g.who, t.id FROM grants g JOIN t ON t.code = g.code
CONF
    txnroute load hq.db p 2>load.err
    for n in ann bob; do
        txnroute node add hq.db $n --package p
        copy $n
    done
    hold() {
        follow
        [ "$(sqlite3 ann.db "SELECT group_concat(id) FROM (SELECT id FROM t ORDER BY id)")" = "$1" ]
        [ "$(sqlite3 bob.db "SELECT group_concat(id) FROM (SELECT id FROM t ORDER BY id)")" = "$2" ]
        for n in ann bob; do diff <(txnlog digest $n.db) <(txnlog digest hq.db --node $n); done
    }
    hold 01,1 01,1
    sql hq.db "UPDATE t SET v = 2.0 WHERE id = '1'; UPDATE t SET v = -0.0 WHERE id = '01'"
    hold 01,1 01,1
    [ "$(sqlite3 ann.db "SELECT typeof(v) FROM t WHERE id = '1'")" = real ]
    [ "$(sent bob | sort)" = "$(printf '%s\n' 't update 01' 't update 1')" ]
    sql hq.db "UPDATE grants SET code = 'X' WHERE n = 2; UPDATE grants SET id = 2 WHERE n = 1"
    hold 2 2
    sql hq.db "DELETE FROM grants"
    hold '' ''
}

@test "a table is made again with a key of text, and rows that nobody captured: nothing is routed over that, and copies are right after" {
    rule=$by_position
    start "$rule"
    sql hq.db "ALTER TABLE contact RENAME TO was; CREATE TABLE contact (id TEXT PRIMARY KEY, account INTEGER, name TEXT);
        INSERT INTO contact SELECT 'c' || id, account, name FROM was; DROP TABLE was;
        INSERT INTO contact VALUES ('new', 1, 'n')"
    run -1 txnlog attach hq.db
    [[ $output == *"table contact: the table was made again after it was captured; mended, but what was changed meanwhile is not in the journal"* ]]
    run -3 txnroute run hq.db docking </dev/null
    [[ $output == *"begun again"*"load the package again"* ]]
    [ -z "$(newest ann)" ]
    sed -i '/object note/,/^via/d' p/package.conf
    run -0 txnroute load hq.db p
    [[ $output == *"every node needs a new snapshot"* ]]
    for n in ann bob; do
        rm $n.db
        copy $n
        diff <(txnlog digest $n.db) <(txnlog digest hq.db --node $n)
    done
    [ "$(sql ann.db "SELECT group_concat(id) FROM (SELECT id FROM contact ORDER BY 1)")" = c10,c11,c20,new ]
    sql hq.db "UPDATE contact SET account = 3 WHERE id = 'new'"
    follow
    [ "$(sql bob.db "SELECT group_concat(id) FROM (SELECT id FROM contact ORDER BY 1)")" = c30,new ]
    diff <(txnlog digest bob.db) <(txnlog digest hq.db --node bob)
}

@test "an object of which no node has anything, new or gone before a run, is no part of a copy" {
    rule=$by_position
    start "$rule"
    cp p/package.conf whole.conf
    sed -i '/object cost/,$d' p/package.conf
    txnroute load hq.db p 2>load.err
    moves "UPDATE account SET name = 'uno' WHERE id = 1"
    { cat whole.conf; printf '[object share]\nvisible = all\nreferences = account -> account\n'; } >p/package.conf
    txnroute load hq.db p 2>load.err
    cp whole.conf p/package.conf
    txnroute load hq.db p 2>load.err
    moves "UPDATE account SET name = 'one' WHERE id = 1"
    [ "$(sql ann.db "SELECT group_concat(name) FROM (SELECT name FROM dx_copy ORDER BY name)")" = account,contact,note,product ]
}

@test "an object that goes takes its books with it: another that gets its number begins again" {
    rule=$by_position
    start "$rule"
    moves "UPDATE account SET territory = 't2' WHERE id = 1"
    run -0 txnroute why hq.db bob note 100
    [[ $output == *"archive 1"* ]]
    cp p/package.conf whole.conf
    sed -i '/object note/,$d' p/package.conf # the last ones by number
    id=$(sql hq.db "SELECT id FROM dx_object WHERE name = 'note'")
    txnroute load hq.db p 2>load.err
    follow
    [ "$(sql hq.db "SELECT count(*) FROM sqlite_schema WHERE name GLOB 'dx_member_*'")" = "$(sql hq.db "SELECT count(*) FROM dx_object")" ]
    [ "$(sql bob.db "SELECT count(*) FROM note")" = 0 ]
    mv whole.conf p/package.conf
    txnroute load hq.db p 2>load.err
    follow
    right
    [ "$(sql hq.db "SELECT id FROM dx_object WHERE name = 'note'")" = "$id" ]
    run -0 txnroute why hq.db bob note 100
    [[ $output != *"archive 1"* ]]
}

@test "a table is dropped, and its object with it: copies lose what they hold of it" {
    rule=$by_position
    start "$rule"
    sql hq.db "DROP TABLE note; DROP TABLE product"
    run -1 txnlog attach hq.db
    sed -i -e '/object note/,/^via/d' -e '/object product/,/^visible/d' p/package.conf
    txnroute load hq.db p 2>load.err
    sql hq.db "UPDATE account SET territory = 't2' WHERE id = 1"
    follow
    [ "$(sql ann.db "SELECT count(*) FROM note")" = 0 ]
    [ "$(sql bob.db "SELECT count(*) FROM note")" = 0 ]
    [ "$(sql bob.db "SELECT count(*) FROM contact")" = "$(sql hq.db "SELECT count(*) FROM contact WHERE account IN (1, 3)")" ]
}

@test "keys of several columns: in a rule, and above children" {
    sql hq.db "PRAGMA journal_mode = WAL" \
        "CREATE TABLE office (state TEXT, no INTEGER, city TEXT, PRIMARY KEY (state, no)) WITHOUT ROWID" \
        "CREATE TABLE desk (id INTEGER PRIMARY KEY, st TEXT, n INTEGER, who TEXT)" \
        "CREATE INDEX desk_office ON desk (st, n)" \
        "INSERT INTO office VALUES ('CA', 1, 'a'), ('CA', 2, 'b'), ('NY', 1, 'c')" \
        "INSERT INTO desk VALUES (1, 'CA', 1, 'x'), (2, 'CA', 2, 'y'), (3, 'NY', 1, 'z'), (4, NULL, 1, 'w')"
    txnlog attach hq.db
    mkdir -p docking p
    cat >p/package.conf <<'CONF'
[package]
name = p
version = 1
[object office]
visible = SELECT n.name, o.state, o.no FROM office o JOIN dx_node n ON n.user = o.state
[object desk]
via = st, n -> office
CONF
    txnroute load hq.db p 2>load.err
    txnroute node add hq.db ann --package p --user CA
    copy ann
    hold() {
        follow
        [ "$(sqlite3 ann.db "SELECT group_concat(state || no) FROM (SELECT * FROM office ORDER BY 1, 2)")" = "$1" ]
        [ "$(sqlite3 ann.db "SELECT group_concat(id) FROM (SELECT id FROM desk ORDER BY id)")" = "$2" ]
        diff <(txnlog digest ann.db) <(txnlog digest hq.db --node ann)
    }
    hold CA1,CA2 1,2
    sql hq.db "UPDATE office SET state = 'NY', no = 2 WHERE state = 'CA' AND no = 1"
    hold CA2 2
    sql hq.db "UPDATE desk SET st = 'CA', n = 2 WHERE id = 4; UPDATE office SET city = 'q'"
    hold CA2 2,4
    txnroute node set hq.db ann --user NY
    hold NY1,NY2 3
}

# ---- nodes and packages ----

@test "a node that is added gets all it may see, as an extract would give it, while rows change" {
    rule=$by_position
    start "$rule"
    txnroute node add hq.db eve --package p --user bob
    sql hq.db "UPDATE account SET territory = 't2' WHERE id = 1"
    follow
    dxpack cat <docking/eve/outbox/00000001.dx | jq -S -c '[.table, .key, .new]' | sort >routed
    txnroute extract hq.db eve | dxpack cat | jq -S -c '[.table, .key, .new]' | sort >extracted
    diff routed extracted
    [ -s routed ]
    [ -z "$(newest eve)" ]
}

@test "a node that has ended gets nothing, its archives are removed, and it must be made again" {
    rule=$by_position
    start "$rule"
    sql hq.db "UPDATE account SET name = 'x'"
    txnlog read hq.db | txnroute run hq.db docking
    [ -n "$(newest bob)" ]
    txnroute node end hq.db bob
    run -3 --separate-stderr txnroute extract hq.db bob
    [[ $stderr == *"has been ended"* ]]
    sql hq.db "UPDATE account SET name = 'y'"
    txnlog read hq.db | txnroute run hq.db docking
    [ -z "$(newest bob)" ]
    [ "$(sql hq.db "SELECT count(*) FROM dx_routed")" = 1 ]
    txnroute node add hq.db bob --package p --user bob
    run -3 dxapply bob.db < <(txnlog read hq.db | txnroute run hq.db --node bob)
    rm bob.db
    copy bob
    follow
    right
}

@test "two packages: each node gets its own; another package begins again" {
    rule=$by_position
    start "$rule"
    mkdir q
    printf '[package]\nname = q\nversion = 1\n[object product]\nvisible = all\n' >q/package.conf
    txnroute load hq.db q
    txnroute node set hq.db bob --package q
    sql hq.db "UPDATE account SET name = 'x'; UPDATE product SET name = 'y' WHERE id = 1"
    txnlog read hq.db | txnroute run hq.db docking
    run -0 sent bob
    [[ $output != *account* ]]
    rm bob.db
    copy bob
    [ "$(sqlite3 bob.db "SELECT count(*) FROM product")" = 2 ]
    run -1 sqlite3 bob.db "SELECT count(*) FROM account"
    rm bob.db
    moves "UPDATE position SET login = 'ann' WHERE id = 2"
}

@test "a changed package: the next run sends only the difference" {
    rule=$by_position
    start "$rule"
    rule="$by_position UNION $by_share"
    package "$rule"
    sql hq.db "INSERT INTO share VALUES (1, 'bob'); UPDATE account SET name = 'neu' WHERE id = 3"
    run -1 txnroute try hq.db p
    [[ $output =~ bob\ +account\ +1\  ]]
    txnroute load hq.db p 2>load.err
    follow
    right
    [ -z "$(newest ann)" ]
    [ "$(sent bob)" = "$(printf '%s\n' 'account insert 1' 'account update 3' 'contact insert 10' 'contact insert 11' 'note insert 100')" ]
    rm docking/*/outbox/*
    txnroute load hq.db p 2>load.err
    follow
    [ -z "$(newest ann)$(newest bob)" ]
    sed -i '/object note/,/via/d' p/package.conf
    txnroute load hq.db p 2>load.err
    txnlog read hq.db | txnroute run hq.db docking
    [ "$(sent ann | sort)" = "$(printf '%s\n' 'note delete 100' 'note delete 200')" ]
}

@test "more columns travel: the rows that are held are sent with them" {
    rule=$by_position
    start "$rule"
    sed -i '/^columns/d' p/package.conf
    txnroute load hq.db p 2>load.err
    txnlog read hq.db | txnroute run hq.db docking
    [ "$(dxpack cat <"$(newest ann)" | jq -c '[.op, .new.secret]' | sort -u)" = '["insert","x"]' ]
    [ "$(sent ann | wc -l)" -eq 2 ]
}

@test "visible to all becomes visible by a rule, and back" {
    rule="SELECT n.name, a.id FROM account a, dx_node n"
    start all
    rule=$by_position
    package "$rule"
    sql hq.db "INSERT INTO account VALUES (8, 'new', 't1', 1, NULL, NULL); DELETE FROM account WHERE id = 3"
    txnroute load hq.db p 2>load.err
    follow
    right
    [ "$(sent ann | grep -c 'account insert')" -eq 1 ]
    rule="SELECT n.name, a.id FROM account a, dx_node n"
    package all
    sql hq.db "DELETE FROM account WHERE id = 2; INSERT INTO account VALUES (6, 'six', 't1', 1, NULL, NULL)"
    txnroute load hq.db p 2>load.err
    follow
    right
}

# ---- time ----

@test "time filters: rows that age out leave with no change at all, and come back when they are touched" {
    schema
    sql hq.db "CREATE TABLE visit (id INTEGER PRIMARY KEY, account INTEGER, day TEXT)" \
        "CREATE INDEX visit_account ON visit (account)" \
        "INSERT INTO visit VALUES (1, 1, '2025-01-01'), (2, 1, '2025-02-01'), (3, 3, '2025-02-01')" \
        "CREATE TABLE news (id INTEGER PRIMARY KEY, day TEXT)" \
        "INSERT INTO news VALUES (1, '2025-01-01'), (2, '2025-03-01')"
    txnlog attach hq.db
    mkdir docking
    package "$by_position" ''
    printf "[object visit]\nvia = account -> account\nkeep = day > date('now', '-1 month')\n" >>p/package.conf
    printf "[object news]\nvisible = all\nkeep = day > date('now', '-1 month')\n" >>p/package.conf
    txnroute load hq.db p 2>load.err
    txnroute node add hq.db ann --package p --user ann
    txnroute extract hq.db ann --now 2025-01-15 | dxapply ann.db
    held() { sqlite3 ann.db "SELECT (SELECT group_concat(id) FROM visit), (SELECT group_concat(id) FROM news)"; }
    [ "$(held)" = '1,2|1,2' ]
    follow --now '2025-01-15 18:00:00'
    [ -z "$(newest ann)" ]
    follow --now 2025-02-02
    [ "$(held)" = '2|2' ]
    sql hq.db "UPDATE visit SET day = '2025-02-02' WHERE id = 1; UPDATE account SET territory = 't1' WHERE id = 3"
    follow --now 2025-02-02
    [ "$(held)" = '1,2,3|2' ]
    follow --now 2025-03-02
    [ "$(held)" = '|2' ]
    diff <(txnlog digest ann.db) <(txnlog digest hq.db --node ann)
}

@test "'now' in a rule: load says so, the day moves rows, the hour does not ask again" {
    rule="SELECT n.name, a.id FROM account a JOIN position p ON p.territory = a.territory JOIN dx_node n ON n.user = p.login WHERE a.name > date('now')"
    schema
    sql hq.db "UPDATE account SET name = '2025-05-0' || id"
    txnlog attach hq.db
    mkdir docking
    package "$rule"
    run -0 --separate-stderr txnroute load hq.db p
    [[ $stderr == *"object account: evaluated whole when the time in it moves on"* ]]
    txnroute node add hq.db ann --package p --user ann
    txnroute extract hq.db ann --now 2025-05-01 | dxapply ann.db
    [ "$(sqlite3 ann.db "SELECT group_concat(id) FROM account")" = 2 ]
    run -0 --separate-stderr bash -c "txnroute run -v hq.db docking --now '2025-05-01 23:00:00' </dev/null"
    [[ $stderr == *" 0 rule statements"* ]]
    follow --now 2025-05-02
    [ "$(sqlite3 ann.db "SELECT count(*) FROM account")" = 0 ]
}

# ---- echoes ----

# wrote NODE SQL: changes as the merge notes them, made by that node.
wrote() {
    local before
    before=$(sql hq.db "SELECT coalesce(max(seq), 0) FROM dx_journal")
    sql hq.db "$2"
    sql hq.db "UPDATE dx_journal SET origin = '$1' WHERE seq > $before"
}

@test "echoes: a node's own change is not sent back, others get it" {
    start "$by_position UNION $by_share"
    wrote ann "UPDATE account SET name = 'mine' WHERE id = 1; INSERT INTO account VALUES (7, 'n', 't1', 1, NULL, NULL)"
    txnlog read hq.db | txnroute run hq.db docking
    [ -z "$(newest ann)" ]
}

@test "echoes: what it inserted and may not see it is told to remove, also when someone deleted it meanwhile" {
    start "$by_position"
    wrote ann "INSERT INTO account VALUES (7, 'n', 't2', 1, NULL, NULL); INSERT INTO account VALUES (8, 'n', 't1', 1, NULL, NULL)"
    sql hq.db "DELETE FROM account WHERE id = 8"
    txnlog read hq.db | txnroute run hq.db docking
    [ "$(sent ann)" = "$(printf '%s\n' 'account delete 7' 'account delete 8')" ]
    [ "$(sent bob)" = 'account insert 7' ]
}

@test "echoes: a row that someone set back, or put in again, comes whole" {
    start "$by_position"
    wrote ann "UPDATE account SET name = 'mine' WHERE id = 1; DELETE FROM account WHERE id = 2"
    sql hq.db "UPDATE account SET name = 'one' WHERE id = 1; INSERT INTO account VALUES (2, 'again', 't1', 1, 1, 'x')"
    txnlog read hq.db | txnroute run hq.db docking
    [ "$(sent ann | grep account)" = "$(printf '%s\n' 'account insert 1' 'account insert 2')" ]
}

@test "echoes: rows that its change moved are sent, its own row that left is removed" {
    start "$by_position"
    wrote ann "UPDATE account SET territory = 't2' WHERE id = 1"
    txnlog read hq.db | txnroute run hq.db docking
    [ "$(sent ann)" = "$(printf '%s\n' 'note delete 100' 'contact delete 10' 'contact delete 11' 'account delete 1')" ]
}

@test "a row asked for is sent whole, or its removal, once" {
    start "$by_position"
    sql hq.db "INSERT INTO dx_force (node, tbl, key) SELECT id, 'account', 1 FROM dx_nodes WHERE name = 'ann' UNION ALL SELECT id, 'account', 3 FROM dx_nodes WHERE name = 'ann'"
    txnroute run hq.db docking </dev/null
    [ "$(sent ann)" = "$(printf '%s\n' 'account delete 3' 'account insert 1')" ]
    [ -z "$(newest bob)" ]
    rm docking/ann/outbox/*
    txnroute run hq.db docking </dev/null
    [ -z "$(newest ann)" ]
}

# ---- the log, positions, crashes ----

@test "the log on stdin must be whole, of this journal, and join on; nothing changes otherwise" {
    start "$by_position"
    sql hq.db "UPDATE account SET name = 'x' WHERE id = 1"
    txnlog read hq.db >log.dx
    head -c $(($(stat -c %s log.dx) - 40)) log.dx >cut.dx
    run -3 txnroute run hq.db docking <cut.dx
    sql hq.db "UPDATE account SET name = 'y' WHERE id = 1"
    run -3 --separate-stderr bash -c 'txnlog read hq.db --after 1 | txnroute run hq.db docking'
    [[ $stderr == *"missing"* ]]
    schema other.db
    txnlog attach other.db
    run -3 --separate-stderr bash -c 'txnlog read other.db | txnroute run hq.db docking'
    [[ $stderr == *"epoch"* ]]
    run -3 --separate-stderr bash -c 'txnroute extract hq.db ann | txnroute run hq.db docking'
    [[ $stderr == *"snapshot"* ]]
    copy ann
    follow
    right
    txnroute run hq.db docking <log.dx
}

@test "a run with nothing to do writes nothing" {
    start "$by_position"
    before=$(sql hq.db "SELECT value FROM dx_meta WHERE name = 'routes'")
    txnroute run hq.db docking </dev/null
    txnlog read hq.db | txnroute run hq.db docking
    [ "$(sql hq.db "SELECT value FROM dx_meta WHERE name = 'routes'")" = "$before" ]
    [ -z "$(newest ann)$(newest bob)" ]
}

@test "a docking directory is made in one that is there; where archives lie elsewhere, a name of no directory is refused" {
    start "$by_position"
    run -4 txnroute run hq.db nowhere/docking </dev/null
    [[ $output == *"nowhere/docking: cannot make the directory"* ]]
    [ ! -e nowhere ]
    rm -r docking
    txnroute run hq.db docking </dev/null
    sql hq.db "UPDATE product SET name = 'x'"
    txnroute run hq.db docking </dev/null
    [ "$(basename "$(newest ann)")" = 00000001.dx ]
    sql hq.db "UPDATE product SET name = 'y'"
    for command in "run hq.db docing" "extract hq.db ann docing" "run hq.db docing --node ann"; do
        # shellcheck disable=SC2086 # words of a command
        run -3 txnroute $command </dev/null
        [[ $output == *"docing: no such directory; the archives so far were put into docking. "*"make it; "* ]]
        [ ! -e docing ]
    done
    mkdir docing
    txnroute run hq.db docing </dev/null
    [ "$(ls docing/ann/outbox)" = 00000002.dx ]
}

@test "where no package is loaded, a run says so and makes nothing" {
    schema
    txnlog attach hq.db
    for command in "run hq.db docking" "run hq.db --node ann" "extract hq.db ann"; do
        # shellcheck disable=SC2086 # words of a command
        run -3 txnroute $command </dev/null
        [[ $output == *"hq.db: no package is loaded here, so there is nothing to route; load one: txnroute load hq.db DIRECTORY" ]]
    done
    [ "$(echo *docking)" = "*docking" ]
}

@test "run --node writes that node's archives, keeps the others' for them" {
    rule=$by_position
    start "$rule"
    sql hq.db "UPDATE position SET login = 'bob' WHERE id = 1"
    txnlog read hq.db | txnroute run hq.db --node ann | dxapply ann.db
    sql hq.db "UPDATE account SET name = 'x' WHERE id = 1"
    txnlog read hq.db | txnroute run hq.db --node bob | dxapply bob.db
    txnlog read hq.db | txnroute run hq.db --node ann | dxapply ann.db
    right
}

@test "a node that is away gets no more archives after some, and then one of all that came to be, net" {
    rule=$by_position
    start "$rule"
    away() {
        sql hq.db "$1"
        txnlog read hq.db | txnroute run hq.db docking --fold 2
    }
    archives() { find docking/ann/outbox -name '*.dx' | wc -l; }
    away "UPDATE account SET name = 'a' WHERE id = 1"
    away "UPDATE account SET name = 'b' WHERE id = 1"
    away "UPDATE account SET name = 'c', territory = 't2' WHERE id = 1"
    away "INSERT INTO account VALUES (5, 'five', 't1', 1, NULL, NULL), (6, 'six', 't1', 1, NULL, NULL)"
    away "UPDATE account SET territory = 't1', name = 'd' WHERE id = 3; UPDATE product SET name = 'q'"
    away "UPDATE account SET territory = 't2' WHERE id = 5; DELETE FROM account WHERE id = 6; DELETE FROM product WHERE id = 2"
    away "UPDATE account SET territory = 't1' WHERE id = 1; INSERT INTO contact VALUES (60, 1, 'c60')"
    [ "$(archives)" -eq 2 ]
    [ "$(sql hq.db "SELECT value FROM dx_meta WHERE name = 'suspended'")" -gt 0 ]
    for file in docking/ann/outbox/*.dx; do
        dxapply ann.db <"$file"
        rm "$file"
    done
    away "UPDATE account SET name = 'e' WHERE id = 2"
    [ "$(archives)" -eq 1 ]
    [ "$(sent ann | sort)" = "$(printf '%s\n' 'account insert 3' 'account update 1' 'account update 2' 'contact insert 30' \
        'contact insert 60' 'note insert 300' 'product delete 2' 'product update 1')" ]
    for file in docking/ann/outbox/*.dx; do dxapply ann.db <"$file"; done
    rm -r docking/bob bob.db
    right
    [ -z "$(sql hq.db "SELECT value FROM dx_meta WHERE name = 'suspended'")" ] || [ "$(sql hq.db "SELECT count(*) FROM dx_nodes WHERE name = 'ann' AND suspended_at IS NULL")" -eq 1 ]
    follow
    right
}

@test "one router at a time: the other is told who it is" {
    start "$by_position"
    exec 9>>docking/lock
    flock 9
    echo 'somebody (process 1)' >docking/lock
    run -6 --separate-stderr txnroute run hq.db docking </dev/null
    [[ $stderr == *somebody* ]]
    exec 9>&-
}

@test "what a crash left: archives that the database knows get their names, others go" {
    rule=$by_position
    start "$rule"
    sql hq.db "UPDATE account SET name = 'x'"
    txnlog read hq.db | txnroute run hq.db docking
    mv docking/ann/outbox/00000001.dx docking/ann/outbox/00000001.dx.new
    cp docking/ann/outbox/00000001.dx.new docking/ann/outbox/00000002.dx.new
    : >docking/unfinished
    follow
    right
    [ ! -e docking/unfinished ]
    [ ! -e docking/ann/outbox/00000002.dx.new ]
}

@test "a run for several nodes, killed at each durable step, leaves whole numbered files or none, and the next run goes on" {
    rule=$by_position
    start "$rule"
    for n in cid dan; do
        txnroute node add hq.db $n --package p --user ann
        copy $n
    done
    sql hq.db "UPDATE account SET name = 'x'"
    txnroute run hq.db docking </dev/null
    sql hq.db "UPDATE account SET territory = 't2' WHERE id = 1; UPDATE account SET name = 'y' WHERE id = 2; UPDATE product SET name = 'p'"
    mkdir before
    cp -r hq.db docking before
    cp hq.db-wal before 2>/dev/null || true
    steps=0 code=137
    while [ $code -eq 137 ]; do
        steps=$((steps + $(sized 1 3)))
        rm -rf hq.db* docking
        cp -r before/* .
        code=0
        DX_STOP_AT=$steps txnroute run hq.db docking </dev/null || code=$?
        [ $code -eq 0 ] || [ $code -eq 137 ]
        for n in ann bob cid dan; do
            number=0
            for file in docking/$n/outbox/[0-9]*.dx; do
                number=$((number + 1))
                [ "$(basename "$file")" = "$(printf '%08d.dx' $number)" ]
                dxpack verify "$file"
            done
            [ $number -le 2 ]
        done
        txnroute run hq.db docking </dev/null
        [ -z "$(find docking -name '*.new' -o -name unfinished)" ]
        for n in ann bob cid dan; do
            rm -rf one
            mkdir one
            cp $n.db one/$n.db
            for file in docking/$n/outbox/*.dx; do dxapply one/$n.db <"$file"; done
            [ "$(txnlog digest one/$n.db)" = "$(txnlog digest hq.db --node $n)" ]
        done
    done
    [ $steps -gt 8 ]
}

# random_histories FROM COUNT: of random schemas and rules; a long run is build/test/route-sim 1 10001 DIRECTORY.
random_histories() {
    local dir=$BATS_TEST_TMPDIR
    [ ! -w /dev/shm ] || dir=$(mktemp -d /dev/shm/dx-routes.XXXXXX)
    run -0 route-sim "$1" $(($1 + $2)) "$dir"
    [ "$dir" = "$BATS_TEST_TMPDIR" ] || rm -rf "$dir"
}

@test "random histories: every copy is as the rules say" {
    random_histories 1 "$(sized 40 3)"
}

@test "more random histories" {
    random_histories 1000 "$(sized 40 3)"
}
