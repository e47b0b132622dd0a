# A server with accounts, its rules, and copies that follow them; for the tests of routing: load ../helper, then load ../routing.
# shellcheck disable=SC2034,SC2119,SC2120 # names for the tests that load this

# A territory with accounts, whom positions give to users; contacts below accounts, notes below contacts; shares of
# single accounts; products for all; secrets for nobody.
schema() {
    sql "${1:-hq.db}" <<'SQL'
PRAGMA journal_mode = WAL;
CREATE TABLE account (id INTEGER PRIMARY KEY, name TEXT, territory TEXT, owner INTEGER, parent INTEGER, secret TEXT);
CREATE TABLE position (id INTEGER PRIMARY KEY, territory TEXT, login TEXT);
CREATE TABLE share (account INTEGER, login TEXT, PRIMARY KEY (account, login)) WITHOUT ROWID;
CREATE TABLE ban (id INTEGER PRIMARY KEY, account INTEGER, login TEXT);
CREATE TABLE contact (id INTEGER PRIMARY KEY, account INTEGER REFERENCES account ON DELETE CASCADE, name TEXT);
CREATE TABLE note (id INTEGER PRIMARY KEY, contact INTEGER REFERENCES contact ON DELETE CASCADE, body TEXT);
CREATE TABLE product (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE cost (id INTEGER PRIMARY KEY, amount REAL);
CREATE INDEX account_territory ON account (territory);
CREATE INDEX account_parent ON account (parent);
CREATE INDEX position_territory ON position (territory);
CREATE INDEX position_login ON position (login);
CREATE INDEX share_login ON share (login);
CREATE INDEX ban_account ON ban (account);
CREATE INDEX contact_account ON contact (account);
CREATE INDEX note_contact ON note (contact);
INSERT INTO account VALUES (1,'one','t1',1,NULL,'x'),(2,'two','t1',1,1,'x'),(3,'three','t2',2,1,'x'),(4,'four','t3',2,3,'x');
INSERT INTO position VALUES (1,'t1','ann'),(2,'t2','bob');
INSERT INTO contact VALUES (10,1,'c10'),(11,1,'c11'),(20,2,'c20'),(30,3,'c30'),(40,4,'c40');
INSERT INTO note VALUES (100,10,'n100'),(200,20,'n200'),(300,30,'n300'),(400,40,'n400');
INSERT INTO product VALUES (1,'p1'),(2,'p2');
INSERT INTO cost VALUES (1,1.5);
SQL
}

by_position="SELECT n.name, a.id FROM account a JOIN position p ON p.territory = a.territory JOIN dx_node n ON n.user = p.login"
by_share="SELECT n.name, s.account FROM share s JOIN dx_node n ON n.user = s.login"

# package RULE [LINES]: the package p whose accounts are seen by RULE.
package() {
    mkdir -p p
    cat >p/package.conf <<CONF
[package]
name = p
version = 1
[object account]
visible = $1
columns = * except secret
${2:-}
[object contact]
via = account -> account
[object note]
via = contact -> contact
[object product]
visible = all
[object cost]
visible = none
CONF
}

copy() {
    txnroute extract hq.db "$1" | dxapply "$1.db"
}

# start RULE: a server with that rule, and copies for ann and bob.
start() {
    schema
    txnlog attach hq.db
    mkdir docking
    package "$1" "${2:-}"
    txnroute load hq.db p 2>load.err
    for n in ann bob; do
        txnroute node add hq.db "$n" --package p --user "$n"
        copy "$n"
    done
    right
}

# newest NODE: the newest archive in its outbox.
newest() {
    find "docking/$1/outbox" -name '[0-9]*.dx' 2>/dev/null | sort | tail -n 1
}

# sent NODE: what the newest archive holds, one change a line: table op key.
sent() {
    local file
    file=$(newest "$1")
    [ -z "$file" ] || dxpack cat <"$file" | jq -r '[.table, .op, (.key | map(tostring) | join(","))] | join(" ")'
}

# follow: route, and apply to every copy what it has not applied.
follow() {
    txnlog read hq.db | txnroute run hq.db docking "$@"
    local n file
    for n in ann bob; do
        [ -f "$n.db" ] || continue
        for file in docking/"$n"/outbox/*.dx; do
            [ ! -f "$file" ] || dxapply "$n.db" <"$file"
        done
    done
}

# The rows that the node should hold, from scratch: its accounts by the rule, and what is below them.
view_of() {
    case $2 in
    account) echo "SELECT id, name, territory, owner, parent FROM account WHERE id IN (SELECT k FROM (WITH r(n, k) AS (${rule:-$by_position}) SELECT k FROM r WHERE n = '$1'))" ;;
    contact) echo "SELECT * FROM contact WHERE account IN (SELECT id FROM ($(view_of "$1" account)))" ;;
    note) echo "SELECT * FROM note WHERE contact IN (SELECT id FROM ($(view_of "$1" contact)))" ;;
    product) echo "SELECT * FROM product" ;;
    esac
}

# right: every copy holds exactly what the rules say now, and the digests agree.
right() {
    local n t
    for n in ann bob; do
        [ -f "$n.db" ] || continue
        for t in account contact note product; do
            sqlite3 hq.db "$(view_of "$n" $t) ORDER BY id" >want
            sqlite3 "$n.db" "SELECT * FROM $t ORDER BY id" >have
            diff want have || { echo "$n: $t is not as the rules say (<), but (>)"; return 1; }
        done
        diff <(txnlog digest "$n.db") <(txnlog digest hq.db --node "$n")
    done
}

# moves SQL: runs it, routes, applies; every copy is right.
moves() {
    sql hq.db "$@"
    follow
    right
}
