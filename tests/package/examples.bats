# The examples of the manual pages run as printed, where they need nothing but what a test can give them: files by the
# names that the pages use, in a directory of their own. Each block of a section EXAMPLES is one shell.
load ../helper

# blocks PAGE: the examples of the page, each followed by a line "----".
blocks() {
    awk '/^\.Sh / { on = /EXAMPLES/; next }
         on && /^\.Bd / { block = 1; next }
         /^\.Ed/ { if (block) print "----"; block = 0 }
         block { gsub(/\\e/, "\\"); sub(/^\\&/, ""); print }' "$DX_ROOT/man/$1"
}

# A server with the sales package, alice's copy and her first upload, as the pages have them.
setup() {
    cd "$BATS_TEST_TMPDIR" || return
    "$DX_ROOT/tests/data/sales" hq.db 1 40
    cp -r "$DX_ROOT/tests/data/sales-package" sales-package
    cp -r sales-package sales-package-2
    txnlog attach hq.db
    txnroute load hq.db sales-package
    user=$(sqlite3 hq.db "SELECT login FROM position LIMIT 1")
    txnroute node add hq.db alice --package sales --user "$user"
    mkdir docking
    txnroute extract hq.db alice docking | dxapply alice.db
    sqlite3 hq.db "UPDATE account SET city = 'Kiel'"
    txnroute run hq.db docking </dev/null
    mkdir inbox && cp docking/alice/outbox/*.dx inbox
    txnlog read hq.db >7.dx
}

# runs PAGE N: the N-th example of the page; its output is in $output.
runs() {
    blocks "$1" | awk -v n="$2" 'BEGIN { k = 1 } /^----$/ { k++; next } k == n' >example
    [ -s example ]
    run bash -euo pipefail example
    [ "$status" -le 1 ] || { echo "$1, example $2, ended with $status:"; cat example; echo "$output"; return 1; }
}

@test "every page has examples, and the shell can read those that are shell" {
    local page
    for page in "$DX_ROOT"/man/*.[15]; do
        blocks "${page##*/}" >all
        [ -s all ] || { echo "no example in $page"; return 1; }
    done
    for page in "$DX_ROOT"/man/*.1; do
        blocks "${page##*/}" | grep -vE '^(\*/5|\*/10|0) \* |^restrict,' >all
        bash -n all || { echo "$page"; return 1; }
    done
}

@test "dx-json(5) runs as printed" {
    runs dx-json.5 1
    runs dx-json.5 2
}

@test "dx(5): common tools look into an archive, and check its seal and its digest" {
    runs dx.5 1
    [[ $output == *"dx.json"*"\"dx\": 1,"* ]]
    runs dx.5 2
    [ "$(tail -n 2 <<<"$output" | cut -c 1-64 | uniq | wc -l)" = 1 ]
}

@test "dx(5): an archive made by hand is one" {
    mkdir hand && tar -xf 7.dx -C hand
    { echo 'sum() { sha256sum | cut -c 1-64 | tr a-f A-F | basenc --base16 -d; }'
      blocks dx.5 | awk 'BEGIN { k = 1 } /^----$/ { k++; next } k == 4'; } >hand/example
    (cd hand && ls changes && bash -euo pipefail example)
    dxpack verify hand/hand.dx
}

@test "dxapply(1), dxpack(1), txnlog(1), txnroute(1) run as printed" {
    runs dxapply.1 1
    runs txnlog.1 1
    runs txnlog.1 3
    runs dxpack.1 1
    runs dxpack.1 2
    rm -rf hq.db* alice.db* docking
    "$DX_ROOT/tests/data/sales" hq.db 1 40
    runs txnroute.1 1
    runs txnroute.1 2
    runs txnroute.1 3
    runs txnroute.1 5
    [[ $output == *"held now by "*"by a rule over "* ]]
}

@test "dx-guide(7) runs as printed" {
    runs dx-guide.7 1
    [[ $output == *"node"* || $output == *"NODE"* ]]
    runs dx-guide.7 2
    [[ $output == *'"changes":'* ]]
}

@test "remotesync(1): by stick, at the laptop, at the office, and at the laptop again" {
    mkdir site stick
    mv hq.db docking site/
    blocks remotesync.1 | sed "s,/media/stick,stick,; s,/srv/dx,site,g" | awk '/^----$/ { k++; next } k == 2' >example
    grep -q 'dxserve --site site --stick stick' example
    run -0 bash -euo pipefail example
    [ "$(txnlog digest alice.db)" = "$(txnlog digest site/hq.db --node alice)" ]
}

@test "integratedsync(1): a new version of the device's software, from the server to the device" {
    mkdir site app
    mv hq.db docking site/
    printf '#!/bin/sh\necho field 2.0\n' >app/field
    remotesync alice.db site
    hhextract pair alice.db palm.db --device palm
    blocks integratedsync.1 | awk '/^----$/ { k++; next } k == 1' >example
    run -0 bash -euo pipefail example
    [[ $output == *"version 2.0 was installed"*"field 2.0" ]]
}

@test "txnroute(1): user, responsibility, package" {
    blocks txnroute.1 | awk '/^----$/ { k++; next } k == 1' >example
    grep -q 'responsibility set' example
    run -0 bash -euo pipefail example
    [[ $output == *"sales"*"published"*"active"* ]]
    [ "$(txnroute node list hq.db bob --json | jq -r '.[0].package')" = sales ]
}
