#!/usr/bin/env bats
# A node comes to an end on a day, or gets another server; a package that needs a release of dx; a copy whose numbering is
# over. A server names a place, a person goes there.

load ../helper
load ../site

setup_file() {
    cd "$BATS_FILE_TMPDIR" || return
    make_site
    initsync alice.db site --node alice
    account=$(sql alice.db "SELECT min(row_id) FROM account")
    export account
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    cp -a "$BATS_FILE_TMPDIR"/{site,alice.db,alice.db-dx} .
}

# says TEXT...: the answer of a server that is none, as a site's dxserve would give it.
says() {
    printf '%s\n' "$@" >answer
    dxpack exchange alice.db-dx -- sh -c 'cat answer; cat >/dev/null'
}

# other_site: there/, whose alice starts afresh.
other_site() {
    mkdir there
    cp site/hq.db there/
    txnroute node end there/hq.db alice
    txnroute node add there/hq.db alice --package sales --user alice
}

@test "a node that ends on a day is served until then, and refused from then on" {
    txnroute node end site/hq.db alice --expire 2099-12-31
    remotesync alice.db site
    run -0 txnroute status site/hq.db
    [[ $output == *"ends at 2100-01-01"* ]]
    [ "$(txnroute status site/hq.db --json | jq -r '.nodes[] | select(.name == "alice") | .ends')" = 2100-01-01T00:00:00Z ]
    [[ $(txnroute node list site/hq.db alice) == *"active"*"ends at 2100-01-01T00:00:00Z" ]]
    [ "$(txnroute node list site/hq.db --json | jq -c '[.[].ends]')" = '["2100-01-01T00:00:00Z",null]' ]
    txnroute node end site/hq.db alice --expire 2020-01-01T12:00:00Z
    run -3 remotesync alice.db site
    [[ $output == *"has come to its end here on 2020-01-01 12:00 UTC"* ]]
    run -3 initsync new.db site --node alice
    run -3 txnroute extract site/hq.db alice
    dxcron site
    [ "$(txnroute node list site/hq.db alice --json | jq -r '.[0].status')" = ended ]
}

@test "a date that is taken back, and one that is none" {
    txnroute node end site/hq.db alice --expire 2099-12-31
    txnroute node end site/hq.db alice --expire never
    [ "$(txnroute status site/hq.db --json | jq -r '.nodes[] | select(.name == "alice") | .ends')" = null ]
    run -2 txnroute node end site/hq.db alice --expire tomorrow
    run -2 txnroute node end site/hq.db alice elsewhere
    run -2 txnroute node move site/hq.db alice
    run -0 remotesync alice.db site
}

@test "a node that was ended by a date is taken up again, and gets a new copy" {
    txnroute node end site/hq.db alice --expire 2020-01-01
    run -3 remotesync alice.db site
    txnroute node add site/hq.db alice --package sales --user alice
    remotesync --yes alice.db site
    right alice.db
}

@test "a node that has another server is told which; from a script nothing is done, --yes is no word for a move" {
    sql alice.db "UPDATE account SET city = 'Unsent' WHERE row_id = '$account'"
    other_site
    txnroute node move site/hq.db alice "$PWD/there"
    run -0 txnroute status site/hq.db
    [[ $output == *"moved to $PWD/there"* ]]
    for yes in '' --yes; do
        run -7 remotesync $yes alice.db site </dev/null
        [[ $output == *"node 'alice' has another server now"*"initsync --moved alice.db $PWD/there --node alice"* ]]
    done
    run -3 initsync new.db site --node alice
    [[ $output == *"initsync --moved new.db $PWD/there --node alice"* ]]
    [ ! -e new.db ]
    run -0 initsync --moved alice.db "$PWD/there" --node alice
    run -3 remotesync alice.db site
    [[ $output == *"was made from $PWD/there already: remotesync alice.db $PWD/there"* ]]
    remotesync --now alice.db there
    [ "$(sql there/hq.db "SELECT city FROM account WHERE row_id = '$account'")" = Unsent ]
    diff <(txnlog digest alice.db) <(txnlog digest there/hq.db --node alice)
}

@test "what the server before has acknowledged is not sent to the new one; what that lacks is saved" {
    other_site
    sql alice.db "UPDATE account SET city = 'Old server' WHERE row_id = '$account'"
    remotesync --now alice.db site
    sql alice.db "UPDATE account SET name = 'Pending' WHERE row_id = '$account'"
    remotesync alice.db site
    txnroute node move site/hq.db alice "$PWD/there"
    run -1 initsync --moved alice.db there --node alice
    [[ $output == *"there does not have all that alice.db had"*alice.db-dx/saved/restored-1.dx* ]]
    [[ "$(dxpack cat alice.db-dx/saved/restored-1.dx)" == *"Old server"* ]]
    run -0 remotesync --now alice.db there
    [ "$(sql there/hq.db "SELECT city <> 'Old server', name FROM account WHERE row_id = '$account'")" = "1|Pending" ]
    diff <(txnlog digest alice.db) <(txnlog digest there/hq.db --node alice)
}

