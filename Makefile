# dx: build, test, lint, install.  GNU make.
#
#   make                everything, into build/bin        make O=/tmp/x V=1     elsewhere, showing commands
#   make check          the test suite                    make check T=tests/archive/dxpack.bats
#   make asan           the suite under ASan and UBSan    make fuzz FUZZ_SECONDS=60
#   make lint format    what a change must pass           make bench
#   make dx             what is installed, alone       make install uninstall       DESTDIR, PREFIX
#   make deb            Debian packages in build/deb

VERSION := $(shell sed -n '/^\#\# /{s/^\#\# \([0-9.]*\).*/\1/p;q;}' NEWS.md)
O       = build

PACKAGES = sqlite3 libarchive libzstd jansson inih nettle
PKG_CONFIG ?= pkg-config

# The Debian package of each; what is missing is named before anything is built.
DEBIAN_sqlite3    = libsqlite3-dev
DEBIAN_libarchive = libarchive-dev
DEBIAN_libzstd    = libzstd-dev
DEBIAN_jansson    = libjansson-dev
DEBIAN_inih       = libinih-dev
DEBIAN_nettle     = nettle-dev
ifneq ($(filter-out clean format uninstall,$(or $(MAKECMDGOALS),all)),)
MISSING := $(strip $(if $(shell command -v $(PKG_CONFIG)),$(foreach p,$(PACKAGES),$(if $(shell $(PKG_CONFIG) --exists $p || echo no),$(DEBIAN_$p))),pkg-config))
$(if $(MISSING),$(error missing here: $(MISSING); on Debian: apt install $(MISSING)))
endif

STD     = -std=c11 -D_POSIX_C_SOURCE=200809L
WARN    = -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith \
          -Wwrite-strings -Wformat=2 -Wvla -Werror
CFLAGS  = -O2 -g
SAN     =
DEFS   := -Ilib -DDX_VERSION='"$(VERSION)"' $(shell $(PKG_CONFIG) --cflags $(PACKAGES))
# libarchive is linked statically, and of it only what reads and writes tar: the shared one loads libraries for XML, Unicode
# and C++ in each start of each command. LIBARCHIVE=-larchive links the shared one.
LIBARCHIVE = -l:libarchive.a
LIBS    = -Wl,--gc-sections,--as-needed $(patsubst -larchive,$(LIBARCHIVE),$(PACKAGE_LIBS)) -lm
PACKAGE_LIBS := $(shell $(PKG_CONFIG) --libs $(PACKAGES))
V       = 0
SAY_0   = @echo '  $(patsubst $(O)/%,%,$@)';
COMPILE = $(SAY_$(V))$(CC) $(STD) $(WARN) $(CFLAGS) $(SAN) $(DEFS) $(CPPFLAGS)
LINK    = $(SAY_$(V))$(CC) $(CFLAGS) $(SAN) $(LDFLAGS)

