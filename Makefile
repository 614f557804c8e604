# DeFeat Bench. `make help` lists the targets.
# Variables: SAN=1 (ASan + UBSan), SEEDS, JOBS, V=1 (show commands),
#            CUDA=1 (the GPU device too; auto and 0: the CPU program), with it NVCC, CUDA_HOME, CUDA_ARCHS ("80 90"),
#            ROOMS (build only these rooms: for work on one room), BUILD (folder of the objects), WERROR=1,
#            CC (a cross compiler such as aarch64-linux-gnu-gcc brings its own AR and PKG_CONFIG).
.DELETE_ON_ERROR:
.SUFFIXES:
.DEFAULT_GOAL := all

ifeq ($(origin CC),default)
CC     := gcc
endif
SAN    ?= 0
CUDA   ?= auto
WERROR ?= 0
ifeq ($(origin CXX),default)
CXX    := g++
endif
CROSS  := $(if $(findstring -gcc,$(notdir $(CC))),$(firstword $(subst -gcc, ,$(notdir $(CC)))))
ifeq ($(origin AR),default)
AR     := $(CROSS:%=%-)ar
endif
PKG_CONFIG ?= $(CROSS:%=%-)pkg-config
JOBS   ?= $(shell nproc 2>/dev/null || echo 2)
V      ?= 0
Q       = $(if $(filter 1,$(V)),,@)

ALL_ROOMS := core/base core/geometry core/device core/data core/nn core/metrics results plots detectors distillers distillers/check ablations/run ablations/behaviour ablations ablations/cli
ROOMS     ?= $(ALL_ROOMS)

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wno-missing-field-initializers \
            $(if $(findstring clang,$(CC)),-Wno-enum-float-conversion,-Wno-format-truncation) $(if $(filter 1,$(WERROR)),-Werror)
