# The examples of the manual pages run as printed, in a directory with files by the names that the pages use. Each block of
# a section EXAMPLES is one shell, a file of configuration, or lines of a crontab. Where a page names a place of a whole
# machine, the test gives a place of its own; where it names another machine, `ssh` is a script that stays on this one.
load ../helper

# blocks PAGE: the examples of the page, each followed by a line "----".
blocks() {
    awk '/^\.Sh / { on = /EXAMPLES/; next }
         on && /^\.Bd / { block = 1; next }
         /^\.Ed/ { if (block) print "----"; block = 0 }
         block { gsub(/\\e/, "\\"); sub(/^\\&/, ""); print }' "$DX_ROOT/man/$1"
}

# A server with the sales package, alice's copy, some archives for her, an upload of hers, and stand-ins for other
# programs: made once, copied for each test.
setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    mkdir start && cd start || return
    "$DX_ROOT/tests/data/sales" hq.db 1 40
    cp -r "$DX_ROOT/tests/data/sales-package" sales-package
    cp -r sales-package sales-package-2
    txnlog attach hq.db
    txnroute load hq.db sales-package
    sqlite3 hq.db "UPDATE position SET login = 'alice' WHERE rowid = 1"
    txnroute node add hq.db alice --package sales --user alice
    mkdir docking
    txnroute extract hq.db alice docking | dxapply alice.db
    sqlite3 hq.db "UPDATE account SET city = 'Kiel'"
    txnroute run hq.db docking </dev/null
    mkdir inbox && cp docking/alice/outbox/*.dx inbox
    txnlog read hq.db >7.dx
    sqlite3 alice.db "UPDATE contact SET phone = '1'"
    txnlog upload alice.db up
    mkdir bin
    cat >bin/ssh <<-'END'
	#!/bin/bash
	while [[ $1 == -* ]]; do case $1 in -o | -p | -i) shift 2 ;; *) shift ;; esac; done
	shift
	exec sh -c "$*"
	END
    printf '#!/bin/sh\necho "$0 $*"\n' >bin/application
    chmod +x bin/ssh bin/application
    cp bin/application bin/systemctl
    cp bin/application bin/journalctl
    printf '#!/bin/sh\nsed "s/^/logged: /"\n' >bin/logger
    chmod +x bin/logger
    for key in office_key alice_key other; do ssh-keygen -q -t ed25519 -N '' -C $key -f $key; done
    mv alice_key.pub alice.pub
    cp office_key.pub server.pub
    echo "@server namespaces=\"dx\" $(cat office_key.pub)" >signers
}

setup() {
    cp -r "$BATS_FILE_TMPDIR/start/." "$BATS_TEST_TMPDIR"
    cd "$BATS_TEST_TMPDIR" || return
    PATH=$PWD/bin:$PATH
}

# site: what the pages call /srv/dx, or /srv/dx/hq.
site() {
    mkdir -p srv
    mv hq.db docking srv/
    ln -s . srv/hq
}

# runs PAGE N [CODE]: the N-th example of the page, with this exit code; its output is in $output. It ends at the first
# command that fails, unless `loosely` is set: to look at what a command that exits 1 says, and to go on.
runs() {
    blocks "$1" | awk -v n="$2" 'BEGIN { k = 1 } /^----$/ { k++; next } k == n' |
        sed -E "s,/srv/dx,$PWD/srv,g; s,/media/stick,$PWD/stick,g; s,/mnt/tape,$PWD/tape,g; s,/srv/sync/dx,$PWD/Sync/dx,g
            s,/var/www/html,$PWD/www,g; s,/var/lib/prometheus/node-exporter,$PWD/www,g" >example
    [ -s example ]
    if grep -q '^\[' example; then return; fi # a file of configuration: the test puts it where it belongs
    sed -E 's,^([*/0-9]+ ){5},,' example >shell
    HOME=$PWD run -"${3:-0}" bash ${loosely--euo pipefail} shell
}

