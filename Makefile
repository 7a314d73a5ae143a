# Lunette: a clustered, active-active iSCSI/iSER target in user space.
# `make help` lists the targets. Objects live under build/$(CONFIG); V=1 shows the commands.

CONFIG ?= release
CC     ?= gcc
PREFIX ?= /usr/local
V      ?= 0
Q      := $(if $(filter 1,$(V)),,@)
say     = $(if $(filter 1,$(V)),,@printf '  %-8s %s\n' '$(1)' '$(2)')

# ---------------------------------------------------------------- configuration
FLAGS_release := -O2 -g
FLAGS_debug   := -O0 -g3 -DLUNETTE_DEBUG=1
FLAGS_asan    := -O1 -g3 -DLUNETTE_DEBUG=1 -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
FLAGS_tsan    := -O1 -g3 -DLUNETTE_DEBUG=1 -fsanitize=thread
FLAGS_cov     := -O0 -g3 -DLUNETTE_DEBUG=1 --coverage
FLAGS_fuzz    := -O1 -g3 -DLUNETTE_DEBUG=1 -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined
ifeq ($(CONFIG),fuzz)
CC := clang
endif
ifeq ($(FLAGS_$(CONFIG)),)
$(error unknown CONFIG '$(CONFIG)'; one of release debug asan tsan cov fuzz)
endif

WARN     := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wno-format-nonliteral
VERSION  := $(shell cat VERSION)
CPPFLAGS += -Iinclude -I. -D_GNU_SOURCE -DLUNETTE_VERSION='"$(VERSION)"'
CFLAGS   += -std=gnu11 -pthread $(FLAGS_$(CONFIG)) $(WARN)
LDFLAGS  += -pthread $(FLAGS_$(CONFIG))
O        := build/$(CONFIG)
# Programs of the release configuration lie directly under build/.
BIN      := $(if $(filter release,$(CONFIG)),build,$(O))

# ---------------------------------------------------------------- folders
# One archive per folder. DEPS_x: the folders that x may include and links with (includes point one way:
# `make check-includes` holds us to it). LIBS_x: what pkg-config or the linker must add.
FOLDERS      := base cluster store lun scsi iscsi reactor api monitor daemon cli
DIR_base     := base
DIR_cluster  := cluster
DIR_store    := dataplane/store
DIR_lun      := dataplane/lun
DIR_scsi     := dataplane/scsi
DIR_iscsi    := dataplane/iscsi
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
DEPS_reactor := iscsi scsi lun store cluster base
DEPS_monitor := base
DEPS_api     := monitor cluster store base
DEPS_daemon  := reactor api monitor iscsi scsi lun store cluster base
DEPS_cli     := base
LIBS_base    := -lisal
LIBS_cluster := -ljansson
LIBS_store   := -laio
LIBS_lun     := -ljansson
LIBS_scsi    := -ljansson
LIBS_iscsi   := -ljansson -lnettle
LIBS_reactor := -ljansson
LIBS_api     := -lmicrohttpd -ljansson -lgnutls -lnettle
LIBS_monitor :=
LIBS_daemon  :=
LIBS_cli     := -lcurl -ljansson

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
	$(Q)mkdir -p $$(@D) && $(CC) $(LDFLAGS) -o $$@ $$< -Wl,--start-group $$(ALL_LIBS_$(1)) -Wl,--end-group $$(ALL_LDLIBS_$(1)) -lcmocka
FUZZ_SRC_$(1) := $$(wildcard tests/fuzz/$(1)/*_fuzz.c)
FUZZ_BIN_$(1) := $$(FUZZ_SRC_$(1):tests/fuzz/%.c=$(O)/fuzz/%)
# With CONFIG=fuzz a fuzz target is a libFuzzer program; otherwise it replays the files named on its command line.
$$(FUZZ_BIN_$(1)): $(O)/fuzz/%: $(O)/obj/tests/fuzz/%.o $$(ALL_LIBS_$(1)) $(if $(filter fuzz,$(CONFIG)),,$(O)/obj/tests/fuzz/replay.o)
	$$(call say,LD,$$@)
	$(Q)mkdir -p $$(@D) && $(CC) $(LDFLAGS) $(if $(filter fuzz,$(CONFIG)),-fsanitize=fuzzer) -o $$@ $$(filter %.o,$$^) -Wl,--start-group $$(ALL_LIBS_$(1)) -Wl,--end-group $$(ALL_LDLIBS_$(1))
.PHONY: unit-$(1) fuzz-$(1)
unit-$(1): $$(UNIT_BIN_$(1))
	$(Q)tests/unit/run $$^
fuzz-$(1): $$(FUZZ_BIN_$(1))
	$(Q)tests/fuzz/run $$^
endef
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

-include $(shell find $(O)/obj -name '*.d' 2>/dev/null)

# ---------------------------------------------------------------- tests
.PHONY: unit fuzz-replay
unit: $(foreach f,$(FOLDERS),$(UNIT_BIN_$(f))) ## build and run the unit tests
	$(Q)tests/unit/run $^
fuzz-replay: $(foreach f,$(FOLDERS),$(FUZZ_BIN_$(f))) ## replay the committed fuzz corpora
	$(Q)tests/fuzz/run $^

.PHONY: clean help
clean: ## remove everything built
	rm -rf build
help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16