# A source file in one of these places is all it takes: each cmd/*.c is a command, each tests/*.c a test
# program, each tests/tools/*.c a helper of the tests (sim/: what simulators share; sync/, site/: parts of sync-sim and
# site-sim), each tests/fuzz/*.c (replay.c apart) a fuzz target.
BIN     = $(O)/bin
TESTBIN = $(O)/test
LIB     = $(O)/libdx.a
LIBOBJ := $(patsubst %.c,$(O)/%.o,$(wildcard lib/*/*.c))
CMDS   := $(patsubst cmd/%.c,$(BIN)/%,$(wildcard cmd/*.c))
SHELLS := $(patsubst scripts/%,$(BIN)/%,$(filter-out $(addprefix scripts/,demo deps test lib.sh companion.sh debian share),$(wildcard scripts/*)))
SHLIB   = $(patsubst %,$(O)/share/dx/%,lib.sh companion.sh)
UNITS  := $(patsubst tests/%.c,$(TESTBIN)/%,$(wildcard tests/*.c))
TOOLS  := $(patsubst tests/tools/%.c,$(TESTBIN)/%,$(wildcard tests/tools/*.c))
SIMOBJ := $(patsubst %.c,$(O)/%.o,$(wildcard tests/tools/sim/*.c))
SYNOBJ := $(patsubst %.c,$(O)/%.o,$(wildcard tests/tools/sync/*.c))
SITEOBJ := $(patsubst %.c,$(O)/%.o,$(wildcard tests/tools/site/*.c))
FUZZ   := $(patsubst tests/fuzz/%.c,%,$(filter-out tests/fuzz/replay.c,$(wildcard tests/fuzz/*.c)))
CSRC    = $(wildcard cmd/*.[ch] lib/*/*.[ch] tests/*.[ch] tests/tools/*.[ch] tests/tools/*/*.[ch] tests/fuzz/*.[ch])

all: dx $(UNITS) $(TOOLS) $(FUZZ:%=$(TESTBIN)/fuzz-%)

dx: $(CMDS) $(SHELLS) $(SHLIB)

$(CMDS): $(BIN)/%: $(O)/cmd/%.o $(LIB)
$(UNITS): $(TESTBIN)/%: $(O)/tests/%.o $(LIB)
$(TESTBIN)/route-sim $(TESTBIN)/sync-sim $(TESTBIN)/site-sim: $(SIMOBJ)
$(TESTBIN)/sync-sim $(TESTBIN)/site-sim: $(SYNOBJ)
$(TESTBIN)/site-sim: $(SITEOBJ)
$(TOOLS): $(TESTBIN)/%: $(O)/tests/tools/%.o $(LIB)
$(FUZZ:%=$(TESTBIN)/fuzz-%): $(TESTBIN)/fuzz-%: $(O)/tests/fuzz/%.o $(O)/tests/fuzz/replay.o $(LIB)
$(CMDS) $(UNITS) $(TOOLS) $(FUZZ:%=$(TESTBIN)/fuzz-%):
	@mkdir -p $(@D)
	$(LINK) -o $@ $^ $(LIBS)

$(O)/lib/cli/cli.o: NEWS.md

$(LIB): $(LIBOBJ)
	@mkdir -p $(@D)
	@rm -f $@
	@$(AR) rcs $@ $^

$(O)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(COMPILE) -MMD -MP -c -o $@ $<

$(SHELLS): $(BIN)/%: scripts/%
	@mkdir -p $(@D)
	install -m 755 $< $@

$(SHLIB): $(O)/share/dx/%: scripts/%
	@mkdir -p $(@D)
	install -m 644 $< $@

check: all
	tests/run $(abspath $(O)) $(T)

# Clang's build: its sanitizers start a process in half the time of gcc's, a program at a fixed address spares them
# thousands of relocations, and gcc's warnings see ghosts under sanitizers. gcc's macro that tells of them is given.
SANITIZE = clang
asan:
	DX_SANITIZED=1 $(MAKE) O=$(O)/asan CC='$(SANITIZE)' CFLAGS='-O1 -g -fno-omit-frame-pointer -fno-pie' \
	    SAN='-fsanitize=address,undefined -fno-sanitize-recover=all -D__SANITIZE_ADDRESS__=1' LDFLAGS=-no-pie \
	    $(or $(ASAN_GOAL),check)

# libFuzzer comes with clang; the plain build replays each target's corpus as an ordinary test.
FUZZ_SECONDS = 30
fuzz:
	$(MAKE) O=$(O)/fuzz CC=clang SAN='-fsanitize=fuzzer-no-link,address,undefined -D__SANITIZE_ADDRESS__=1' libfuzzer
	for f in $(FUZZ); do mkdir -p $(O)/fuzz/corpus/$$f tests/fuzz/corpus/$$f && \
	    $(O)/fuzz/test/libfuzzer-$$f -max_total_time=$(FUZZ_SECONDS) -timeout=10 -artifact_prefix=$(O)/fuzz/ \
	    $(O)/fuzz/corpus/$$f tests/fuzz/corpus/$$f || exit 1; done
libfuzzer: $(FUZZ:%=$(TESTBIN)/libfuzzer-%)
$(FUZZ:%=$(TESTBIN)/libfuzzer-%): $(TESTBIN)/libfuzzer-%: $(O)/tests/fuzz/%.o $(LIB)
	@mkdir -p $(@D)
	$(LINK) -fsanitize=fuzzer -o $@ $^ $(LIBS)

bench: all
	@for b in $(filter-out %.md %.c %.sql %.conf,$(wildcard tests/bench/*)); do \
	    DX_BUILD=$(abspath $(O)) PATH=$(abspath $(BIN)):$(abspath $(TESTBIN)):$$PATH $$b || exit 1; done

lint: all
	tests/lint/lint $(abspath $(O))

format:
	clang-format -i $(CSRC)

include scripts/share/install.mk

clean:
	rm -rf $(O)

.PHONY: all dx check asan fuzz libfuzzer bench lint format clean
.SECONDARY:
-include $(shell find $(O)/cmd $(O)/lib $(O)/tests $(O)/dev -name '*.d' 2>/dev/null)
