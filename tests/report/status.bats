# What an operator sees of a site.
load ../helper

# A site with three nodes, of which alice has a copy; bob and a node with a long name have none yet.
setup() {
    cd "$BATS_TEST_TMPDIR" || return
    mkdir -p site p
    sqlite3 site/hq.db "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO t VALUES (1, 'one'), (2, 'two')"
    txnlog attach site/hq.db
    printf '[package]\nname = p\nversion = 1\n[object t]\nvisible = all\n' >p/package.conf
    txnroute load site/hq.db p
    for node in alice bob a-name-of-more-than-sixteen-letters; do txnroute node add site/hq.db $node --package p; done
    mkdir site/docking
    txnroute extract site/hq.db alice site/docking | dxapply alice.db
}

of() { txnroute status site/hq.db site/docking --json | jq -c --arg n "$1" ".nodes[] | select(.name == \$n) | $2"; }

change() {
    sqlite3 site/hq.db "UPDATE t SET name = name || '+' WHERE id = 1"
    txnroute run site/hq.db site/docking </dev/null
}

@test "status has a header, and lines of at most 80 columns however long the names are" {
    change
    run -0 txnroute status site/hq.db site/docking
    [[ ${lines[0]} == "journal: routed up to "*" entries kept; disk: "*" used, "*" free" ]]
    [[ ${lines[1]} == "NODE "*"ARCHIVE UNCONF "*"DISK  FREE  RELEASE" ]]
    [[ $output == *$'\na-name-of-more-~ '* ]]
    [ "$(wc -L <<<"$output")" -le 80 ]
}

@test "times are RFC 3339, and a document tells the site and its nodes" {
    remotesync alice.db site
    run -0 txnroute status site/hq.db --json
    jq -e '(.time | test("^[0-9-]{10}T[0-9:]{8}Z$")) and .disk_free > 0 and .database_bytes > 0 and (.nodes | length) == 3' <<<"$output"
    jq -e '.nodes[] | select(.name == "alice") | .session | test("^[0-9-]{10}T[0-9:]{8}Z$")' <<<"$output"
    jq -e '[.nodes[] | [.name, .disk_free > 0, .release != null]] | sort[1:] == [["alice", true, true], ["bob", false, false]]' <<<"$output"
    run -0 txnroute status site/hq.db
    [[ $output =~ $'\n'alice\ .*[0-9][KMGT]\ \ +[0-9]+\.[0-9]+\.[0-9]+$'\n' ]]
    run -0 txnroute metrics site
    [ "$(grep -c '^dx_node_disk_free_bytes{' <<<"$output")" = 1 ]
}

@test "--behind names who is behind, stuck or silent, and no other" {
    remotesync alice.db site
    change
    remotesync alice.db site
    remotesync alice.db site
    run -1 txnroute status site/hq.db site/docking --behind --json
    [ "$(jq -c '[.nodes[].name] | sort' <<<"$output")" = '["a-name-of-more-than-sixteen-letters","bob"]' ]
    touch -d '40 days ago' site/docking/alice/lock
    rm -f site/docking/alice/session.log
    [ "$(of alice '[.behind, .silent]')" = '[false,true]' ]
    run -1 txnroute status site/hq.db site/docking --behind
    [[ $output == *$'\nalice '*"silent"* ]]
    touch site/docking/alice/lock
    txnroute node end site/hq.db bob
    txnroute node end site/hq.db a-name-of-more-than-sixteen-letters
    run -0 txnroute status site/hq.db site/docking --behind
}

@test "an upload that a run of dxcron could not merge is blocked, and its node is stuck" {
    mkdir -p site/docking/bob/inbox
    echo "no archive" >site/docking/bob/inbox/00000001.dx
    [ "$(of bob '[.uploads, .blocked, .stuck]')" = '[1,0,false]' ]
    touch -d '2 hours ago' site/docking/bob/inbox/00000001.dx
    run -1 dxcron site
    [ "$(of bob '[.uploads, .blocked, .stuck, .behind]')" = '[1,1,true,true]' ]
    run -1 txnroute status site/hq.db site/docking --behind
    [[ ${lines[3]} == "bob "* ]]
    [[ ${lines[4]} == "    upload 1 blocked for 2 h, 1 upload to merge" ]]
}

@test "archives that are not confirmed and are gone from the outbox are named" {
    change
    change
    [ "$(of alice '[.backlog_archives, .outbox_files, .outbox_missing]')" = '[2,2,0]' ]
    rm "$(find site/docking/alice/outbox -name '*.dx' | sort | head -n 1)"
    [ "$(of alice '[.outbox_files, .outbox_missing, .stuck]')" = '[1,1,true]' ]
    run -0 txnroute status site/hq.db site/docking
    [[ $output == *"1 file missing from the outbox"* ]]
}

