#!/usr/bin/env bats
# dx-json(5) lists what the commands print with --json: these fields, of these types, and no others.
load ../helper
load ../site

# page COMMAND: the fields of its section, a line each: path, type, "?" where it may be missing, "0" where it may be null.
page() {
    awk -v command="$1" '
        /^\.S[sh] / { on = 0; n = split(substr($0, 5), head, ", "); for (i = 1; i <= n; i++) on = on || head[i] == command; depth = 0; next }
        !on { next }
        /^\.Bl / { above[++depth] = depth == 1 ? "/" : last; next }
        /^\.El/ { depth--; next }
        /^\.It Li / {
            at = index($0, " Pq ")
            type = substr($0, at + 4)
            missing = sub(/, if any$/, "", type) ? "?" : "-"
            null = sub(/ or null$/, "", type) ? "0" : "-"
            n = split(substr($0, 8, at - 8), name, " , ")
            m = split(above[depth], prefix, " ")
            last = ""
            for (k = 1; k <= m; k++)
                for (i = 1; i <= n; i++) {
                    path = (prefix[k] == "/" ? "" : prefix[k]) "." name[i]
                    print path "\t" type "\t" missing "\t" null
                    last = last " " path (type ~ /^list/ ? "[]" : "")
                }
        }' "$DX_ROOT/man/dx-json.5" >fields
    [ -s fields ] || { echo "dx-json(5) has no section for $1"; return 1; }
}

# printed FILE...: the fields in documents, a line each: path, and what it is.
printed() {
    jq -r '
        def is: if type == "number" then (if floor == . then "integer" else "real" end)
            elif type == "boolean" then "flag"
            elif type == "string" then (if test("^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z$") then "time" else "text" end)
            else type end;
        def walk($path): [$path, is], (if type == "object" then (to_entries[] | .key as $k | .value | walk($path + "." + $k))
            elif type == "array" then (.[] | walk($path + "[]")) else empty end);
        (if type == "array" then .[] else . end) | walk("") | @tsv' "$@"
}