CONFIG   := $(notdir $(CC))$(if $(filter 1,$(SAN)),-san)$(if $(filter 1,$(CUDA)),-cuda)
BUILD    ?= build/$(CONFIG)
comma    := ,
SANFLAGS := $(if $(filter 1,$(SAN)),-fsanitize=address$(comma)undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
# No -ffast-math, no contraction: the same source gives the same bits with and without FMA units.
DF_CFLAGS := -std=c11 -D_GNU_SOURCE -O3 -g -ffp-contract=off -fno-math-errno -fno-trapping-math -I. $(WARNINGS) $(SANFLAGS) $(CFLAGS)

# CUDA=1: the GPU device too (CUDA 13, cuDNN 9). auto and 0 build the CPU program: nothing is guessed from what happens to be installed.
ifeq ($(filter $(CUDA),auto 0 1),)
  $(error CUDA='$(CUDA)': expected auto, 0 or 1)
endif
ifeq ($(CUDA),1)
NVCC       ?= $(or $(shell command -v nvcc 2>/dev/null),/usr/local/cuda/bin/nvcc)
CUDA_HOME  ?= $(patsubst %/bin/,%,$(dir $(realpath $(NVCC))))
CUDA_ARCHS ?= 80 90
cuda_ptx   := $(lastword $(CUDA_ARCHS))
# no contraction, IEEE division and roots (nvcc's default): our kernels give the bits that their C source gives on the CPU
NVCCFLAGS  := -std=c++20 -O3 -lineinfo -fmad=false -I. -DDF_WITH_CUDA=1 -DDF_CUDA_OLDEST=$(firstword $(CUDA_ARCHS)) -Werror all-warnings -Xcompiler -Wall,-Wextra,-Wno-missing-field-initializers,-Werror,-ffp-contract=off \
              $(foreach a,$(CUDA_ARCHS),-gencode arch=compute_$a,code=sm_$a) -gencode arch=compute_$(cuda_ptx),code=compute_$(cuda_ptx) \
              -Xptxas -v $(if $(SANFLAGS),-Xcompiler "$(SANFLAGS)")
CUDA_LIBS  := -L$(CUDA_HOME)/lib64 -Wl,-rpath,$(CUDA_HOME)/lib64 -lcudnn -lcublas -lcudart -lstdc++
DF_CFLAGS  += -DDF_WITH_CUDA=1
endif

# What is asked of the system: PROBE:PACKAGE, in Debian's names. Tools are looked for in PATH, libraries by pkg-config, headers (of libraries without a
# pkg-config file) by building a program. A cross compiler wants its own libraries, and its own pkg-config.
foreign        := $(addprefix :,$(subst x86_64,amd64,$(subst aarch64,arm64,$(firstword $(subst -, ,$(CROSS))))))
need_compiler  := $(firstword $(CC)):$(if $(CROSS),$(patsubst $(CROSS)-%,%,$(notdir $(CC)))-$(subst _,-,$(CROSS)),$(notdir $(firstword $(CC))))
need_tools     := $(need_compiler) git:git $(PKG_CONFIG):pkgconf$(foreign) gnuplot:gnuplot-nox xz:xz-utils
need_libraries := libcjson:libcjson-dev yajl:libyajl-dev libpcre2-8:libpcre2-dev libturbojpeg:libturbojpeg0-dev libpng:libpng-dev libxxhash:libxxhash-dev
need_headers   := csv:libcsv-dev
need_cmocka    := cmocka:libcmocka-dev
# What only one target needs, by DEPS_FOR=: beside the above, or alone.
need_lint      := clang:clang clang-format:clang-format
need_hostcuda  := $(CXX):g++
need_fuzz      := clang:clang
need_systems   := debootstrap:debootstrap
need_slurm     := munged:munge slurmctld:slurm-wlm

PKGS    := $(foreach n,$(need_libraries),$(firstword $(subst :, ,$n)))
PKG_CFLAGS = $(shell $(PKG_CONFIG) --cflags $(PKGS) 2>/dev/null)
LIBS     = $(shell $(PKG_CONFIG) --libs $(PKGS) 2>/dev/null) -lcsv -ldl -lm -lpthread $(CUDA_LIBS)
REVISION := $(shell git describe --always --dirty --exclude='*' 2>/dev/null || echo unknown)

# A folder without a floor of its own belongs to the room above it. $(call in_room,ROOM,SUFFIX): the files of a room.
in_room   = $(filter-out $(patsubst %,%/%,$(filter $(1)/%,$(ALL_ROOMS))),$(shell find $(1) -name '*.$(2)' 2>/dev/null | sort))
sources  := $(filter-out ablations/cli/main.c,$(foreach r,$(ROOMS),$(call in_room,$(r),c)))
cuda_o   := $(if $(filter 1,$(CUDA)),$(patsubst %.cu,$(BUILD)/cuda/%.o,$(foreach r,$(ROOMS),$(call in_room,$(r),cu))))
# core/device/cpu is compiled once per instruction set, with flags that only its table's chooser (core/device/isa.c) lets run. One binary for all.
TARGET   := $(shell $(CC) -dumpmachine 2>/dev/null)
ISAS     := $(if $(filter x86_64-%,$(TARGET)),v4 v3,$(if $(filter aarch64-%,$(TARGET)),aarch64)) plain
ISA_v3   := -mavx2 -mfma -mbmi -mbmi2
ISA_v4   := $(ISA_v3) -mavx512f -mavx512bw -mavx512cd -mavx512dq -mavx512vl -mprefer-vector-width=512
ISA_plain := -DDF_ISA_PLAIN -Wno-psabi
isa_c    := $(filter core/device/cpu/%,$(sources))
isa_o    := $(foreach i,$(ISAS),$(isa_c:%.c=$(BUILD)/isa-$(i)/%.o))
sources  := $(filter-out $(isa_c),$(sources))
float_o  := $(sources:%.c=$(BUILD)/float/%.o) $(isa_o) $(cuda_o)
double_o := $(sources:%.c=$(BUILD)/double/%.o)
# tests/<room>/test_*.c link the float build, tests/<room>/grad_*.c the double build; tests/support/*.c goes into both.
support   := $(wildcard tests/support/*.c)
tests     := $(foreach r,$(ROOMS),$(wildcard tests/$(r)/test_*.c tests/$(r)/grad_*.c))
tests_bin := $(tests:%.c=$(BUILD)/%)

.PHONY: FORCE all deps test tests test-cuda bundle test-systems test-aarch64 lint bench bench-peer clean help install golden golden-full parity mutants compile reproduce-table reproduce-quick reproduce-spec teachers install-files uninstall
## all: build the program ./defeat
all: defeat
defeat: $(BUILD)/defeat FORCE
	$(Q)ln -sfn $< $@
FORCE:

$(BUILD)/defeat: $(BUILD)/float/ablations/cli/main.o $(BUILD)/libdefeat.a
	@echo "  LINK  $@"
	$(Q)$(CC) $(DF_CFLAGS) -rdynamic -o $@ $< -Wl,--whole-archive $(BUILD)/libdefeat.a -Wl,--no-whole-archive $(LIBS)
$(BUILD)/libdefeat.a: $(float_o)
	$(Q)rm -f $@; $(AR) rcs $@ $^
$(BUILD)/libdefeat_double.a: $(double_o)
	$(Q)rm -f $@; $(AR) rcs $@ $^
$(BUILD)/float/%.o: %.c
	@mkdir -p $(@D); echo "  CC    $<"
	$(Q)$(CC) $(DF_CFLAGS) $(PKG_CFLAGS) -MMD -MP -c -o $@ $<
define isa_rule
$(BUILD)/isa-$(1)/%.o: %.c
	@mkdir -p $$(@D); echo "  CC    $$< ($(1))"
	$(Q)$(CC) $(DF_CFLAGS) $(ISA_$(1)) $(PKG_CFLAGS) -DDF_ISA=$(1) -MMD -MP -c -o $$@ $$<
endef
$(foreach i,$(ISAS),$(eval $(call isa_rule,$(i))))
$(BUILD)/double/%.o: %.c
	@mkdir -p $(@D); echo "  CC    $< (double)"
	$(Q)$(CC) $(DF_CFLAGS) $(PKG_CFLAGS) -DDF_REAL=double -DDF_REAL_IS_DOUBLE -MMD -MP -c -o $@ $<
# ptxas -v says what every kernel uses: it is summed up here, and spilled registers are an error.
$(BUILD)/cuda/%.o: %.cu $(BUILD)/cuda/found
	@mkdir -p $(@D); echo "  NVCC  $<"
	$(Q)$(NVCC) $(NVCCFLAGS) -MMD -MP -MF $(@:.o=.d) -c -o $@ $< 2>$@.log || { cat $@.log >&2; exit 1; }
	@awk '/Compiling entry/ { split($$0, part, "\047"); name = part[2]; arch[part[4]] = 1; kernels++ } \
	      / spill stores/ { spilled += $$5 + $$9; if ($$5 + $$9) print "        spills: " name ":" $$0 } \
	      / Used / { for (i = 1; i < NF; i++) if ($$(i + 1) ~ /^registers/ && $$i > most) most = $$i } \
	      END { for (a in arch) list = list " " a; \
	            if (kernels) printf "  PTXAS %d kernels,%s: at most %d registers, %d bytes spilled\n", kernels, list, most, spilled; \
	            exit spilled > 0 }' $@.log || { rm -f $@; exit 1; }
$(BUILD)/cuda/found:
	@mkdir -p $(@D)
	@printf '#include <cudnn.h>\n#include <cublas_v2.h>\n#if CUDNN_MAJOR < 9 || CUDART_VERSION < 13000\n#error needs CUDA 13 and cuDNN 9\n#endif\nint main() { return cudnnGetVersion() == 0; }\n' >$@.cu; \
	$(NVCC) -o $@.out $@.cu $(filter-out -Wl%,$(CUDA_LIBS)) 2>$@.log || { cat $@.log >&2; \
	    echo "CUDA=1 was asked for, but '$(NVCC)' cannot build a program with CUDA 13 and cuDNN 9 [install them, or set NVCC= and CUDA_HOME=]" >&2; exit 1; }; \
	touch $@

# The revision goes into two files only, built again whenever it changes.
revised := ablations/cli/version ablations/run/environment
$(foreach r,float double,$(revised:%=$(BUILD)/$(r)/%.o)): DF_CFLAGS += -DDF_REVISION='"$(REVISION)"'
$(foreach r,float double,$(revised:%=$(BUILD)/$(r)/%.o)): $(BUILD)/revision-$(REVISION)
# so does the version of TurboJPEG, which has no call that tells it
$(foreach r,float double,$(BUILD)/$(r)/ablations/run/environment.o): DF_CFLAGS += -DDF_JPEG_VERSION='"$(shell $(PKG_CONFIG) --modversion libturbojpeg 2>/dev/null)"'
$(BUILD)/revision-%:
	@mkdir -p $(@D); rm -f $(BUILD)/revision-*; touch $@

$(BUILD)/tests/%: $(BUILD)/float/tests/%.o $(support:%.c=$(BUILD)/float/%.o) $(BUILD)/libdefeat.a
	@mkdir -p $(@D); echo "  LINK  $@"
	$(Q)$(CC) $(DF_CFLAGS) -rdynamic -o $@ $^ -lcmocka $(LIBS)
define grad_rule
$(BUILD)/$(1:%.c=%): $(BUILD)/double/$(1:%.c=%.o) $(support:%.c=$(BUILD)/double/%.o) $(BUILD)/libdefeat_double.a
	@mkdir -p $$(@D); echo "  LINK  $$@"
	$(Q)$(CC) $(DF_CFLAGS) -rdynamic -o $$@ $$^ -lcmocka $(LIBS)
endef
$(foreach t,$(filter %.c,$(foreach x,$(tests),$(if $(findstring /grad_,$(x)),$(x)))),$(eval $(call grad_rule,$(t))))

# The readers under libFuzzer, with sanitizers: clang, a build of its own.
fuzz := $(wildcard tests/fuzz/fuzz_*.c)
$(BUILD)/fuzz/%: $(BUILD)/float/tests/fuzz/%.o $(BUILD)/libdefeat.a
	@mkdir -p $(@D); echo "  LINK  $@"
	$(Q)$(CC) $(DF_CFLAGS) -fsanitize=fuzzer -o $@ $^ $(LIBS)
.PHONY: fuzz fuzzers
fuzzers: $(fuzz:tests/fuzz/%.c=$(BUILD)/fuzz/%)
## fuzz: every reader under libFuzzer, FUZZ_SECONDS each (60; FUZZ_INPUTS=20000: the same inputs every time), from the fixtures and what was found before (FUZZ="coco row": these; needs clang)
FUZZ_SECONDS ?= 60
fuzz:
	$(Q)$(MAKE) --no-print-directory deps DEPS_FOR=fuzz
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) all
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) BUILD=build/fuzz CC=clang SAN=1 CFLAGS='-O1 -fsanitize=fuzzer-no-link' fuzzers
	sh tests/fuzz/run.sh build/fuzz $(if $(FUZZ_INPUTS),$(FUZZ_INPUTS)x,$(FUZZ_SECONDS)) $(FUZZ)

# <test>_double: the same program over the double build.
$(BUILD)/tests/%_double: $(BUILD)/double/tests/%.o $(support:%.c=$(BUILD)/double/%.o) $(BUILD)/libdefeat_double.a
	@mkdir -p $(@D); echo "  LINK  $@"
	$(Q)$(CC) $(DF_CFLAGS) -rdynamic -o $@ $^ -lcmocka $(LIBS)

# The GPU device on a double of CUDA, CUB, cuBLAS and cuDNN (tests/hostcuda): the same sources, compiled by g++. Without sanitizers the compiler's
# access hooks are in, which the double answers itself. open.o stands before the library's, which has no 'cuda'.
double    := $(BUILD)/hostcuda
HOSTFLAGS := -std=c++20 -O2 -g -ffp-contract=off -Itests/hostcuda -I. -DDF_WITH_CUDA=1 -DDF_CUDA_SLAB=1 -Wall -Wextra \
             -Wno-missing-field-initializers $(if $(filter 1,$(WERROR)),-Werror)
ACCESS    := $(or $(SANFLAGS),-fsanitize=thread)
double_cu := $(patsubst %,$(double)/%.o,$(wildcard core/device/cuda/*.cu))
double_cc := $(patsubst %,$(double)/%.o,$(filter-out tests/hostcuda/test_%,$(wildcard tests/hostcuda/*.cc)))
double_on := $(wildcard tests/core/device/test_*.c tests/core/nn/test_*.c) tests/ablations/run/test_step_log.c
double_tests := $(double_on:%.c=$(double)/%)
double_pool := $(double)/tests/core/device/test_device_pool $(double)/tests/core/device/test_replay_pool
$(double)/%.cu.o: %.cu
	@mkdir -p $(@D); echo "  CXX   $<"
	$(Q)$(CXX) -x c++ $(HOSTFLAGS) $(ACCESS) -MMD -MP -c -o $@ $<
$(double)/%.cc.o: %.cc
	@mkdir -p $(@D); echo "  CXX   $<"
	$(Q)$(CXX) $(HOSTFLAGS) $(if $(findstring /test_,$<),$(ACCESS),$(SANFLAGS)) -MMD -MP -c -o $@ $<
$(double)/open.o: core/device/open.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(DF_CFLAGS) $(PKG_CFLAGS) -DDF_WITH_CUDA=1 -MMD -MP -c -o $@ $<
$(double)/test_double: $(double)/tests/hostcuda/test_double.cc.o $(double_cc)
	@mkdir -p $(@D); echo "  LINK  $@"
	$(Q)$(CXX) $(SANFLAGS) -o $@ $^
$(double)/tests/%: $(BUILD)/float/tests/%.o $(support:%.c=$(BUILD)/float/%.o) $(double)/open.o $(double_cu) $(double_cc) $(BUILD)/libdefeat.a
	@mkdir -p $(@D); echo "  LINK  $@"
	$(Q)$(CXX) $(SANFLAGS) -rdynamic -o $@ $^ -lcmocka $(LIBS)
# the pool with slabs that hold many pieces, as on a GPU, and halves of pinned memory that are soon full
$(double)/pool/memory.cu.o: core/device/cuda/memory.cu
	@mkdir -p $(@D); echo "  CXX   $<"
	$(Q)$(CXX) -x c++ $(HOSTFLAGS) -UDF_CUDA_SLAB -DDF_CUDA_SLAB=100000 -DDF_CUDA_HALF=4096 $(ACCESS) -MMD -MP -c -o $@ $<
$(double)/tests/core/device/test_%_pool: $(BUILD)/float/tests/core/device/test_%.o $(support:%.c=$(BUILD)/float/%.o) \
        $(double)/open.o $(double)/pool/memory.cu.o $(filter-out %/memory.cu.o,$(double_cu)) $(double_cc) $(BUILD)/libdefeat.a
	@mkdir -p $(@D); echo "  LINK  $@"
	$(Q)$(CXX) $(SANFLAGS) -rdynamic -o $@ $^ -lcmocka $(LIBS)
$(double)/defeat: $(BUILD)/float/ablations/cli/main.o $(double)/open.o $(double_cu) $(double_cc) $(BUILD)/libdefeat.a
	@echo "  LINK  $@"
	$(Q)$(CXX) $(SANFLAGS) -rdynamic -o $@ $^ $(LIBS)
## test-hostcuda: the GPU device without a GPU: conformance tests, planted faults and two short trainings on a double of CUDA
.PHONY: test-hostcuda hostcuda
test-hostcuda:
	$(Q)$(MAKE) --no-print-directory deps DEPS_FOR=hostcuda
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) hostcuda
	$(Q)sh tests/hostcuda/run.sh $(BUILD)
hostcuda: $(double)/test_double $(double_tests) $(double_pool) $(double)/defeat $(BUILD)/defeat

tests: $(tests_bin) $(BUILD)/defeat
# objects made through pattern rules are kept
.SECONDARY: $(float_o) $(BUILD)/cuda/found $(double_o) $(foreach b,float double,$(support:%.c=$(BUILD)/$(b)/%.o) $(tests:%.c=$(BUILD)/$(b)/%.o) $(BUILD)/$(b)/tests/peers/golden_full.o) $(double_cu) $(double_cc) $(double)/tests/hostcuda/test_double.cc.o \
            $(double)/pool/memory.cu.o
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)

peers := $(wildcard tests/peers/*.c)

# ---- what a user types -------------------------------------------------------------------------------------------------------------
SPEC   ?= ablations/specs/reproduce-table.json
OUT    ?= out
CONTROL = full feature
SWEEP_FLAGS = $(if $(SEEDS),--seeds $(SEEDS)) --out $(OUT)

# What is missing, one package a line. Without its tools nothing can be said of a library: then it counts as missing.
DEPS_FOR ?= build
alone    := $(filter systems slurm,$(DEPS_FOR))
define missing
	for need in $(if $(alone),,$(need_tools)) $(need_$(DEPS_FOR)); do \
	    command -v "$${need%%:*}" >/dev/null || echo "$${need#*:}"; \
	done; \
	for need in $(if $(alone),,$(need_libraries) $(need_cmocka)); do \
	    $(PKG_CONFIG) --exists "$${need%%:*}" 2>/dev/null || echo "$${need#*:}$(foreign)"; \
	done; \
	for need in $(if $(alone),,$(need_headers)); do \
	    printf '#include <%s.h>\nint main(void) { return 0; }\n' "$${need%%:*}" | \
	        $(CC) -x c - -o /dev/null "-l$${need%%:*}" 2>/dev/null || echo "$${need#*:}$(foreign)"; \
	done; \
	[ "$(DEPS_FOR)" != fuzz ] || printf 'int LLVMFuzzerTestOneInput(const char *p, long n) { return !p && n; }\n' | \
	    clang -fsanitize=fuzzer,address,undefined -x c - -o /dev/null 2>/dev/null || echo libclang-rt-dev
endef

## deps: check what is needed; what is missing is printed, then installed from the configured apt sources (elsewhere: print it and stop)
deps:
	@$(if $(filter build lint hostcuda systems slurm fuzz,$(DEPS_FOR)),,$(error DEPS_FOR='$(DEPS_FOR)': expected build, lint, hostcuda, systems, slurm or fuzz)) \
	missing=$$($(missing)); [ -n "$$missing" ] || exit 0; \
	missing=$$(echo $$missing); sudo=; may=; \
	if [ "$$(id -u)" = 0 ]; then may=1; elif command -v sudo >/dev/null; then may=1 sudo='sudo '; fi; \
	command="$${sudo}apt-get update && $${sudo}apt-get install -y --no-install-recommends $$missing"; \
	echo "missing: $$missing"; \
	command -v apt-get >/dev/null || { echo "no apt-get here: install these packages (Debian's names) and run make again" >&2; exit 1; }; \
	[ "$$may" ] || { echo "only root can install them: run '$$command' as root, then make again" >&2; exit 1; }; \
	echo "+ $$command   (from the configured apt sources)"; \
	{ $${sudo}apt-get update -qq && $${sudo}env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing; } || \
	    { echo "not installed: run '$$command', then make again" >&2; exit 1; }; \
	missing=$$($(missing)); [ -z "$$missing" ] || { echo "installed, but still not found:" $$missing >&2; exit 1; }

## test: install what is missing, build, run every test
test: deps
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) $(if $(filter 1,$(SAN)),,all) tests
	$(Q)JOBS=$(JOBS) sh tests/run.sh $(BUILD)

## lint: format, warnings as errors under gcc and clang, the floors of the house, no circle among its modules
lint:
	$(Q)$(MAKE) --no-print-directory deps DEPS_FOR=lint
	clang-format --dry-run -Werror $$(git ls-files '*.c' '*.h' '*.cu' '*.cc')
	sh tests/lint/floors.sh .
	sh tests/lint/cycles.sh .
	sh tests/lint/test_floors.sh
	sh tests/lint/test_cycles.sh
	sh tests/lint/test_libm.sh
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) WERROR=1 CC=gcc BUILD=build/lint-gcc compile
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) WERROR=1 CC=clang BUILD=build/lint-clang compile
	sh tests/lint/libm.sh . build/lint-gcc
compile: $(float_o) $(double_o) $(foreach t,$(tests),$(BUILD)/$(if $(findstring /grad_,$(t)),double,float)/$(t:%.c=%.o)) $(peers:%.c=$(BUILD)/float/%.o) \
         $(fuzz:%.c=$(BUILD)/float/%.o) $(BUILD)/double/tests/peers/golden_full.o


## test-cuda: on a machine with a GPU (make CUDA=1 test-cuda): conformance, trainings, steps beside PyTorch's; one Markdown file (REPORT=)
REPORT      ?= ./
CUDA_DEVICE ?= cuda
test-cuda:
	$(if $(filter 1,$(CUDA)),,$(error test-cuda needs the GPU device [make CUDA=1 test-cuda]))
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) all tests
	PYTHON=$(PYTHON) sh tests/cuda/report.sh $(BUILD) $(REPORT) $(CUDA_DEVICE)
## bundle: program, tests, libraries but NVIDIA's, specs, teachers and scripts in one archive; `./run.sh test` there does what test-cuda does (CUDA=1, BUNDLE=)
BUNDLE      ?= $(BUILD)/defeat-bench.tar.xz
bundle: deps
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) all $(double_on:%.c=$(BUILD)/%)
	$(Q)sh tests/cuda/bundle.sh $(BUILD) $(BUNDLE)

## test-systems: README's two commands on bare Debian 12 and 13, with equal rows (root; minutes); nightly's other parts: .ci/nightly --list
test-systems:
	$(Q)JOBS=$(JOBS) sh tests/systems/run.sh bookworm
	$(Q)JOBS=$(JOBS) sh tests/systems/run.sh trixie
## test-aarch64: cross-compiled, under qemu: the device's conformance and the reference cells, bit for bit this machine's (root; minutes)
test-aarch64:
	$(Q)JOBS=$(JOBS) sh tests/systems/aarch64.sh

## bench: images/s, GFLOP/s, share of the peak, where the time goes, of both detectors; what each distiller costs (SPEC=... for one spec)
BENCH_SPECS = $(if $(filter file default,$(origin SPEC)),$(wildcard ablations/specs/reproduce-table.json ablations/specs/reproduce-faster.json),$(SPEC))
bench: deps
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) all
	set -e; for spec in $(BENCH_SPECS); do echo "== $$spec"; ./defeat bench $$spec; done
	$(if $(filter file default,$(origin SPEC)),./defeat bench ablations/specs/peers.json --methods)
## bench-peer: the ratio to the same steps in PyTorch and torchvision on one thread (PYTHON=)
bench-peer: deps
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) all
	set -e; for spec in $(BENCH_SPECS); do echo "== $$spec"; $(PYTHON) tests/peers/torch_step.py --defeat ./defeat $$spec; done

## reproduce-table: the default tables, RetinaNet and Faster R-CNN, with plots and the paper's claims, compared with the published rows (SEEDS=5, JOBS=cores)
reproduce-table: deps
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) all
	$(Q)$(MAKE) --no-print-directory reproduce-spec SPEC=ablations/specs/reproduce-table.json
	$(Q)$(MAKE) --no-print-directory reproduce-spec SPEC=ablations/specs/reproduce-faster.json
	./defeat claims ablations/claims.json $(SWEEP_FLAGS)
	./defeat journal diff $(OUT)/reproduce-table $(OUT)/reproduce-faster
## reproduce-quick: the same path, one seed, under two minutes
reproduce-quick: deps
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) all
	$(Q)$(MAKE) --no-print-directory reproduce-spec SPEC=ablations/specs/reproduce-quick.json
	$(Q)$(MAKE) --no-print-directory reproduce-spec SPEC=ablations/specs/reproduce-quick-faster.json
## reproduce-spec: sweep, table and plots of SPEC= (and the table of differences to whole features, where the spec has them)
reproduce-spec:
	./defeat sweep $(SPEC) --jobs $(JOBS) $(SWEEP_FLAGS)
	./defeat table $(SPEC) $(SWEEP_FLAGS)
	$(Q)if ./defeat sweep $(SPEC) $(SWEEP_FLAGS) --list | cut -f 4 | grep -xF "$(CONTROL)" >/dev/null; then \
	    ./defeat table $(SPEC) $(SWEEP_FLAGS) --baseline "$(CONTROL)" | sed -n '/^method/,$$p'; fi
	./defeat plot $(SPEC) $(SWEEP_FLAGS)

## teachers: train the shipped teachers again; each must end in the very file that lies in results/teachers (TEACHERS="faster-2": this one)
TEACHERS ?= $(foreach kind,retinanet faster,$(foreach turn,0 1 2 3 4,$(kind)-$(turn)))
again     = $(BUILD)/teachers
teachers: deps
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) all
	$(Q)rm -rf $(again); mkdir -p $(again) results/teachers
	printf '%s\n' $(TEACHERS) | tr '-' ' ' | xargs -n 2 -P $(JOBS) sh -c './defeat train ablations/specs/teachers-$$0.json \
	    --which $$1 --out $(again)/out --half --output $(again)/$$0-$$1.safetensors'
	$(Q)set -e; for name in $(TEACHERS); do \
	    if [ -f results/teachers/$$name.safetensors ]; then cmp $(again)/$$name.safetensors results/teachers/$$name.safetensors || \
	        { echo "$$name: not the shipped file [compare both: ./defeat inspect $(again)/$$name.safetensors]" >&2; exit 1; }; echo "$$name: the very file"; \
	    else cp $(again)/$$name.safetensors results/teachers; echo "$$name: was not there, and is now"; fi; done

## golden: make the test fixtures again (needs Python with numpy, pycocotools 2.0.11, torch, torchvision, safetensors; PYTHON=)
PYTHON ?= python3
golden:
	set -e; for script in tests/golden/make_*.py; do echo "$$script"; $(PYTHON) $$script; done

## golden-full: both detectors with ResNet-50 against torchvision, in double on ref and in float on cpu (PYTHON=; some 40 minutes, 7 GB, nothing kept)
GOLDEN_SIZE        ?= 800 1088
GOLDEN_SIZE_DOUBLE ?= 256 320
golden-full:
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) $(BUILD)/tests/peers/golden_full_double $(BUILD)/tests/peers/golden_full
	$(Q)set -e; folder=$$(mktemp -d); trap 'rm -rf "$$folder"' EXIT; trap 'exit 130' INT TERM; \
	compare() { $(PYTHON) tests/peers/golden_full.py "$$folder" $$1 $$2 $$4 $$5; $(BUILD)/tests/peers/$$3 "$$folder" $$1 $$4 $$5; }; \
	for kind in retinanet faster_rcnn; do \
	    compare $$kind double golden_full_double $(GOLDEN_SIZE_DOUBLE); compare $$kind float golden_full $(GOLDEN_SIZE); done; \
	echo "both detectors are torchvision's: in double at $(GOLDEN_SIZE_DOUBLE), in float at $(GOLDEN_SIZE)"
## parity: 20 steps of SGD here and in PyTorch, from the same weights over the same batches: the losses side by side (PYTHON=)
parity:
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) $(BUILD)/tests/peers/parity
	$(Q)set -e; for spec in reproduce-table faster-tiny; do \
	    $(PYTHON) tests/peers/parity.py $(BUILD)/tests/peers/parity ablations/specs/$$spec.json; done
## mutants: break the sources, one line at a time; each time a test must notice (ONLY="name ...": these alone; minutes)
mutants: deps
	$(Q)JOBS=$(JOBS) MAKE="$(MAKE)" sh tests/mutants/run.sh -w build/mutants/$(CONFIG) $(ONLY)

## install: program, specs, teachers, headers and defeat.pc for plugins under PREFIX (default /usr/local); data of installed specs: PREFIX/share/defeat-bench/data
PREFIX  ?= /usr/local
place    = $(DESTDIR)$(PREFIX)
share    = $(place)/share/defeat-bench
no_blanks = $(if $(word 2,$(place)),$(error PREFIX and DESTDIR: '$(place)' holds blanks, which these commands cannot take [choose another folder]))
# What a distiller's file may include, and all that this includes. The version of defeat.pc is the plugins' ABI and the numbers' semantics.
plugin_h = printf '\#include "%s"\n' $(wildcard distillers/*.h detectors/*.h core/nn/*.h) | $(CC) $(PKG_CFLAGS) -I. -x c -MM - | tr ' \\' '\n\n' | grep '\.h$$' | sort -u
number   = sed -n 's/^\#define $(1)  *\([0-9]*\)$$/\1/p' $(2)
install: all
	$(Q)$(MAKE) --no-print-directory install-files
install-files:
	$(no_blanks)
	install -D -m 755 $(BUILD)/defeat $(place)/bin/defeat
	$(Q)set -e; for header in $$($(plugin_h)); do install -D -m 644 $$header $(place)/include/defeat/$$header; done
	$(Q)set -e; install -d $(share)/specs; for spec in ablations/specs/*.json; do \
	    sed -e 's,"base": "../../data/,"base": "../data/,' -e 's,"../../results/teachers/,"../teachers/,' $$spec >$(share)/specs/$${spec##*/}; done
	$(Q)install -d $(share)/teachers; install -m 644 results/teachers/* $(share)/teachers
	$(Q)install -d $(place)/share/pkgconfig; { \
	    printf 'prefix=$${pcfiledir}/../..\nincludedir=$${prefix}/include/defeat\nspecs=$${prefix}/share/defeat-bench/specs\n\n'; \
	    printf 'Name: defeat\nDescription: headers of DeFeat Bench, for distillers as plugins\n'; \
	    echo "Version: $$($(call number,DF_DISTILLER_ABI,distillers/distiller.h)).$$($(call number,DF_SEMANTICS,ablations/run/cell.h))"; \
	    printf 'Requires: libcjson\nCflags: -I$${includedir}\n'; } >$(place)/share/pkgconfig/defeat.pc
	@echo "installed under $(place): bin/defeat, include/defeat, share/defeat-bench/{specs,teachers}, share/pkgconfig/defeat.pc"
## uninstall: take away what install put under PREFIX, and nothing else (data that was put beside the specs stays)
uninstall:
	$(no_blanks)
	rm -f $(place)/bin/defeat $(place)/share/pkgconfig/defeat.pc
	rm -f $(patsubst ablations/specs/%,$(share)/specs/%,$(wildcard ablations/specs/*.json)) $(patsubst results/teachers/%,$(share)/teachers/%,$(wildcard results/teachers/*))
	rm -rf $(place)/include/defeat
	$(Q)for folder in $(share)/specs $(share)/teachers $(share); do rmdir $$folder 2>/dev/null || true; done

## clean: remove everything that was built (not out/)
clean:
	rm -rf build defeat
## help: this list
help:
	@sed -n 's/^## \([a-z0-9-]*\): /\1\t/p' Makefile | sort | awk -F'\t' '{ printf "  %-16s %s\n", $$1, $$2 }'
	@echo "  variables: SEEDS, JOBS, OUT, SAN=1, CUDA=auto|0|1, V=1"

## reference: write the rows of the reference cells again, where semantics or a revision was raised (a deleted line of the file: a new row)
.PHONY: reference
reference: deps
	$(Q)$(MAKE) --no-print-directory -j$(JOBS) all $(BUILD)/tests/ablations/test_reference
	$(Q)$(BUILD)/tests/ablations/test_reference --write