@test "the line of the last session tells the node's release, and why it was refused" {
    mkdir -p site/docking/alice
    printf 'start=2026-01-31T12:00:00Z end=2099-01-31T12:00:02Z node=alice release=0.9.1 exit=3 why="the server was restored"\n' \
        >site/docking/alice/session.log
    [ "$(of alice '[.release, .session, .session_exit, .session_why, .stuck]')" = \
        '["0.9.1","2099-01-31T12:00:02Z",3,"the server was restored",true]' ]
    run -0 txnroute status site/hq.db site/docking
    [[ $output == *"last session ended with 3: the server was restored"* ]]
}

@test "metrics are OpenMetrics text: each family once with type and help, a value for each node, and an end" {
    change
    run -0 txnroute metrics site
    [ "${lines[-1]}" = "# EOF" ]
    grep -qx 'dx_node_backlog_rows{node="alice"} 1' <<<"$output"
    grep -qx 'dx_node_stuck{node="bob"} 0' <<<"$output"
    [ -z "$(grep '^# TYPE' <<<"$output" | sort | uniq -d)" ]
    awk '/^# TYPE/ { family = $3; typed[family] = 1; next } /^# HELP/ { if ($3 != family) exit 1; next }
         /^# UNIT/ { if ($3 != family || substr($3, length($3) - length($4)) != "_" $4) exit 1; next } /^#/ { next }
         { name = $1; sub(/[{].*/, "", name); if (name != family || $NF !~ /^[0-9]+$/) exit 1 }' <<<"$output"
    run -4 txnroute metrics nowhere
    [ "$output" = "txnroute: nowhere/hq.db: cannot open the database: No such file or directory" ]
}

@test "check -w and -c: a line, performance data, and 0 to 3 as monitoring plugins end" {
    run -0 txnroute check site -w rows=100 -c age=1d
    [[ ${lines[0]} =~ ^DX\ OK\ -\ 3\ nodes\ \|\ age=[0-9]+s\;\;86400\ rows=[0-9]+\;100\;\  ]]
    [ ${#lines[@]} -eq 1 ]
    change
    run -1 txnroute check site -w rows=0 -c age=1d
    [[ $output == "DX WARNING - "*" rows not confirmed |"* ]]
    run -2 txnroute check site -w rows=0 -c rows=0,free=1000T
    [[ $output == "DX CRITICAL - "*"free on disk |"* ]]
    rm -r site/docking/alice/outbox/*
    run -2 txnroute check site -w rows=1000
    [[ $output == "DX CRITICAL - alice: 1 file missing from the outbox |"* ]]
    run -3 txnroute check site -w rows=many
    [[ $output == "DX UNKNOWN - -w: 'rows=many' is not NAME=LIMIT"* ]]
    run -3 txnroute check site -w age=1G
    run -3 txnroute check nowhere -c age=1d
    [[ $output == "DX UNKNOWN - nowhere/hq.db: "* ]]
}

@test "the report is valid HTML that needs nothing else, and first says what needs a person" {
    mkdir -p site/docking/alice
    printf 'start=2026-01-31T12:00:00Z end=2026-01-31T12:00:02Z node=alice release=<b> exit=3 why="<script>alert(1)</script>"\n' \
        >site/docking/alice/session.log
    sqlite3 alice.db "UPDATE t SET name = 'mine' WHERE id = 1"
    sqlite3 site/hq.db "UPDATE t SET name = 'theirs' WHERE id = 1"
    txnlog upload alice.db up
    run -1 dxapply site/hq.db --upload-from alice <up/00000001.dx
    sqlite3 site/hq.db "ALTER TABLE t ADD COLUMN more"
    txnroute report site >report.html
    tidy -q -e report.html
    run -1 grep -Ei '<script|<b>[^<]*<b>|(src|href)=|url\(|@import' report.html
    grep -q '<b>alice</b>: last session ended with 3: &lt;script&gt;' report.html
    grep -q '<b>table t</b>: column more is new' report.html
    [ "$(grep -n 'Needs a person' report.html | cut -d: -f1)" -lt "$(grep -n '<h2>Nodes' report.html | cut -d: -f1)" ]
    [ "$(grep -c '<svg ' report.html)" = 3 ]
    grep -q '<polyline class="line" points="' report.html
    run -4 txnroute report nowhere
}

@test "what status names is in the report, too: objects set aside, lost files, the last run" {
    rule="SELECT n.name, t.id FROM t JOIN dx_node n ON n.user = json_extract(t.name, '\$.who')"
    printf '[package]\nname = p\nversion = 2\n[object t]\nvisible = %s\n' "$rule" >p/package.conf
    sqlite3 site/hq.db "UPDATE t SET name = '{}'"
    txnroute load site/hq.db p
    sqlite3 site/hq.db "UPDATE t SET name = 'no json {'"
    run -1 txnroute run site/hq.db site/docking </dev/null
    echo "start=2026-01-31T12:00:00Z end=2026-01-31T12:00:02Z node=* merged=0 left=0 exit=4" >site/docking/cron.log
    echo "dxcron (process 1)" >site/docking/cron.lock
    txnroute report site >report.html
    tidy -q -e report.html
    status() { txnroute status site/hq.db site/docking; }
    status >status
    for who in 'object p/t' dxcron; do
        grep -q "^$who:" status
        grep -q "<li><b>$who</b>: " report.html || { echo "not in the report: $who"; return 1; }
    done
    grep -q 'malformed JSON' report.html
    rm -r site/docking
    status >status || [ $? -eq 1 ]
    grep -q '^docking: ' status
    txnroute report site >report.html
    grep -q '<li><b>docking</b>: .*no such directory' report.html
}

@test "the report of a site where nothing is wrong says so" {
    chmod -R go= site
    run -0 txnroute report site
    [[ $output == *$'<h2>Needs a person</h2>\n<p>Nothing.</p>'* ]]
}

@test "dxcron keeps a line for each run, and the metrics and the page that site.conf asks for" {
    printf '[site]\nmetrics = %s\nreport = cat >page.html\n' "$PWD/dx.prom" >site/site.conf
    run -0 dxcron -v site
    [[ $output == *"dxcron: start=20"*" node=* merged=0 left=0 exit=0"* ]]
    [ "$(wc -l <site/docking/cron.log)" -eq 1 ]
    [ "$(tail -n 1 dx.prom)" = "# EOF" ] && [ ! -e dx.prom.new ]
    grep -qx 'dx_last_run_exit_code 0' dx.prom
    grep -q '<h1>' site/page.html
    mkdir -p site/docking/bob/inbox
    echo "no archive" >site/docking/bob/inbox/00000001.dx
    run -1 dxcron site
    [[ $(tail -n 1 site/docking/cron.log) == *" merged=0 left=1 exit=1" ]]
    [ "$(txnroute status site/hq.db --json | jq -c '[.last_exit, .last_success == null]')" = '[1,false]' ]
}

@test "where the journal listens, lines begin with their level; elsewhere not" {
    in_journal() { : >journal && JOURNAL_STREAM=$(stat -c %d:%i journal) "$@" 2>journal; }
    in_journal dxcron -v site
    grep -q '^<6>dxcron: start=20' journal
    mkdir -p site/docking/bob/inbox
    echo "no archive" >site/docking/bob/inbox/00000001.dx
    in_journal dxcron -v site || [ $? -eq 1 ]
    grep -q '^<4>dxcron: docking/bob/inbox/00000001.dx: left where it is.*: stdin: ' journal
    [ -z "$(grep -v '^<[346]>' journal)" ]
    in_journal initsync x.db nowhere --node a || [ $? -eq 4 ]
    [[ $(cat journal) == "<"[34]">initsync: nowhere: no such directory" ]]
    JOURNAL_STREAM=1:1 dxcron -v site 2>elsewhere || [ $? -eq 1 ]
    [ -z "$(grep '^<' elsewhere)" ]
}

@test "a site that is not there and a lock that cannot be opened are named in our words" {
    run -4 dxcron nosuch
    [ "$output" = "dxcron: nosuch: no such directory, or one that $(id -un) may not enter" ]
    mkdir -p site/docking/cron.lock
    run -4 dxcron site
    [ "$output" = "dxcron: site/docking/cron.lock: cannot open it for writing" ]
}

@test "a node that is held is stuck, and status says why" {
    txnroute node hold site/hq.db bob --reason "stolen laptop"
    [ "$(of bob '[.held, .stuck]')" = '["stolen laptop",true]' ]
    run -0 txnroute status site/hq.db
    [[ $output == *$'\n    held: stolen laptop'* ]]
}

@test "conflicts: at most 80 columns, by node, kind and time" {
    local long
    long=$(printf 'word %.0s' {1..40})
    sqlite3 alice.db "UPDATE t SET name = 'mine $long' WHERE id = 1" "UPDATE t SET name = 'mine' WHERE id = 2"
    sqlite3 site/hq.db "UPDATE t SET name = 'theirs $long' WHERE id = 1" "DELETE FROM t WHERE id = 2"
    txnlog upload alice.db up
    run -1 dxapply site/hq.db --upload-from alice <up/00000001.dx
    run -1 dxapply conflicts site/hq.db
    [ "$(wc -L <<<"$output")" -le 80 ]
    [[ ${lines[0]} == "  ID  KIND "* ]]
    kinds() { dxapply conflicts site/hq.db --json "$@" | jq -r .kind | sort | tr '\n' ' '; }
    [ "$(kinds)" = "gone update " ]
    [ "$(kinds --kind gone)" = "gone " ]
    [ "$(kinds --node alice --since "$(date -u +%Y)-01-01")" = "gone update " ]
    [ -z "$(kinds --node bob)$(kinds --since 2999-01-01)" ]
    run -0 dxapply conflicts site/hq.db --node bob
    [ -z "$output" ]
    dxapply conflicts site/hq.db --json | jq -e 'select(.id) | .made | fromdate > 0'
}