# agrees COMMAND FILE...: what was printed is on the page, and what is on the page was printed.
agrees() {
    local command=$1
    shift
    page "$command" && printed "$@" >printed || return
    awk -F '\t' -v command="$command" '
        function fits(is, type, null) {
            if (is == "null") return null == "0"
            if (type ~ /^list/) return is == "array"
            if (type == "group") return is == "object"
            if (type == "text") return is == "text" || is == "time"
            if (type == "real") return is == "integer" || is == "real"
            return type == "value" || type == is
        }
        # The field whose page entry covers a path: itself, or one above it whose inside is not listed.
        function cover(path) {
            while (path != "" && !(path in type)) sub(/\.[^.[]*$|\[\]$/, "", path)
            return path
        }
        function wrong(text) { print command ": " text; bad = 1 }
        FNR == NR { type[$1] = $2; missing[$1] = $3; null[$1] = $4; next }
        {
            times[$1]++
            if ($2 == "object") objects[$1]++
            if ($1 in type) {
                if (!fits($2, type[$1], null[$1])) wrong($1 " is " $2 ", on the page " type[$1])
            } else if ($1 != "") {
                above = cover($1)
                if (above == "") { wrong($1 " is not on the page"); next }
                if (type[above] == "object" || type[above] == "value") next
                if ($1 == above "[]" && type[above] == "list" && $2 == "object") next
                if ($1 == above "[]" && type[above] == "list of texts" && $2 == "text") next
                wrong($1 " is not on the page")
            }
        }
        END {
            for (path in type) {
                above = path
                sub(/\.[^.[]*$/, "", above)
                if (!(path in times)) wrong(path " is on the page, and was not printed")
                else if (missing[path] == "-" && times[path] != objects[above]) wrong(path " is missing in places, which the page does not say")
            }
            exit bad
        }' fields printed
}

# look COMMAND...: one that may end with 1.
look() { "$@" || [ $? -eq 1 ]; }

@test "a page or an output that says something else is found out" {
    printf '{"sha256": "x", "tables": [{"table": "t", "sha256": "y", "rows": 1}]}\n' >right
    agrees "txnlog digest" right
    printf '{"sha256": null, "tables": [{"table": "t", "rows": 1.5, "more": 1}]}\n' >wrong
    run -1 agrees "txnlog digest" wrong
    for said in '.sha256 is null, on the page text' '.tables[].rows is real, on the page integer' '.tables[].more is not on the page' \
        '.tables[].sha256 is on the page, and was not printed'; do
        [[ $output == *"txnlog digest: $said"* ]] || { echo "$output"; return 1; }
    done
    run -1 agrees "txnlog digest" right wrong
    [[ $output == *'.tables[].sha256 is missing in places'* ]]
    run -1 page "txnlog nothing"
}

@test "each command that has --json has a section, and no other has one" {
    sed -n 's/^\.Ss //p' "$DX_ROOT/man/dx-json.5" | sed 's/, /\n/g' | sort >sections
    for command in txnlog txnroute dxpack dxapply syncdiff hhextract desktopsync companionsync dxcron dxserve initsync integratedsync remotesync; do
        "$command" --help | awk -v name="$command" '
            /^Exit/ { exit } $1 == "usage:" && $2 == name { verb = name; next }
            $1 == name { verb = name " " $2 } $1 == "--json" { print verb }'
    done | sort | grep -v '^txnroute node$' >commands
    echo "txnroute node list" >>commands
    diff <(sort commands) sections
}

@test "txnlog: status, trim, detach, digest; txnroute: node list, try" {
    make_site 10
    initsync alice.db site --node alice
    sql alice.db "ALTER TABLE account ADD COLUMN more"
    txnlog read site/hq.db --peer tape | txnlog ack site/hq.db --peer tape
    txnlog status site/hq.db --json >server
    look txnlog status alice.db --json >copy
    sql alice.db "CREATE TABLE other (id INTEGER PRIMARY KEY)"
    agrees "txnlog status" server copy
    txnlog trim site/hq.db --json >trim
    agrees "txnlog trim" copy trim
    txnlog digest site/hq.db --json >digest
    agrees "txnlog digest" digest
    txnroute node list site/hq.db --json >nodes
    agrees "txnroute node list" nodes
    cp -r "$DX_ROOT/tests/data/sales-package" p
    chmod -R u+w p
    sed -i 's/^version = .*/version = 99/; s/^visible = none/visible = all/' p/package.conf
    sql site/hq.db "ALTER TABLE account ADD COLUMN more TEXT"
    look txnroute try site/hq.db p --json >try
    agrees "txnroute try" try
    look txnlog detach site/hq.db --json >detach
    agrees "txnlog detach" copy detach
}

@test "txnlog files" {
    mkdir site p
    sql site/hq.db 'CREATE TABLE doc(id INTEGER PRIMARY KEY, sha TEXT, bytes INTEGER)' 'CREATE INDEX doc_sha ON doc(sha)' \
        "INSERT INTO doc VALUES (1, '$(printf x | sha256sum | cut -d ' ' -f 1)', 1)"
    printf '[package]\nname = p\nversion = 1\n[object doc]\nvisible = all\n[files scan]\ntable = doc\ndigest = sha\nsize = bytes\ndelivery = broadcast\n' >p/package.conf
    txnlog attach site/hq.db
    txnroute load site/hq.db p
    txnroute node add site/hq.db alice --package p
    initsync alice.db site --node alice
    txnlog files alice.db --json >files
    agrees "txnlog files" files
}

@test "dxpack: list, verify" {
    cat >head.json <<'END'
{"dx":1,"kind":"changes","from":"hq","to":"alice","epoch":"e","package":"p","continues":"c","follows":"f","number":2,"after":1,"upto":5,
"ack":1,"applied":1,"encoding":"changeset","tables":[{"name":"t","columns":["id","a"],"key":["id"]}],
"schema":["CREATE TABLE t (id INTEGER PRIMARY KEY, a)"],"rekeys":[{"table":"t","old":1,"new":2,"id":1,"adopt":true,"refs":["u","t"]}],
"ranges":[{"table":"t","first":1,"last":9}],"verdicts":[{"kind":"update","outcome":"theirs","table":"t","column":"a","reason":"r","change":"AAAA"}]}
END
    echo '{"table":"t","op":"insert","key":{"id":1},"new":{"a":2}}' | dxpack make --head head.json >a.dx
    echo '{"table":"t","op":"insert","key":{"id":1},"new":{"a":2}}' | dxpack make >b.dx
    jq '.kind = "snapshot" | .earlier_rekeys = true' head.json >snapshot.json
    echo '{"table":"t","op":"insert","key":{"id":1},"new":{"a":2}}' | dxpack make --head snapshot.json >c.dx
    dxpack list --json a.dx b.dx c.dx >list
    agrees "dxpack list" list
    dxpack verify --json a.dx b.dx >verify
    agrees "dxpack verify" verify
}

# parts: a site with a table, whose copies are alice.db and bob.db.
parts() {
    mkdir site p
    sql site/hq.db "CREATE TABLE part (id INTEGER PRIMARY KEY, name TEXT, stock INTEGER)" "CREATE TABLE line (id INTEGER PRIMARY KEY, part INTEGER REFERENCES part)" \
        "INSERT INTO part VALUES (1, 'bolt', 1), (2, 'nut', 2), (3, '{}', 3)" "INSERT INTO line VALUES (1, 1)"
    printf '[package]\nname = p\nversion = 1\n[object part]\nvisible = all\nkeys = rekey\n[object line]\nvisible = all\n' >p/package.conf
    txnlog attach site/hq.db
    txnroute load site/hq.db p
    for n in alice bob; do
        txnroute node add site/hq.db $n --package p --user $n
        initsync $n.db site --node $n
    done
}

@test "dxapply: conflicts, renamed; txnroute status: what is set aside and in quarantine, a node that is held" {
    parts
    sql site/hq.db "UPDATE part SET name = 'office' WHERE id = 1" "DELETE FROM part WHERE id = 2"
    sql alice.db "UPDATE part SET name = 'mine' WHERE id = 1" "UPDATE part SET stock = 8 WHERE id = 2" "INSERT INTO part (name) VALUES ('alice')"
    sql bob.db "INSERT INTO part (name) VALUES ('bob')" "INSERT INTO line VALUES (7, 99)" "DELETE FROM part WHERE id = 3"
    look remotesync --now alice.db site
    look remotesync --now bob.db site
    look remotesync --now bob.db site
    dxapply renamed bob.db --json >renamed
    agrees "dxapply renamed" renamed
    look dxapply conflicts site/hq.db --json >office
    look dxapply conflicts alice.db --json >copy
    dxapply resolve site/hq.db "$(jq -s '[.[] | select(.id)][0].id' office)" ours
    look dxapply conflicts site/hq.db --all --json >resolved
    agrees "dxapply conflicts" office copy resolved
    # A rule that fails on a value.
    sed -i 's/version = 1/version = 2/; 0,/visible = all/s/visible = all/visible = SELECT n.name, p.id FROM part p JOIN dx_node n ON coalesce(json_extract(p.name, '"'\$'"'), 1) IS NOT NULL/' p/package.conf
    sql site/hq.db "UPDATE part SET name = '{}'"
    txnroute load site/hq.db p
    sql site/hq.db "UPDATE part SET name = 'no json {'"
    look dxcron site
    txnroute node hold site/hq.db bob --reason "a stolen laptop"
    mkdir -p site/docking/alice/inbox
    echo x >site/docking/alice/inbox/00000009.dx
    touch -d '1 hour ago' site/docking/alice/inbox/00000009.dx
    look txnroute status site/hq.db --json >status
    jq -e '[.set_aside, .quarantine | length] == [1, 1]' status
    agrees "txnroute status" status
}

@test "syncdiff: sync, compare, conflicts; desktopsync" {
    sql a.db "CREATE TABLE t (id INTEGER PRIMARY KEY, a, b)" "CREATE TABLE nokey (x)" \
        "INSERT INTO t VALUES (1, 1, 1), (2, 2, 2), (3, 3, 3), (4, 4, 4)" "VACUUM INTO 'b.db'"
    look desktopsync a.db b.db --base base
    sql a.db "UPDATE t SET a = 'mine', b = 'mine'" "INSERT INTO t VALUES (9, 9, 9)"
    sql b.db "UPDATE t SET a = 'theirs', b = 'theirs' WHERE id < 4" "DELETE FROM t WHERE id = 4"
    look syncdiff compare a.db b.db --base base --json >compare
    look syncdiff keys a.db >a.keys
    look syncdiff keys b.db >b.keys
    look syncdiff compare a.keys b.keys --json >keys
    agrees "syncdiff compare" compare keys
    look syncdiff sync a.db b.db --base base --json >sync
    agrees "syncdiff sync" sync keys
    look desktopsync a.db b.db --base base --json -n >desktop
    agrees desktopsync desktop keys
    printf '%s\n' '{"id":1,"take":"mine"}' '{"id":2,"columns":{"a":"mine","b":"theirs"}}' | syncdiff resolve base
    look syncdiff conflicts base --json >conflicts
    agrees "syncdiff conflicts" conflicts
}

@test "hhextract: status, run" {
    parts
    hhextract pair alice.db palm.db --device palm
    hhextract status alice.db --json >here
    sql alice.db "UPDATE part SET name = 'new'"
    hhextract run alice.db --device palm --json 2>run >extract.dx
    agrees "hhextract run" run
    rm palm.db
    hhextract status alice.db --json >away
    agrees "hhextract status" here away
}
