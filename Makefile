# SPDX-License-Identifier: MIT
#
# GNU make 3.81 or later. Everything is built below $(BUILD); `make help` lists the targets.

PREFIX     ?= /usr/local
BINDIR     ?= $(PREFIX)/bin
MANDIR     ?= $(PREFIX)/share/man
DOCDIR     ?= $(PREFIX)/share/doc/devmesh
SYSCONFDIR ?= /etc
DESTDIR    ?=

# The user's: CC CFLAGS CPPFLAGS LDFLAGS. Ours are added to them.
#   SAN=address,undefined   with sanitizers, in a build folder of its own
#   WERROR=1                warnings are errors
#   V=1                     show the commands
CC      ?= cc
CFLAGS  ?= -O2 -g
comma   := ,
BUILD   ?= build$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))
OS      := $(if $(filter Darwin,$(shell uname)),darwin,linux)
Q       := $(if $(V),,@)

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wno-sign-conversion -Wstrict-prototypes \
	-Wmissing-prototypes -Wold-style-definition -Wwrite-strings -Wcast-qual -Wpointer-arith \
	-Wvla -Wformat=2 -Wundef -Wswitch-enum -Wimplicit-fallthrough
DM_CPPFLAGS := -D_POSIX_C_SOURCE=200809L -DDEVMESH_SYSCONFDIR='"$(SYSCONFDIR)"' -Iregistrar -Idashboard \
	$(if $(filter darwin,$(OS)),-D_DARWIN_C_SOURCE,-D_DEFAULT_SOURCE) \
	$(shell pkg-config --cflags-only-I libcurl libcjson inih libevent_core sqlite3 libqrencode libcrypto ldns libpsl cmocka 2>/dev/null | sed 's/-I/-isystem /g')
DM_CFLAGS := -std=c11 -pedantic $(WARNINGS) $(if $(WERROR),-Werror) -fPIE \
	$(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer,-fstack-protector-strong)
DM_CPPFLAGS += $(if $(SAN),,$(if $(findstring -O,$(CFLAGS)),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2))
DM_LDFLAGS := $(if $(SAN),-fsanitize=$(SAN)) \
	$(if $(filter linux,$(OS)),-pie -Wl$(comma)-z$(comma)relro$(comma)-z$(comma)now)
LIBS := $(shell pkg-config --libs libcjson inih libevent_core libqrencode 2>/dev/null || echo -lcjson -linih -levent_core -lqrencode) -ldl
DAEMON_LIBS := $(shell pkg-config --libs sqlite3 ldns libpsl 2>/dev/null || echo -lsqlite3 -lldns -lpsl)

other_os := $(filter-out $(OS),linux darwin)
LIB_SRC  := $(filter-out registrar/main.c registrar/base/%_$(other_os).c, \
	$(wildcard registrar/*.c registrar/*/*.c))
