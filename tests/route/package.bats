#!/usr/bin/env bats
# package.conf for a whole application: rules by name, files that include others, everything, several ways to be seen.

load ../helper

# office: territories of people, accounts in them, notes on accounts or on people's own projects.
office() {
    sql hq.db "CREATE TABLE position (login TEXT, territory TEXT, PRIMARY KEY (login, territory)) WITHOUT ROWID" \
        "CREATE TABLE account (id INTEGER PRIMARY KEY, territory TEXT, name TEXT)" \
        "CREATE TABLE lead (id INTEGER PRIMARY KEY, area TEXT, name TEXT)" \
        "CREATE TABLE project (id TEXT PRIMARY KEY, owner TEXT, state TEXT)" \
        "CREATE TABLE note (id TEXT PRIMARY KEY, account INTEGER REFERENCES account, project TEXT REFERENCES project, body TEXT)" \
        "CREATE TABLE remark (id TEXT PRIMARY KEY, note TEXT REFERENCES note, body TEXT)" \
        "CREATE TABLE price (id TEXT PRIMARY KEY, v INT)" "CREATE TABLE secret (id TEXT PRIMARY KEY)" \
        "CREATE INDEX a1 ON account (territory)" "CREATE INDEX l1 ON lead (area)" "CREATE INDEX n1 ON note (account)" \
        "CREATE INDEX n2 ON note (project)" "CREATE INDEX r1 ON remark (note)" "CREATE INDEX p1 ON position (territory)" "CREATE INDEX o1 ON project (owner)" \
        "INSERT INTO position VALUES ('alice', 'N'), ('bob', 'S'), ('bob', 'W')" \
        "INSERT INTO account VALUES (1, 'N', 'one'), (2, 'S', 'two'), (3, 'W', 'three')" "INSERT INTO lead VALUES (1, 'N', 'l1'), (2, 'S', 'l2')" \
        "INSERT INTO project VALUES ('P', 'alice', 'open'), ('Q', 'bob', 'open'), ('R', 'alice', 'closed')" \
        "INSERT INTO note VALUES ('a', 1, NULL, 'x'), ('b', 2, 'P', 'x'), ('c', NULL, 'Q', 'x'), ('d', NULL, NULL, 'x'), ('e', NULL, 'R', 'x')" \
        "INSERT INTO remark VALUES ('ra', 'a', ''), ('rb', 'b', ''), ('rc', 'c', ''), ('rd', 'd', '')" \
        "INSERT INTO price VALUES ('p', 1)" "INSERT INTO secret VALUES ('s')"
    txnlog attach hq.db
    mkdir -p docking base package
    cat >base/package.conf <<-'END'
	[package]
	name = base
	version = 1
	[rule territory]
	select = SELECT n.name, p.territory FROM position p JOIN dx_node n ON n.user = p.login
	[object account]
	visible = rule territory on territory
	[object lead]
	visible = rule territory on area
	[object project]
	visible = SELECT n.name, o.id FROM project o JOIN dx_node n ON n.user = o.owner
	keep = state = 'open'
	[object note]
	via = account -> account | project -> project
	[object remark]
	via = note -> note
	[objects *]
	except = secret, position
	visible = all
	write = no
	END
}

copies() {
    for who in alice bob; do
        txnroute node add hq.db $who --package "$1" --user $who
        txnroute extract hq.db $who docking | dxapply $who.db
    done
}

ids() {
    sql "$1" "SELECT (SELECT group_concat(id) FROM account), (SELECT group_concat(id) FROM lead), (SELECT group_concat(id) FROM project),
        (SELECT group_concat(id) FROM note), (SELECT group_concat(id) FROM remark)"
}

