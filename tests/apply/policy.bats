#!/usr/bin/env bats
# The policies that a package sets per object, and rows that hang on one another, from end to end: a server, two copies,
# and every copy equal to the server's view when all is exchanged.

load ../helper

# scene [SETTING...]: hq.db, and the copies alice.db and bob.db of all its rows; the settings are those of company.
scene() {
    sql hq.db "CREATE TABLE company (id INTEGER PRIMARY KEY, name TEXT, city TEXT, tax TEXT, n INTEGER)" \
        "CREATE TABLE contact (id TEXT PRIMARY KEY, company INTEGER REFERENCES company, name TEXT)" \
        "CREATE TABLE note (id TEXT PRIMARY KEY, company INTEGER REFERENCES company ON DELETE CASCADE, text TEXT)" \
        "CREATE TABLE visit (id TEXT PRIMARY KEY, company INTEGER REFERENCES company ON DELETE SET NULL)" \
        "CREATE TABLE part (id TEXT PRIMARY KEY, mate TEXT REFERENCES part)" \
        "CREATE INDEX contact_company ON contact (company)" \
        "INSERT INTO company VALUES (1, 'Acme', 'Bonn', 't1', 1), (2, 'Bolt', 'Cork', 't2', 2), (3, 'Cog', 'Bonn', NULL, 3)" \
        "INSERT INTO contact VALUES ('c1', 1, 'Ann')" "INSERT INTO part VALUES ('p', NULL)"
    mkdir -p package docking
    {
        printf '[package]\nname = p\nversion = 1\n[object company]\nvisible = all\n'
        printf '%s\n' "$@"
        printf '[object %s]\nvisible = all\n' contact note visit part
    } >package/package.conf
    txnlog attach hq.db
    txnroute load hq.db package
    for who in alice bob; do
        txnroute node add hq.db $who --package p
        txnroute extract hq.db $who docking | dxapply $who.db
    done
}

# conflicts: kind, table, key and outcome of each that stands.
conflicts() {
    sql hq.db "SELECT kind, tbl, key, outcome FROM dx_conflict WHERE resolved IS NULL ORDER BY id"
}

