#!/usr/bin/env bats
# txnroute why, try, status, extract: what an administrator asks of the router, and whether the answers are true.

load ../helper
load ../routing

@test "why: has it or not, by which rule, through which rows, since which archive" {
    start "$by_position"
    run -0 txnroute why hq.db ann note 100
    [[ $output == "ann holds note 100"*"to contact 10"*"to account 1"*"through account 1, position 1, dx_node 'ann'"* ]]
    run -1 txnroute why hq.db bob account 1
    [[ $output == *"does not give it to this node (user bob)"* ]]
    sql hq.db "UPDATE position SET login = 'bob' WHERE id = 1"
    run -0 txnroute why hq.db ann account 1
    [[ $output == *"the next run takes it away"* ]]
    follow
    run -1 txnroute why hq.db ann account 1
    [[ $output == *"gone since archive 1"* ]]
    run -0 txnroute why hq.db bob account 1
    [[ $output == *"held since archive 1"* ]]
    run -1 txnroute why hq.db bob account 99
    [[ $output == *"there is no such row"* ]]
    run -1 txnroute why hq.db bob cost 1
    run -0 txnroute why hq.db bob product 1
    run -3 txnroute why hq.db bob nothing 1
    run -3 txnroute why hq.db nobody account 1
}

@test "why: since its snapshot, since an archive, since archives were folded, by its own work" {
    start "$by_position"
    run -0 txnroute why hq.db ann account 2
    [[ $output == *"held since its snapshot, archive 0, journal entry "* ]]
    run -0 txnroute why hq.db bob product 1
    [[ $output == *"visible to every node of package p"*"or since the row was inserted"* ]]
    moves "UPDATE account SET territory = 't2' WHERE id = 2"
    moves "UPDATE account SET name = 'x' WHERE id = 1"
    moves "UPDATE account SET territory = 't1' WHERE id = 2"
    number=$(basename "$(newest ann)" .dx)
    run -0 txnroute why hq.db ann account 2
    [[ $output == *"held since archive $((10#$number)), journal entry "* ]]
    run -1 txnroute why hq.db bob account 2
    [[ $output == *"gone since archive "* ]]
    # What came before a new copy is no news to it, once it has reported back.
    copy ann
    sql ann.db "UPDATE account SET name = 'w' WHERE id = 1"
    txnlog upload ann.db ann-again
    dxapply hq.db <ann-again/*.dx
    run -0 txnroute why hq.db ann account 2
    [[ $output == *"held since its snapshot, archive "* ]]
    # Archives that are set aside, and the one that they are folded to.
    rm -f docking/*/outbox/*
    for i in 1 2 3; do
        sql hq.db "UPDATE account SET name = 'y$i' WHERE id = 1; INSERT INTO account VALUES (5$i, 'new', 't1', 1, NULL, NULL)"
        txnroute run hq.db docking --fold 1 </dev/null
    done
    run -0 txnroute why hq.db ann account 51
    [[ $output == *"held since archive "* ]]
    run -0 txnroute why hq.db ann account 53
    [[ $output == *"no archive carried it yet: they are set aside"* ]]
    rm -f docking/*/outbox/*
    sql hq.db "UPDATE account SET name = 'z' WHERE id = 1"
    txnroute run hq.db docking --fold 1 </dev/null
    run -0 txnroute why hq.db ann account 53
    [[ $output == *"held since archive $((10#$(basename "$(newest ann)" .dx))), "* ]]
    # A row that the node put in is nothing that an archive brought it.
    before=$(sql hq.db "SELECT max(seq) FROM dx_journal")
    sql hq.db "INSERT INTO account VALUES (70, 'own', 't1', 1, NULL, NULL)" "UPDATE dx_journal SET origin = 'ann' WHERE seq > $before"
    txnroute run hq.db docking --fold 0 </dev/null
    run -0 txnroute why hq.db ann account 70
    [[ $output == *"no archive carried it: the node did it itself"* ]]
}

@test "why: the arm of the rule, a time filter, a rule evaluated whole, keys of any kind, an orphan" {
    sql hq.db "CREATE TABLE visit (account INTEGER, day TEXT, note TEXT, PRIMARY KEY (account, day))"
    start "$by_position UNION $by_share"
    printf "[object visit]\nvia = account -> account\nkeep = day > '2025-02-01'\n" >>p/package.conf
    txnlog attach hq.db
    txnroute load hq.db p 2>load.err
    sql hq.db "INSERT INTO share VALUES (4, 'ann')" "INSERT INTO visit VALUES (4, '2025-01-01', 'a'), (4, '2025-03-01', 'b')" \
        "INSERT INTO contact VALUES (90, NULL, 'nobody''s'), (91, 77, 'orphan')"
    txnroute run hq.db docking </dev/null
    run -0 txnroute why hq.db ann account 4
    [[ $output == *"by the rule of object account, arm 2, through share 4 'ann', dx_node 'ann'"* ]]
    run -0 txnroute why hq.db ann visit 4 2025-03-01
    [[ $output == "ann holds visit 4, '2025-03-01'
  by its account, to account 4
"* ]]
    run -1 txnroute why hq.db ann visit 4 2025-01-01
    [[ $output == *"its time filter leaves it out: keep = day > '2025-02-01'"* ]]
    run -2 txnroute why hq.db ann visit 4
    [[ $output == *"the key of visit has 2 columns, 1 values were given"* ]]
    run -1 txnroute why hq.db ann account 1.5
    [[ $output == "ann does not hold account 1.5
"*"there is no such row"* ]]
    run -1 txnroute why hq.db ann account 99999999999999999999
    [[ $output == "ann does not hold account 1e+20
"* ]]
    run -1 txnroute why hq.db ann contact 90
    [[ $output == *"account is NULL: it belongs to no account"* ]]
    run -1 txnroute why hq.db ann contact 91
    [[ $output == *"to account 77"*"there is no such row"* ]]
    rule="$by_position LEFT JOIN ban b ON b.account = a.id WHERE b.id IS NULL"
    package "$rule"
    txnroute load hq.db p 2>load.err
    txnroute run hq.db docking </dev/null
    run -0 txnroute why hq.db ann account 1
    [[ $output == "ann holds account 1
  by the rule of object account, through account 1, position 1, dx_node 'ann', ban NULL
"* ]]
    for rest in "GROUP BY n.name, a.id HAVING count(*) = 1|, through account 1, position 1, dx_node 'ann'" \
        "WHERE a.id NOT IN (SELECT account FROM ban)|, through account 1, position 1, dx_node 'ann'" \
        "EXCEPT SELECT b.login, b.account FROM ban b|" ; do
        package "$by_position ${rest%|*}"
        txnroute load hq.db p 2>load.err
        txnroute run hq.db docking </dev/null
        run -0 txnroute why hq.db ann account 1
        [ "${lines[1]}" = "  by the rule of object account${rest#*|}" ]
    done
    package "$rule"
    txnroute load hq.db p 2>load.err
    txnroute run hq.db docking </dev/null
    sql hq.db "INSERT INTO ban VALUES (1, 1, 'x')"
    run -0 txnroute why hq.db ann account 1
    [[ $output == *"does not give it to this node"*"the next run takes it away"* ]]
    txnroute node end hq.db ann
    run -3 txnroute why hq.db ann account 1
    [[ $output == *"ended"* ]]
}

@test "try says what the next run will give and take, rows and bytes, and writes nothing" {
    rule=$by_position
    start "$rule"
    sql hq.db "INSERT INTO share VALUES (1, 'bob'), (4, 'bob'), (2, 'ann')"
    txnroute run hq.db docking </dev/null
    mkdir q
    sed -e "s/^visible = SELECT .*/visible = $by_share/" -e '/object product/,/visible/s/all/none/' p/package.conf >q/package.conf
    before=$(sql hq.db .dump | sha256sum)
    files=$(find docking | sort)
    run -1 txnroute try hq.db q --json
    [ "$(sql hq.db .dump | sha256sum)" = "$before" ]
    [ "$(find docking | sort)" = "$files" ]
    jq -r '.[] | select(.gained > 0 or .lost > 0) | "\(.node) \(.object) \(.gained) \(.lost)"' <<<"$output" | sort >tried
    jq -e 'all(.[]; (.gained > 0) == (.gained_bytes > 0) and (.lost > 0) == (.lost_bytes > 0))' <<<"$output"
    run -1 txnroute try hq.db q
    [[ ${lines[1]} =~ ^ann\ +account\ +0\ +0\ +1\ +[1-9] ]]
    txnroute load hq.db q 2>load.err
    txnroute run hq.db docking </dev/null
    for n in ann bob; do
        dxpack cat <"$(newest $n)" | jq -r --arg n $n '"\($n) \(.table) \(.op)"'
    done | awk '{ n[$1 " " $2] = 1; $3 == "delete" ? lost[$1 " " $2]++ : gained[$1 " " $2]++ }
        END { for (k in n) print k, gained[k] + 0, lost[k] + 0 }' | sort >came
    diff tried came
    [ "$(wc -l <came)" -ge 6 ]
    run -0 txnroute try hq.db q
    [ -z "$output" ]
    run -4 txnroute try hq.db nowhere
}