TEMPLATES := $(wildcard systemd/*.in launchd/*.in)
TEMPLATES_C := $(BUILD)/generated/templates.c
LIB_OBJ  := $(LIB_SRC:%.c=$(BUILD)/%.o) $(TEMPLATES_C:.c=.o)
LIB      := $(BUILD)/libdevmesh.a
DAEMON_SRC := $(filter-out dashboard/main.c dashboard/%_$(other_os).c,$(wildcard dashboard/*.c))
DAEMON_LIB := $(BUILD)/libdevmeshd.a
OPENAPI_C  := $(BUILD)/generated/openapi.c
WEB_FILES  := $(wildcard dashboard/web/*)
WEB_C      := $(BUILD)/generated/web_files.c
DAEMON_OBJ := $(DAEMON_SRC:%.c=$(BUILD)/%.o) $(OPENAPI_C:.c=.o) $(WEB_C:.c=.o)

UNIT      := $(patsubst tests/unit/%.c,$(BUILD)/bin/unit/%,$(wildcard tests/unit/test_*.c))
HARNESS   := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/integration/harness*.c))
INTEGRATION := $(patsubst tests/integration/%.c,$(BUILD)/bin/integration/%, \
	$(wildcard tests/integration/test_*.c))
# Those that look at how soon something happens, in an order, or at what cost: nothing else is to run then.
TIMED     := $(foreach t,devmeshd_chaos devmeshd_load devmeshd_moves,\
	$(filter $(BUILD)/bin/integration/test_$(t),$(INTEGRATION)))
FUZZERS   := $(patsubst tests/fuzz/%.c,%,$(filter-out tests/fuzz/%_$(other_os).c,$(wildcard tests/fuzz/fuzz_*.c)))
REPLAYS   := $(FUZZERS:%=$(BUILD)/bin/%)
BENCH_SRC := $(filter-out tests/bench/raw_route.c,$(wildcard tests/bench/*.c))
PROGRAM_SRC := $(LIB_SRC) registrar/main.c $(DAEMON_SRC) dashboard/main.c
C_SOURCES := $(PROGRAM_SRC) $(wildcard tests/*.c tests/*/*.c examples/*/*.c)
C_FILES   := $(wildcard registrar/*.[ch] registrar/*/*.[ch] dashboard/*.[ch] tests/*.c tests/*/*.[ch] examples/*/*.c)
MANUALS   := registrar/devmesh.1 registrar/devmesh.ini.5 dashboard/devmeshd.8

all: $(BUILD)/devmesh $(BUILD)/devmeshd $(BUILD)/bin/hello ## build the programs

up: ## install what is missing, start a private local mesh with an example, print its URL
	@sh tests/setup.sh build run
	@$(MAKE) --no-print-directory all
	@sh examples/hello/up.sh $(BUILD)

down: ## end what `make up` has started
	@sh examples/hello/down.sh $(BUILD)

check: ## install what is missing, build, run every test
	@sh tests/setup.sh check
	@$(MAKE) --no-print-directory check-run

# ---- building -------------------------------------------------------------------------------

# What the compiler says stays beside the object, for check-warnings.
compile = $(CC) $(DM_CPPFLAGS) $(CPPFLAGS) $(DM_CFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@ 2>$(@:.o=.warn); \
	status=$$?; cat $(@:.o=.warn) >&2; exit $$status

# Another compiler or other flags make everything anew.
FLAGS := $(value compile) $(CC) $(CPPFLAGS) $(CFLAGS) $(LDFLAGS) $(DM_CPPFLAGS) $(DM_CFLAGS) $(DM_LDFLAGS) $(LIBS)
$(BUILD)/flags: always
	@mkdir -p $(BUILD)
	@echo '$(subst ','\'',$(FLAGS))' | cmp -s - $@ || echo '$(subst ','\'',$(FLAGS))' >$@

$(BUILD)/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	@$(if $(V),,echo "  CC   $<")
	$(Q)$(compile)

# What `devmesh setup` writes: "systemd/a-b.conf.in" becomes the string template_a_b_conf.
$(TEMPLATES_C): $(TEMPLATES) Makefile
	@mkdir -p $(@D)
	$(Q)(echo '#include "setup_templates.h"'; for f in $(TEMPLATES); do \
		echo "const char template_$$(basename $$f .in | tr .- __)[] ="; \
		sed -e 's/[\\"]/\\&/g' -e 's/.*/    "&\\n"/' $$f; echo ';'; done) >$@

# What devmeshd serves; as numbers, since C does not have to know strings that long.
$(OPENAPI_C): dashboard/openapi.json Makefile
	@mkdir -p $(@D)
	$(Q)(echo '#include "openapi.h"'; echo 'const char openapi_json[] = {'; \
		tr -d '\n\t' <$< | od -An -v -tu1 | sed 's/\([0-9][0-9]*\)/\1,/g'; echo '0};'; \
		echo 'const size_t openapi_json_len = sizeof(openapi_json) - 1;') >$@

# The files of the page without comments of a line and the indentation, each also compressed; its tag
# says which bytes it has.
web_text = sed -e '/SPDX-License-Identifier/d' -e 's/^\t*//' -e '/^\/\/ /d' -e '/^$$/d' $$f
$(WEB_C): $(WEB_FILES) Makefile
	@mkdir -p $(@D)
	$(Q)(echo '#include "web.h"'; n=0; for f in $(WEB_FILES); do n=$$((n + 1)); \
		echo "static const unsigned char raw$$n[] = {"; $(web_text) | od -An -v -tu1 | sed 's/\([0-9][0-9]*\)/\1,/g'; echo '0};'; \
		echo "static const unsigned char gzip$$n[] = {"; $(web_text) | gzip -9n | od -An -v -tu1 | sed 's/\([0-9][0-9]*\)/\1,/g'; echo '0};'; \
		done; echo 'const struct web_file web_files[] = {'; n=0; for f in $(WEB_FILES); do n=$$((n + 1)); \
		tag=$$($(web_text) | cksum | tr ' ' -); \
		printf '{"%s", "\\"%s\\"", "\\"%s-gzip\\"", raw%d, sizeof(raw%d) - 1, gzip%d, sizeof(gzip%d) - 1},\n' \
			$${f##*/} $$tag $$tag $$n $$n $$n $$n; done; echo '{0}};') >$@

$(TEMPLATES_C:.c=.o) $(OPENAPI_C:.c=.o) $(WEB_C:.c=.o): %.o: %.c $(BUILD)/flags
	$(Q)$(compile)

$(LIB): $(LIB_OBJ)
	@$(if $(V),,echo "  AR   $@")
	$(Q)rm -f $@ && ar rcs $@ $(LIB_OBJ)

$(DAEMON_LIB): $(DAEMON_OBJ)
	@$(if $(V),,echo "  AR   $@")
	$(Q)rm -f $@ && ar rcs $@ $(DAEMON_OBJ)

link = @mkdir -p $(@D); $(if $(V),,echo "  LD   $@";) \
	$(CC) $(DM_CFLAGS) $(CFLAGS) $(DM_LDFLAGS) $(LDFLAGS) -o $@

$(BUILD)/devmesh: $(BUILD)/registrar/main.o $(LIB)
	$(link) $^ $(LIBS)

$(BUILD)/devmeshd: $(BUILD)/dashboard/main.o $(DAEMON_LIB) $(LIB)
	$(link) $^ $(DAEMON_LIBS) $(LIBS)

$(BUILD)/bin/hello: $(BUILD)/examples/hello/hello.o
	$(link) $^

$(BUILD)/bin/lint: $(BUILD)/tests/lint/lint.o
	$(link) $^

$(BUILD)/bin/run: $(BUILD)/tests/run.o
	$(link) $^

$(UNIT): $(BUILD)/bin/unit/test_%: $(BUILD)/tests/unit/test_%.o $(DAEMON_LIB) $(LIB)
	$(link) $^ $(DAEMON_LIBS) $(LIBS) -lcmocka

$(INTEGRATION): $(BUILD)/bin/integration/test_%: $(BUILD)/tests/integration/test_%.o $(HARNESS)
	$(link) $^ -lcmocka -lcjson -lcurl

$(REPLAYS): $(BUILD)/bin/fuzz_%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/tests/fuzz/replay.o $(DAEMON_LIB) $(LIB)
	$(link) $^ $(DAEMON_LIBS) $(LIBS)

-include $(LIB_OBJ:.o=.d) $(DAEMON_OBJ:.o=.d) $(shell find $(BUILD)/registrar/main.d $(BUILD)/dashboard/main.d $(BUILD)/tests $(BUILD)/examples -name '*.d' 2>/dev/null)

# ---- checking -------------------------------------------------------------------------------

JOBS ?= 2
SELF := $(MAKE) --no-print-directory -s

# What the tests in a browser need; among it a Node.js, as Vite 8 and Next.js 16 do not run with
# Debian 12's.
NPM_BROWSER := build/npm-browser/.installed
$(NPM_BROWSER): tests/browser/package-lock.json
	@mkdir -p $(@D)
	@cp tests/browser/package.json tests/browser/package-lock.json $(@D)
	npm ci --prefix $(@D) --no-audit --no-fund --ignore-scripts
	@touch $@

# What the examples in JavaScript need, once for every build folder. Where npm cannot have it, the
# tests of these examples fail, and say so. npm leaves out what does not suit the Node.js that it runs
# on, hence the one above; Debian's npm then has to be told where its own parts are.
NPM_EXAMPLES := $(patsubst examples/%/package-lock.json,build/npm-examples/%/.installed, \
	$(wildcard examples/*/package-lock.json))
npm-examples: $(NPM_EXAMPLES) ## install what the examples in JavaScript need

$(NPM_EXAMPLES): build/npm-examples/%/.installed: examples/%/package-lock.json | $(NPM_BROWSER)
	@mkdir -p $(@D)
	@cp examples/$*/package.json examples/$*/package-lock.json $(@D)
	PATH="$(CURDIR)/build/npm-browser/node_modules/.bin:$$PATH" NODE_PATH=/usr/share/nodejs \
		npm ci --prefix $(@D) --no-audit --no-fund --ignore-scripts
	@touch $@

BROWSER = tests/browser/check-browser
check-browser: ## install what is missing, run the tests in a real browser alone
	@sh tests/setup.sh check
	@$(MAKE) --no-print-directory all $(BUILD)/bin/run $(NPM_EXAMPLES) $(NPM_BROWSER)
	@mkdir -p $(BUILD)/check
	@DEVMESH_BIN=$(abspath $(BUILD)/devmesh) \
	$(BUILD)/bin/run -l $(BUILD)/check -t 600 $(BROWSER)

check-phone: BROWSER = tests/browser/check-phone
check-phone: check-browser ## the same of those that play a phone

# The tests start python3 a thousand times: the system's own, as pyenv's is a shell script that takes
# more of the processor than most tests do.
python_first = mkdir -p $(BUILD)/python; \
	test ! -x /usr/bin/python3 -o $(OS) != linux || ln -sf /usr/bin/python3 $(BUILD)/python/python3

check-run: all $(UNIT) $(INTEGRATION) $(REPLAYS) $(BUILD)/bin/lint $(BUILD)/bin/run
	@rm -rf $(BUILD)/check && mkdir -p $(BUILD)/check
	-@$(SELF) -k npm-examples $(NPM_BROWSER)
	@$(python_first)
	@PATH="$(abspath $(BUILD)/python):$$PATH" DEVMESH_BIN=$(abspath $(BUILD)/devmesh) DEVMESHD_BIN=$(abspath $(BUILD)/devmeshd) DEVMESH_LINT=$(abspath $(BUILD)/bin/lint) \
	DEVMESH_SRC=$(CURDIR) $(BUILD)/bin/run -l $(BUILD)/check -j $$(($(JOBS) + 1)) \
	--plain -t 900 '$(SELF) tidy' '$(SELF) check-warnings' '$(SELF) check-clang' '$(SELF) lint' '$(SELF) check-format' \
	'$(SELF) check-headers' '$(SELF) check-manuals' '$(SELF) check-shell' '$(SELF) cppcheck' \
	$(foreach f,$(FUZZERS),'$(BUILD)/bin/$(f) tests/fuzz/corpus/$(f:fuzz_%=%)') --cmocka $(UNIT) \
	-t 600 tests/browser/check-phone -t 1200 $(filter-out $(TIMED),$(INTEGRATION)) \
	--serial -t 1200 $(TIMED) -t 600 tests/browser/check-browser

WATCHED := $(filter %/test_devmeshd_moves %/test_devmeshd_states %/test_devmeshd_mends \
	%/test_devmeshd_trees %/test_devmeshd_faults,$(INTEGRATION))
check-valgrind: all $(WATCHED) $(BUILD)/bin/run ## run the tests of devmeshd with it under valgrind
	@mkdir -p $(BUILD)/check
	@DEVMESH_BIN=$(abspath $(BUILD)/devmesh) DEVMESHD_BIN=$(abspath $(BUILD)/devmeshd) DEVMESH_SRC=$(CURDIR) \
	DEVMESHD_WRAP='valgrind -q --error-exitcode=99 --leak-check=full' \
	$(BUILD)/bin/run -l $(BUILD)/check --cmocka -t 1200 --serial $(WATCHED)

lint: $(BUILD)/bin/lint ## check layers, banned calls, sizes
	$(BUILD)/bin/lint tests/lint/rules.txt .

check-format:
	clang-format --dry-run --Werror $(C_FILES)

format: ## format the C files in place
	clang-format -i $(C_FILES)

# Every header compiles by itself.
check-headers:
	@for h in $(filter registrar/%.h dashboard/%.h,$(C_FILES)); do \
		echo 'extern int none;' | $(CC) $(DM_CPPFLAGS) $(CPPFLAGS) $(DM_CFLAGS) -U_FORTIFY_SOURCE \
			-Werror -fsyntax-only -include $$h -x c - || exit 1; \
	done

check-manuals:
	mandoc -Tlint -W warning $(MANUALS)

check-shell:
	shellcheck tests/setup.sh tests/browser/check-browser tests/browser/check-phone .ci/run $(wildcard examples/*/*.sh)

cppcheck: ## static analysis by cppcheck
	cppcheck -q --std=c11 --enable=warning,portability --error-exitcode=1 --inline-suppr \
		--suppress=missingIncludeSystem -Iregistrar -Idashboard -D__GNUC__ $(PROGRAM_SRC)

# How far the analyzer follows a function. clang's own 225000 takes six times as long, and has found
# nothing here that this has not.
TIDY_NODES ?= 20000
tidy: ## static analysis by clang-tidy (TIDY_NODES=225000: deeper)
	@echo $(PROGRAM_SRC) | tr ' ' '\n' | \
		xargs -P $(JOBS) -n 6 sh -c 'clang-tidy --quiet "$$@" -- -std=c11 $(filter -D_% -I%,$(DM_CPPFLAGS)) \
			-Xclang -analyzer-config -Xclang max-nodes=$(TIDY_NODES) 2>/dev/null' tidy

# What the compiler has said of everything that check-run builds, whenever it was built.
CHECKED := $(LIB_OBJ) $(DAEMON_OBJ) $(HARNESS) $(UNIT:$(BUILD)/bin/%=$(BUILD)/tests/%.o) \
	$(INTEGRATION:$(BUILD)/bin/%=$(BUILD)/tests/%.o) $(REPLAYS:$(BUILD)/bin/%=$(BUILD)/tests/fuzz/%.o) \
	$(patsubst %,$(BUILD)/%.o,registrar/main dashboard/main tests/fuzz/replay tests/lint/lint tests/run)
check-warnings:
	@said=$$(cat $(CHECKED:.o=.warn)) && echo "$$said" && test -z "$$said"

# Nor a warning under clang.
check-clang: $(TEMPLATES_C) $(OPENAPI_C) $(WEB_C)
	@echo $(filter-out %_$(other_os).c,$(C_SOURCES)) $^ | tr ' ' '\n' | \
		xargs -P $(JOBS) -n 10 clang $(DM_CPPFLAGS) $(CPPFLAGS) $(DM_CFLAGS) -U_FORTIFY_SOURCE -Werror -fsyntax-only

FUZZ_SECONDS ?= 60
fuzz: $(TEMPLATES_C) $(OPENAPI_C) $(WEB_C) ## run each fuzzer for FUZZ_SECONDS (60), with clang
	@for f in $(FUZZERS); do \
		mkdir -p $(BUILD)/fuzz/$$f && \
		clang $(DM_CPPFLAGS) $(CPPFLAGS) -std=c11 -g -O1 -fsanitize=fuzzer,address,undefined \
			-o $(BUILD)/fuzz/$$f/fuzz tests/fuzz/$$f.c $(DAEMON_SRC) $(LIB_SRC) $(TEMPLATES_C) $(OPENAPI_C) $(WEB_C) $(DAEMON_LIBS) $(LIBS) && \
		$(BUILD)/fuzz/$$f/fuzz -max_total_time=$(FUZZ_SECONDS) -artifact_prefix=$(BUILD)/fuzz/$$f/ \
			$$(ls tests/fuzz/$${f#fuzz_}.dict 2>/dev/null | sed 's/^/-dict=/') \
			$(BUILD)/fuzz/$$f tests/fuzz/corpus/$${f#fuzz_} || exit 1; \
	done

# ---- measuring ------------------------------------------------------------------------------

$(BUILD)/bin/bench: $(BENCH_SRC:%.c=$(BUILD)/%.o)
	$(link) $^ -lcurl -lcjson -lm

$(BUILD)/bin/raw_route: $(BUILD)/tests/bench/raw_route.o
	$(link) $^ -lcurl

bench: ## measure against raw requests and portless, as a table (needs npm; about 7 minutes)
	@sh tests/setup.sh check
	@$(MAKE) --no-print-directory all $(BUILD)/bin/bench $(BUILD)/bin/raw_route $(NPM_BROWSER)
	@$(BUILD)/bin/bench --src tests/bench $(abspath $(BUILD)/devmesh) $(BUILD)/npm
	@$(SELF) bench-page

bench-dns: all $(BUILD)/bin/bench ## the part of it that measures DNS, beside dnsmasq
	@$(BUILD)/bin/bench --only-dns --src tests/bench $(abspath $(BUILD)/devmesh) $(BUILD)/npm

bench-page: ## the part of it that measures the dashboard
	@DEVMESH_BIN=$(abspath $(BUILD)/devmesh) sh -c 'n=build/npm-browser/node_modules/.bin/node; \
		[ -x $$n ] || n=node; exec $$n tests/bench/page.mjs'

# ---- installing -----------------------------------------------------------------------------

install: all ## install below PREFIX (/usr/local), DESTDIR in front of it
	mkdir -p $(DESTDIR)$(BINDIR) $(addprefix $(DESTDIR)$(MANDIR)/,man1 man5 man8) $(DESTDIR)$(DOCDIR)
	install -m 755 $(BUILD)/devmesh $(BUILD)/devmeshd $(DESTDIR)$(BINDIR)
	install -m 644 registrar/devmesh.1 $(DESTDIR)$(MANDIR)/man1/devmesh.1
	install -m 644 registrar/devmesh.ini.5 $(DESTDIR)$(MANDIR)/man5/devmesh.ini.5
	install -m 644 dashboard/devmeshd.8 $(DESTDIR)$(MANDIR)/man8/devmeshd.8
	install -m 644 config.example.ini README.md LICENSE $(DESTDIR)$(DOCDIR)

uninstall: ## remove what install has put there
	rm -f $(DESTDIR)$(BINDIR)/devmesh $(DESTDIR)$(BINDIR)/devmeshd $(DESTDIR)$(MANDIR)/man1/devmesh.1 \
		$(DESTDIR)$(MANDIR)/man5/devmesh.ini.5 $(DESTDIR)$(MANDIR)/man8/devmeshd.8
	rm -f $(DESTDIR)$(DOCDIR)/config.example.ini $(DESTDIR)$(DOCDIR)/README.md $(DESTDIR)$(DOCDIR)/LICENSE
	-rmdir $(DESTDIR)$(DOCDIR)

compile_commands.json: always ## for clangd
	$(Q)for f in $(C_SOURCES); do \
		printf '{"directory":"%s","file":"%s","command":"cc %s -c %s"},\n' '$(CURDIR)' $$f \
			'-std=c11 $(filter -D_% -I%,$(DM_CPPFLAGS))' $$f; \
	done | sed '1s/^/[/; $$s/,$$/]/' >$@

clean: ## remove the build folder
	rm -rf $(BUILD)

help: ## list the targets
	@sed -n 's/^\([a-z_.-]*\):[^#]*## \(.*\)/  \1|\2/p' Makefile | awk -F'|' '{printf "%-24s %s\n", $$1, $$2}'

always:
.PHONY: all up down check check-run check-browser check-phone check-valgrind npm-examples lint check-format format check-headers check-manuals check-shell \
	cppcheck tidy check-warnings check-clang fuzz bench bench-dns bench-page install uninstall clean help always
.SECONDARY:
