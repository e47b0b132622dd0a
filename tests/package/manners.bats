# Misuse names itself, the form and the page; the whole help comes only when it is asked for.
load ../helper

@test "an unknown option is named, with the form and where to read on, in at most three lines" {
    local command
    for command in txnlog txnroute dxpack dxapply hhextract syncdiff companionsync desktopsync dxcron initsync \
        integratedsync remotesync; do
        run -2 "$command" --no-such-option
        [[ $output == "$command: "*"'--no-such-option'"* && $output == *$'\n'"Try $command --help, or man $command." ]] || { echo "$output"; return 1; }
        [ ${#lines[@]} -le 3 ] || { echo "$output"; return 1; }
    done
    run -2 txnroute status --no-such-option
    [[ $output == *"'--no-such-option'"*"usage: txnroute status "* ]]
}

@test "JSON over several lines gets the hint" {
    run -3 dxpack make < <(printf '{\n"table": "t"\n}\n')
    [[ $output == *"each stands on a line of its own: jq -c"* ]]
}

@test "what is printed for people fits in 80 columns: help, nodes, what a package would change, status" {
    local command
    for command in txnlog txnroute dxpack dxapply hhextract syncdiff companionsync desktopsync dxcron dxserve initsync \
        integratedsync remotesync; do
        "$command" --help >help
        [ "$(wc -L <help)" -le 80 ] || { echo "$command:"; awk 'length($0) > 80' help; return 1; }
    done
    "$DX_ROOT/tests/data/sales" hq.db 1 40
    cp -r "$DX_ROOT/tests/data/sales-package" p
    txnlog attach hq.db
    txnroute load hq.db p
    txnroute node add hq.db a-node-of-16-chs --package sales --user "$(sqlite3 hq.db "SELECT login FROM position LIMIT 1")"
    run -0 txnroute node list hq.db
    [[ ${lines[0]} == "NODE "*"UPLOADS" && ${lines[1]} == "a-node-of-16-chs "*" active "* ]]
    [ "$(wc -L <<<"$output")" -le 80 ]
    run -1 txnroute try hq.db p
    [[ ${lines[0]} == "NODE "*"GAINS "* && ${lines[1]} == "a-node-of-16-chs territory "* ]]
    [ "$(wc -L <<<"$output")" -le 80 ]
    run -0 txnroute rules hq.db
    [ "$(wc -L <<<"$output")" -le 80 ]
}

@test "that ssh failed by itself, as for a host key, is told as such" {
    "$DX_ROOT/tests/data/sales" hq.db 1 20
    txnlog attach hq.db
    txnroute load hq.db "$DX_ROOT/tests/data/sales-package"
    txnroute node add hq.db alice --package sales --user alice
    txnroute extract hq.db alice | dxapply alice.db
    printf '#!/bin/sh\necho "Host key verification failed." >&2\nexit 255\n' >ssh
    chmod +x ssh
    export DX_SSH=./ssh
    run -4 remotesync alice.db there:/srv/dx
    [[ $output == *"Host key verification failed."*"host key"* ]]
    run -4 initsync bob.db there:/srv/dx --node bob
    [[ $output == *"Host key verification failed."*"host key"* ]]
    run -4 desktopsync alice.db there:/x.db --base base
    [[ $output == *"Host key verification failed."*"host key"* ]]
}
