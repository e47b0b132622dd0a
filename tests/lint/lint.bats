#!/usr/bin/env bats
# The checks of `make lint` that are our own refuse what they are there to refuse.

load ../helper

# A small house in which all is well.
house() {
    mkdir -p lib/base lib/sql lib/archive cmd
    printf 'base  # from the ground up\nsql\narchive\n' >lib/FOLDERS
    echo 'int err;' | tee lib/base/err.c >lib/base/err.h
    printf '#include "sql/db.h"\n#include "base/err.h"\n#include <sqlite3.h>\n' >lib/sql/db.c
    echo '#include "base/err.h"' >lib/sql/db.h
    printf '#include "sql/db.h"\n#include <archive.h>\n#include <archive_entry.h>\n' >lib/archive/pack.c
    printf '#include "archive/pack.h"\n' >>lib/archive/pack.c
    echo 'int pack;' >lib/archive/pack.h
    printf '#include "archive/pack.h"\n#include <stdio.h>\n' >cmd/dxpack.c
}

# refused MESSAGE: the folders check says so, and fails.
refused() {
    run -1 "$DX_ROOT/tests/lint/folders" lib cmd
    echo "$output"
    [[ $output == *"$1"* ]]
}

@test "folders: a house in order passes" {
    house
    run -0 "$DX_ROOT/tests/lint/folders" lib cmd
    [ -z "$output" ]
}

@test "folders: a file that includes a folder above its own is named with its line" {
    house
    echo '#include "sql/db.h"' >>lib/base/err.h
    refused 'lib/base/err.h:2: folder base includes "sql/db.h", which stands above it'
}

@test "folders: an include without its folder is refused" {
    house
    echo '#include "pack.h"' >>lib/archive/pack.c
    refused '"pack.h" is no header of a folder'
}

@test "folders: headers of a folder that include each other are refused" {
    house
    echo '#include "archive/pack.h"' >lib/archive/list.h
    echo '#include "archive/list.h"' >>lib/archive/pack.h
    refused 'includes itself by way of headers of its folder'
}

@test "folders: two that are apart do not include each other" {
    house
    echo 'apart: archive sql' >>lib/FOLDERS
    refused 'folders archive and sql do not know each other'
}

@test "folders: a file outside of the listed folders, and a folder without a file, are refused" {
    house
    mkdir lib/other
    echo 'int x;' >lib/other/stray.c
    refused 'stands in no folder'
    rm -r lib/other
    echo 'ghost' >>lib/FOLDERS
    refused 'folder ghost has no file'
}

@test "folders: a library known to a second module is refused" {
    house
    echo '#include <sqlite3.h>' >>lib/archive/pack.c
    refused '<sqlite3.h> is known to module archive/pack already, not to sql/db'
}

