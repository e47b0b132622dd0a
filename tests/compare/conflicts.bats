#!/usr/bin/env bats
# syncdiff conflicts and resolve: what waits for an answer, and answers by hand and by script; the views of a plan.

load ../helper

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
    sql a.db "CREATE TABLE contact(id INTEGER PRIMARY KEY, name, city, phone)" \
        "INSERT INTO contact VALUES (1, 'Ann', 'Oslo', '1'), (2, 'Bob', 'Rom', '2'), (3, 'Cyd', 'Bern', '3'), (4, 'Dan', 'Wien', '4')"
    sql a.db "VACUUM INTO 'b.db'"
    desktopsync a.db b.db --base base
    sql a.db "UPDATE contact SET name = 'Anna', phone = '11' WHERE id = 1" "UPDATE contact SET city = 'Roma' WHERE id = 2" \
        "DELETE FROM contact WHERE id = 3"
    sql b.db "UPDATE contact SET name = 'Anne', phone = '12' WHERE id = 1" "UPDATE contact SET city = 'Rome' WHERE id = 2" \
        "UPDATE contact SET city = 'Basel' WHERE id = 3"
    run -1 desktopsync a.db b.db --base base
}

row() {
    sql "$1" "SELECT * FROM contact WHERE id = $2"
}

@test "conflicts stand side by side in 80 columns, only what differs" {
    run -1 syncdiff conflicts base
    [ "$output" = "1: contact 1: updated in mine, updated in theirs
  name           \"Anna\"                         | \"Anne\"
  phone          \"11\"                           | \"12\"
2: contact 2: updated in mine, updated in theirs
  city           \"Roma\"                         | \"Rome\"
3: contact 3: deleted in mine, updated in theirs
  id             (deleted)                      | 3
  name           (deleted)                      | \"Cyd\"
  city           (deleted)                      | \"Basel\"
  phone          (deleted)                      | \"3\"" ]
    sql a.db "UPDATE contact SET city = printf('%.200c', 'ü') WHERE id = 2"
    run -1 desktopsync a.db b.db --base base
    syncdiff conflicts base >shown || [ $? -eq 1 ]
    [ "$(wc -L <shown)" -le 80 ]
}

