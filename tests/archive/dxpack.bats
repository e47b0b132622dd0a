#!/usr/bin/env bats
# dxpack: archives made, listed, printed, verified, taken apart, joined and turned round.

load ../helper

# Lines of every kind: two tables, composite keys in another order than the columns, every type of value.
lines() {
    cat <<'LINES'
{"table":"item","op":"insert","key":{"b":1,"a":"x"},"new":{"a":"x","v":1.0,"b":1,"w":-0.0,"big":9223372036854775807,"small":-9223372036854775808}}
{"table":"item","op":"insert","key":{"b":2,"a":"y"},"new":{"a":"y","v":1,"b":2,"w":null,"big":{"real":"inf"},"small":{"real":"-inf"}}}
{"table":"note","op":"insert","origin":"alice","key":{"id":1},"new":{"id":1,"text":"tab\tline\n\"quoted\" \\ é ☃ 𝄞 \u0001","raw":{"blob":"AAH/"},"odd":{"text":"/wA="}}}
{"table":"note","op":"update","origin":"bob","key":{"id":1},"old":{"text":"","raw":{"blob":""}},"new":{"text":null,"raw":"plain"}}
{"table":"item","op":"update","key":{"b":1,"a":"x"},"old":{"v":1.0},"new":{"v":39.830049699999996}}
{"table":"item","op":"delete","key":{"b":2,"a":"y"},"old":{"a":"y","v":5.0000000000000001e-324,"b":2,"w":1.7976931348623157e+308,"big":0.10000000000000001,"small":""}}
LINES
}

@test "cat prints the lines that make was given" {
    lines >lines
    dxpack make <lines >a.dx
    dxpack cat a.dx | sed 's/5.0000000000000001e-324/4.9406564584124654e-324/' >back
    sed 's/5.0000000000000001e-324/4.9406564584124654e-324/' lines | diff - back
}

@test "cat | make | cat prints the same, from stdin, a pipe or a file" {
    lines | dxpack make | dxpack cat >once
    dxpack make once | dxpack cat - >twice
    cmp once twice
    dxpack make <once >a.dx
    cat once | dxpack make >b.dx
    cmp a.dx b.dx
    cat a.dx b.dx | dxpack cat >both
    cat once once | cmp - both
    dxpack cat a.dx b.dx | cmp - both
}

@test "columns keep their order also where no line tells all of them" {
    cat >lines <<'LINES'
{"table":"t","op":"update","key":{"id":1},"old":{"a":1,"c":1},"new":{"a":2,"c":2}}
{"table":"t","op":"update","key":{"id":1},"old":{"b":1,"c":2},"new":{"b":2,"c":3}}
{"table":"t","op":"update","key":{"id":1},"old":{"a":1,"b":1,"d":1},"new":{"a":2,"b":2,"d":0}}
{"table":"t","op":"update","key":{"id":1},"old":{"d":0,"e":1},"new":{"d":1,"e":0}}
{"table":"t","op":"update","key":{"id":1},"old":{"c":3,"e":0},"new":{"c":1,"e":1}}
LINES
    dxpack make <lines >a.dx
    dxpack cat a.dx | cmp - lines
    [ "$(dxpack list --json a.dx | jq -c '.tables[0].columns | [index("a") < index("b"), index("b") < index("c"),
        index("b") < index("d"), index("d") < index("e"), index("c") < index("e")] | all')" = true ]
}

@test "reals keep every bit" {
    awk 'BEGIN { srand(7); for (i = 0; i < 2000; i++)
        printf "{\"table\":\"t\",\"op\":\"insert\",\"key\":{\"id\":%d},\"new\":{\"id\":%d,\"r\":%.16e}}\n",
            i, i, (rand() - 0.5) * 10 ^ int(rand() * 600 - 300) }' >lines
    dxpack make <lines >a.dx
    dxpack cat a.dx | dxpack make | cmp - a.dx
    jq -c '[.key.id, .new.r]' lines >want
    dxpack cat a.dx | jq -c '[.key.id, .new.r]' | cmp - want
}

@test "lines without old values make a patchset, and cat prints them as they were" {
    cat >lines <<'LINES'
{"table":"t","op":"insert","key":{"id":1},"new":{"id":1,"a":1,"b":"x"}}
{"table":"t","op":"update","key":{"id":1},"new":{"b":"y"}}
{"table":"t","op":"delete","key":{"id":1}}
LINES
    dxpack make <lines >a.dx
    dxpack cat a.dx | cmp - lines
    [ "$(dxpack list --json a.dx | jq -r .encoding)" = patchset ]
    lines | dxpack make --patch | dxpack list --json | jq -e '.encoding == "patchset"'
    lines | dxpack make | dxpack list --json | jq -e '.encoding == "changeset"'
}