@test "every example of every page is run here" {
    local page block
    for page in "$DX_ROOT"/man/*.[157]; do
        page=${page##*/}
        case $page in dx.7 | dx-handheld.7) continue ;; esac # their stories have tests of their own
        blocks "$page" >all
        [ -s all ] || { echo "no example in $page"; return 1; }
        for ((block = 1; block <= $(grep -c '^----$' all); block++)); do
            grep -qE "^ +(loosely='' )?runs $page $block( |\$)" "$BATS_TEST_FILENAME" || { echo "$page: example $block"; return 1; }
        done
    done
}

@test "dx(5)" {
    runs dx.5 1
    [[ $output == *"dx.json"*"\"dx\": 1,"* ]]
    runs dx.5 2
    [ "$(tail -n 2 <<<"$output" | cut -c 1-64 | uniq | wc -l)" = 1 ]
    rm -rf d && mkdir d
    mv 7.dx plain.dx
    dxpack sign --key other plain.dx >7.dx
    echo "alice namespaces=\"dx\" $(cat other.pub)" >signers
    runs dx.5 3
    [[ $output == *'Good "dx" signature for alice'* ]]
    mkdir hand && tar -xf plain.dx -C hand && cd hand
    runs dx.5 4 # its sum() is that of the example before
    { echo 'sum() { sha256sum | cut -c 1-64 | tr a-f A-F | basenc --base16 -d; }'; cat shell; } >whole
    bash -euo pipefail whole
    dxpack verify hand.dx
}

@test "dx-json(5), dx-guide(7)" {
    runs dx-json.5 1
    runs dx-json.5 2
    runs dx-guide.7 1 1
    [[ $output == *"NODE"* ]]
    runs dx-guide.7 2
    [[ $output == *'"changes":'* ]]
}

@test "dx-package(5), dx-handheld.conf(5)" {
    rm hq.db
    sqlite3 hq.db "CREATE TABLE account (row_id TEXT PRIMARY KEY, name, city, tax_id, territory TEXT, credit_rating, last_upd);
        CREATE TABLE position (territory TEXT, login TEXT, PRIMARY KEY (territory, login)); CREATE TABLE product (id TEXT PRIMARY KEY);
        CREATE TABLE contact (row_id TEXT PRIMARY KEY, account_id TEXT); CREATE TABLE cost (id TEXT PRIMARY KEY)"
    runs dx-package.5 1
    mkdir package && mv example package/package.conf
    txnlog attach hq.db
    txnroute load hq.db package
    sqlite3 pc.db "CREATE TABLE account (id TEXT PRIMARY KEY, territory TEXT);
        CREATE TABLE contact (id TEXT PRIMARY KEY, account_id TEXT, name TEXT, notes TEXT);
        CREATE TABLE contact_category (contact_id TEXT, category TEXT, PRIMARY KEY (contact_id, category));
        CREATE TABLE product (id TEXT PRIMARY KEY); CREATE TABLE price (product_id TEXT PRIMARY KEY, valid INTEGER);
        INSERT INTO account VALUES ('a', 'North'), ('b', 'South'); INSERT INTO product VALUES ('p'), ('q');
        INSERT INTO contact VALUES ('c', 'a', 'n', 'long'), ('d', 'b', 'n', 'x'); INSERT INTO price VALUES ('q', 1);
        INSERT INTO contact_category VALUES ('c', 'Private'), ('c', 'Business')"
    mkdir whole && printf '[package]\nname = all\nversion = 1\n' >whole/package.conf
    printf '[object %s]\nvisible = all\n' account contact contact_category product price >>whole/package.conf
    txnlog attach pc.db
    txnroute load pc.db whole
    txnroute node add pc.db laptop --package all
    txnroute extract pc.db laptop | dxapply laptop.db
    runs dx-handheld.conf.5 1
    hhextract pair laptop.db palm.db --device palm --conf example
    companionsync laptop.db palm.db
    [ "$(sqlite3 palm.db "SELECT id FROM account; SELECT id, name FROM contact; SELECT category FROM contact_category; SELECT id FROM product" | xargs)" = "a c|n Business q" ]
}

