# What is installed, and where. PREFIX and DESTDIR as usual; each directory can be set by itself.
PREFIX  = /usr/local
DESTDIR =
BINDIR  = $(PREFIX)/bin
MANDIR  = $(PREFIX)/share/man
DATADIR = $(PREFIX)/share/dx
MIMEDIR = $(PREFIX)/share/mime/packages

PAGES := $(wildcard man/*.[157])

# FILE:MODE:DIRECTORY of all that is installed.
INSTALLED = $(patsubst %,%:755:$(BINDIR),$(CMDS) $(SHELLS)) \
    $(foreach p,$(PAGES),$p:644:$(MANDIR)/man$(subst .,,$(suffix $p))) \
    scripts/share/dx.magic:644:$(DATADIR) scripts/share/dx.xml:644:$(MIMEDIR)

# Says so to the desktop's list of types, where there is one and this is no package being made.
REFRESH = [ -n "$(DESTDIR)" ] || ! command -v update-mime-database >/dev/null || \
    update-mime-database $(patsubst %/packages,%,$(MIMEDIR)) >/dev/null 2>&1 || :

install: dx
	@set -e; for f in $(INSTALLED); do \
	    file=$${f%%:*} rest=$${f#*:}; mode=$${rest%%:*} dir=$(DESTDIR)$${rest#*:}; \
	    install -d "$$dir"; install -m "$$mode" "$$file" "$$dir"; done
	@$(REFRESH)

uninstall:
	@for f in $(INSTALLED); do file=$${f%%:*}; rm -f "$(DESTDIR)$${f##*:}/$${file##*/}"; done
	@rmdir $(DESTDIR)$(DATADIR) 2>/dev/null || :
	@$(REFRESH)