@test "a rule by name over several objects, a row below either of two others, everything else but what is excepted" {
    office
    txnroute load hq.db base
    copies base
    [ "$(ids alice.db)" = "1|1|P|a,b|ra,rb" ]
    [ "$(ids bob.db)" = "2,3|2|Q|b,c|rb,rc" ]
    [ "$(app_tables alice.db | paste -sd,)" = account,lead,note,price,project,remark ]
    # what moves one of them moves what is below
    sql hq.db "UPDATE position SET territory = 'X' WHERE login = 'alice'" "UPDATE project SET state = 'open' WHERE id = 'R'" \
        "UPDATE project SET owner = 'alice' WHERE id = 'Q'" "UPDATE note SET account = 1 WHERE id = 'd'"
    exchange alice bob
    [ "$(ids alice.db)" = "||P,Q,R|b,c,e|rb,rc" ]
    [ "$(ids bob.db)" = "2,3|2||b|rb" ]
    sql hq.db "UPDATE position SET territory = 'N' WHERE login = 'bob' AND territory = 'S'" "UPDATE project SET state = 'closed' WHERE id = 'P'" \
        "DELETE FROM note WHERE id = 'a'"
    exchange alice bob
    [ "$(ids alice.db)" = "||Q,R|c,e|rc" ]
    [ "$(ids bob.db)" = "1,3|1||d|rd" ]
}

@test "what is seen by its own rule or below another" {
    office
    sed -i 's/^via = account.*/visible = SELECT n.name, x.id FROM note x JOIN dx_node n ON n.user = x.body\nvia = account -> account/' base/package.conf
    sed -i '/^\[object project/,/^keep/d' base/package.conf
    sql hq.db "UPDATE note SET body = 'alice' WHERE id = 'c'"
    txnroute load hq.db base
    copies base
    [ "$(sql alice.db "SELECT group_concat(id) FROM note")" = a,c ]
    sql hq.db "UPDATE note SET body = 'bob' WHERE id = 'c'" "UPDATE note SET account = 1 WHERE id = 'b'"
    exchange alice bob
    [ "$(sql alice.db "SELECT group_concat(id) FROM note") $(sql bob.db "SELECT group_concat(id) FROM note")" = "a,b c" ]
}

@test "a package that differs in one line is written in one line" {
    office
    printf '[package]\nname = senior\nversion = 1\ninclude = ../base/package.conf\n[object lead]\nvisible = all\n' >package/package.conf
    txnroute load hq.db package
    copies senior
    [ "$(ids alice.db)" = "1|1,2|P|a,b|ra,rb" ]
    sed -i 's/^write = no/write = maybe/' base/package.conf
    run -3 --separate-stderr txnroute load hq.db package
    [[ $stderr == *"base/package.conf:"*"[objects *] write: 'maybe'"* ]]
    sed -i 's/^write = maybe/write = no/; s/^version = 1/version = 1\ninclude = package.conf/' base/package.conf
    run -3 --separate-stderr txnroute load hq.db package
    [[ $stderr == *"files deep"* ]]
}

@test "what cannot be put together is refused with the line and the word" {
    office
    refused() {
        run -3 --separate-stderr txnroute load hq.db base
        [[ $stderr == *"$1"* ]] || { echo "$stderr"; return 1; }
    }
    cp base/package.conf good
    sed -i 's/rule territory on area/rule region on area/' base/package.conf
    refused "there is no [rule region]"
    sed 's/rule territory on area/rule territory on area, name/' good >base/package.conf
    refused "1 values beside the node, but 2 columns"
    sed 's/ON n.user = p.login/ON n.user = p.login GROUP BY 1, 2/' good >base/package.conf
    refused "GROUP: a rule with it cannot be joined"
    sed 's/account -> account |/account -> account | id -> remark |/' good >base/package.conf
    refused "circle"
    sed 's/^via = account.*/visible = all\nvia = account -> account/' good >base/package.conf
    refused "leaves the other nothing to say"
    sed 's/^via = account.*/write = no/' good >base/package.conf
    refused "who sees it?"
}

# proposes DB [OPTION...]: DB is captured, proposed for, and what is proposed loads.
proposes() {
    local db=$1
    shift
    mkdir -p proposed
    txnroute propose "$db" "$@" >proposed/package.conf
    txnlog attach "$db" 2>/dev/null || [ $? -eq 1 ]
    txnroute load "$db" proposed 2>load.err
}