@test "answers as JSON Lines: a whole row, column by column, and for a delete" {
    syncdiff resolve base <<-'END'
	{"id":1,"columns":{"name":"mine","phone":"theirs"}}
	{"id":2,"take":"mine"}

	{"id":3,"take":"theirs"}
	END
    run -1 syncdiff conflicts --json base
    [ "$(jq -c '[.id, .answer]' <<<"$output")" = '[1,{"id":"theirs","name":"mine","city":"theirs","phone":"theirs"}]
[2,"mine"]
[3,"theirs"]' ]
    desktopsync a.db b.db --base base
    same_tables a.db b.db
    [ "$(row a.db 1)" = "1|Anna|Oslo|12" ]
    [ "$(row a.db 2)" = "2|Bob|Roma|2" ]
    [ "$(row a.db 3)" = "3|Cyd|Basel|3" ]
    run -0 syncdiff conflicts base
    [ -z "$output" ]
}

@test "an answer for a delete, and one that is taken back" {
    printf '{"id":3,"take":"mine"}\n{"id":1,"take":"mine"}\n{"id":1,"take":null}\n' | syncdiff resolve base
    run -1 desktopsync a.db b.db --base base
    [ "$(sql b.db "SELECT group_concat(id) FROM contact")" = 1,2,4 ]
    [ "$(row a.db 1)" = "1|Anna|Oslo|11" ]
    [ "$(row b.db 1)" = "1|Anne|Oslo|12" ]
}

@test "an answer to rows that have changed since counts no more" {
    echo '{"id":1,"take":"mine"}' | syncdiff resolve base
    sql b.db "UPDATE contact SET name = 'Annika' WHERE id = 1"
    run -1 desktopsync a.db b.db --base base
    [ "$(row b.db 1)" = "1|Annika|Oslo|12" ]
    run -1 syncdiff conflicts --json base
    [ "$(jq -c 'select(.id == 1).answer' <<<"$output")" = null ]
}

@test "answers that make no sense are refused, with their number, and none is taken" {
    local line
    while read -r line; do
        run -3 --separate-stderr syncdiff resolve base <<<$'{"id":2,"take":"mine"}\n'"$line"
        [[ $stderr == *"answer 2: "* ]] || { echo "$line: $stderr"; return 1; }
    done <<-'END'
	{"id":9,"take":"mine"}
	{"id":1,"take":"ours"}
	{"id":1}
	{"id":1,"columns":{"nothing":"mine"}}
	{"id":1,"columns":{"id":"mine"}}
	{"id":3,"columns":{"name":"mine"}}
	{"take":"mine"}
	no JSON
	END
    run -1 syncdiff conflicts --json base
    [ "$(jq -c .answer <<<"$output" | sort -u)" = null ]
    run -4 syncdiff conflicts nowhere
    run -3 syncdiff conflicts a.db
}

@test "--take decides all conflicts of a run: mine, theirs, the newest" {
    cp a.db a1.db
    cp b.db b1.db
    cp base base1
    desktopsync a.db b.db --base base --take mine
    same_tables a.db b.db
    [ "$(row b.db 1)" = "1|Anna|Oslo|11" ]
    [ "$(sql b.db "SELECT count(*) FROM contact")" = 3 ]
    cp a1.db a.db && cp b1.db b.db && cp base1 base
    desktopsync a.db b.db --base base --take theirs
    same_tables a.db b.db
    [ "$(row a.db 3)" = "3|Cyd|Basel|3" ]
    cp a1.db a.db && cp b1.db b.db && cp base1 base
    run -1 desktopsync a.db b.db --base base --take 'newest phone'
    [ "$(row a.db 1)" = "1|Anne|Oslo|12" ]
    [ "$output" = "conflict: contact 2: updated in mine, updated in theirs
conflict: contact 3: deleted in mine, updated in theirs" ]
    run -3 desktopsync a.db b.db --base base --take 'newest nothing'
}

@test "asked on a terminal: mine, theirs, column by column, skipped" {
    command -v script >/dev/null || { echo "script(1) is needed"; return 1; }
    printf 'c\nm\nt\nm\ns\nt\n' | script -qec "syncdiff resolve base" typed >/dev/null
    run -1 syncdiff conflicts --json base
    [ "$(jq -c '[.id, .answer]' <<<"$output")" = '[1,{"id":"theirs","name":"mine","city":"theirs","phone":"mine"}]
[2,null]
[3,"theirs"]' ]
}

@test "compare: a one-way plan as SQL makes mine what theirs is" {
    sql b.db "INSERT INTO contact VALUES (5, 'it''s', x'00ff', 1e300), (6, NULL, -0.5, '')" "DELETE FROM contact WHERE id = 4"
    run -1 --separate-stderr bash -c "syncdiff compare --sql a.db b.db >plan.sql"
    sql a.db <plan.sql
    same_tables a.db b.db
    run -0 syncdiff compare a.db b.db
}

@test "compare --check finds what differs under one change key" {
    printf '[object contact]\nchange_key = phone\n' >conf
    desktopsync a.db b.db --base base --take theirs
    sql a.db "UPDATE contact SET city = 'x' WHERE id = 4"
    run -0 syncdiff compare --conf conf a.db b.db
    run -1 syncdiff compare --check --conf conf a.db b.db
    [ "$output" = "contact 4: one change key, other content: mine (-), theirs (+)
  - city = \"x\"
  + city = \"Wien\"" ]
    run -2 syncdiff compare --check --base base a.db b.db
}

@test "compare --json names the plan's digest and what is left out" {
    sql a.db "CREATE TABLE nokey(x)" "CREATE TABLE mine_only(id INTEGER PRIMARY KEY)" "CREATE VIRTUAL TABLE words USING fts5(w)" \
        "CREATE TABLE dx_mine(id INTEGER PRIMARY KEY)"
    sql b.db "CREATE TABLE nokey(x)" "CREATE VIRTUAL TABLE words USING fts5(w)" "CREATE TABLE dx_mine(id INTEGER PRIMARY KEY)"
    run -1 --separate-stderr syncdiff compare --json --base base a.db b.db
    [ "$(jq -r '.plan | length' <<<"$output")" = 64 ]
    local text
    for text in "nokey: not compared: it has no primary key" "mine_only: not compared: only mine has a table" \
        "words: not compared: a virtual table" "dx_mine: not compared: names that begin with dx_"; do
        [[ $stderr == *"$text"* ]] || { echo "$stderr"; return 1; }
        [[ $(jq -r '.left_out[]' <<<"$output") == *"$text"* ]]
    done
}

@test "UTF-16 databases, and one of each encoding" {
    local pragma
    for pragma in UTF-16le UTF-16be UTF-8; do
        sql "$pragma.db" "PRAGMA encoding = '$pragma'" "CREATE TABLE t(id TEXT PRIMARY KEY, v)" \
            "INSERT INTO t VALUES ('z', 1), ('ü', 2), ('ｆ', 3), ('😀', 4), (x'00', 5)"
    done
    run -0 syncdiff compare UTF-16le.db UTF-16be.db
    run -0 syncdiff compare UTF-16le.db UTF-8.db
    desktopsync UTF-16le.db UTF-8.db --base utf
    sql UTF-8.db "INSERT INTO t VALUES ('ß😀', 'ä')" "DELETE FROM t WHERE id = 'ｆ'"
    desktopsync UTF-16le.db UTF-8.db --base utf
    run -0 syncdiff compare UTF-16le.db UTF-8.db
    [ "$(sql UTF-16le.db "SELECT v FROM t WHERE id = 'ß😀'")" = ä ]
}
