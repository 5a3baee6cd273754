# What is shipped: programs, completions, manual pages, and the Python wheel with all of them.

PROFILE ?= dist
TARGET ?= $(or $(CARGO_TARGET_DIR),target)
PREFIX ?= /usr/local
PROGRAMS = $(TARGET)/$(if $(filter dev,$(PROFILE)),debug,$(PROFILE))
DIST = $(TARGET)/ratdata

.PHONY: dist programs wheel install

dist: wheel
	rm -rf $(DIST)
	python3 scripts/build_wheel.py --programs $(PROGRAMS) --lay-out $(DIST)
	tar --sort=name --owner=0 --group=0 --mtime=@0 -C $(TARGET) -czf $(DIST).tar.gz ratdata

programs:
	cargo build --locked --profile $(PROFILE) -p ratdata -p ratdata-train

wheel: programs
	python3 scripts/build_wheel.py --programs $(PROGRAMS) --profile $(PROFILE)

install: dist
	install -d $(DESTDIR)$(PREFIX)
	cp -r $(DIST)/bin $(DIST)/share $(DESTDIR)$(PREFIX)/
