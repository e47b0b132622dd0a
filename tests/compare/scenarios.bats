#!/usr/bin/env bats
# desktopsync: the scenarios of scenarios.txt, all in one pair of databases, each run four ways.

load ../helper

setup() {
    cd "$BATS_TEST_TMPDIR" || return 1
}

# write_scenarios WAY: reads scenarios.txt and writes what its scenarios need, each with a table of its own: first.SIDE
# and then.SIDE (SQL), conf, and what is expected: rows.SIDE, conflicts, issues. WAY is straight or swapped.
write_scenarios() {
    awk -v way="$1" '
        function other(side) { return side == "mine" ? "theirs" : "mine" }
        function put(file, text) { print text >file }
        # The words of sides in a setting change places, too.
        function swapped_words(text) {
            if (way == "straight") return text
            gsub(/mine/, "\001", text); gsub(/theirs/, "mine", text); gsub(/\001/, "theirs", text)
            gsub(/client/, "\001", text); gsub(/server/, "client", text); gsub(/\001/, "server", text)
            return text
        }
        function finish(    side, n, row, i, sides) {
            if (table == "" || (way == "swapped" && fixed)) return
            names[table] = name
            put("names", table ": " name)
            put("conf", "[object " table "]")
            if (conf != "") put("conf", swapped_words(conf))
            sides[1] = "mine"; sides[2] = "theirs"
            for (i = 1; i <= 2; i++) {
                side = way == "swapped" ? other(sides[i]) : sides[i]
                if (side_conf[sides[i]] != "") put("conf", "[" side " " table "]\n" side_conf[sides[i]])
                put("first." side, (side_schema[sides[i]] != "" ? side_schema[sides[i]] : schema) ";")
                put("first." side, "INSERT INTO " table " VALUES " (side_rows[sides[i]] != "" ? side_rows[sides[i]] : rows) ";")
                if (todo[sides[i]] != "") put("then." side, todo[sides[i]] ";")
                n = split(expect[sides[i]], row, /; /)
                put("rows." side, "-- " table)
                for (k = 1; k <= n; k++) put("rows." side, row[k])
            }
            put("conflicts", table " " (conflicts + 0))
            if (issue != "") put("issues", table " " issue)
        }
        function reset() {
            conf = issue = ""; conflicts = fixed = 0
            schema = "CREATE TABLE " table " (id INTEGER PRIMARY KEY, v, w)"
            rows = "(1, \047a\047, 0), (2, \047b\047, 0), (3, \047c\047, 0)"
            side_conf["mine"] = side_conf["theirs"] = side_schema["mine"] = side_schema["theirs"] = ""
            side_rows["mine"] = side_rows["theirs"] = ""
            todo["mine"] = todo["theirs"] = expect["mine"] = expect["theirs"] = ""
        }
        /^#/ || /^$/ { next }
        /^== / { finish(); name = substr($0, 4); table = sprintf("t%03d", ++count); reset(); next }
        /^not swapped$/ { fixed = 1; next }
        {
            kind = $0; sub(/: .*/, "", kind)
            text = substr($0, length(kind) + 3)
            gsub(/\$T/, table, text)
        }
        kind == "schema" { schema = text }
        kind == "mine schema" || kind == "theirs schema" { side_schema[substr(kind, 1, length(kind) - 7)] = text }
        kind == "rows" { rows = text }
        kind == "theirs rows" { side_rows["theirs"] = text }
        kind == "conf" { conf = conf (conf == "" ? "" : "\n") text }
        kind == "mine conf" || kind == "theirs conf" { side_conf[substr(kind, 1, length(kind) - 5)] = text }
        kind == "mine" || kind == "theirs" { todo[kind] = text }
        kind == "both" { expect["mine"] = expect["theirs"] = text }
        kind == "in mine" || kind == "in theirs" { expect[substr(kind, 4)] = text }
        kind == "conflicts" { conflicts = text }
        kind == "issue" { issue = text }
        END { finish(); print count }' "$DX_ROOT/tests/compare/scenarios.txt"
}

