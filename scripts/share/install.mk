# What is installed, and where. PREFIX and DESTDIR as usual; each directory can be set by itself. The scripts find lib.sh and
# companion.sh in BINDIR/../share/dx.
PREFIX  = /usr/local
DESTDIR =
BINDIR  = $(PREFIX)/bin
MANDIR  = $(PREFIX)/share/man
DATADIR = $(PREFIX)/share/dx
DOCDIR  = $(PREFIX)/share/doc/dx
MIMEDIR = $(PREFIX)/share/mime/packages
BASHDIR = $(PREFIX)/share/bash-completion/completions
ZSHDIR  = $(PREFIX)/share/zsh/site-functions
UNITDIR = $(PREFIX)/lib/systemd/system
USERDIR = $(PREFIX)/lib/systemd/user
LIBDIR  = $(PREFIX)/lib
INCDIR  = $(PREFIX)/include
ABI     = 1

PAGES := $(wildcard man/*.[157])
SHARE  = scripts/share

# FILE:MODE:DIRECTORY of what `make install` puts in place, and of what `make install-dev` does.
INSTALLED = $(patsubst %,%:755:$(BINDIR),$(CMDS) $(SHELLS)) \
    $(foreach p,$(PAGES),$p:644:$(MANDIR)/man$(subst .,,$(suffix $p))) \
    $(patsubst %,%:644:$(DATADIR),$(SHLIB)) $(SHARE)/dx.magic:644:$(DATADIR) $(SHARE)/completion.bash:644:$(DATADIR) $(SHARE)/dx.xml:644:$(MIMEDIR) \
    $(SHARE)/_dx:644:$(ZSHDIR) NEWS.md:644:$(DOCDIR) LICENSE:644:$(DOCDIR) \
    $(patsubst %,$(SHARE)/systemd/%:644:$(UNITDIR),dxcron@.service dxcron@.timer) \
    $(patsubst %,$(SHARE)/systemd/%:644:$(USERDIR),remotesync@.service remotesync@.timer)
DEVELOPED = $(O)/dev/libdx.a:644:$(LIBDIR) $(O)/dev/libdx.so.$(ABI):644:$(LIBDIR) lib/archive/libdx.h:644:$(INCDIR) \
    $(O)/dev/dx.pc:644:$(LIBDIR)/pkgconfig $(SHARE)/example.c:644:$(DOCDIR)/examples
COMPLETED = $(notdir $(CMDS) $(SHELLS))

# Copies the files of a list; in those that name a directory of ours, it is put in.
define put
set -e; for f in $1; do \
    file=$${f%%:*} rest=$${f#*:}; mode=$${rest%%:*} dir=$(DESTDIR)$${rest#*:}; install -d "$$dir"; \
    case $$file in \
    *.service | */_dx) sed -e 's,@BINDIR@,$(BINDIR),' -e 's,@DATADIR@,$(DATADIR),' "$$file" >"$$dir/$${file##*/}"; \
        chmod "$$mode" "$$dir/$${file##*/}" ;; \
    *) install -m "$$mode" "$$file" "$$dir" ;; \
    esac; done
endef
remove = for f in $1; do file=$${f%%:*}; rm -f "$(DESTDIR)$${f\#\#*:}/$${file\#\#*/}"; done

# Says so to the desktop's list of types, where there is one and this is no package being made.
REFRESH = [ -n "$(DESTDIR)" ] || ! command -v update-mime-database >/dev/null || \
    update-mime-database $(patsubst %/packages,%,$(MIMEDIR)) >/dev/null 2>&1 || :

install: dx
	@$(call put,$(INSTALLED))
	@install -d $(DESTDIR)$(BASHDIR)
	@for c in $(COMPLETED); do ln -sf $(DATADIR)/completion.bash $(DESTDIR)$(BASHDIR)/$$c; done
	@$(REFRESH)

install-dev: libdx
	@$(call put,$(DEVELOPED))
	@ln -sf libdx.so.$(ABI) $(DESTDIR)$(LIBDIR)/libdx.so

uninstall:
	@$(call remove,$(INSTALLED) $(DEVELOPED))
	@rm -f $(DESTDIR)$(LIBDIR)/libdx.so $(addprefix $(DESTDIR)$(BASHDIR)/,$(COMPLETED))
	@rmdir $(DESTDIR)$(DATADIR) $(DESTDIR)$(DOCDIR)/examples $(DESTDIR)$(DOCDIR) 2>/dev/null || :
	@$(REFRESH)

# ---- the library for programs of others: it reads archives; only what libdx.h names is seen of it ----

DEVOBJ := $(patsubst %.c,$(O)/dev/%.o,$(wildcard lib/base/*.c lib/data/*.c lib/archive/*.c))
DEVLIBS = $(shell $(PKG_CONFIG) --libs $(filter-out sqlite3,$(PACKAGES))) -lm

libdx: $(O)/dev/libdx.a $(O)/dev/libdx.so.$(ABI) $(O)/dev/dx.pc

$(O)/dev/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(COMPILE) -fPIC -fvisibility=hidden -MMD -MP -c -o $@ $<

$(O)/dev/libdx.so.$(ABI): $(DEVOBJ) $(SHARE)/libdx.map
	$(LINK) -shared -Wl,-soname,$(@F) -Wl,--version-script=$(SHARE)/libdx.map -Wl,-z,defs -o $@ $(DEVOBJ) $(DEVLIBS)

# One object, so that names that only our own files use cannot clash with those of a program.
$(O)/dev/libdx.a: $(DEVOBJ)
	@rm -f $@
	$(LD) -r -o $(O)/dev/libdx.o $(DEVOBJ)
	objcopy --localize-hidden $(O)/dev/libdx.o
	$(AR) rcs $@ $(O)/dev/libdx.o

$(O)/dev/dx.pc: $(SHARE)/dx.pc.in NEWS.md Makefile
	@mkdir -p $(@D)
	sed -e 's,@PREFIX@,$(PREFIX),' -e 's,@LIBDIR@,$(LIBDIR),' -e 's,@INCDIR@,$(INCDIR),' -e 's,@VERSION@,$(VERSION),' $< >$@

# ---- Debian packages: debian/ is made beside a copy of the sources ----

DEBDIR = $(O)/deb/dx-$(VERSION)
deb:
	rm -rf $(O)/deb
	mkdir -p $(DEBDIR)
	cp -R Makefile NEWS.md LICENSE README.md cmd lib man scripts tests $(DEBDIR)
	cp -R scripts/debian $(DEBDIR)/debian
	scripts/debian/changelog $(VERSION) NEWS.md >$(DEBDIR)/debian/changelog
	cd $(DEBDIR) && env -u MAKEFLAGS -u MAKELEVEL -u MFLAGS dpkg-buildpackage -b -us -uc
	ls $(O)/deb/*.deb

.PHONY: install install-dev uninstall libdx deb $(O)/dev/dx.pc
