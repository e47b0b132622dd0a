# What `make install` puts where, and that `make uninstall` leaves nothing of it.
load ../helper

# make_dx ARGUMENT...: make with what the tests run against, in the checkout.
make_dx() {
    (unset MAKEFLAGS MAKELEVEL; exec make -s -C "$DX_ROOT" O="$(realpath --relative-to="$DX_ROOT" "$DX_BUILD")" "$@")
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
    [[ $output == *"missing here: libsqlite3-dev libarchive-dev libzstd-dev libjansson-dev libinih-dev nettle-dev"* ]]
    [[ $output == *"on Debian: apt install libsqlite3-dev"* ]]
    run -2 make_dx dx PKG_CONFIG=absent-pkg-config
    [[ $output == *"apt install pkg-config"* ]]
}

@test "the version is that of the newest entry in NEWS.md, in every command" {
    version=$(sed -n 's/^## \([0-9.]*\).*/\1/p' "$DX_ROOT/NEWS.md" | head -n 1)
    for command in txnlog txnroute dxpack dxapply hhextract syncdiff dxcron remotesync; do
        [[ $("$command" --version) == "$command (dx) $version, archive format 1, protocol "[1-9]*", table format "[1-9]* ]] || { "$command" --version; return 1; }
    done
}

@test "init makes a site for its owner alone, with a site.conf, and leaves what is there" {
    run -0 txnroute init site
    [ "$(stat -c %a site site/docking site/files site/site.conf | tr '\n' ' ')" = "700 700 700 600 " ]
    [[ $output == *"txnlog attach site/hq.db"* ]]
    run -0 txnroute check site
    echo "# mine" >site/site.conf
    run -0 txnroute init site
    [ "$(cat site/site.conf)" = "# mine" ]
}

@test "init closes a database that lay open to others, says so, and lets the group in where site.conf says so" {
    mkdir -m 755 site
    sqlite3 site/hq.db "CREATE TABLE t (id INTEGER PRIMARY KEY)"
    chmod 644 site/hq.db
    run -1 --separate-stderr txnroute check site
    [[ $stderr == *"site/hq.db: everybody on this machine may reach it (mode 644); chmod go= site/hq.db"* ]]
    run -0 --separate-stderr txnroute init site
    [[ $stderr == *"site/hq.db had mode 644 and has 600 now"* ]]
    [ "$(stat -c %a site site/hq.db | tr '\n' ' ')" = "700 600 " ]
    run -0 txnroute check site
    chmod 666 site/hq.db
    printf '[site]\naccess = group\n' >site/site.conf
    run -0 txnroute init site
    [ "$(stat -c %a site site/docking site/hq.db | tr '\n' ' ')" = "2770 2770 660 " ]
    run -0 txnroute check site
}

@test "node key prints the line of authorized_keys, for one public key and a node that is there" {
    txnroute init site
    sqlite3 site/hq.db "CREATE TABLE t (id INTEGER PRIMARY KEY)"
    txnlog attach site/hq.db
    mkdir p && printf '[package]\nname = p\nversion = 1\n[object t]\nvisible = all\n' >p/package.conf
    txnroute load site/hq.db p
    txnroute node add site/hq.db alice --package p
    ssh-keygen -q -t ed25519 -N '' -C 'alice@laptop' -f id
    run -0 txnroute node key site alice <id.pub
    [ "$output" = "restrict,command=\"dxserve --site $(realpath site) --node alice\" $(cat id.pub)" ]
    ssh-keygen -l -f <(echo "$output")
    run -3 txnroute node key site bob <id.pub
    run -3 txnroute node key site alice <id
    run -3 txnroute node key site alice < <(echo "command=\"sh\" $(cat id.pub)")
    run -3 txnroute node key site alice </dev/null
}

@test "a script that is called by a link finds its commands, and a site that is not there is named" {
    mkdir elsewhere
    ln -s "$DX_BUILD/bin/remotesync" elsewhere/sync
    run -0 elsewhere/sync --version
    [[ $output == "sync "* ]]
    ln -s "$DX_BUILD/bin/initsync" elsewhere/make
    run -4 elsewhere/make new.db nowhere --node a
    [ "$output" = "make: nowhere: no such directory" ]
    [ ! -e new.db-dx ]
}
