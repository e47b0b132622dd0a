#!/usr/bin/env bats
# What the commands make is private, and they follow no link that somebody has laid in their way.

load ../helper

site() {
    sql hq.db "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)" "INSERT INTO t VALUES (1, 'one')"
    mkdir p
    printf '[package]\nname = p\nversion = 1\n[object t]\nvisible = all\n' >p/package.conf
    txnlog attach hq.db
    txnroute load hq.db p
    txnroute node add hq.db alice --package p
    txnroute extract hq.db alice | dxapply alice.db
}


@test "copies, outboxes, uploads and locks are not for others, whatever the umask of the caller" {
    umask 022
    site
    sql alice.db "INSERT INTO t VALUES (2, 'two')"
    txnlog upload alice.db out
    sql hq.db "UPDATE t SET v = 'x'"
    txnroute run hq.db docking </dev/null
    [ "$(stat -c %a alice.db)" = 600 ]
    [ "$(stat -c %a docking docking/alice docking/alice/outbox out | sort -u)" = 700 ]
    [ "$(stat -c %a docking/alice/outbox/00000001.dx out/00000001.dx | sort -u)" = 600 ]
    [ -z "$(find docking out -perm /077)" ]
}

@test "a mask that lets the group in and not others stays" {
    umask 007
    site
    [ "$(stat -c %a alice.db)" = 640 ]
}

@test "access = group: what the cron job makes at a site is for its group, too, and for nobody else" {
    umask 022
    mkdir site
    cd site
    site
    chmod 660 hq.db
    printf '[site]\naccess = group\n' >site.conf
    sql hq.db "UPDATE t SET v = 'x'"
    dxcron .
    [ "$(stat -c %a docking docking/alice docking/alice/outbox | sort -u)" = 770 ]
    [ "$(stat -c %a docking/cron.lock docking/cron.log docking/alice/outbox/00000001.dx | sort -u)" = 660 ]
    [ -z "$(find docking -perm /007)" ]
    rm -r docking site.conf
    sql hq.db "UPDATE t SET v = 'y'"
    dxcron . || [ $? -eq 1 ]
    [ -z "$(find docking -perm /077)" ]
}

@test "a link under a name that is to be made is not followed" {
    site
    echo precious >victim
    sql alice.db "INSERT INTO t VALUES (2, 'two')"
    mkdir -p out docking/alice/outbox
    ln -s "$PWD/victim" docking/alice/outbox/00000001.dx.new
    sql hq.db "UPDATE t SET v = 'x'"
    txnroute run hq.db docking </dev/null
    dxpack verify docking/alice/outbox/00000001.dx
    [ ! -L docking/alice/outbox/00000001.dx ]
    [ "$(cat victim)" = precious ]
}

@test "a lock that is a link is refused, and what it leads to stays as it is" {
    site
    echo precious >victim
    mkdir -p docking
    ln -s "$PWD/victim" docking/lock
    sql hq.db "UPDATE t SET v = 'x'"
    run -4 txnroute run hq.db docking </dev/null
    [ "$(cat victim)" = precious ]
}

@test "a node cannot be called as what the docking directory keeps itself" {
    site
    for name in lock cron.lock cron.log cron.log.new stick.lock files.new files.seen unfinished; do
        run -3 txnroute node add hq.db $name --package p
        [[ $output == *"cannot be a node's name"* ]]
    done
}
