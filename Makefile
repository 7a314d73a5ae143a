# Lunette: a clustered, active-active iSCSI/iSER target in user space.
# `make help` lists the targets. Objects live under build/$(CONFIG); V=1 shows the commands.

CONFIG ?= release
ifeq ($(origin CC),default)
CC     := gcc
endif
PREFIX ?= /usr/local
V      ?= 0
JOBS   ?= $(shell nproc)
Q      := $(if $(filter 1,$(V)),,@)
say     = $(if $(filter 1,$(V)),,@printf '  %-8s %s\n' '$(1)' '$(2)')

# ---------------------------------------------------------------- configuration
FLAGS_release := -O2 -g
FLAGS_debug   := -O0 -g3 -DLUNETTE_DEBUG=1
FLAGS_asan    := -O1 -g3 -DLUNETTE_DEBUG=1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
FLAGS_tsan    := -O1 -g3 -DLUNETTE_DEBUG=1 -fsanitize=thread
FLAGS_cov     := -O0 -g3 -DLUNETTE_DEBUG=1 --coverage
FLAGS_fuzz    := -O1 -g3 -DLUNETTE_DEBUG=1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined \
	-DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
FLAGS_fuzzcov := -O1 -g -DLUNETTE_DEBUG=1 -fprofile-instr-generate -fcoverage-mapping
ifneq ($(filter fuzz fuzzcov,$(CONFIG)),)
CC := clang
endif
ifeq ($(FLAGS_$(CONFIG)),)
$(error unknown CONFIG '$(CONFIG)'; one of release debug asan tsan cov fuzz fuzzcov)
endif

WARN     := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wno-format-nonliteral
VERSION  := $(shell cat VERSION)
CPPFLAGS += -Iinclude -I. -D_GNU_SOURCE -DLUNETTE_VERSION='"$(VERSION)"'
# COUNTERS=0 (with an O of its own): without statistics, to measure what they cost: tests/bench/counters.
CPPFLAGS += $(if $(filter 0,$(COUNTERS)),-DLUNETTE_NO_COUNTERS)
CFLAGS   += -std=gnu11 -pthread $(FLAGS_$(CONFIG)) $(WARN)
LDFLAGS  += -pthread $(FLAGS_$(CONFIG))
O        := build/$(CONFIG)
# Programs of the release configuration lie directly under build/.
BIN      := $(if $(filter build/release,$(O)),build,$(O))

# ---------------------------------------------------------------- folders
# One archive per folder. DEPS_x: the folders that x may include and links with (includes point one way:
# `make check-includes` holds us to it). LIBS_x: what pkg-config or the linker must add.
FOLDERS      := base cluster store lun scsi iscsi tcp reactor api monitor daemon cli
DIR_base     := base
DIR_cluster  := cluster
DIR_store    := dataplane/store
DIR_lun      := dataplane/lun
DIR_scsi     := dataplane/scsi
DIR_iscsi    := dataplane/iscsi
DIR_tcp      := dataplane/tcp
DIR_reactor  := dataplane/reactor
DIR_api      := api
DIR_monitor  := monitor
DIR_daemon   := daemon
DIR_cli      := cli
DEPS_base    :=
DEPS_cluster := base
DEPS_store   := base
DEPS_lun     := store base
DEPS_scsi    := lun store cluster base
DEPS_iscsi   := scsi lun store cluster base
DEPS_tcp     := iscsi scsi lun store cluster base
DEPS_reactor := tcp iscsi scsi lun store cluster base
DEPS_monitor := base
DEPS_api     := monitor lun cluster store base
DEPS_daemon  := reactor api monitor tcp iscsi scsi lun store cluster base
DEPS_cli     := base
LIBS_base    := -lisal -ljansson
LIBS_cluster := -ljansson
LIBS_store   := -laio -ljansson
LIBS_lun     := -ljansson
LIBS_scsi    := -ljansson
LIBS_iscsi   := -ljansson -lnettle
LIBS_tcp     :=
LIBS_reactor := -ljansson
LIBS_api     := -lmicrohttpd -ljansson -lgnutls -lnettle
LIBS_monitor := -lrrd -ljansson -lm
LIBS_daemon  := -lseccomp
LIBS_cli     := -lcurl -ljansson -lm