@test "folders: a library in a header, or in a command, is refused" {
    house
    echo '#include <zstd.h>' >>lib/archive/pack.h
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
128 and a signal: see
.Xr dx 7 .
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

@test "options: exit codes in one place only, and a page that is silent about signals, are named" {
    page
    sed -i -e 's/^\.Sh EXIT STATUS.*/&\n.It 0\nDone.\n.It 4\nTrouble./' tool.1
    sed -i '/^128/,/Xr dx 7/d' tool.1
    program tool <<<$'usage: tool read DB [--peer PEER]\n       tool trim DB [-n]\nExit: 0 done, 2 usage,\n6 busy.\nSee 1.'
    run -1 "$DX_ROOT/tests/lint/options" ./tool tool.1
    [[ $output == *"tool: exit code only in --help: 2"*"tool: exit code only in --help: 6"* ]]
    [[ $output == *"tool: exit code only in the manual page: 4"* ]]
    [[ $output == *"does not refer to dx(7) for 128"* ]]
    [[ $output != *": 1"* && $output != *": 0"* ]]
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

@test "words: a note of work undone, a bare negation and a skip are refused" {
    mkdir -p lib tests
    echo 'int x; /* TODO: later */' >lib/a.c
    printf '@test "x" {\n    ! false\n    skip\n    true || skip "no"\n    if true; then skip; fi\n}\n' >tests/a.bats
    run -1 "$DX_ROOT/tests/lint/words" .
    echo "$output"
    [[ $output == *"lib/a.c:1:"* ]]
    [[ $output == *"tests/a.bats:2:"* ]]
    [[ $output == *"tests/a.bats:3:"* ]]
    [[ $output == *"tests/a.bats:4:"* ]]
    [[ $output == *"tests/a.bats:5:"* ]]
    echo 'int x;' >lib/a.c
    printf '@test "to skip one" {\n    shared_data x\n    run -1 false # a word, skip, in passing\n}\n' >tests/a.bats
    run -0 "$DX_ROOT/tests/lint/words" .
    [ -z "$output" ]
}

@test "units: a key that there is not, a time that cannot be and a command that is not there are named" {
    mkdir units bin
    cp "$DX_ROOT"/scripts/share/systemd/* units
    touch bin/dxcron bin/remotesync && chmod +x bin/dxcron bin/remotesync
    run -0 "$DX_ROOT/tests/lint/units" . units
    [ -z "$output" ]
    sed -i 's/^Nice=/Kind=/' units/dxcron@.service
    sed -i 's/^OnUnitInactiveSec=.*/OnUnitInactiveSec=often/' units/remotesync@.timer
    run -1 "$DX_ROOT/tests/lint/units" . units
    [[ $output == *"'Kind'"*"often"* ]]
    sed -i 's/^Kind=/Nice=/' units/dxcron@.service
    rm bin/dxcron
    run -1 "$DX_ROOT/tests/lint/units" . units
    [[ $output == *"bin/dxcron is not executable"* ]]
}

# A library of one folder whose README.md has a row for its module.
shelf() {
    mkdir -p lib/base
    echo 'base  # the ground' >lib/FOLDERS
    echo '| `base/` | the ground |' >lib/README.md
    echo 'int err;' >lib/base/err.c
    printf '| module | what it does |\n|---|---|\n| `err` | Keeps the last failure. |\n' >lib/base/README.md
}

@test "readmes: a folder with a row for each module passes" {
    shelf
    run -0 "$DX_ROOT/tests/lint/readmes" lib
    [ -z "$output" ]
}

@test "readmes: a module without a row, and a row without a module, are refused" {
    shelf
    echo 'int buf;' >lib/base/buf.h
    run -1 "$DX_ROOT/tests/lint/readmes" lib
    [ "$output" = "lib/base/README.md: no row for the module buf" ]
    rm lib/base/buf.h
    echo '| `tar` | Writes tar members. |' >>lib/base/README.md
    run -1 "$DX_ROOT/tests/lint/readmes" lib
    [ "$output" = "lib/base/README.md: there is no module tar" ]
}

@test "readmes: a folder without a page, and one that the map does not name, are refused" {
    shelf
    rm lib/base/README.md
    : >lib/README.md
    run -1 "$DX_ROOT/tests/lint/readmes" lib
    [[ $output == *"lib/README.md: does not name base/"* ]]
    [[ $output == *"lib/base/README.md: missing"* ]]
}

@test "owners: a temporary table that two modules name is refused" {
    house
    echo 'static const char make[] = "CREATE TEMP TABLE dx_wait (a)";' >lib/sql/db.c
    echo 'static const char take[] = "DELETE FROM temp.dx_wait";' >lib/archive/pack.c
    run -1 "$DX_ROOT/tests/lint/owners" build lib
    [[ $output == *'temporary table dx_wait belongs to lib/'* ]]
}

@test "owners: a variable that lives as long as the process is refused, one that is constant is not" {
    mkdir -p build/lib/base lib/base
    printf 'static int n;\nint next(void);\nint next(void)\n{\n    static int turn = 1;\n    return n += turn++;\n}\n' >a.c
    ${CC:-cc} -c -o build/lib/base/a.o a.c
    run -1 "$DX_ROOT/tests/lint/owners" build
    [[ $output == *'base/a: n lives as long as the process'* ]]
    [[ $output == *'base/a: turn lives as long as the process'* ]]
    printf 'extern const char *const names[];\nconst char *const names[] = {"a", "b"};\n' >a.c
    ${CC:-cc} -fPIE -c -o build/lib/base/a.o a.c
    run -0 "$DX_ROOT/tests/lint/owners" build
    [ -z "$output" ]
}
