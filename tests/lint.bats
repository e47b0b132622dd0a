#!/usr/bin/env bats
# The checks of `make lint` that are our own refuse what they are there to refuse.

load helper

# A small house in which all is well.
house() {
    mkdir -p lib cmd
    printf 'ground: err\nworld: db pack  # the libraries\n' >lib/FLOORS
    echo 'int err;' | tee lib/err.c >lib/err.h
    printf '#include "db.h"\n#include "err.h"\n#include <sqlite3.h>\n' >lib/db.c
    echo '#include "err.h"' >lib/db.h
    printf '#include "db.h"\n#include <archive.h>\n#include <archive_entry.h>\n' >lib/pack.c
    printf '#include "pack.h"\n' >>lib/pack.c
    echo 'int pack;' >lib/pack.h
    printf '#include "pack.h"\n#include <stdio.h>\n' >cmd/dxpack.c
}

# refused MESSAGE: the floors check says so, and fails.
refused() {
    run -1 "$DX_ROOT/tests/lint/floors" lib cmd
    echo "$output"
    [[ $output == *"$1"* ]]
}

@test "floors: a house in order passes" {
    house
    run -0 "$DX_ROOT/tests/lint/floors" lib cmd
    [ -z "$output" ]
}

@test "floors: a module that includes from above is named with file and line" {
    house
    echo '#include "db.h"' >>lib/err.h
    refused 'lib/err.h:2: module err includes "db.h", which stands above it'
}

@test "floors: a module that includes from further right on its floor is refused" {
    house
    echo '#include "pack.h"' >>lib/db.c
    refused 'module db includes "pack.h", which stands above it'
}

@test "floors: a module that is not listed, or listed and absent, is refused" {
    house
    echo 'int x;' >lib/stray.c
    refused 'module stray is not listed'
    rm lib/stray.c
    echo 'top: ghost' >>lib/FLOORS
    refused 'module ghost has no file'
}

@test "floors: a library known to a second module is refused" {
    house
    echo '#include <sqlite3.h>' >>lib/pack.c
    refused '<sqlite3.h> is known to module db already, not to pack'
}

@test "floors: a library in a header, or in a command, is refused" {
    house
    echo '#include <zstd.h>' >>lib/pack.h
    refused '<zstd.h> in a header'
    house
    echo '#include <archive.h>' >>cmd/dxpack.c
    refused 'cmd/dxpack.c:3: <archive.h> belongs to one module'
}

# A program NAME that prints the text of stdin for --help, and nothing else.
program() {
    { printf '#!/bin/sh\n[ $# -eq 1 ] || exit 2\ncat <<"END"\n'; cat; echo END; } >"$1"
    chmod +x "$1"
}

page() {
    cat >tool.1 <<'END'
.Dd January 1, 2026
.Dt TOOL 1
.Os
.Sh NAME
.Nm tool
.Nd does things
.Sh SYNOPSIS
.Nm
.Cm read
.Op Fl -peer Ar peer
.Ar db
.Nm
.Cm trim
.Op Fl n
.Ar db
.Sh DESCRIPTION
.Bl -tag -width x
.It Fl n
Only say what would happen.
.It Fl -peer Ar peer
The reader.
.El
.Sh EXIT STATUS
0 when done.
.Sh EXAMPLES
.Dl tool read --peer x db | other -z --zeal
END
}

@test "options: equal help and page pass" {
    page
    program tool <<<$'usage: tool read DB [--peer PEER]\n       tool trim DB [-n]\n       --help, --version'
    run -0 "$DX_ROOT/tests/lint/options" ./tool tool.1
    [ -z "$output" ]
}

@test "options: an option or subcommand in one place only is named" {
    page
    program tool <<<$'usage: tool read DB [--peer PEER] [--after SEQ]\n       tool drop DB'
    run -1 "$DX_ROOT/tests/lint/options" ./tool tool.1
    [[ $output == *"tool: subcommand only in --help: drop"* ]]
    [[ $output == *"tool: subcommand only in the manual page: trim"* ]]
    [[ $output == *"tool: option only in --help: --after"* ]]
    [[ $output == *"tool: option only in the manual page: -n"* ]]
    [[ $output != *"--zeal"* ]]
}

@test "options: a page without EXIT STATUS, and a program without a page, are refused" {
    page
    sed -i '/EXIT STATUS/d' tool.1
    program tool <<<$'usage: tool read DB [--peer PEER]\n       tool trim DB [-n]'
    run -1 "$DX_ROOT/tests/lint/options" ./tool tool.1
    [[ $output == *"no section EXIT STATUS"* ]]
    run -1 "$DX_ROOT/tests/lint/options" ./tool none.1
    [[ $output == *"no manual page none.1"* ]]
}

@test "words: a note of work undone, a bare negation, a skip and a long file are refused" {
    mkdir -p lib tests
    echo 'int x; /* TODO: later */' >lib/a.c
    yes '//' | head -n 501 >lib/b.c
    printf '@test "x" {\n    ! false\n    skip\n    true || skip "no"\n    if true; then skip; fi\n}\n' >tests/a.bats
    run -1 "$DX_ROOT/tests/lint/words" .
    echo "$output"
    [[ $output == *"lib/a.c:1:"* ]]
    [[ $output == *"lib/b.c: 501 lines"* ]]
    [[ $output == *"tests/a.bats:2:"* ]]
    [[ $output == *"tests/a.bats:3:"* ]]
    [[ $output == *"tests/a.bats:4:"* ]]
    [[ $output == *"tests/a.bats:5:"* ]]
    echo 'int x;' | tee lib/a.c >lib/b.c
    printf '@test "to skip one" {\n    shared_data x\n    run -1 false # a word, skip, in passing\n}\n' >tests/a.bats
    run -0 "$DX_ROOT/tests/lint/words" .
    [ -z "$output" ]
}