@test "dxapply(1): look before, go back, and answer conflicts" {
    runs dxapply.1 1
    cp up/00000001.dx .
    before=$(sqlite3 hq.db "SELECT * FROM contact")
    runs dxapply.1 2
    [ "$(sqlite3 hq.db "SELECT * FROM contact")" = "$before" ]
    sqlite3 hq.db "UPDATE contact SET phone = 'x'"
    sqlite3 alice.db "UPDATE contact SET phone = '2'"
    rm -rf up && txnlog upload alice.db up
    run -1 dxapply hq.db --upload-from alice <up/00000002.dx
    [ "$(dxapply conflicts hq.db --json | jq -c 'select(.column == "phone")' | wc -l)" -gt 0 ]
    runs dxapply.1 3 1 # dxapply conflicts exits 1 where there are some
    [ -z "$(dxapply conflicts hq.db --json | jq -c 'select(.column == "phone")')" ]
}

@test "dxpack(1)" {
    runs dxpack.1 1
    runs dxpack.1 2
    [[ $output == *$'1\taccount\t0\t'[1-9]* ]]
    sqlite3 hq.db "UPDATE account SET city = 'Bergen' WHERE row_id = 'A-000001'"
    runs dxpack.1 3
    [ "$(sqlite3 hq.db "SELECT city FROM account WHERE row_id = 'A-000001'")" = Oslo ]
    mark=$(txnlog read hq.db | dxpack list --json | jq .upto)
    sqlite3 hq.db "UPDATE account SET city = 'Rome' WHERE row_id = 'A-000001'"
    printf '#!/bin/bash\nset -- "${@/4711/%s}"\nexec "%s" "$@"\n' "$mark" "$(command -v txnlog)" >bin/txnlog
    chmod +x bin/txnlog
    runs dxpack.1 4
    [ "$(sqlite3 hq.db "SELECT city FROM account WHERE row_id = 'A-000001'")" = Oslo ]
    runs dxpack.1 5
    runs dxpack.1 6
    runs dxpack.1 7
    run -0 dxpack verify 7-edited.dx
}

@test "txnlog(1)" {
    runs txnlog.1 1
    [[ $output == *'"city":"Ulm"'* ]]
    mkdir tape
    runs txnlog.1 2
    dxpack verify tape/hq.dx
    rm -rf alice.db* && txnroute extract hq.db alice | dxapply alice.db
    runs txnlog.1 3
    printf '#!/bin/bash\nset -- "${@/17/%s}"\nexec "%s" "$@"\n' "$(txnlog status alice.db --json | jq .applied)" "$(command -v txnlog)" >bin/txnlog
    chmod +x bin/txnlog
    runs txnlog.1 4
}

@test "txnroute(1)" {
    rm -rf hq.db* alice.db* docking
    "$DX_ROOT/tests/data/sales" hq.db 1 40
    sqlite3 hq.db "UPDATE position SET login = 'alice' WHERE rowid = 1"
    runs txnroute.1 1
    runs txnroute.1 2
    [[ $output == *"sales"*"published"*"active"* ]]
    [ "$(txnroute node list hq.db bob --json | jq -r '.[0].package')" = sales ]
    runs txnroute.1 3
    sed -i 's/^version = 1/version = 2/; s/^visible = all/visible = none/' sales-package-2/package.conf
    runs txnroute.1 4 1
    [[ $output == *"alice"*"A-000012"*"GAINS"* ]]
    runs txnroute.1 5
    [[ $output == *"held now by "*"by a rule over "* ]]
}

@test "hhextract(1), companionsync(1), integratedsync(1)" {
    site
    runs hhextract.1 1
    runs hhextract.1 2
    [[ $output == *"application palm.db"* ]]
    runs integratedsync.1 1
    mkdir app site
    printf '#!/bin/sh\necho field 2.0\n' >app/field
    mv srv/hq.db* srv/docking site/
    runs integratedsync.1 2
    [[ $output == *"version 2.0 was installed"*"field 2.0" ]]
    mkdir elsewhere && txnroute extract site/hq.db alice | dxapply elsewhere/alice.db
    cd elsewhere
    runs companionsync.1 1
}

