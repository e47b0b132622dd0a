# What programs of others build on: the library that reads archives, and its example.
load ../helper

# Once: tests run side by side.
setup_file() {
    [ -z "${DX_SANITIZED:-}" ] || return 0
    (unset MAKEFLAGS MAKELEVEL
    exec make -s -C "$DX_ROOT" O="$(realpath --relative-to="$DX_ROOT" "$DX_BUILD")" install-dev \
        DESTDIR="$BATS_FILE_TMPDIR/root" PREFIX=/usr >/dev/null)
}

setup() {
    cd "$BATS_TEST_TMPDIR" || return
    of_plain_build
    ln -s "$BATS_FILE_TMPDIR/root" root
    printf '%s\n' '{"table":"t","op":"insert","key":{"id":1},"new":{"name":"one"}}' \
        '{"table":"t","op":"insert","key":{"id":2},"new":{"name":"two"}}' \
        '{"table":"u","op":"delete","key":{"id":3}}' | dxpack make --from alice >a.dx
    export PKG_CONFIG_PATH=$PWD/root/usr/lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$PWD/root
}

example() {
    # shellcheck disable=SC2046 # words of a command
    cc -Wall -Werror -o "$1" "$DX_ROOT/scripts/share/example.c" $(pkg-config --cflags dx) "${@:2}"
}

@test "the example of 30 lines reads archives with the shared library" {
    # shellcheck disable=SC2046 # words of a command
    example shared $(pkg-config --libs dx)
    export LD_LIBRARY_PATH=$PWD/root/usr/lib
    cat a.dx a.dx >two.dx
    run -0 ./shared <two.dx
    [ "${lines[0]}" = "changes 0 from 'alice'" ]
    [ "${lines[1]}" = "  t: 2" ] && [ "${lines[2]}" = "  u: 1" ]
    [ "${lines[3]}" = "  sound, digest $(tar -xOf a.dx end.json | jq -r .sha256)" ]
    [ ${#lines[@]} -eq 8 ]
    head -c 200 a.dx >cut.dx
    run -3 ./shared <cut.dx
    [[ $output == *"stdin: cut off before its end"* ]]
}

@test "the example builds with the static library, whose own names are hidden" {
    # shellcheck disable=SC2046 # words of a command
    example static "$PWD/root/usr/lib/libdx.a" $(pkg-config --libs libarchive libzstd jansson inih nettle) -lm
    run -0 ./static <a.dx
    [ "${lines[1]}" = "  t: 2" ]
    run -1 bash -c "nm -g --defined-only root/usr/lib/libdx.a | grep ' T ' | grep -v ' libdx_'"
}

@test "the shared library shows the versioned names of its header, and no others" {
    nm -D --defined-only root/usr/lib/libdx.so.1 | awk '$2 == "T" { print $3 }' | sort >shown
    grep -o 'libdx_[a-z_]*(' root/usr/include/libdx.h | tr -d '(' | sort -u | sed 's/$/@@LIBDX_1/' >named
    diff named shown
    [ "$(readlink root/usr/lib/libdx.so)" = libdx.so.1 ]
    [ "$(pkg-config --modversion dx)" = "$(sed -n 's/^## \([0-9.]*\).*/\1/p' "$DX_ROOT/NEWS.md" | head -n 1)" ]
}
