# Misuse names itself, the form and the page; the whole help comes only when it is asked for.
load ../helper

@test "an unknown option is named, with the form and where to read on, in at most three lines" {
    local command
    for command in txnlog txnroute dxpack dxapply hhextract syncdiff companionsync desktopsync dxcron initsync \
        integratedsync remotesync; do
        run -2 "$command" --no-such-option
        [[ $output == "$command: "* && $output == *"Try"*"$command --help"* ]] || { echo "$output"; return 1; }
        [ ${#lines[@]} -le 3 ] || { echo "$output"; return 1; }
    done
    run -2 txnroute status --no-such-option
    [[ $output == *"'--no-such-option'"*"usage: txnroute status "* ]]
}

@test "JSON over several lines gets the hint" {
    run -3 dxpack make < <(printf '{\n"table": "t"\n}\n')
    [[ $output == *"each stands on a line of its own: jq -c"* ]]
}