define FOLDER_RULES
SRC_$(1) := $$(wildcard $$(DIR_$(1))/*.c)
OBJ_$(1) := $$(filter-out %/main.o,$$(SRC_$(1):%.c=$(O)/obj/%.o))
LIB_$(1) := $(O)/lib$(1).a
ALL_LIBS_$(1) = $$(LIB_$(1)) $$(foreach d,$$(DEPS_$(1)),$(O)/lib$$(d).a)
ALL_LDLIBS_$(1) = $$(LIBS_$(1)) $$(foreach d,$$(DEPS_$(1)),$$(LIBS_$$(d)))
$(O)/lib$(1).a: $$(OBJ_$(1))
	$$(call say,AR,$$@)
	$(Q)mkdir -p $$(@D) && rm -f $$@ && ar rcs $$@ $$^
UNIT_SRC_$(1) := $$(wildcard tests/unit/$(1)/*_test.c)
UNIT_BIN_$(1) := $$(UNIT_SRC_$(1):tests/unit/%.c=$(O)/unit/%)
$$(UNIT_BIN_$(1)): $(O)/unit/%: $(O)/obj/tests/unit/%.o $$(ALL_LIBS_$(1))
	$$(call say,LD,$$@)
	$(Q)mkdir -p $$(@D) && $(CC) $$(LDFLAGS) -o $$@ $$< -Wl,--start-group $$(ALL_LIBS_$(1)) -Wl,--end-group $$(ALL_LDLIBS_$(1)) -lcmocka
FUZZ_SRC_$(1) := $$(wildcard tests/fuzz/$(1)/*_fuzz.c)
FUZZ_BIN_$(1) := $$(FUZZ_SRC_$(1):tests/fuzz/%.c=$(O)/fuzz/%)
# With CONFIG=fuzz a fuzz target is a libFuzzer program; otherwise it replays the files named on its command line.
$$(FUZZ_BIN_$(1)): $(O)/fuzz/%: $(O)/obj/tests/fuzz/%.o $$(ALL_LIBS_$(1)) $(if $(filter fuzz,$(CONFIG)),,$(O)/obj/tests/fuzz/replay.o)
	$$(call say,LD,$$@)
	$(Q)mkdir -p $$(@D) && $(CC) $(LDFLAGS) $(if $(filter fuzz,$(CONFIG)),-fsanitize=fuzzer) -o $$@ $$(filter %.o,$$^) -Wl,--start-group $$(ALL_LIBS_$(1)) -Wl,--end-group $$(ALL_LDLIBS_$(1)) -lcmocka
.PHONY: unit-$(1) fuzz-$(1)
unit-$(1): $$(UNIT_BIN_$(1))
	$(Q)tests/unit/run $$^
fuzz-$(1): $$(FUZZ_BIN_$(1))
	$(Q)tests/fuzz/run $$^
endef
# Calls that tests/unit/nth.h makes fail.
NTH_WRAPS := malloc calloc realloc aligned_alloc strdup open_memstream asprintf fsync ftruncate fallocate write mkdirat \
	unlinkat renameat2 sendmsg
$(O)/unit/%_nth_test: LDFLAGS += $(NTH_WRAPS:%=-Wl,--wrap=%)
.DEFAULT_GOAL := all
$(foreach f,$(FOLDERS),$(eval $(call FOLDER_RULES,$(f))))

.PHONY: all
all: $(BIN)/lunetted $(BIN)/lunette ## build lunetted and lunette

$(BIN)/lunetted: $(O)/obj/daemon/main.o $(ALL_LIBS_daemon)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS) -o $@ $< -Wl,--start-group $(ALL_LIBS_daemon) -Wl,--end-group $(sort $(ALL_LDLIBS_daemon))

$(BIN)/lunette: $(O)/obj/cli/main.o $(ALL_LIBS_cli)
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS) -o $@ $< -Wl,--start-group $(ALL_LIBS_cli) -Wl,--end-group $(sort $(ALL_LDLIBS_cli))

$(O)/obj/%.o: %.c VERSION
	$(call say,CC,$<)
	$(Q)mkdir -p $(@D) && $(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

# the assembler reads it: no compiler writes this dependency
$(O)/obj/api/contract.o: openapi/lunette.yaml

-include $(shell find $(O)/obj -name '*.d' 2>/dev/null)

# ---------------------------------------------------------------- tests
.PHONY: deps deps-ci run test unit fuzz-replay tools system vm mutants nightly conformance bench fuzz fuzz-explore asan tsan clang
deps: ## install the Debian packages that building, `make run` and `make test` need, if any is missing
	$(Q)packaging/install-dependencies run web test
deps-ci: ## the same, and those of .ci/run, `make conformance`, `make bench`, `make fuzz`
	$(Q)packaging/install-dependencies run web test ci

run: ## install what is missing, build, serve a demo LUN on 127.0.0.1 until Ctrl-C
	$(Q)packaging/install-dependencies run
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) all
	$(Q)packaging/install-dependencies web && $(MAKE) --no-print-directory web >build/web.log 2>&1 || \
		echo "run: going on without the dashboard: it could not be built (build/web.log)"
	$(Q)exec packaging/demo

test: deps ## install what is missing, build, run the quick tests (under five minutes)
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) all tools
	$(Q)JOBS=$(JOBS) tests/suites unit fuzz system-quick

unit: $(foreach f,$(FOLDERS),$(UNIT_BIN_$(f))) ## build and run the unit tests
	$(Q)tests/unit/run $^
fuzz-replay: $(foreach f,$(FOLDERS),$(FUZZ_BIN_$(f))) ## replay the committed fuzz corpora
	$(Q)tests/fuzz/run $^

# Programs of the tests. The sanitizer runs use those of the release build: they test the daemon, not its clients.
TOOLS := system/verify_io vm/verify_disk vm/replay_writes bench/load bench/sessions bench/history
LIBS_system/verify_io := -liscsi
LIBS_bench/history := $(LIBS_monitor) $(LIBS_base)
TOOL_BIN := $(TOOLS:%=$(O)/tests/%)
tools: $(TOOL_BIN) ## build the programs that the system tests and benchmarks use
$(O)/tests/bench/load $(O)/tests/bench/sessions: $(O)/obj/tests/bench/initiator.o
$(O)/tests/bench/history: $(ALL_LIBS_monitor)
$(TOOL_BIN): $(O)/tests/%: $(O)/obj/tests/%.o
	$(call say,LD,$@)
	$(Q)mkdir -p $(@D) && $(CC) $(LDFLAGS) -o $@ $^ $(LIBS_$*)

mutants: all tools ## one protection removed at a time: the tests that guard it must go red (ARGS: patterns, --quick)
	$(Q)tests/mutants/run $(ARGS)
nightly: deps-ci ## the long suites that .ci/run leaves out
	$(Q)tests/suites nth-nightly fuzz-nightly system-nightly system-asan system-tsan vm-nightly hostile-soak mutants

system: all tools ## run all system tests (ARGS: patterns, or --quick)
	$(Q)tests/system/run --daemon $(BIN)/lunetted --cli $(BIN)/lunette $(ARGS)
vm: all tools ## Linux's own initiator in a QEMU guest (ARGS: patterns); needs root
	$(Q)tests/vm/run --daemon $(BIN)/lunetted --cli $(BIN)/lunette $(ARGS)
conformance: all ## iscsi-test-cu against us (ARGS="--tgtd --lio": and these beside us); writes docs/conformance.md
	$(Q)tests/conformance/run $(ARGS)
bench: all tools ## the benchmark, tgtd beside us; writes docs/benchmark.md
	$(Q)tests/bench/run $(ARGS)

SECONDS ?= 60
fuzz: ## let libFuzzer look for new inputs, SECONDS (60) for each target; needs clang
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) CONFIG=fuzz fuzz-explore
fuzz-explore: $(foreach f,$(FOLDERS),$(FUZZ_BIN_$(f)))
	$(Q)tests/fuzz/explore $(SECONDS) $^

fuzz-coverage: ## what the committed corpora reach; writes a section of docs/robustness.md (ARGS: of tests/fuzz/coverage)
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) CONFIG=fuzzcov fuzz-programs
	$(Q)tests/fuzz/coverage $(ARGS)
.PHONY: fuzz-coverage fuzz-programs
fuzz-programs: $(foreach f,$(FOLDERS),$(FUZZ_BIN_$(f)))

asan tsan: ## unit, fuzz corpora and system tests with address+undefined / thread sanitizer
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) tools
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) CONFIG=$@ all
	$(Q)JOBS=$(JOBS) tests/suites unit-$@ fuzz-$@ system-$@
clang: ## build everything and run the unit tests with clang
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) CC=clang O=build/clang all tools unit

# ---------------------------------------------------------------- dashboard
# Served from the directory `web` beside lunetted. Nothing of npm is needed at run time.
.PHONY: web check-web
WEB_SOURCES := $(shell find web/src -type f ! -name schema.d.ts 2>/dev/null) web/build.mjs web/package.json
web: $(BIN)/web/index.html ## build the dashboard into build/web; needs npm and, the first time, its registry
$(BIN)/web/index.html: $(WEB_SOURCES) web/node_modules/.package-lock.json
	$(Q)mkdir -p $(BIN) && node web/build.mjs $(BIN)/web
web/node_modules/.package-lock.json: web/package-lock.json
	$(call say,NPM,web)
	$(Q)cd web && npm ci --ignore-scripts --no-audit --no-fund --fetch-retries=1 --loglevel=error && touch node_modules/.package-lock.json
check-web: web/node_modules/.package-lock.json ## the dashboard against its types and those of the contract
	$(Q)cd web && npm run --silent check

# ---------------------------------------------------------------- lint
.PHONY: lint check-includes check-headers check-style check-docs docs
lint: check-includes check-headers check-style check-docs ## every check of the sources that is not a test
check-includes: ## includes point one way, as DEPS_x say
	$(Q)tests/lint/includes $(foreach f,$(FOLDERS),$(f)=$(DIR_$(f))=$(subst $() ,$(comma),$(strip $(DEPS_$(f)))))
comma := ,
check-headers: $(patsubst %.h,$(O)/headers/%.ok,$(wildcard include/*.h $(foreach f,$(FOLDERS),$(DIR_$(f))/*.h))) ## each header compiles alone
$(O)/headers/%.ok: %.h
	$(Q)mkdir -p $(@D) && printf '#include "%s"\n' $< | $(CC) $(CPPFLAGS) -I$(<D) $(CFLAGS) -Wno-unused-function -fsyntax-only -x c - && touch $@
check-docs: ## docs/configuration.md, docs/metrics.md and the tables in docs/robustness.md are what their sources say
	$(Q)packaging/configuration-doc --check && packaging/metrics-doc --check
	$(Q)tests/hostile/run --check-report && tests/mutants/run --check
docs: ## write docs/configuration.md and docs/metrics.md from the tables
	$(Q)packaging/configuration-doc && packaging/metrics-doc
check-style: ## lengths of functions, files and lines; left-over notes
	$(Q)tests/lint/style

.PHONY: compile_commands.json install clean help
compile_commands.json: ## for clangd and clang-tidy
	$(Q)packaging/compile-commands '$(CC) $(CPPFLAGS) $(CFLAGS)' $(foreach f,$(FOLDERS),$(SRC_$(f)) $(UNIT_SRC_$(f)) \
		$(FUZZ_SRC_$(f))) $(TOOLS:%=tests/%.c) >$@

install: all ## install programs, manual pages, completion and systemd files under DESTDIR and PREFIX
	$(Q)packaging/install '$(BIN)' '$(DESTDIR)' '$(PREFIX)'

clean: ## remove everything built
	rm -rf build
help: ## this list
	@grep -hE '^[a-z][a-z_. -]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 24
