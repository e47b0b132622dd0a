# The Debian package of the commands: made of what the tests run against, unpacked into a directory, used from there, and
# removed. `make deb` makes all packages from the sources.
load ../helper

# run_unit: what systemd would run for dxcron@hq, with / at root.
run_unit() {
    local unit=root/lib/systemd/system/dxcron@.service words condition
    condition=$(sed -n 's/^ConditionPathExists=//p' $unit)
    [ -e "root${condition//%I/hq}" ]
    read -r -a words <<<"$(sed -n 's/^ExecStart=//p' $unit)"
    [ "${words[*]}" = "/usr/bin/dxcron -v /srv/dx/%I" ]
    run -0 "root${words[0]}" "${words[1]}" "root${words[2]//%I/hq}"
    [[ $output == *" exit=0"* ]] || { echo "$output"; return 1; }
}

@test "the package builds, its commands run from where they are unpacked, and nothing is left when their files go" {
    of_plain_build
    mkdir pkg && cp -R "$DX_ROOT/scripts/debian" pkg/debian
    (cd "$DX_ROOT" && scripts/debian/changelog 0.0.1 NEWS.md) >pkg/debian/changelog
    # What is built already is packed; the library is of another package.
    cat >make-dx <<-END
	#!/bin/bash
	for word; do case \$word in libdx | install-dev) ;; *) words+=("\$word") ;; esac; done
	exec make -s -C "$DX_ROOT" O="$(realpath --relative-to="$DX_ROOT" "$DX_BUILD")" "\${words[@]}"
	END
    chmod +x make-dx
    (cd pkg && unset MAKEFLAGS MAKELEVEL && DEB_BUILD_OPTIONS=noautodbgsym DPKG_DEB_COMPRESSOR_TYPE=none DH_OPTIONS=-pdx \
        exec make -s -f debian/rules binary MAKE="$BATS_TEST_TMPDIR/make-dx") >log 2>&1 || { cat log; false; }
    [[ $(echo ./*.deb) == ./dx_0.0.1*_*.deb ]]
    dpkg-deb -f dx_*.deb Depends | grep -q 'libsqlite3-0'
    # Installed under a directory of its own, by dpkg, which keeps books there.
    mkdir -p root/var/lib/dpkg/{info,updates} && touch root/var/lib/dpkg/status
    PATH=$PATH:/usr/sbin:/sbin dpkg --root="$PWD/root" --log=/dev/null --force-not-root --force-depends --no-triggers \
        --unpack dx_*.deb >log 2>&1 || { cat log; false; }
    [[ $(dpkg --root="$PWD/root" -s dx) == *"Version: 0.0.1"* ]]
    run -0 dpkg --root="$PWD/root" -V dx
    [ -z "$output" ]
    dpkg-deb -e dx_*.deb control
    for script in control/postinst control/prerm control/postrm; do [ ! -f $script ] || sh -n $script; done
    grep -q 'useradd --system' control/postinst
    [ -f root/usr/share/man/man1/txnroute.1.gz ] && [ -f root/lib/systemd/system/dxcron@.timer ]
    [ ! -e root/usr/local ]
    # A site of three nodes by the packaged commands alone, and the command of the timer's unit as it stands there.
    PATH=$PWD/root/usr/bin:/usr/bin:/bin
    [[ $(command -v txnroute) == "$PWD/root/"* ]]
    site=root/srv/dx/hq
    txnroute init $site
    "$DX_ROOT/tests/data/sales" $site/hq.db 1 20
    chmod go= $site/hq.db
    txnlog attach $site/hq.db
    txnroute load $site/hq.db "$DX_ROOT/tests/data/sales-package"
    for node in alice bob carol; do
        txnroute node add $site/hq.db $node --package sales --user $node
        initsync $node.db $site --node $node
        sqlite3 $node.db "INSERT INTO contact (row_id, account_id, last_name, last_upd)
            SELECT 'C-$node', row_id, '$node', '2026-01-01' FROM account LIMIT 1"
        remotesync $node.db $site
    done
    sqlite3 $site/hq.db "UPDATE account SET city = 'Kiel'"
    run_unit
    for node in alice bob carol; do
        remotesync $node.db $site
        [ "$(txnlog digest $node.db)" = "$(txnlog digest $site/hq.db --node $node)" ]
        [ "$(sqlite3 $site/hq.db "SELECT count(*) FROM contact WHERE last_name = '$node'")" = 1 ]
    done
    run_unit
    txnroute check $site >config
    rm -r root/srv
    # What the package lists is all that it has put there.
    dpkg-deb -c dx_*.deb | awk '$1 !~ /^d/ { sub(/ -> .*/, ""); print "root/" $NF }' | xargs -d '\n' rm
    rm -r root/var/lib/dpkg
    [ -z "$(find root ! -type d)" ]
}
