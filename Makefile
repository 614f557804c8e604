# DeFeat Bench. `make help` lists the targets.
# Variables: ARCH (instruction set for -march, default native), SAN=1 (ASan + UBSan), CUDA=auto|0|1, SEEDS, JOBS, V=1 (show commands),
#            ROOMS (build only these rooms: for work on one room), BUILD (folder of the objects), WERROR=1.
.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := all

CC     ?= gcc
ARCH   ?= native
SAN    ?= 0
CUDA   ?= auto
WERROR ?= 0
JOBS   ?= $(shell nproc 2>/dev/null || echo 2)
V      ?= 0
Q       = $(if $(filter 1,$(V)),,@)

ALL_ROOMS := core/base core/geometry core/device core/data core/nn core/metrics results plots detectors distillers ablations/run ablations ablations/cli
ROOMS     ?= $(ALL_ROOMS)

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla $(if $(filter 1,$(WERROR)),-Werror)
CONFIG   := $(notdir $(CC))-$(ARCH)$(if $(filter 1,$(SAN)),-san)
BUILD    ?= build/$(CONFIG)
SANFLAGS := $(if $(filter 1,$(SAN)),-fsanitize=address$(comma)undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
comma    := ,
SANFLAGS := $(if $(filter 1,$(SAN)),-fsanitize=address$(comma)undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
# No -ffast-math, no contraction: the same source gives the same bits with and without FMA units.
DF_CFLAGS := -std=c11 -D_GNU_SOURCE -O3 -g -march=$(ARCH) -ffp-contract=off -fno-math-errno -fno-trapping-math -I. $(WARNINGS) $(SANFLAGS) $(CFLAGS)

PKGS    := libcjson yajl libpcre2-8 libturbojpeg libpng libxxhash
PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LIBS     = -ldnnl $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lcsv -ldl -lm -lpthread
REVISION := $(shell git describe --always --dirty --exclude='*' 2>/dev/null || echo unknown)

sources  := $(filter-out ablations/cli/main.c,$(foreach r,$(ROOMS),$(wildcard $(r)/*.c)))
float_o  := $(sources:%.c=$(BUILD)/float/%.o)
double_o := $(sources:%.c=$(BUILD)/double/%.o)
# tests/<room>/test_*.c link the float build, tests/<room>/grad_*.c the double build; tests/support/*.c goes into both.
support   := $(wildcard tests/support/*.c)
tests     := $(foreach r,$(ROOMS),$(wildcard tests/$(r)/test_*.c tests/$(r)/grad_*.c))
tests_bin := $(tests:%.c=$(BUILD)/%)

.PHONY: all deps test tests lint bench clean help config install format
## all: build the program ./defeat
all: defeat
defeat: $(BUILD)/defeat
	$(Q)ln -sf $< $@

$(BUILD)/defeat: $(BUILD)/float/ablations/cli/main.o $(BUILD)/libdefeat.a
	@echo "  LINK  $@"
	$(Q)$(CC) $(DF_CFLAGS) -rdynamic -o $@ $< -Wl,--whole-archive $(BUILD)/libdefeat.a -Wl,--no-whole-archive $(LIBS)
$(BUILD)/libdefeat.a: $(float_o)
	$(Q)rm -f $@; ar rcs $@ $^
$(BUILD)/libdefeat_double.a: $(double_o)
	$(Q)rm -f $@; ar rcs $@ $^
$(BUILD)/float/%.o: %.c
	@mkdir -p $(@D); echo "  CC    $<"
	$(Q)$(CC) $(DF_CFLAGS) $(PKG_CFLAGS) -DDF_REVISION='"$(REVISION)"' -MMD -MP -c -o $@ $<
$(BUILD)/double/%.o: %.c
	@mkdir -p $(@D); echo "  CC    $< (double)"
	$(Q)$(CC) $(DF_CFLAGS) $(PKG_CFLAGS) -DDF_REAL=double -DDF_REAL_IS_DOUBLE -DDF_REVISION='"$(REVISION)"' -MMD -MP -c -o $@ $<

$(BUILD)/tests/%: $(BUILD)/float/tests/%.o $(support:%.c=$(BUILD)/float/%.o) $(BUILD)/libdefeat.a
	@mkdir -p $(@D); echo "  LINK  $@"
	$(Q)$(CC) $(DF_CFLAGS) -rdynamic -o $@ $^ -lcmocka $(LIBS)
define grad_rule
$(BUILD)/$(1:%.c=%): $(BUILD)/double/$(1:%.c=%.o) $(support:%.c=$(BUILD)/double/%.o) $(BUILD)/libdefeat_double.a
	@mkdir -p $$(@D); echo "  LINK  $$@"
	$(Q)$(CC) $(DF_CFLAGS) -rdynamic -o $$@ $$^ -lcmocka $(LIBS)
endef
$(foreach t,$(filter %.c,$(foreach x,$(tests),$(if $(findstring /grad_,$(x)),$(x)))),$(eval $(call grad_rule,$(t))))

tests: $(tests_bin)
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
clean:
	rm -rf build defeat
.SECONDARY:
