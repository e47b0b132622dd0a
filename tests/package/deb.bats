# The Debian package of the commands: made of what the tests run against, unpacked into a directory, used from there, and
# removed. `make deb` makes all packages from the sources.
load ../helper

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
    dpkg-deb -x dx_*.deb root
    dpkg-deb -e dx_*.deb control
    for script in control/postinst control/prerm control/postrm; do [ ! -f $script ] || sh -n $script; done
    grep -q 'useradd --system' control/postinst
    [ -f root/usr/share/man/man1/txnroute.1.gz ] && [ -f root/lib/systemd/system/dxcron@.timer ]
    [ ! -e root/usr/local ]
    # A site by the packaged commands alone.
    PATH=$PWD/root/usr/bin:/usr/bin:/bin
    [[ $(command -v txnroute) == "$PWD/root/"* ]]
    "$DX_ROOT/tests/data/sales" hq.db 1 20
    txnlog attach hq.db
    txnroute load hq.db "$DX_ROOT/tests/data/sales-package"
    txnroute node add hq.db alice --package sales --user "$(sqlite3 hq.db "SELECT login FROM position LIMIT 1")"
    mkdir -p site/docking && mv hq.db site/
    initsync alice.db site --node alice
    sqlite3 site/hq.db "UPDATE account SET city = 'Kiel'"
    dxcron site
    remotesync alice.db site
    [ "$(txnlog digest alice.db)" = "$(txnlog digest site/hq.db --node alice)" ]
    # What the package lists is all that it has put there.
    dpkg-deb -c dx_*.deb | awk '$1 !~ /^d/ { sub(/ -> .*/, ""); print "root/" $NF }' | xargs -d '\n' rm
    [ -z "$(find root ! -type d)" ]
}