@test "propose writes a package that loads, with references by look, rows that mean the same, secrets, triggers and indexes" {
    sql app.db "CREATE TABLE person (id INTEGER PRIMARY KEY, login TEXT, password TEXT NOT NULL)" \
        "CREATE TABLE tag (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)" \
        "CREATE TABLE \"my item\" (id INTEGER PRIMARY KEY, owner_person_id INTEGER, name TEXT)" \
        "CREATE TABLE item_tag (item INTEGER REFERENCES \"my item\", tag_id INTEGER, PRIMARY KEY (item, tag_id))" \
        "CREATE TABLE loose (a, b)" "CREATE TABLE nocase (k TEXT COLLATE NOCASE PRIMARY KEY)" "CREATE VIRTUAL TABLE f USING fts5(x)" \
        "CREATE TRIGGER t1 AFTER INSERT ON tag BEGIN DELETE FROM loose; END" \
        "INSERT INTO person VALUES (1, 'alice', 'x'), (2, 'bob', 'y')" "INSERT INTO \"my item\" VALUES (1, 1, 'hers'), (2, 2, 'his')" \
        "INSERT INTO tag VALUES (1, 'red')" "INSERT INTO item_tag VALUES (1, 1), (2, 1)"
    proposes app.db --user-table person
    grep -qx 'references = owner_person_id -> person' proposed/package.conf
    grep -qx 'references = tag_id -> tag' proposed/package.conf
    grep -qx 'via = item -> my item' proposed/package.conf
    grep -qx 'duplicates = adopt' proposed/package.conf
    grep -qx 'columns = \* except password' proposed/package.conf
    grep -q '^; Triggers: t1\.' proposed/package.conf
    grep -q '^; Table loose is left out: it has no primary key' proposed/package.conf
    grep -q '^; Table nocase is left out: its key does not compare byte by byte' proposed/package.conf
    grep -qx '; CREATE INDEX "my item_owner_person_id" ON "my item" ("owner_person_id");' proposed/package.conf
    mkdir -p docking
    txnroute node add app.db alice --package app --user alice
    txnroute extract app.db alice docking | dxapply alice.db
    [ "$(sql alice.db 'SELECT name FROM "my item"' 'SELECT count(*) FROM item_tag' 'SELECT group_concat(login) FROM person' | paste -sd' ')" = "hers 1 alice,bob" ]
    run -3 --separate-stderr txnroute propose app.db --user-table nobody
    [[ $stderr == *"--user-table nobody: no table of that name"* ]]
}

@test "propose: what it writes for public databases loads, and gives everybody everything" {
    for name in chinook northwind sakila; do
        shared_data $name.db.xz
        xz -dc "$shared" >$name.db
        proposes $name.db
        [ "$(grep -c '^\[object ' proposed/package.conf)" -ge 11 ]
    done
    proposes chinook.db --user-table Employee
    grep -qx 'via = CustomerId -> Customer' proposed/package.conf
}

@test "load says what an insert or an update by a node will meet: columns without a value, ON CONFLICT, a CHECK on several columns" {
    sql hq.db "CREATE TABLE t (id INTEGER PRIMARY KEY, a INT, b INT, secret TEXT NOT NULL, u TEXT UNIQUE ON CONFLICT IGNORE, CHECK (a < b), CHECK (a > 0))" \
        "CREATE TABLE fine (id INTEGER PRIMARY KEY, a INT CHECK (a > 0), secret TEXT NOT NULL DEFAULT '')"
    txnlog attach hq.db
    mkdir package
    printf '[package]\nname = p\nversion = 1\n[objects *]\nvisible = all\ncolumns = * except secret\n' >package/package.conf
    run -0 --separate-stderr txnroute load hq.db package
    [[ $stderr == *"object t: a row that a node inserts cannot be merged: column secret "* ]]
    [[ $stderr == *"object t: table t says ON CONFLICT"* ]]
    [[ $stderr == *"object t: a CHECK of table t is on several columns"* ]]
    [[ $stderr != *"object fine"* ]]
    sed -i 's/^visible.*/visible = all\nwrite = no/' package/package.conf
    run -0 --separate-stderr txnroute load hq.db package
    [ -z "$stderr" ]
}

