#!/usr/bin/env bats
# The stories we tell are true: the commands in dx(7) and dx-handheld(7) run as printed, in order, in one shell, and
# scripts/demo ends well.

load ../helper

# story PAGE: the blocks that the page marks with `.\" run`, as a reader sees them.
story() {
    awk '/^\.\\" run$/ { marked = 1; next }
         marked && /^\.Bd / { on = 1; marked = 0; next }
         /^\.Ed/ { on = 0 }
         on { gsub(/\\e/, "\\"); sub(/^\\&/, ""); print }' "$DX_ROOT/man/$1"
}

@test "the story in dx(7) runs as printed" {
    story dx.7 >story
    [ "$(grep -c . story)" -gt 40 ]
    run -0 bash -euo pipefail -x story
    echo "$output"
    [[ $output == *"Harbour Foods Ltd|York"* ]]
    [ "$(sqlite3 site/hq.db "SELECT city FROM account WHERE id = 'A-2'")" = Lagos ]
    [ "$(sqlite3 bob.db "SELECT count(*) FROM account")" = 3 ]
}

@test "the story in dx-handheld(7) runs as printed: three steps, one button, in between, one category, a patch, a second workstation" {
    story dx-handheld.7 >story
    [ "$(grep -c . story)" -gt 70 ]
    run -0 --separate-stderr bash -euo pipefail story
    echo "$output $stderr"
    [ "$(grep -v '^  ' <<<"$output")" = "Harbour Foods
Key account
2026-03-01
2026-04-01
Harbour Foods Ltd|pays late
2026-05-01
2026-04-02
2026-06-01
Old
Partner
Supplier
Harbour Foods Ltd
field 2.0" ]
    [[ $stderr == *"step 1 of 3"*"step 2 of 3"*"step 3 of 3"* ]]
    [[ $stderr == *"version 2.0 was installed"*"not ready: version 2.0 was installed; synchronize again"* ]]
    [[ $stderr == *"this device is paired with another companion"* ]]
    [ "$(txnlog digest palm.db)" = "$(txnlog digest bob.db --node palm)" ]
}

@test "scripts/demo ends well, and tells what travelled, the conflict, and that the digests agree" {
    run -0 --separate-stderr "$DX_ROOT/scripts/demo" demo
    echo "$output"
    [[ $output == *"city: was "*"here 'Oslo', from alice 'Turku'"* ]]
    [[ $output =~ Travelled:\ [1-9][0-9]*\ files,\ [1-9][0-9]*\ rows,\ [1-9][0-9]*\ bytes ]]
    [ "$(grep -c 'equal to' <<<"$output")" = 5 ]
    run -2 "$DX_ROOT/scripts/demo" demo
}
