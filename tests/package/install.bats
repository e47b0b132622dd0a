# What `make install` puts where, and that `make uninstall` leaves nothing of it.
load ../helper

# make_dx ARGUMENT...: make with what the tests run against, in the checkout.
make_dx() {
    (unset MAKEFLAGS MAKELEVEL; exec make -s -C "$DX_ROOT" O="$DX_BUILD" "$@")
}

@test "install builds the commands alone" {
    make_dx -n install O=fresh DESTDIR="$PWD/root" >plan
    grep -q 'fresh/bin/txnlog' plan
    run -1 grep -E 'fuzz|route-sim|tests/' plan
}

@test "install puts commands, pages and data in place, uninstall removes all of them" {
    make_dx install DESTDIR="$PWD/root"
    [ -x root/usr/local/bin/txnroute ] && [ -x root/usr/local/bin/dxcron ]
    [ -f root/usr/local/share/man/man1/txnroute.1 ] && [ -f root/usr/local/share/man/man5/dx.5 ]
    [ -f root/usr/local/share/dx/dx.magic ] && [ -f root/usr/local/share/mime/packages/dx.xml ]
    [ -f root/usr/local/lib/systemd/system/dxcron@.timer ] && [ -e root/usr/local/share/dx/completion.bash ]
    grep -q "^ExecStart=/usr/local/bin/dxcron" root/usr/local/lib/systemd/system/dxcron@.service
    [ ! -e root/usr/local/bin/demo ] && [ ! -e root/usr/local/bin/share ]
    for page in root/usr/local/share/man/man1/*.1; do
        name=${page##*/}
        [ -x "root/usr/local/bin/${name%.1}" ] || { echo "a page and no command: $name"; return 1; }
    done
    PATH=$PWD/root/usr/local/bin:/usr/bin:/bin dxcron --version
    make_dx uninstall DESTDIR="$PWD/root"
    [ -z "$(find root ! -type d)" ]
}

@test "PREFIX moves everything" {
    make_dx install DESTDIR="$PWD/root" PREFIX=/opt/dx
    [ "$(ls root)" = opt ]
}

@test "a library that is missing is named as Debian's package" {
    run -2 make_dx dx PKG_CONFIG=false
    [[ $output == *"missing here: libsqlite3-dev libarchive-dev libzstd-dev libjansson-dev libinih-dev libssl-dev"* ]]
    [[ $output == *"on Debian: apt install libsqlite3-dev"* ]]
    run -2 make_dx dx PKG_CONFIG=absent-pkg-config
    [[ $output == *"apt install pkg-config"* ]]
}

@test "the version is that of the newest entry in NEWS.md, in every command" {
    version=$(sed -n 's/^## \([0-9.]*\).*/\1/p' "$DX_ROOT/NEWS.md" | head -n 1)
    for command in txnlog txnroute dxpack dxapply hhextract syncdiff dxcron remotesync; do
        [[ $("$command" --version) == "$command (dx) $version"* ]] || { "$command" --version; return 1; }
    done
}