@test "each recipe of dx-package(5) loads, and a copy by it is the view of its node" {
    sql hq.db "CREATE TABLE account (id INTEGER PRIMARY KEY, owner INTEGER, name TEXT, rating INT, changed TEXT)" \
        "CREATE TABLE contact (id INTEGER PRIMARY KEY, account INTEGER, name TEXT)" \
        "CREATE TABLE note (id INTEGER PRIMARY KEY, contact INTEGER, author INTEGER, at TEXT)" "CREATE TABLE product (id INTEGER PRIMARY KEY, price REAL)" \
        "CREATE TABLE tag (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)" "CREATE TABLE contact_tag (contact INTEGER, tag INTEGER, PRIMARY KEY (contact, tag))" \
        "CREATE TABLE person (id INTEGER PRIMARY KEY, login TEXT)" "CREATE TABLE setting (name TEXT PRIMARY KEY)" \
        "CREATE TRIGGER changes AFTER UPDATE OF name ON account BEGIN UPDATE account SET changed = 'now' WHERE id = new.id; END" \
        "INSERT INTO person VALUES (1, 'alice'), (2, 'bob')" "INSERT INTO account (id, owner, name) VALUES (1, 1, 'a'), (2, 2, 'b')" \
        "INSERT INTO contact VALUES (1, 1, 'x'), (2, 2, 'y')" "INSERT INTO note VALUES (1, 1, 2, '2999-01-01'), (2, 2, 1, '2999-01-01'), (3, 2, 2, '2001-01-01')"
    txnlog attach hq.db
    mkdir -p docking recipe
    awk '/^\.\\" recipe/ { n++ } /^\.Ed/ { in_block = 0 } in_block { print > ("recipe/" n) } /^\.Bd/ && n > last { in_block = 1; last = n }' "$DX_ROOT/man/dx-package.5"
    [ "$(ls recipe | wc -l)" = 6 ]
    for n in 1 2 3 4 5 6; do
        mkdir -p p$n
        sed 's/^\.Pp$//' recipe/$n >p$n/package.conf
        if [ $n = 1 ]; then
            # the schema declares nothing, so what refers to what must be said
            run -3 --separate-stderr txnroute load hq.db p$n
            sed -n '/^\[object/,$p' <<<"$stderr" >refs
            [ "$(grep -c '^\[object' refs)" -ge 2 ]
            awk '/^\[object/ { print; print "visible = all"; next } { print }' refs >>p$n/package.conf
        fi
        txnroute load hq.db p$n 2>load.err
        name=$(sed -n 's/^name = //p' p$n/package.conf)
        txnroute node add hq.db n$n --package "$name" --user alice
        txnroute extract hq.db n$n docking | dxapply n$n.db
        diff <(txnlog digest n$n.db) <(txnlog digest hq.db --node n$n)
    done
    [ "$(sql n3.db "SELECT group_concat(id) FROM note")" = 1,2 ]
    [ "$(sql n4.db "SELECT group_concat(id) FROM note")" = 1,2 ]
}