@test "status: position, what is not confirmed in rows, bytes and age, files in the outbox, last session, open conflicts, node by node" {
    rule=$by_position
    start "$rule"
    touch start
    of() { txnroute status hq.db docking --json | jq -c --arg n "$1" ".nodes[] | select(.name == \$n) | $2"; }
    [ "$(of ann '[.status, .package, .user, .archive, .position, .backlog_archives, .backlog_rows, .backlog_bytes, .backlog_age, .set_aside, .outbox_files, .session, .conflicts]')" = \
        '["active","p","ann",0,0,0,0,0,0,0,0,null,0]' ]
    sql hq.db "UPDATE account SET name = 'x'"
    txnlog read hq.db | txnroute run hq.db docking --now '2025-01-01 00:00:00'
    sql hq.db "UPDATE account SET name = 'y' WHERE id = 1"
    txnlog read hq.db | txnroute run hq.db docking
    [ "$(of ann '[.archive, .position, .applied, .backlog_archives, .backlog_rows, .outbox_files]')" = '[2,5,0,2,3,2]' ]
    [ "$(of ann .backlog_bytes)" -eq "$(cat docking/ann/outbox/*.dx | wc -c)" ]
    [ "$(of ann .outbox_bytes)" -eq "$(cat docking/ann/outbox/*.dx | wc -c)" ]
    [ "$(of ann .backlog_age)" -gt 10000000 ]
    [ "$(of bob '[.archive, .position, .backlog_archives, .backlog_rows]')" = '[1,4,1,1]' ]
    # A session fetches them; the next one proves that they are applied, though nothing is uploaded.
    remotesync ann.db .
    remotesync ann.db .
    [ "$(of ann '[.archive, .backlog_archives, .backlog_rows, .backlog_bytes, .backlog_age, .outbox_files]')" = '[2,0,0,0,0,0]' ]
    [ "$(of bob .backlog_archives)" = 1 ]
    [ "$(of ann .session)" = "\"$(date -u -r docking/ann/lock '+%Y-%m-%dT%H:%M:%SZ')\"" ]
    [ "$(of bob .session)" = null ]
    [ docking/ann/lock -nt start ]
    # A conflict is ann's until it is resolved.
    sql ann.db "UPDATE account SET name = 'mine' WHERE id = 1"
    sql hq.db "UPDATE account SET name = 'theirs' WHERE id = 1"
    remotesync --now ann.db . || [ $? -eq 1 ]
    [ "$(of ann .conflicts)" = 1 ]
    [ "$(of bob .conflicts)" = 0 ]
    dxapply resolve hq.db "$(dxapply conflicts hq.db --json | jq -r .id)" ours
    [ "$(of ann .conflicts)" = 0 ]
    # What is set aside for a node that does not come counts, too.
    for i in 1 2 3; do
        sql hq.db "UPDATE account SET name = 'z$i' WHERE id = 3"
        txnroute run hq.db docking --fold 1 </dev/null
    done
    [ "$(of bob .set_aside)" -gt 0 ]
    [ "$(of ann .set_aside)" = 0 ]
    run -0 txnroute status hq.db
    [[ $output == "journal: routed up to "*"bob "*"log entries set aside"* ]]
    [ "$(wc -L <<<"$output")" -le 80 ]
    txnroute node end hq.db bob
    [ "$(of bob '[.status, .set_aside]')" = '["ended",0]' ]
    run -4 txnroute status nowhere.db
    run -1 txnroute status hq.db nowhere
    [[ $output == *$'\n'"docking: nowhere: no such directory; "* ]]
}