@test "initsync(1), remotesync(1): over ssh, with signatures, proof and cron" {
    site
    txnroute node end srv/hq.db alice
    rm -rf alice.db*
    runs initsync.1 1
    runs remotesync.1 1
    runs remotesync.1 2
    echo "alice namespaces=\"dx\" $(cat alice.db-dx/key.pub)" >srv/signers
    mv office_key srv/key
    printf '[site]\nsign = required\nsigners = signers\nkey = key\n' >srv/site.conf
    sqlite3 srv/hq.db "UPDATE account SET city = 'Bonn'"
    sqlite3 alice.db "UPDATE contact SET phone = '3'"
    runs remotesync.1 5
    runs remotesync.1 6
    [ "$(txnlog digest alice.db)" = "$(txnlog digest srv/hq.db --node alice)" ]
    [ "$(sqlite3 srv/hq.db "SELECT count(*) FROM contact WHERE phone = '3'")" -gt 0 ]
    # The laptop's file for systemd, and the command of the unit with what is in it.
    runs remotesync.1 7
    [[ $output == *"systemctl --user enable --now remotesync@sales.timer" ]]
    command=$(sed -n 's/^ExecStart=//p' "$DX_ROOT/scripts/share/systemd/remotesync@.service")
    [ "$command" = '@BINDIR@/remotesync $OPTIONS ${DB} ${SITE}' ]
    while IFS='=' read -r name value; do declare "$name=$value"; done <.config/dx/sales.env
    sqlite3 alice.db "UPDATE contact SET phone = '4'"
    # shellcheck disable=SC2086 # its words are options
    run -0 remotesync $OPTIONS "$DB" "$SITE"
    [ "$(ls srv/docking/alice/inbox | wc -l)" = 1 ]
}

@test "remotesync(1), dxserve(1): by stick, and by a directory that is kept in step" {
    site
    mkdir -p stick Sync/dx
    runs remotesync.1 3
    [ "$(txnlog digest alice.db)" = "$(txnlog digest srv/hq.db --node alice)" ]
    runs remotesync.1 4
    runs dxserve.1 2
}

