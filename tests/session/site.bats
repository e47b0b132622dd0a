#!/usr/bin/env bats
# A site's configuration: SITE/site.conf, read by every command that works at a site.

load ../helper

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    mkdir -m 700 site
}

@test "without site.conf every entry has its default, and what is printed is a site.conf" {
    run -0 txnroute check site
    [[ $output == *"inbox_bytes = 16G"*"value_bytes = 16M"*"bad = skip"*"access = owner"* ]]
    echo "$output" >site/site.conf
    run -0 txnroute check site
    [ "$output" = "$(cat site/site.conf)" ]
}

@test "entries of site.conf hold: sizes with units, words, texts" {
    printf '[limits]\nfile_bytes = 50M\ninbox_bytes=1G ; a comment\n[uploads]\nbad = hold\n[site]\naccess = group\nreport = mail ops\n' >site/site.conf
    chmod 770 site
    run -0 txnroute check site
    [[ $output == *"inbox_bytes = 1G"*"file_bytes = 50M"*"bad = hold"*"access = group"*"report = mail ops"* ]]
}

@test "site.conf with what cannot be is refused with its line and what may be there" {
    while IFS='|' read -r text want; do
        printf '%b' "$text" >site/site.conf
        run -3 txnroute check site
        [[ $output == *"site/site.conf"*"$want"* ]]
    done <<'END'
[limits]\nfile_bites = 1\n|2: [limits] file_bites: there is no such entry; there are inbox_bytes
[limit]\nfile_bytes = 1\n|there is no such section; there are limits, uploads, grace, site
[limits]\nfile_bytes = many\n|'many' is not a number of bytes
[limits]\nfile_bytes = 1X\n|'1X' is not a number of bytes
[limits]\nfile_bytes = -1\n|'-1' is not a number of bytes
[limits]\nfile_bytes = 99999999T\n|is not a number of bytes
[limits]\nrows = 1K\n|'1K' is not a number
[limits]\nrows = 0\n|'0' is below 1
[limits]\nvalue_bytes = 1G\n|'1G' is above
[limits]\nrows = 5\nrows = 6\n|3: [limits] rows: given twice
[uploads]\nbad = maybe\n|'maybe' is none of skip, stop, hold
[site]\nsign = required\n|needs signers =
[limits]\nfile_bytes = 2G\ninbox_bytes = 1G\n|more than inbox_bytes
word\n|neither [section]
END
}

@test "check names what others than the site's owner may reach, and files that are not there" {
    chmod 755 site
    mkdir -m 700 site/docking
    printf '[site]\nkey = no-key\n' >site/site.conf
    run -1 --separate-stderr txnroute check site
    [[ $stderr == *"site: everybody on this machine may reach it (mode 755); chmod go= site"* ]]
    [[ $stderr == *"no-key: there is no such file; site.conf names it for key ="* ]]
    [[ $stderr != *docking* ]]
    run -4 txnroute check nowhere
}