@test "lines of which some leave old values out keep what is told, and cannot be inverted" {
    cat >lines <<'LINES'
{"table":"t","op":"update","key":{"id":1},"old":{"upd":1},"new":{"name":"x","upd":2}}
{"table":"t","op":"update","key":{"id":2},"new":{"name":"y"}}
{"table":"t","op":"delete","key":{"id":3},"old":{"id":3,"upd":1}}
{"table":"t","op":"delete","key":{"id":4}}
LINES
    dxpack make --kind rows lines >a.dx
    dxpack cat a.dx | cmp - lines
    dxpack list --json a.dx | jq -e '.encoding == "changeset"'
    dxpack make --patch lines | dxpack list --json | jq -e '.encoding == "patchset"'
    run -3 dxpack invert a.dx
    [[ $output == *"rows: nothing in it can be taken back"* ]]
    dxpack make lines >b.dx
    run -3 dxpack invert b.dx
    [[ $output == *"b.dx: changes/000001: t 1 tells not all old values"* ]]
}

@test "make names the line that it cannot take, and why" {
    while IFS='|' read -r line why; do
        printf '\n%s\n' "$line" >lines
        run -3 dxpack make lines
        [[ $output == *"lines: line 2: "*"$why"* ]] || { echo "$line: $output, not $why"; false; }
    done <<'LINES'
{"table":"t"|not a JSON object
[1]|not a JSON object
{"table":"t","op":"insert","key":{"id":1},"new":{"id":1},"new":{}}|"new" is there twice
{"op":"insert","key":{"id":1}}|no "table"
{"table":"t","op":"upsert","key":{"id":1}}|"op" is not
{"table":"t","op":"insert","new":{"id":1}}|no "key"
{"table":"t","op":"insert","key":{"id":1},"old":{"id":1}}|an insert has no "old"
{"table":"t","op":"delete","key":{"id":1},"new":{"id":1}}|a delete has no "new"
{"table":"t","op":"delete","keys":{"id":1}}|"keys" is no part of a change
{"table":"t","op":"insert","key":{"id":1},"new":{"id":2}}|disagree about column "id"
{"table":"t","op":"update","key":{"id":1},"new":{"id":2}}|does not change the key
{"table":"t","op":"update","key":{"id":1},"new":{}}|nothing "new"
{"table":"t","op":"update","key":{"id":1},"old":{"b":1},"new":{"a":1}}|"old" tells of column "b"
{"table":"t","op":"insert","key":{"id":true}}|a value is
{"table":"t","op":"insert","key":{"id":{"blob":"A"}}}|a value is
{"table":"t","op":"insert","key":{"id":{"blob":"AB=="}}}|a value is
{"table":"t","op":"insert","key":{"id":{"real":"1"}}}|a value is
{"table":"t","op":"insert","key":{"id":9223372036854775808}}|too big
{"table":"t","op":"insert","origin":"a/b","key":{"id":1}}|not the name of a node
LINES
    printf '%s\n' '{"table":"t","op":"delete","key":{"a":1,"b":1}}' '{"table":"t","op":"delete","key":{"b":1,"a":1}}' >lines
    run -3 dxpack make lines
    [[ $output == *"line 2: the key of table \"t\" has other columns, or another order"* ]]
}

@test "make sets the head from its options, or from a dx.json" {
    lines | dxpack make --kind upload --from alice --to hq --epoch e1 --package sales --number 3 --after 10 \
        --upto=20 --ack 1 --applied 2 >a.dx
    dxpack list --json a.dx | jq -e '.kind == "upload" and .from == "alice" and .to == "hq" and .epoch == "e1" and
        .package == "sales" and .number == 3 and .after == 10 and .upto == 20 and .ack == 1 and .applied == 2'
    dxpack extract -C d a.dx
    dxpack cat a.dx | dxpack make --head d/dx.json | cmp - a.dx
    dxpack cat a.dx | grep -v '"note"' | dxpack make --head d/dx.json --number 4 | dxpack list --json |
        jq -e '.number == 4 and .from == "alice" and (.tables | length) == 2 and .tables[1].insert == 0'
    echo '{"table":"note","op":"insert","key":{"id":1},"new":{"txt":1}}' >lines
    run -3 dxpack make --head d/dx.json lines
    [[ $output == *'line 1: table "note" has no column "txt"'* ]]
}

@test "make of nothing is an empty archive" {
    dxpack make </dev/null >a.dx
    [ -z "$(dxpack cat a.dx)" ]
    dxpack list --json a.dx | jq -e '.changes == 0 and .tables == []'
}

@test "list tells head, members and counts of each archive, as text and as JSON" {
    lines | dxpack make --from hq --to alice --number 7 --after 1 --upto 9 >a.dx
    dxpack list a.dx >text
    grep -qx 'changes, number 7, from hq, to alice, journal after 1 up to 9, changeset' text
    grep -qE '^  dx\.json +[0-9]+$' text
    grep -qE '^  changes/000002@alice +[0-9]+$' text
    grep -qE '^  item +2 +1 +1$' text
    grep -qE '^  note +1 +1 +0$' text
    cat a.dx a.dx | dxpack list --json | jq -se 'length == 2 and .[0] == .[1] and .[0].changes == 6 and
        (.[0].members | map(.name)) == ["dx.json", "changes/000001", "changes/000002@alice",
            "changes/000003@bob", "changes/000004", "end.json"]'
    [ "$(dxpack list --json a.dx | jq -r .sha256)" = "$(dxpack verify --json a.dx | jq -r .sha256)" ]
}

@test "verify is silent when all is well, and tells with -v and --json" {
    lines | dxpack make >a.dx
    run -0 dxpack verify a.dx
    [ -z "$output" ]
    run -0 dxpack verify -v a.dx
    [[ $output == "dxpack: changes, 6 changes, sha256 "* ]]
    dxpack verify --json a.dx | jq -e '.kind == "changes" and .changes == 6'
}

@test "the same lines give the same bytes, whatever the time and the place" {
    lines | dxpack make >a.dx
    mkdir elsewhere
    (cd elsewhere && umask 077 && lines | TZ=Asia/Tokyo dxpack make >b.dx)
    cmp a.dx elsewhere/b.dx
}

@test "tar lists an archive, zstd and sha256sum check it" {
    lines | dxpack make >a.dx
    tar --zstd -tf a.dx >names
    [ "$(head -n 1 names)" = dx.json ] && [ "$(tail -n 1 names)" = end.json ]
    zstd -qt a.dx
    sum() { sha256sum | cut -c 1-64 | tr a-f A-F | basenc --base16 -d; }
    { head -c 17 a.dx | sum; head -c -40 a.dx | tail -c +18 | sum; } | sum | cmp - <(tail -c 32 a.dx)
    dxpack extract -C d a.dx
    digest=$(cd d && grep -v end.json ../names | xargs sha256sum | sha256sum | cut -d' ' -f1)
    [ "$digest" = "$(jq -r .sha256 d/end.json)" ]
    mkdir t && tar --zstd -xf a.dx -C t
    diff -r t d
}

@test "every archive begins with the same 17 bytes, by which file(1) and shared-mime-info know it" {
    local a
    opening='28b52ffd2008410000''64782e6a736f6e00'
    sqlite3 hq.db "CREATE TABLE t (id INTEGER PRIMARY KEY, name); INSERT INTO t VALUES (1, 'one')"
    txnlog attach hq.db
    mkdir p && printf '[package]\nname = p\nversion = 1\n[object t]\nvisible = all\n' >p/package.conf
    txnroute load hq.db p
    for node in alice bob; do txnroute node add hq.db $node --package p; done
    txnroute extract hq.db alice docking >snapshot.dx
    txnroute extract hq.db bob docking >bob.dx
    sqlite3 hq.db "UPDATE t SET name = 'two'"
    txnlog read hq.db >log.dx
    txnroute run hq.db docking </dev/null # two archives that share their frames
    syncdiff keys hq.db >keys.dx
    lines | dxpack make >made.dx
    for a in *.dx docking/{alice,bob}/outbox/*.dx; do
        [ "$(head -c 17 "$a" | od -An -tx1 | tr -d ' \n')" = "$opening" ] || { echo "$a"; return 1; }
        [ "$(file -b -m "$DX_ROOT/scripts/share/dx.magic" "$a")" = "dx archive of changes to SQLite databases, format 1" ]
        [ "$(file -b --mime-type -m "$DX_ROOT/scripts/share/dx.magic:/usr/share/misc/magic" "$a")" = application/vnd.dx+zstd ]
        zstd -qt "$a"
        [ "$(tar -tf "$a" | head -n 1)" = dx.json ]
        [ "$(bsdtar -tf "$a" | tail -n 1)" = end.json ]
        bsdtar -xOf "$a" dx.json | jq -e .dx
    done
    mkdir -p mime/packages && cp "$DX_ROOT/scripts/share/dx.xml" mime/packages
    update-mime-database mime
    grep -q '^application/vnd.dx+zstd:\*.dx$' mime/globs
}

@test "extract writes all members or nothing, and replaces nothing" {
    lines | dxpack make >a.dx
    run -2 dxpack extract a.dx
    run -0 dxpack extract -C d/e a.dx
    [ "$(ls d/e)" = $'changes\ndx.json\nend.json' ]
    [ -z "$(find d -name '.dx*')" ]
    run -3 dxpack extract -C d/e a.dx
    [[ $output == *"d/e/dx.json: is there already"* ]]
    cat a.dx a.dx >two.dx
    run -3 dxpack extract -C f two.dx
    [[ $output == *"several archives in a row"* ]]
    [ -z "$(ls -A f)" ]
    head -c 400 a.dx >cut.dx
    run -3 dxpack extract -C f cut.dx
    [ -z "$(ls -A f)" ]
}

@test "join makes one archive of logs that follow on" {
    lines | dxpack make >whole.dx
    dxpack extract -C d whole.dx
    make_part() { dxpack make --head d/dx.json --from hq --epoch e "$@"; }
    lines | head -n 2 | make_part --upto 5 >j1.dx
    lines | sed -n 3p | make_part --after 5 --upto 5 >j2.dx
    lines | tail -n 3 | make_part --after 5 --upto 9 >j3.dx
    dxpack join j1.dx j2.dx j3.dx >all.dx
    dxpack cat all.dx | cmp - <(dxpack cat whole.dx)
    dxpack list --json all.dx | jq -e '.after == null and .upto == 9 and .from == "hq" and .epoch == "e"'
    cat j1.dx j2.dx | dxpack join - j3.dx | cmp - all.dx
    run -3 dxpack join j1.dx j3.dx j2.dx
    [[ $output == *"j2.dx: goes on after 5, but the archive before ends at 9; something is missing"* ]]
}

@test "join refuses what does not belong together, and writes nothing" {
    a='{"table":"t","op":"insert","key":{"id":1},"new":{"id":1,"a":1}}'
    echo "$a" | dxpack make --from hq --upto 5 >1.dx
    echo "$a" | dxpack make --from other --after 5 --upto 6 >2.dx
    run -3 --separate-stderr dxpack join 1.dx 2.dx
    [ -z "$output" ] && [[ $stderr == *"2.dx: another sender"* ]]
    echo '{"table":"t","op":"insert","key":{"id":1},"new":{"id":1,"b":1}}' | dxpack make --from hq --after 5 --upto 6 >3.dx
    run -3 dxpack join 1.dx 3.dx
    [[ $output == *"3.dx: table t has other columns"* ]]
    echo "$a" | dxpack make --from hq --to alice --number 1 >4.dx
    run -3 dxpack join 4.dx
    [[ $output == *"4.dx: number 1 of a row"* ]]
    echo "$a" | dxpack make --kind snapshot >5.dx
    run -3 dxpack join 5.dx
    [[ $output == *"snapshot: only logs"* ]]
    head -c -50 1.dx >cut.dx
    run -3 --separate-stderr dxpack join 1.dx cut.dx
    [ -z "$output" ]
}

@test "invert takes back, and inverted twice is the same" {
    lines | dxpack make >a.dx
    dxpack invert a.dx >back.dx
    dxpack cat back.dx >back
    [ "$(jq -r .op back | tr '\n' ' ')" = "insert update update delete delete delete " ]
    [ "$(sed -n 2p back)" = '{"table":"item","op":"update","key":{"b":1,"a":"x"},"old":{"v":39.830049699999996},"new":{"v":1.0}}' ]
    dxpack invert <back.dx | dxpack cat | cmp - <(dxpack cat a.dx)
    lines | dxpack make --patch >p.dx
    run -3 dxpack invert p.dx
    [[ $output == *"has no old values"* ]]
}

# Two databases, the second with inserts, updates and deletes in tables with keys of every kind.
before_and_after() {
    sql a.db "CREATE TABLE pair (b INTEGER, a TEXT, v REAL, x BLOB, PRIMARY KEY (a, b))" \
        "CREATE TABLE plain (id INTEGER PRIMARY KEY, txt TEXT)" \
        "CREATE TABLE bare (k TEXT, l INTEGER, PRIMARY KEY (k, l)) WITHOUT ROWID" \
        "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 300)
         INSERT INTO pair SELECT i, 'a' || i % 7, i / 3.0, randomblob(i) FROM n" \
        "WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 300)
         INSERT INTO plain SELECT i, 'text ' || i FROM n" \
        "INSERT INTO bare VALUES ('x', 1), ('y', 1)"
    cp a.db b.db
    txnlog attach b.db
    sql b.db "UPDATE pair SET v = NULL, x = zeroblob(3) WHERE b % 3 = 0" "DELETE FROM pair WHERE b % 3 = 1" \
        "INSERT INTO pair VALUES (9223372036854775807, '', -0.0, NULL), (-1, 'é', 9e999, x'00')" \
        "UPDATE plain SET txt = txt || char(10) WHERE id > 200" "DELETE FROM plain WHERE id < 100" \
        "INSERT INTO plain VALUES (-5, NULL)" "DELETE FROM bare WHERE k = 'x'" "INSERT INTO bare VALUES ('z', 2)"
}

@test "SQLite's own sqlite3changeset_apply takes the changesets inside" {
    before_and_after
    txnlog read b.db >log.dx
    dxpack extract -C d log.dx
    cat d/changes/* | changeset apply a.db
    same_tables a.db b.db
}

@test "the changeset of an inverted archive takes back, by sqlite3changeset_apply as well" {
    before_and_after
    cp b.db c.db
    txnlog detach c.db
    txnlog read b.db | dxpack invert | dxpack extract -C d
    cat d/changes/* | changeset apply c.db
    same_tables a.db c.db
}

# wrap CHANGESET ENCODING: an archive of what SQLite's session extension wrote for the tables above.
wrap() {
    mkdir -p w/changes
    cp "$1" w/changes/000001
    jq -nc --arg encoding "$2" '{dx: 1, kind: "changes", encoding: $encoding, tables: [
        {name: "bare", columns: ["k", "l"], key: ["k", "l"]},
        {name: "pair", columns: ["b", "a", "v", "x"], key: ["a", "b"]},
        {name: "plain", columns: ["id", "txt"], key: ["id"]}]}' >w/dx.json
    jq -nc --arg sha "$(cd w && sha256sum dx.json changes/000001 | sha256sum | cut -d' ' -f1)" \
        --argjson bytes "$(cat w/dx.json w/changes/000001 | wc -c)" '{changes: 404, bytes: $bytes, tables: {
        bare: {insert: 1, update: 0, delete: 1}, pair: {insert: 2, update: 100, delete: 100},
        plain: {insert: 1, update: 100, delete: 99}}, sha256: $sha}' >w/end.json
    tar --format=ustar -C w -cf - dx.json changes/000001 end.json | seal
}

@test "changesets and patchsets that SQLite's session extension wrote are read as they are meant" {
    before_and_after
    changeset diff a.db b.db >theirs
    wrap theirs changeset >theirs.dx
    dxpack verify theirs.dx
    # the same rows as our own log tells, whatever their order
    dxpack cat theirs.dx | sort >theirs.lines
    txnlog read b.db | dxpack cat | sort | diff - theirs.lines
    # and dxapply makes of them what sqlite3changeset_apply makes
    cp a.db c.db
    txnlog attach c.db
    dxapply --log c.db <theirs.dx
    same_tables b.db c.db
    changeset patch a.db b.db >theirs
    wrap theirs patchset >theirs.dx
    dxpack cat theirs.dx | sort >theirs.lines
    txnlog read b.db | dxpack cat | dxpack make --patch | dxpack cat | sort | diff - theirs.lines
}

@test "a patchset made by make is one that sqlite3changeset_apply takes" {
    before_and_after
    txnlog read b.db | dxpack cat | dxpack make --patch | dxpack extract -C d
    cat d/changes/* | changeset apply a.db
    same_tables a.db b.db
}

@test "archives in a row are read one after another" {
    lines | dxpack make --from a >a.dx
    lines | head -n 2 | dxpack make --from b >b.dx
    cat a.dx b.dx a.dx | dxpack verify --json | jq -s 'map(.changes)' | jq -e '. == [6, 2, 6]'
    cat a.dx b.dx | dxpack list | grep -c '^changes, from [ab], changeset$' | grep -qx 2
}

@test "list --head tells what an archive says of itself without reading on" {
    echo '{"table":"t","op":"insert","key":{"id":1},"new":{"id":1,"v":"x"}}' >lines
    dxpack make lines >a.dx
    whole=$(dxpack list --json a.dx | jq -cS 'del(.members, .changes, .bytes, .sha256) | .tables |= map(del(.insert, .update, .delete))')
    [ "$(dxpack list --head --json a.dx | jq -cS .)" = "$whole" ]
    [ "$(dxpack list --head a.dx)" = "$(dxpack list a.dx | head -n 1)" ]
    cat a.dx a.dx >two.dx
    [ "$(dxpack list --head two.dx | wc -l)" -eq 1 ]
    truncate -s 100 a.dx
    run -3 dxpack list --head a.dx
}