@test "rows that all saw go from every copy with their object, also those deleted, inserted or under another key since the run before" {
    sql hq.db "CREATE TABLE t (id INTEGER PRIMARY KEY, v)" "CREATE TABLE u (id TEXT, n INT, PRIMARY KEY (id, n))" "CREATE TABLE rest (id INTEGER PRIMARY KEY)" \
        "INSERT INTO t VALUES (1, 1), (2, 2), (3, 3), (4, 4)" "INSERT INTO u VALUES ('a', 1), ('b', 2)"
    txnlog attach hq.db
    mkdir -p docking package
    printf '[package]\nname = p\nversion = 1\n[object rest]\nvisible = all\n' >package/rest
    { cat package/rest && printf '[object t]\nvisible = all\n[object u]\nvisible = all\n'; } >package/package.conf
    txnroute load hq.db package
    txnroute node add hq.db alice --package p --user alice
    txnroute extract hq.db alice docking | dxapply alice.db
    txnroute run hq.db docking </dev/null
    for n in 1 2 3; do
        sql hq.db "DELETE FROM t WHERE id = 1" "UPDATE t SET id = 9 WHERE id = 2" "INSERT INTO t VALUES (7, 7)" "DELETE FROM u WHERE n = 1"
        case $n in
        1) cp package/rest package/package.conf ;;
        2) { cat package/rest && printf '[object t]\nvisible = none\n[object u]\nvisible = none\n'; } >package/package.conf ;;
        3) { cat package/rest && printf '[object t]\nvisible = SELECT n.name, t.id FROM t JOIN dx_node n WHERE t.id = 4\n[object u]\nvisible = none\n'; } >package/package.conf ;;
        esac
        cp hq.db before.db
        cp alice.db a.db
        mkdir -p docking$n
        txnroute load hq.db package 2>/dev/null
        txnroute run hq.db --node alice </dev/null | dxapply a.db
        [ "$(sql a.db "SELECT count(*), group_concat(id) FROM t")" = "$([ $n = 3 ] && echo "1|4" || echo "0|")" ] || { echo "$n: $(sql a.db "SELECT * FROM t")"; return 1; }
        [ "$(sql a.db "SELECT count(*) FROM u")" = 0 ]
        cp before.db hq.db
        sql hq.db "INSERT OR IGNORE INTO t VALUES (1, 1), (2, 2)" "DELETE FROM t WHERE id IN (7, 9)" "INSERT INTO u VALUES ('a', 1)"
    done
}

@test "via a generated column, virtual or stored: a row follows what it is generated from" {
    for kind in VIRTUAL STORED; do
        mkdir -p $kind && cd $kind
        sql hq.db "CREATE TABLE p (id INTEGER PRIMARY KEY, who TEXT)" "CREATE TABLE c (id INTEGER PRIMARY KEY, data TEXT, p INTEGER AS (json_extract(data, '$.p')) $kind)" \
            "CREATE TABLE d (id INTEGER PRIMARY KEY, c INTEGER REFERENCES c)" "CREATE INDEX c_p ON c (p)" "CREATE INDEX d_c ON d (c)" "INSERT INTO p VALUES (1, 'alice'), (2, 'bob'), (3, 'alice')" \
            "INSERT INTO c (id, data) VALUES (1, '{\"p\":1}'), (2, '{\"p\":2}')" "INSERT INTO d VALUES (11, 1), (12, 2)"
        txnlog attach hq.db
        mkdir -p docking package
        printf '[package]\nname = p\nversion = 1\n[object p]\nvisible = SELECT n.name, p.id FROM p JOIN dx_node n ON n.user = p.who\n[object c]\nvia = p -> p\n[object d]\nvia = c -> c\n' >package/package.conf
        run -3 --separate-stderr txnroute load hq.db package
        [[ $stderr == *"c.p is generated, so that it cannot follow when a row of p gets another key"* ]]
        sed -i 's/^\[object c\]/keys = issue\n&/' package/package.conf
        txnroute load hq.db package 2>/dev/null
        for who in alice bob; do
            txnroute node add hq.db $who --package p --user $who
            txnroute extract hq.db $who docking | dxapply $who.db
        done
        sql alice.db "INSERT INTO c (id, data) VALUES (7, '{\"p\":1}')" "UPDATE c SET data = '{\"p\":3}' WHERE id = 1"
        exchange alice bob
        [ "$(sql alice.db "SELECT group_concat(id || ':' || p) FROM c") $(sql alice.db "SELECT group_concat(id) FROM d")" = "1:3,7:1 11" ]
        sql hq.db "UPDATE c SET data = '{\"p\":2}' WHERE id = 1" "UPDATE p SET who = 'bob' WHERE id = 1"
        exchange alice bob
        [ "$(sql bob.db "SELECT group_concat(id || ':' || p) FROM c") $(sql bob.db "SELECT group_concat(id) FROM d")" = "1:2,2:2,7:1 11,12" ]
        [ "$(sql alice.db "SELECT count(*) FROM c")" = 0 ]
        cd ..
    done
}