@test "dxserve(1), dx-session(5): what waits for her, by hand; the line of authorized_keys" {
    site
    dxcron srv
    runs dxserve.1 3
    [[ $output == *"hello node=alice"*"offer d1 "* ]]
    runs dx-session.5 1
    [[ $output == *"hello node=alice"*"offer d1 "* ]]
    # The line for sshd: the command in it is what sshd runs.
    runs dxserve.1 1 127
    line=$(cat example)
    [[ $line == 'restrict,command="'*'" ssh-ed25519 AAAAC3... alice' ]]
    line=${line#*\"} line=${line%%\"*}
    printf '%s\n' 'dx 2 -' 'hello node=alice' over bye | sh -c "$line" >answer
    grep -q '^hello node=alice' answer
}

@test "dx-session(5): the session as printed, with the numbers of this one" {
    site
    dxcron srv
    runs dx-session.5 2 127
    # What the node says is said; then the server's words are as printed, but for numbers, digests and times.
    upload=up/00000001.dx
    words() { sed -E 's/ \([0-9]+ bytes\)//; s/=[^ ]*//g; s/[0-9a-f]{6,}|[0-9a-f]{4}\.\.\./X/g; s/[0-9]+(\.[0-9]+)*/N/g'; }
    epoch=$(txnlog status alice.db --json | jq -r .server)
    sum=$(sha256sum <$upload | cut -d ' ' -f 1) size=$(stat -c %s $upload)
    { printf '%s\n' 'dx 2 0.1.0' "hello node=alice epoch=$epoch archive=0 sent=1 upload=0 timeout=60" \
        "offer u1 $size $sum 0" "data u1 0 $size"; cat $upload; printf '%s\n' over 'kept d1' bye; } |
        dxserve --site "$PWD/srv" --node alice >answer
    grep '^C: ' shell | sed 's/^C: //' | words >node_says
    [ "$(words <<<"dx 2 0.1.0")" = "$(head -n 1 node_says)" ]
    grep '^S: ' shell | sed 's/^S: //' | words | cut -d ' ' -f 1 | sort -u >printed
    [ "$(tail -c 4 answer)" = bye ] # right behind the bytes of the archive
    { grep -aE '^(dx|hello|kept|offer|over|data)' answer; echo bye; } | words | cut -d ' ' -f 1 | sort -u >said
    diff printed said
}

@test "dxcron(1): crontab, log, units, checks" {
    site
    runs dxcron.1 1
    runs dxcron.1 2
    [[ $output == *"logged: "*"dxcron"* ]]
    runs dxcron.1 3
    [[ $output == *"systemctl enable --now dxcron@hq.timer"*"journalctl -u dxcron@hq"* ]]
    [ -f "$DX_ROOT/scripts/share/systemd/dxcron@.timer" ]
    runs dxcron.1 4
    [[ $output == "DX OK"* || $output == *"OK"* ]]
}

@test "dx-site.conf(5), dx-security(7)" {
    site
    mkdir www
    runs dx-site.conf.5 1
    cp example srv/site.conf
    dxcron srv
    grep -q '<html' www/dx.html
    grep -q '^dx_' www/dx.prom
    runs dx-site.conf.5 2
    ssh-keygen -l -f srv/key.pub
    runs dx-site.conf.5 3
    cp example srv/site.conf
    cp inbox/00000001.dx 7.dx
    runs dx-security.7 1
    runs dx-security.7 2
    diff example srv/site.conf
    run -0 dxcron srv
    mkdir -p srv/docking/alice/inbox && cp up/00000001.dx srv/docking/alice/inbox/
    run -1 dxcron srv
    [[ $output == *"not signed"* ]]
}

@test "syncdiff(1), desktopsync(1)" {
    sqlite3 theirs.db "CREATE TABLE person (id INTEGER PRIMARY KEY, name TEXT, changed TEXT);
        INSERT INTO person VALUES (7, 'Ann', '1'), (8, 'Bob', '1'), (9, 'Cy', '1')"
    cp theirs.db mine.db
    sqlite3 theirs.db "UPDATE person SET name = 'Bo' WHERE id = 8"
    runs syncdiff.1 1 1
    [[ $output == *"Bob"*"Bo"* ]]
    mv theirs.db crm.db
    mkdir office
    printf '[object person]\nconflict = ask\n' >crm.conf
    cp crm.db office.db
    cp mine.db crm.db
    sed -i 's/exec sh -c "\$\*"/exec sh -c "${*\/crm.db\/office.db}"/' bin/ssh
    runs desktopsync.1 1 1
    for id in 7 8; do
        sqlite3 crm.db "UPDATE person SET name = 'mine $id' WHERE id = $id"
        sqlite3 office.db "UPDATE person SET name = 'theirs $id' WHERE id = $id"
    done
    run -1 desktopsync crm.db office.db --base crm.base --conf crm.conf
    runs syncdiff.1 2 1 # syncdiff conflicts exits 1 where there are some
    run -0 desktopsync crm.db office.db --base crm.base --conf crm.conf
    [ "$(sqlite3 crm.db "SELECT name FROM person WHERE id < 9" | xargs)" = "mine 7 theirs 8" ]
    cp crm.db mine.db && cp crm.db office.db
    syncdiff keys mine.db >base.keys
    sqlite3 office.db "UPDATE person SET name = 'new' WHERE id = 9"
    loosely='' runs syncdiff.1 3
    [ "$(sqlite3 mine.db "SELECT name FROM person WHERE id = 9")" = new ]
}