# first: the pair as it is before anything is done, in agreement.
first() {
    { echo "BEGIN;"; cat first.mine; echo "COMMIT;"; } | sqlite3 -bail a.db
    { echo "BEGIN;"; cat first.theirs; echo "COMMIT;"; } | sqlite3 -bail b.db
    desktopsync a.db b.db --base base --conf conf
}

# then: what is done on both sides.
then_done() {
    { echo "BEGIN;"; cat then.mine; echo "COMMIT;"; } | sqlite3 -bail a.db
    { echo "BEGIN;"; cat then.theirs; echo "COMMIT;"; } | sqlite3 -bail b.db
}

# all_rows DB: the rows of all scenarios' tables, as the file of scenarios has them.
all_rows() {
    local table
    { echo ".mode list"; echo ".separator ' '"; echo ".nullvalue -"
      cut -d: -f1 names | while read -r table; do echo ".print -- $table"; echo "SELECT * FROM $table ORDER BY 1, 2;"; done; } | sqlite3 -bail "$1"
}

# as_expected DB SIDE: fails, with the scenarios' names, where the rows are not those expected.
as_expected() {
    all_rows "$1" >found.rows
    diff -U4 "rows.$2" found.rows >differs || {
        sed -n 's/^[-+ ]-- \(t[0-9]*\)$/\1/p' differs | sort -u | while read -r table; do grep "^$table:" names; done
        cat differs
        return 1
    }
}

# told: as many conflicts as expected, and the issues.
told() {
    while read -r table n; do
        [ "$(grep -c "^conflict: $table " out)" -eq "$n" ] || { grep "^$table:" names; grep "$table" out err; return 1; }
    done <conflicts
    while read -r table text; do
        grep "^syncdiff: $table .*" err | grep -qF "$text" || { grep "^$table:" names; cat err; return 1; }
    done <issues
    sed -n 's/^syncdiff: \(t[0-9]*\) .*/\1/p' err | sort -u | while read -r table; do
        grep -q "^$table " issues || { grep "^$table:" names; grep "$table" err; return 1; }
    done
}

sync_both() {
    local code=0
    desktopsync a.db b.db --base base --conf conf >out 2>err || code=$?
    [ "$code" -eq 1 ] || { cat err; return 1; }
}

way() {
    [ "$(write_scenarios "$1")" -ge 100 ]
    first
    then_done
    sync_both
    as_expected a.db mine
    as_expected b.db theirs
    told
}

@test "a hundred scenarios, straight, and again: nothing changes" {
    way straight
    sha256sum a.db b.db base >before
    sync_both
    sha256sum --quiet -c before
    told
}

@test "the same scenarios with the sides swapped" {
    way swapped
}

@test "the same scenarios over a connection" {
    write_scenarios straight >count
    printf '#!/bin/bash\nshift\nexec sh -c "$*"\n' >ssh
    chmod +x ssh
    export DX_SSH=./ssh
    first
    then_done
    local code=0
    desktopsync a.db there:b.db --base base --conf conf >out 2>err || code=$?
    [ "$code" -eq 1 ]
    as_expected a.db mine
    as_expected b.db theirs
    told
}

@test "the same scenarios, the run killed at each of its steps and begun again" {
    local stop=0 code
    write_scenarios straight >count
    first
    then_done
    mkdir start
    cp a.db b.db base start/
    while :; do
        stop=$((stop + $(sized 3 17)))
        cp start/* .
        rm -f ./*-journal
        code=0
        DX_STOP_AT=$stop desktopsync a.db b.db --base base --conf conf >out 2>err || code=$?
        [ "$code" -ne 1 ] || break
        [ "$code" -eq 137 ]
        sync_both
        as_expected a.db mine
        as_expected b.db theirs
        told
    done
    [ "$stop" -ge 10 ]
}