@test "at a terminal a person says yes, or no" {
    other_site
    txnroute node move site/hq.db alice "$PWD/there"
    echo n | script -qec "remotesync alice.db site" /dev/null >log || code=$?
    [ "$code" = 7 ]
    grep -q "another server now, $PWD/there. Make alice.db again from there?" log
    run -7 remotesync alice.db there
    [ ! -e alice.db-dx/site ]
    echo yes | script -qec "remotesync --now alice.db site" /dev/null >log
    grep -q "from now on: remotesync alice.db $PWD/there" log
    run -0 remotesync alice.db there
}

@test "what is no place of a server, or could be read as an option, a command or control characters, is neither noted nor followed" {
    for bad in '' / there -x:/srv x@-oProxyCommand=id:/srv -oProxyCommand=id@x:/srv 'x:-site' 'a b:/srv' 'x:/srv;id' \
        $'x:/srv\e[2J' 'x:$(id)' 'ssh://x/srv' ':/srv' 'x:' '@x:/srv' 'x:/a
b' "x:/$(printf '%0300d' 1)" "x:/ä" 'x:/srv*' '[::1]:/srv' "x:/'"; do
        run txnroute node move site/hq.db alice "$bad"
        [ "$status" -eq 2 ] || [ "$status" -eq 3 ]
        case $bad in *[$'\n ']* | '') continue ;; esac
        run -4 says "elsewhere $bad" "error 3 node 'alice' has another server now"
        [[ $output != *$'\e'* && $output != *"elsewhere alice"* ]]
    done
    for good in hq.example.com:/srv/dx dx@hq.example.com:dx x:/a@b /srv/dx; do
        run -3 says "elsewhere $good" "error 3 node 'alice' has another server now"
        [[ $output == *"elsewhere alice $good"* ]]
    done
    remotesync alice.db site # nothing was noted
}

@test "a place is the first word of a server, or none" {
    run -4 says "dx 2 x" "elsewhere x:/srv" "error 3 no"
    [[ $output != *"elsewhere alice"* ]]
    run -4 says "elsewhere x:/srv y:/srv" "error 3 no"
    run -4 says "dx 2 x" "again" "error 3 no"
    [[ $output != *"again alice"* ]]
}

@test "from another machine no directory of this one is taken" {
    txnroute node move site/hq.db alice "$PWD/there"
    printf '#!/bin/sh\nfor last; do :; done\nexec sh -c "$last"\n' >ssh
    chmod +x ssh
    export DX_SSH="$PWD/ssh"
    run -3 remotesync alice.db "hq:$PWD/site" </dev/null
    [[ $output == *"names a directory of this machine"* ]]
    [[ $output != *--moved* ]]
}

@test "on a stick: the answer names the new server, the message stays" {
    mkdir stick
    remotesync alice.db stick
    txnroute node move site/hq.db alice "$PWD/there"
    dxserve --site "$PWD/site" --stick stick || [ $? -eq 1 ]
    run -3 remotesync alice.db stick
    [[ $output == *"another server now"* ]]
}

@test "another package: the copy is made again with --yes or at a terminal; else exit 7 with what to type" {
    mkdir all
    printf '[package]\nname = office\nversion = 1\n[object account]\nvisible = all\n' >all/package.conf
    txnroute load site/hq.db all
    sql alice.db "UPDATE account SET city = 'Unsent' WHERE row_id = '$account'"
    txnroute node set site/hq.db alice --package office
    run -7 remotesync alice.db site </dev/null
    [[ $output == *"another package"*"remotesync --yes alice.db site"* ]]
    echo n | script -qec "remotesync alice.db site" /dev/null >log || code=$?
    [ "$code" = 7 ]
    remotesync --yes --now alice.db site
    right alice.db
    [ "$(sql site/hq.db "SELECT city FROM account WHERE row_id = '$account'")" = Unsent ]
    txnroute node set site/hq.db alice --package sales
    echo y | script -qec "remotesync alice.db site" /dev/null >log
    right alice.db
}

@test "a package that needs a newer release of dx says so before anything moves, and goes on when it is there" {
    cp -r "$DX_ROOT/tests/data/sales-package" package
    release=$(dxpack --version | tr -d , | cut -d ' ' -f 3)
    sed -i "s/^version = .*/&\nrelease = 999.1/" package/package.conf
    txnroute load site/hq.db package
    sql alice.db "UPDATE account SET city = 'Unsent' WHERE row_id = '$account'"
    run -3 remotesync alice.db site
    [[ $output == *"package 'sales' needs dx 999.1 or newer, and here is $release"*"nothing is lost"* ]]
    run -3 initsync new.db site --node alice
    [[ $output == *"needs dx 999.1"* ]]
    sed -i "s/^release = .*/release = $release/" package/package.conf
    txnroute load site/hq.db package
    run -0 remotesync --now alice.db site
    [ "$(sql site/hq.db "SELECT city FROM account WHERE row_id = '$account'")" = Unsent ]
    for bad in x 1..2 .1 1. ''; do
        sed -i "s/^release = .*/release = $bad/" package/package.conf
        run -3 txnroute load site/hq.db package
    done
}