@test "deletes = win: the row stays deleted on every copy, and what was changed is recorded" {
    scene
    sql hq.db "DELETE FROM company WHERE id = 3"
    sql alice.db "UPDATE company SET n = 30 WHERE id = 3" "UPDATE company SET n = 20 WHERE id = 2"
    exchange bob alice
    sql bob.db "DELETE FROM company WHERE id = 2"
    sql hq.db "UPDATE company SET n = 21 WHERE id = 2"
    exchange bob alice
    [ "$(sql alice.db "SELECT group_concat(id) FROM company")" = 1 ]
    [ "$(conflicts)" = "gone|company|3|ours
deleted|company|2|theirs" ]
    [ "$(dxapply conflicts hq.db --json | jq -c 'select(.kind == "deleted") | .ours.n')" = 21 ]
}

@test "deletes = lose: the deleted row comes back on every copy, with what was changed" {
    scene "deletes = lose"
    sql hq.db "DELETE FROM company WHERE id = 3"
    exchange bob
    sql alice.db "UPDATE company SET n = 30 WHERE id = 3"
    exchange alice bob
    [ "$(sql bob.db "SELECT * FROM company WHERE id = 3")" = "3|Cog|Bonn||30" ]
    sql bob.db "DELETE FROM company WHERE id = 2"
    sql alice.db "UPDATE company SET name = 'Bolts' WHERE id = 2"
    exchange alice bob
    [ "$(sql bob.db "SELECT * FROM company WHERE id = 2")" = "2|Bolts|Cork|t2|2" ]
    [ "$(conflicts)" = "gone|company|3|theirs
deleted|company|2|ours" ]
    # somebody decides otherwise: ordinary changes, that travel
    dxapply resolve hq.db 1 ours
    dxapply resolve hq.db 2 theirs
    exchange alice bob
    [ "$(sql bob.db "SELECT group_concat(id) FROM company")" = 1 ]
}

@test "deletes = lose: a delete of a row that nobody changed is done; what the journal lost cannot come back" {
    scene "deletes = lose"
    sql bob.db "DELETE FROM company WHERE id = 2"
    sql hq.db "DELETE FROM company WHERE id = 3"
    exchange bob
    txnlog trim hq.db
    sql alice.db "UPDATE company SET n = 30 WHERE id = 3"
    sql hq.db "DELETE FROM dx_journal WHERE seq < (SELECT max(seq) FROM dx_journal)"
    exchange alice bob
    [ "$(sql alice.db "SELECT group_concat(id) FROM company")" = 1 ]
    [ "$(sql hq.db "SELECT kind, outcome, reason FROM dx_conflict")" = "gone|ours|the journal does not hold the deleted row any more" ]
}

@test "deletes = lose: a row that had left the node's view before it was deleted does not come back" {
    scene "deletes = lose"
    sed -i '/object company/,/visible/ s/visible = all/visible = SELECT n.name, c.id FROM company c JOIN dx_node n ON c.city IN (n.name, '"'Bonn'"')/' package/package.conf
    txnroute load hq.db package
    exchange alice bob
    [ "$(sql alice.db "SELECT group_concat(id) FROM company")" = 1,3 ]
    txnlog upload alice.db alice-out
    sql alice.db "UPDATE company SET n = 30 WHERE id = 3" "UPDATE company SET n = 10 WHERE id = 1"
    sql hq.db "UPDATE company SET city = 'bob' WHERE id = 3"
    exchange bob
    sql hq.db "DELETE FROM company WHERE id = 3" "DELETE FROM company WHERE id = 1"
    exchange bob
    exchange alice bob
    [ "$(sql hq.db "SELECT id, n FROM company WHERE id <> 2")" = "1|10" ]
}

@test "duplicates = issue: a row whose user key another has is not inserted, recorded, and can be taken after all" {
    scene "user_key = name, city | tax"
    sql alice.db "INSERT INTO company VALUES (4, 'Acme', 'Bonn', 't9', 9), (5, 'Dowel', 'Dover', NULL, 5), (6, 'Acme', 'Dover', NULL, 6)" \
        "INSERT INTO contact VALUES ('c4', 4, 'of the second Acme')"
    sql bob.db "INSERT INTO company VALUES (7, 'Else', 'Bonn', 't1', 1)"
    exchange alice bob
    [ "$(conflicts)" = "duplicate|company|4|ask
duplicate|company|7|ask" ]
    [ "$(sql bob.db "SELECT group_concat(id) FROM (SELECT id FROM company ORDER BY id)")" = 1,2,3,5,6 ]
    [ "$(sql alice.db "SELECT count(*) FROM contact WHERE id = 'c4'")" = 0 ]
    run -1 dxapply conflicts hq.db
    [[ $output == *"company 1 has its user key"* ]]
    dxapply resolve hq.db 1 theirs
    dxapply resolve hq.db 2 ours
    sql alice.db "UPDATE company SET n = 50 WHERE id = 5"
    exchange alice bob
    [ "$(sql bob.db "SELECT name, n FROM company WHERE id = 4")" = "Acme|9" ]
    [ "$(sql bob.db "SELECT company FROM contact WHERE id = 'c4'")" = 4 ]
}

@test "duplicates = issue: a user key that goes from row to row in one upload is none; NULL is nobody's" {
    scene "user_key = tax"
    sql alice.db "DELETE FROM company WHERE id = 2" "INSERT INTO company VALUES (-4, 'Bolt', 'Cork', 't2', 2), (-5, 'New', 'Cork', NULL, 2)" \
        "UPDATE company SET tax = 't3' WHERE id = 1" "INSERT INTO company VALUES (-6, 'Other', 'Cork', 't1', 2)"
    exchange alice bob
    [ -z "$(sql hq.db "SELECT 1 FROM sqlite_schema WHERE name = 'dx_conflict'")" ]
    [ "$(sql bob.db "SELECT group_concat(id) FROM (SELECT id FROM company ORDER BY id)")" = -6,-5,-4,1,3 ]
}

@test "duplicates = issue: one row made on two nodes with one integer key is asked about, with another key it gets its own" {
    scene "user_key = name, city"
    sql alice.db "INSERT INTO company VALUES (4, 'Dowel', 'Dover', 'a', 1)" "INSERT INTO contact VALUES ('ca', 4, 'A')"
    sql bob.db "INSERT INTO company VALUES (4, 'Dowel', 'Dover', 'b', 2), (5, 'Acme', 'Bonn', 'b', 2), (6, 'Free', 'Bonn', 'b', 2)" \
        "INSERT INTO contact VALUES ('cb', 4, 'B'), ('c5', 5, 'of the second Acme')"
    sql hq.db "INSERT INTO company VALUES (5, 'Five', 'Fort', 'x', 5), (6, 'Six', 'Fort', 'x', 5)"
    exchange alice bob
    [ "$(sql hq.db "SELECT kind, outcome, resolved FROM dx_conflict ORDER BY id")" = "duplicate|ask|
rekey|theirs|rekeyed
rekey|theirs|rekeyed
duplicate|ask|" ]
    # bob's contact stays with the one that both made; what hangs on the unwanted row waits
    [ "$(sql bob.db "SELECT id, company FROM contact ORDER BY id")" = "c1|1
ca|4
cb|4" ]
    [ "$(sql hq.db "SELECT count(*) FROM company WHERE name = 'Free' AND id > 1000")" = 1 ]
    [ "$(sql hq.db "SELECT tbl, key FROM dx_quarantine")" = "contact|c5" ]
    dxapply resolve hq.db "$(sql hq.db "SELECT max(id) FROM dx_conflict")" theirs
    sql alice.db "UPDATE company SET n = 11 WHERE id = 4"
    exchange alice bob
    [ "$(sql bob.db "SELECT company.name FROM contact JOIN company ON company.id = contact.company WHERE contact.id = 'c5'")" = Acme ]
}

@test "duplicates = keep: both rows stay" {
    scene "user_key = name, city" "duplicates = keep"
    sql alice.db "INSERT INTO company VALUES (4, 'Acme', 'Bonn', 't9', 9)"
    exchange alice bob
    [ "$(sql bob.db "SELECT group_concat(id) FROM company WHERE name = 'Acme'")" = 1,4 ]
    [ -z "$(sql hq.db "SELECT 1 FROM sqlite_schema WHERE name = 'dx_conflict'")" ]
}

@test "one key for two rows: the client's is taken where it wins, the server's stands, or both are asked about" {
    scene "keys = issue" "conflict = client"
    sql hq.db "INSERT INTO company VALUES (4, 'ours', 'x', NULL, 1)"
    sql alice.db "INSERT INTO company VALUES (4, 'theirs', 'x', NULL, 2)"
    exchange alice bob
    [ "$(sql bob.db "SELECT name, n FROM company WHERE id = 4")" = "theirs|2" ]
    [ "$(conflicts)" = "insert|company|4|theirs" ]
    sed -i 's/conflict = client/conflict = server/' package/package.conf
    txnroute load hq.db package
    sql hq.db "INSERT INTO company VALUES (5, 'ours', 'x', NULL, 1)"
    sql alice.db "INSERT INTO company VALUES (5, 'theirs', 'x', NULL, 2)"
    exchange alice bob
    [ "$(sql alice.db "SELECT name, n FROM company WHERE id = 5")" = "ours|1" ]
    [ "$(conflicts)" = "insert|company|4|theirs
insert|company|5|ask" ]
    dxapply resolve hq.db 2 theirs
    exchange alice bob
    [ "$(sql bob.db "SELECT name, n FROM company WHERE id = 5")" = "theirs|2" ]
}

@test "settings that there are not are refused, with the ones that there are" {
    scene
    for setting in "deletes = never|win or lose" "duplicates = both|issue, keep or adopt" "keys = new|rekey or issue" \
        "conflict = me|server, client, ask" "conflict = newest what|no column what" "user_key = name, what|no column what"; do
        printf '[package]\nname = q\nversion = 1\n[object company]\nvisible = all\n%s\n' "${setting%|*}" >package/package.conf
        run -3 txnroute load hq.db package
        [[ $output == *"package.conf:6: [object company] ${setting%% =*}"*"${setting#*|}"* ]]
    done
}

@test "rows that refer to each other in a circle, and to themselves, come in together, whatever their order" {
    scene
    sql alice.db "INSERT INTO part VALUES ('a', 'b'), ('b', 'a'), ('s', 's'), ('x', 'z'), ('y', 'x'), ('z', 'y'), ('hangs', 'x')"
    exchange alice bob
    [ "$(sql bob.db "SELECT count(*) FROM part")" = 8 ]
    [ -z "$(sql hq.db "SELECT 1 FROM sqlite_schema WHERE name = 'dx_quarantine'")" ]
    [ "$(sql hq.db "SELECT count(*) FROM dx_journal WHERE origin = 'alice'")" = 7 ]
}

@test "a circle that lacks a row waits as a whole, and comes in with it; by updates too" {
    scene
    sql alice.db "PRAGMA foreign_keys = OFF" "INSERT INTO part VALUES ('a', 'b'), ('b', 'c'), ('c', 'a'), ('d', 'gone'), ('e', 'd'), ('f', 'f')"
    txnlog upload alice.db alice-out
    run -1 dxapply hq.db <alice-out/00000001.dx
    [ "$(sql hq.db "SELECT group_concat(id) FROM (SELECT id FROM part ORDER BY id)")" = a,b,c,f,p ]
    [ "$(sql hq.db "SELECT group_concat(key) FROM dx_quarantine")" = d,e ]
    sql bob.db "INSERT INTO part VALUES ('gone', NULL)" "UPDATE part SET mate = 'u' WHERE id = 'p'" "INSERT INTO part VALUES ('u', 'p')"
    exchange bob alice
    [ "$(sql alice.db "SELECT count(*) FROM part")" = 9 ]
    [ "$(sql hq.db "SELECT count(*) FROM dx_quarantine")" = 0 ]
}

@test "a circle deleted in one upload goes; one that another row still refers to stays whole" {
    scene
    sql hq.db "INSERT INTO part VALUES ('a', 'b'), ('b', 'a'), ('c', 'd'), ('d', 'c'), ('s', 's')"
    exchange alice bob
    sql hq.db "INSERT INTO part VALUES ('late', 'd')"
    sql alice.db "DELETE FROM part WHERE id IN ('a', 'b', 'c', 'd', 's')"
    exchange alice bob
    [ "$(sql alice.db "SELECT group_concat(id) FROM (SELECT id FROM part ORDER BY id)")" = c,d,late,p ]
    [ "$(conflicts)" = "children|part|c|ours
children|part|d|ours" ]
}

@test "a parent that got children meanwhile is not deleted: recorded, and sent back" {
    scene
    sql alice.db "DELETE FROM contact WHERE company = 1" "DELETE FROM company WHERE id IN (1, 2)"
    sql hq.db "INSERT INTO contact VALUES ('late', 1, 'Zoe')"
    exchange alice bob
    [ "$(sql alice.db "SELECT group_concat(id) FROM company")" = 1,3 ]
    [ "$(sql alice.db "SELECT group_concat(id) FROM contact")" = late ]
    [ "$(sql hq.db "SELECT kind, key, outcome, reason FROM dx_conflict")" = "children|1|ours|contact 'late' refers to it" ]
    [ -z "$(sql hq.db "PRAGMA foreign_key_check")" ]
    # taken after all: only when nothing refers to it any more
    run -3 dxapply resolve hq.db 1 theirs
    [[ $output == *"refer to the row"* ]]
    sql hq.db "DELETE FROM contact WHERE id = 'late'"
    dxapply resolve hq.db 1 theirs
    exchange alice bob
    [ "$(sql bob.db "SELECT group_concat(id) FROM company")" = 3 ]
}

@test "children that go with their parent, or lose it, by its foreign key: recorded, and so on every copy" {
    scene
    sql hq.db "INSERT INTO note VALUES ('n1', 3, 'known')"
    exchange alice bob
    sql alice.db "PRAGMA foreign_keys = ON" "DELETE FROM company WHERE id IN (2, 3)"
    sql hq.db "INSERT INTO note VALUES ('n2', 3, 'late'), ('n3', 2, 'late')" "INSERT INTO visit VALUES ('v1', 3)"
    exchange alice bob
    [ "$(sql bob.db "SELECT group_concat(id) FROM company")" = 1 ]
    [ "$(sql bob.db "SELECT count(*) FROM note")" = 0 ]
    [ "$(sql bob.db "SELECT id, company FROM visit")" = "v1|" ]
    [ "$(sql hq.db "SELECT kind, tbl, key, outcome, origin FROM dx_conflict ORDER BY tbl, key")" = "deleted|note|n2|theirs|alice
deleted|note|n3|theirs|alice
update|visit|v1|theirs|alice" ]
    [ -z "$(sql hq.db "PRAGMA foreign_key_check")" ]
    [ "$(dxapply conflicts hq.db --json | jq -rc 'select(.key.id == "n2") | .ours.text')" = late ]
}

@test "what would go with a parent, but is kept by another row, keeps the parent" {
    scene
    sql hq.db "CREATE TABLE line (id TEXT PRIMARY KEY, note TEXT REFERENCES note)"
    txnlog attach hq.db
    sql alice.db "DELETE FROM company WHERE id = 3"
    sql hq.db "INSERT INTO note VALUES ('n2', 3, 'late')" "INSERT INTO line VALUES ('l', 'n2')"
    exchange alice bob
    [ "$(sql alice.db "SELECT group_concat(id) FROM company")" = 1,2,3 ]
    [ "$(sql alice.db "SELECT id FROM note")" = n2 ]
    [ "$(sql hq.db "SELECT kind, tbl, reason FROM dx_conflict")" = "children|company|line 'l' refers to it" ]
}

@test "archives that are read one after another, with rows that wait in each" {
    scene
    sql hq.db "INSERT INTO contact VALUES ('c2', 2, 'Bea'), ('c3', 3, 'Cid')"
    exchange alice bob
    for id in 1 2 3; do
        sql alice.db "DELETE FROM contact WHERE company = $id" "DELETE FROM company WHERE id = $id"
        txnlog upload alice.db alice-out
    done
    cat alice-out/*.dx | dxapply hq.db
    exchange alice bob
    [ "$(sql bob.db "SELECT count(*) FROM company")" = 0 ]
}

# apart: as scene, but bob has a package of his own: he may not write parts. In conflicts over notes alice wins, and he
# does not.
apart() {
    scene
    sql hq.db "INSERT INTO note VALUES ('n', 1, 'was')"
    mkdir other
    sed '/object part/,/visible/ s/visible = all/visible = all\nwrite = no/; s/name = p/name = q/' package/package.conf >other/package.conf
    sed -i '/object note/,/visible/ s/visible = all/visible = all\nconflict = client/' package/package.conf
    txnroute load hq.db package
    txnroute load hq.db other
    txnroute node set hq.db bob --package q
    rm bob.db*
    txnroute extract hq.db bob docking | dxapply bob.db
    exchange alice bob
}

# merged WHO: uploads, and merges, what there is of it.
merged() {
    txnlog upload "$1.db" "$1-out"
    for file in "$1"-out/*.dx; do dxapply hq.db <"$file" || [ $? -eq 1 ] || return; done
}

@test "a deferred change is judged by the package of its sender, also when another node brings the missing row" {
    apart
    sql alice.db "UPDATE note SET company = 9 WHERE id = 'n'"
    merged alice
    sql hq.db "UPDATE note SET text = 'hq' WHERE id = 'n'"
    sql alice.db "UPDATE note SET text = 'alice' WHERE id = 'n'"
    merged alice
    [ "$(sql hq.db "SELECT key, origin FROM dx_quarantine")" = "n|alice
n|alice" ]
    sql bob.db "INSERT INTO company VALUES (9, 'Nine', 'Nice', NULL, 9)"
    merged bob
    [ "$(sql hq.db "SELECT company, text FROM note WHERE id = 'n'")" = "9|alice" ]
    [ "$(conflicts)" = "update|note|n|theirs" ]
    [ "$(sql hq.db "SELECT origin FROM dx_conflict")" = alice ]
    exchange alice bob
}

@test "behind a change that waits nobody writes what his package does not let him" {
    apart
    sql alice.db "UPDATE part SET mate = 'late' WHERE id = 'p'" "INSERT INTO part VALUES ('mine', 'late')"
    merged alice
    sql bob.db "DELETE FROM part WHERE id = 'p'"
    merged bob
    [ "$(conflicts)" = "permission|part|p|ours" ]
    sql alice.db "UPDATE part SET mate = 'p' WHERE id = 'mine'" # her own, though it is not there yet
    merged alice
    sql hq.db "INSERT INTO part VALUES ('late', NULL)"
    sql bob.db "UPDATE company SET n = 22 WHERE id = 2"
    exchange alice bob
    [ "$(sql bob.db "SELECT id, mate FROM part ORDER BY id")" = "late|
mine|p
p|late" ]
    [ "$(sql hq.db "SELECT count(*) FROM dx_quarantine")" = 0 ]
}

@test "a parent whose child was to move to a row that cannot come in stays: no row here refers to nothing" {
    sql hq.db "CREATE TABLE company (id INTEGER PRIMARY KEY, name TEXT UNIQUE)" \
        "CREATE TABLE contact (id TEXT PRIMARY KEY, company INTEGER REFERENCES company)" \
        "CREATE TABLE note (id TEXT PRIMARY KEY, company INTEGER REFERENCES company ON DELETE CASCADE)" \
        "INSERT INTO company VALUES (1, 'Acme'), (2, 'Bolt'), (3, 'Cog')" \
        "INSERT INTO contact VALUES ('c1', 1), ('c2', 2)" "INSERT INTO note VALUES ('n2', 2), ('n3', 3)"
    mkdir package docking
    printf '[package]\nname = p\nversion = 1\n' >package/package.conf
    printf '[object %s]\nvisible = all\n' company contact note >>package/package.conf
    txnlog attach hq.db
    txnroute load hq.db package
    for who in alice bob; do
        txnroute node add hq.db $who --package p
        txnroute extract hq.db $who docking | dxapply $who.db
    done
    sql hq.db "INSERT INTO company VALUES (9, 'Taken')" "INSERT INTO note VALUES ('late1', 1), ('late2', 2)"
    # Bolt's name goes to its successor; 4 cannot come in, so that 1 must stay for c1
    sql alice.db "DELETE FROM company" "INSERT INTO company VALUES (4, 'Taken'), (5, 'Bolt')" \
        "UPDATE contact SET company = 4 WHERE id = 'c1'" "UPDATE contact SET company = 5 WHERE id = 'c2'" \
        "UPDATE note SET company = 5 WHERE id = 'n2'" "UPDATE note SET company = 4 WHERE id = 'n3'"
    txnlog upload alice.db alice-out
    cp hq.db before.db
    run -1 dxapply hq.db --undo undo.dx <alice-out/00000001.dx
    [ -z "$(sql hq.db "PRAGMA foreign_key_check")" ]
    [ "$(sql hq.db "SELECT id, name FROM company ORDER BY id")" = "1|Acme
3|Cog
5|Bolt
9|Taken" ]
    [ "$(sql hq.db "SELECT id, company FROM contact ORDER BY id")" = "c1|1
c2|5" ]
    [ "$(sql hq.db "SELECT id, company FROM note ORDER BY id")" = "late1|1
n2|5
n3|3" ]
    [ "$(conflicts)" = "deleted|note|late2|theirs" ]
    cp hq.db undone.db
    dxapply undone.db --log <undo.dx || [ $? -eq 1 ]
    same_tables before.db undone.db
    exchange alice bob
    sql bob.db "UPDATE company SET name = 'Free' WHERE id = 9"
    exchange bob alice
    [ "$(sql alice.db "SELECT id, company FROM contact ORDER BY id")" = "c1|4
c2|5" ]
    [ "$(sql alice.db "SELECT id, company FROM note ORDER BY id")" = "n2|5
n3|4" ]
    [ "$(sql bob.db "SELECT group_concat(id) FROM (SELECT id FROM company ORDER BY id)")" = 4,5,9 ]
}

# held TABLE KEY...: what is in quarantine is these.
held() {
    local held
    held=$(sql hq.db "SELECT tbl || ' ' || key FROM dx_quarantine ORDER BY tbl, key" | xargs)
    [ "$held" = "$*" ] || { echo "in quarantine: $held"; return 1; }
}

@test "a child that waits to leave its parent keeps it; when it has left, the parent goes" {
    scene
    sql hq.db "INSERT INTO note VALUES ('n1', 1, 'a'), ('n2', 2, 'b'), ('n3', 3, 'c')" "INSERT INTO visit VALUES ('v3', 3)"
    exchange alice bob
    # 9 is not there: all of these wait, no matter who deletes their parents
    sql alice.db "UPDATE note SET company = 9 WHERE id = 'n1'" "UPDATE visit SET company = 9 WHERE id = 'v3'"
    merged alice
    sql alice.db "UPDATE note SET company = NULL WHERE id = 'n1'"
    merged alice
    sql bob.db "DELETE FROM contact" "DELETE FROM company WHERE id = 1"
    merged bob
    # also when both come together
    sql bob.db "UPDATE note SET company = 9 WHERE id = 'n2'" "DELETE FROM company WHERE id IN (2, 3)"
    merged bob
    [ "$(sql hq.db "SELECT id, company FROM note ORDER BY id")" = "n1|1
n2|2
n3|3" ]
    held company 1 company 2 company 3 note n1 note n1 note n2 visit v3
    [ -z "$(sql hq.db "SELECT 1 FROM sqlite_schema WHERE name = 'dx_conflict'")" ]
    exchange alice bob
    sql hq.db "INSERT INTO company VALUES (9, 'Nine', 'Nice', NULL, 9)"
    sql alice.db "UPDATE part SET mate = 'p'"
    exchange alice bob
    held
    [ "$(sql bob.db "SELECT group_concat(id) FROM company")" = 9 ]
    [ "$(sql bob.db "SELECT id, company FROM note ORDER BY id")" = "n1|
n2|9" ]
    [ "$(sql bob.db "SELECT * FROM visit")" = "v3|9" ]
    [ "$(conflicts)" = "deleted|note|n3|theirs" ]
    [ -z "$(sql hq.db "PRAGMA foreign_key_check")" ]
}

@test "a child that waits for something else goes with its parent, and both are recorded" {
    scene
    sql hq.db "CREATE TABLE line (id TEXT PRIMARY KEY, company INTEGER REFERENCES company ON DELETE CASCADE, part TEXT REFERENCES part)" \
        "INSERT INTO line VALUES ('l', 3, 'p')"
    printf '[object line]\nvisible = all\n' >>package/package.conf
    txnlog attach hq.db
    txnroute load hq.db package
    for who in alice bob; do txnroute extract hq.db $who docking | dxapply $who.db; done
    sql alice.db "UPDATE line SET part = 'none'"
    merged alice
    sql bob.db "DELETE FROM company WHERE id = 3"
    exchange bob alice
    held
    [ "$(sql alice.db "SELECT count(*) FROM line")" = 0 ]
    [ "$(conflicts)" = "deleted|line|l|theirs
gone|line|l|ours" ]
}

@test "what waits is refused at its release when its node may not do it any more, and recorded" {
    apart
    sql alice.db "UPDATE note SET company = 9 WHERE id = 'n'" "INSERT INTO contact VALUES ('x', 9, 'X')" \
        "UPDATE visit SET company = NULL" "INSERT INTO visit VALUES ('w', 9)"
    merged alice
    sql alice.db "UPDATE visit SET company = NULL WHERE id = 'w'"
    merged alice
    held contact x note n visit w visit w
    exchange alice bob
    # she sees no notes any more, and may write no contacts
    sed -i '/object note/,/visible/ s/visible = all/visible = SELECT n.name, m.id FROM note m JOIN dx_node n ON n.name = m.text/
        /object contact/,/visible/ s/visible = all/visible = all\nwrite = no/' package/package.conf
    txnroute load hq.db package
    txnroute run hq.db docking </dev/null
    sql bob.db "INSERT INTO company VALUES (9, 'Nine', 'Nice', NULL, 9)"
    merged bob
    held
    [ "$(conflicts | sort)" = "permission|contact|x|ours
permission|note|n|ours" ]
    [ "$(sql hq.db "SELECT DISTINCT origin FROM dx_conflict")" = alice ]
    [ "$(sql hq.db "SELECT company FROM note")" = 1 ]
    [ "$(sql hq.db "SELECT * FROM visit")" = "w|" ]
    exchange alice bob
    [ "$(sql alice.db "SELECT count(*) FROM note")" = 0 ]
    # somebody wants it after all
    dxapply resolve hq.db "$(sql hq.db "SELECT id FROM dx_conflict WHERE tbl = 'contact'")" theirs
    exchange alice bob
    [ "$(sql alice.db "SELECT company FROM contact WHERE id = 'x'")" = 9 ]
}

@test "what waits meets the row as it is at its release: what was changed meanwhile is a conflict" {
    scene
    sql hq.db "INSERT INTO note VALUES ('n', 1, 'was'), ('o', 1, 'was')"
    exchange alice bob
    sql alice.db "UPDATE note SET company = 9, text = 'alice' || id"
    merged alice
    sql hq.db "UPDATE note SET text = 'hq' WHERE id = 'n'" "DELETE FROM note WHERE id = 'o'"
    sql bob.db "INSERT INTO company VALUES (9, 'Nine', 'Nice', NULL, 9)"
    exchange bob alice
    held
    [ "$(sql alice.db "SELECT id, company, text FROM note")" = "n|9|hq" ]
    [ "$(conflicts)" = "update|note|n|ours
gone|note|o|ours" ]
    [ "$(dxapply conflicts hq.db --json | jq -r 'select(.column == "text") | .theirs')" = alicen ]
}

@test "a row in quarantine whose user key somebody has taken meanwhile is asked about at its release" {
    scene
    sed -i '/object contact/,/visible/ s/visible = all/visible = all\nuser_key = name/' package/package.conf
    txnroute load hq.db package
    sql alice.db "INSERT INTO contact VALUES ('a', 9, 'Zoe'), ('b', 9, 'Yve')"
    merged alice
    held contact a contact b
    sql hq.db "INSERT INTO contact VALUES ('c', NULL, 'Zoe')"
    sql bob.db "INSERT INTO company VALUES (9, 'Nine', 'Nice', NULL, 9)"
    exchange bob alice
    held
    [ "$(conflicts)" = "duplicate|contact|a|ask" ]
    [ "$(sql alice.db "SELECT group_concat(id) FROM (SELECT id FROM contact ORDER BY id)")" = b,c,c1 ]
}

@test "a decision does not make a row refer to one that is not there" {
    scene
    sql hq.db "UPDATE contact SET company = 2 WHERE id = 'c1'"
    sql alice.db "UPDATE contact SET company = 3 WHERE id = 'c1'"
    exchange alice bob
    [ "$(conflicts)" = "update|contact|c1|ours" ]
    sql hq.db "DELETE FROM company WHERE id = 3"
    run -3 dxapply resolve hq.db 1 theirs
    [[ $output == *"it refers to company 3, which is not there; nothing was changed"* ]]
    sql hq.db "INSERT INTO company (id) VALUES (3)"
    dxapply resolve hq.db 1 theirs
    exchange alice bob
    [ "$(sql bob.db "SELECT company FROM contact WHERE id = 'c1'")" = 3 ]
}
