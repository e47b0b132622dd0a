#!/usr/bin/env bats
# The application's names are its own: no table, column or alias of it means anything to the router.

load ../helper

# Names that the SQL of the toolkit uses, and words that SQL itself uses.
names=(r m k0 n y q x p o key node class next 'say "x"' order)

# quoted NAME: as an SQL name.
quoted() {
    printf '"%s"' "${1//\"/\"\"}"
}

# object NAME RULE...: an object of the table NAME; its number is in $i.
object() {
    printf '[object o%d]\ntable = %s\nkeys = issue\n' "$i" "$1"
    shift
    printf '%s\n' "$@"
}

@test "tables and columns may have all names that the toolkit's own SQL uses, in rules, below parents, and with a time filter" {
    local name t i=0 below
    mkdir p docking
    printf '[package]\nname = p\nversion = 1\n' >p/package.conf
    {
        echo "BEGIN; CREATE TABLE who (login TEXT PRIMARY KEY, grp TEXT);"
        echo "INSERT INTO who VALUES ('ann', 'g1'), ('bob', 'g2');"
        for name in "${names[@]}"; do
            t=$(quoted "$name")
            echo "CREATE TABLE $t (id INTEGER PRIMARY KEY, dad INTEGER, seen TEXT, g TEXT, m, n, x, key, node, old, new, audience, name, user);"
            echo "INSERT INTO $t (id, dad, seen, g, key) VALUES (1, 1, '2026-01-01', 'g1', 'a'), (2, 2, '2026-01-01', 'g2', 'b'), (3, 1, '2020-01-01', 'g1', 'c');"
        done
        echo "COMMIT;"
    } | sql hq.db
    below=o0
    for name in "${names[@]}"; do
        t=$(quoted "$name")
        case $((i % 3)) in
        0) object "$name" "visible = SELECT dx_node.name, $t.id FROM $t JOIN who ON who.grp = $t.g JOIN dx_node ON dx_node.user = who.login" \
            "keep = $t.seen > '2025-01-01'" && below=o$i ;;
        1) object "$name" "visible = SELECT dx_node.name, $t.id FROM $t LEFT JOIN who ON who.grp = $t.g JOIN dx_node ON dx_node.user = who.login" ;;
        2) object "$name" "via = dad -> $below" "keep = $t.seen > '2025-01-01'" ;;
        esac >>p/package.conf
        i=$((i + 1))
    done
    txnlog attach hq.db
    txnroute load hq.db p 2>load.err || { cat load.err; false; }
    for n in ann bob; do
        txnroute node add hq.db $n --package p --user $n
        txnroute extract hq.db $n | dxapply $n.db
    done
    [ "$(sql ann.db "SELECT count(*) FROM r; SELECT count(*) FROM m; SELECT count(*) FROM k0")" = "$(printf '1\n2\n1')" ]
    for step in "g = 'g2', new = 'n' WHERE id = 1" "dad = 1, old = 'o' WHERE id = 2" "seen = '2026-02-02' WHERE id = 3"; do
        for name in "${names[@]}"; do echo "UPDATE $(quoted "$name") SET $step;"; done | sql hq.db
        sql hq.db "UPDATE who SET grp = 'g3' WHERE login = 'bob'; UPDATE who SET grp = 'g2' WHERE login = 'bob'"
        txnroute run hq.db docking </dev/null
        for n in ann bob; do
            for file in docking/$n/outbox/*.dx; do dxapply $n.db <"$file"; done
            diff <(txnlog digest $n.db) <(txnlog digest hq.db --node $n)
        done
    done
    run -0 txnroute why hq.db bob r 2
    run -0 txnroute why hq.db bob x 1
    txnroute load hq.db p 2>/dev/null
    run -0 txnroute try hq.db p
}
