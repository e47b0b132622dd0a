#!/usr/bin/env bats
# Random histories of a whole site through the scripts. A long run is site-sim 1 501 DIRECTORY, see tests/tools/site-sim.c.

load ../helper

# random_histories FROM COUNT OPTION...
random_histories() {
    local from=$1 count=$2
    shift 2
    [ ! -w /dev/shm ] || cd "$(mktemp -d /dev/shm/dx-site.XXXXXX)" || return
    run -0 site-sim "$@" "$from" $((from + count))
    case $PWD in /dev/shm/*) rm -rf "$PWD" ;; esac
}

@test "restores, losses and second copies: every queue empties, every copy is right, every value is accounted for" {
    random_histories 3 1 -n 2 -w rt
}

@test "a node that lies changes no row that it may not, and all others are served" {
    random_histories 1 1 -n 2 -w l
}

@test "schemas that change at the server and in copies: every queue empties, every copy is right, every value is accounted for" {
    random_histories 1049 1 -n 2 -w s
}

@test "handhelds beside the copies, put back from backups and copied: every device holds what its companion holds" {
    random_histories 6031 1 -n 2 -w hrt
}