@test "extract while others write: every copy is one moment of the server, and goes on from there" {
    rule=$by_position
    start "$rule"
    moves "UPDATE product SET name = 'n'"
    # Each transaction names both products alike, and puts in an account with its contact.
    cat >write <<'END'
i=100
until [ -e stop ] || [ $i -ge 3000 ]; do
    i=$((i + 1))
    echo "BEGIN; UPDATE product SET name = 'n$i' WHERE id = 1; INSERT INTO contact VALUES ($i, $i, 'c'); INSERT INTO account VALUES ($i, 'a', 't1', 1, NULL, NULL); UPDATE product SET name = 'n$i' WHERE id = 2; COMMIT;"
    sleep 0.01
done | sqlite3 -cmd '.timeout 10000' hq.db
END
    bash write 3>&- &
    writer=$!
    for i in 1 2 3; do
        rm -f ann.db*
        copy ann
        [ "$(sql ann.db "SELECT count(DISTINCT name) FROM product")" = 1 ]
        [ "$(sql ann.db "SELECT count(*) FROM account WHERE id > 100")" = "$(sql ann.db "SELECT count(*) FROM contact WHERE id > 100")" ]
        txnroute run hq.db docking </dev/null
        for file in docking/ann/outbox/*.dx; do
            [ ! -e "$file" ] || dxapply ann.db <"$file"
        done
        [ "$(sql ann.db "SELECT count(DISTINCT name) FROM product")" = 1 ]
    done
    touch stop
    wait $writer
    [ "$(sql ann.db "SELECT count(*) FROM account WHERE id > 100")" -gt 0 ]
    rm -f docking/ann/outbox/*
    follow
    right
}

@test "why --history: what was done to a row, who gained and lost it, in which archives, and who holds it" {
    start "$by_position"
    moves "UPDATE account SET name = 'x' WHERE id = 1"
    moves "UPDATE account SET secret = 'y' WHERE id = 1"
    moves "UPDATE account SET territory = 't2' WHERE id = 1"
    run -0 txnroute why --history hq.db account 1
    [ "${#lines[@]}" = 8 ] || { echo "$output"; false; }
    [[ ${lines[0]} =~ ^\ *ENTRY\ +WHO\ +WHAT$ ]]
    [[ ${lines[1]} =~ here\ +"update name = 'x'"$ ]]
    [[ ${lines[2]} =~ ann\ +"is sent it, archive 1"$ ]]
    [[ ${lines[3]} =~ here\ +"update secret = 'y'"$ ]]
    [[ ${lines[4]} =~ here\ +"update territory = 't2'"$ ]]
    [[ ${lines[5]} =~ ann\ +"loses it, archive "[0-9]+$ ]]
    [[ ${lines[6]} =~ bob\ +"gains it, archive "[0-9]+$ ]]
    [ "${lines[7]}" = "held now by bob" ]
    sql hq.db "UPDATE account SET name = 'waits for the next run, and is a name that would not end on a line of 80 columns' WHERE id = 1"
    run -0 txnroute why --history hq.db account 1
    [[ $output == *"bob             is sent it by the next run"* ]]
    [ "$(wc -L <<<"$output")" -le 80 ]
    # A row of a node, and one that all have.
    sql bob.db "INSERT INTO account VALUES (70, 'own', 't2', 1, NULL)"
    exchange ann bob
    run -0 txnroute why --history hq.db account 70
    [[ $output == *" bob             insert name = 'own'"*"held now by bob" ]]
    run -0 txnroute why --history hq.db product 1
    [[ $output == *"held now by ann, bob" ]]
    run -1 txnroute why --history hq.db account 999
    run -2 txnroute why --history hq.db account 1 2
    run -2 txnroute why hq.db ann account
    run -3 txnroute why --history hq.db nothing 1
}

@test "rules: who sees what, which tables the rules read; --dot draws it" {
    start "$by_position UNION $by_share" "keep = owner > 0"
    run -0 txnroute rules hq.db
    [ "$output" = "p 1
  account  by a rule over account, dx_node, position, share; keep owner > 0
  contact  below account, by account
  note     below contact, by contact
  product  every node of the package
  cost     no node" ] || { echo "$output"; false; }
    run -0 txnroute rules --dot hq.db
    [[ $output == "digraph rules {"*'label="p 1";'*'"table position" -> "0 account";'*'"0 account" -> "0 contact" [label="account"];'*'"table share" [label="share", shape=ellipse];'*"}" ]]
    # Nothing is loaded.
    sql bare.db "CREATE TABLE t (id INTEGER PRIMARY KEY)"
    run -3 txnroute rules bare.db
}
