#!/usr/bin/env bats
# Random histories of a server and its nodes, played with the real commands (tests/tools/sim.c). A long run is
# `TMPDIR=/dev/shm build/test/sim 1 2000`; a history that failed is played again by its seed.

load helper

@test "every copy converges, whatever is lost, repeated, reordered, cut off or killed on the way" {
    [ ! -w /dev/shm ] || export TMPDIR=/dev/shm
    run -0 sim 1 "$(sized 16 4)"
}

@test "histories that once ended with copies that differed" {
    [ ! -w /dev/shm ] || export TMPDIR=/dev/shm
    for seed in 33 41 1096 1120; do
        run -0 sim $seed
    done
}
