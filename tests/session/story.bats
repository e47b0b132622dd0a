#!/usr/bin/env bats
# The stories we tell are true: the commands in dx(7) run as printed, in order, in one shell, and scripts/demo ends well.

load ../helper

# The blocks that the page marks with `.\" run`, as a reader sees them.
story() {
    awk '/^\.\\" run$/ { marked = 1; next }
         marked && /^\.Bd / { on = 1; marked = 0; next }
         /^\.Ed/ { on = 0 }
         on { gsub(/\\e/, "\\"); sub(/^\\&/, ""); print }' "$DX_ROOT/man/dx.7"
}

@test "the story in dx(7) runs as printed" {
    story >story
    [ "$(grep -c . story)" -gt 40 ]
    run -0 bash -euo pipefail -x story
    echo "$output"
    [[ $output == *"Harbour Foods Ltd|York"* ]]
    [ "$(sqlite3 site/hq.db "SELECT city FROM account WHERE id = 'A-2'")" = Lagos ]
    [ "$(sqlite3 bob.db "SELECT count(*) FROM account")" = 3 ]
}

@test "scripts/demo ends well, and tells what travelled, the conflict, and that the digests agree" {
    run -0 --separate-stderr "$DX_ROOT/scripts/demo" demo
    echo "$output"
    [[ $output == *"city: was "*"here 'Oslo', from alice 'Turku'"* ]]
    [[ $output =~ Travelled:\ [1-9][0-9]*\ files,\ [1-9][0-9]*\ rows,\ [1-9][0-9]*\ bytes ]]
    [ "$(grep -c 'equal to' <<<"$output")" = 5 ]
    run -2 "$DX_ROOT/scripts/demo" demo
}
