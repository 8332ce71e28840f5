//! The self-test: what was found out about a board, and what follows from it.
//!
//! The kernel gathers the facts; here they are judged. [`traps`] goes through the list of what works in an emulator and fails on
//! hardware. What an emulator cannot show is never called good there.

pub mod traps;

/// A clock, in Hz, as far as each source tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClockFacts {
    /// What the firmware says is set.
    pub set_hz: Option<u32>,
    /// What the firmware measures.
    pub measured_hz: Option<u32>,
}

/// Messages between core 0 and another core, through memory and without a lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExchangeFacts {
    /// Whether the core took part.
    pub has_answered: bool,
    /// Messages that went there and back.
    pub messages: u32,
    /// Messages that should have.
    pub wanted: u32,
    /// Messages whose contents were not those that were sent before the flag.
    pub torn: u32,
    /// What both cores counted together on one word.
    pub counted: u32,
    /// What they should have counted.
    pub to_count: u32,
    /// Time for all messages, in nanoseconds.
    pub elapsed_ns: u64,
}

impl ExchangeFacts {
    /// Of two cores that understand each other.
    #[cfg(test)]
    pub(crate) const GOOD: Self = Self {
        has_answered: true,
        messages: 1000,
        wanted: 1000,
        torn: 0,
        counted: 2000,
        to_count: 2000,
        elapsed_ns: 250_000,
    };

    /// Whether all is as it should be.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.has_answered && self.messages == self.wanted && self.torn == 0 && self.counted == self.to_count
    }

    /// Whether something is wrong that cannot come from a slow machine.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        self.torn != 0
            || self.counted > self.to_count
            || (self.messages == self.wanted && self.counted != self.to_count)
    }
}

/// How a memory attribute byte of MAIR reads (Arm ARM D24.2.109).
pub const DEVICE_NGNRE: u8 = 0x04;
/// Normal memory, write-back, read and write allocate, in both levels.
pub const NORMAL_WRITE_BACK: u8 = 0xFF;

/// The facts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SelfTestFacts<'a> {
    /// Version of the kernel.
    pub version: &'a str,
    /// Name of the board.
    pub board: &'a str,
    /// Whether it is an emulator.
    pub is_emulator: bool,
    /// Whether there is a VideoCore with its firmware.
    pub has_firmware: bool,
    /// Name of the processor.
    pub processor: &'a str,
    /// MIDR_EL1.
    pub midr: u64,
    /// Cores that the board has.
    pub cores_present: usize,
    /// Cores that run.
    pub cores_started: usize,
    /// Exception level at entry.
    pub entry_level: u64,
    /// Physical address of the image.
    pub load_address: u64,
    /// The board's revision code.
    pub revision: Option<u32>,
    /// Stepping of the SoC: the letter in the upper four bits from A = 0, the number in the lower ones.
    pub chip_stepping: Option<u8>,
    /// Rate that the cores were asked to have.
    pub arm_asked_hz: Option<u32>,
    /// The cores' clock.
    pub arm: ClockFacts,
    /// The cores' clock by additions that wait for each other.
    pub arm_timed_hz: Option<u64>,
    /// The VPU's clock.
    pub core: ClockFacts,
    /// The UART's clock.
    pub uart: ClockFacts,
    /// The clock of the card's controller.
    pub card_clock: ClockFacts,
    /// RAM that is used, in bytes.
    pub ram_bytes: u64,
    /// RAM by the board's revision, the VideoCore's part included.
    pub revision_bytes: Option<u64>,
    /// RAM of the Arm in the first GiB, by the mailbox.
    pub mailbox_bytes: Option<u64>,
    /// RAM of the VideoCore, by the mailbox.
    pub video_core_bytes: Option<u64>,
    /// RAM by the device tree.
    pub tree_bytes: Option<u64>,
    /// Whether nothing that is used overlaps what firmware, device tree or start code have.
    pub is_reserved_kept: bool,
    /// The card in a few words.
    pub card: Option<&'a str>,
    /// Bytes of the last load from the card and the time that they took, in nanoseconds.
    pub card_read: Option<(u64, u64)>,
    /// Read attempts that failed.
    pub card_errors: u32,
    /// The firmware's GET_THROTTLED bits.
    pub throttled: Option<u32>,
    /// Temperature of the SoC in thousandths of a degree Celsius.
    pub temperature_millidegrees: Option<u32>,
    /// Where the firmware slows the cores down.
    pub temperature_limit_millidegrees: Option<u32>,
    /// Rate of the cores' counter.
    pub counter_hz: u64,
    /// Whether the firmware told it (CNTFRQ_EL0); it is the board's usual one otherwise.
    pub is_counter_told: bool,
    /// Ticks of the cores' counter, and microseconds of the SoC's timer in the same time.
    pub counter_check: Option<(u64, u64)>,
    /// Cache line of data in bytes.
    pub data_line_bytes: u32,
    /// Cache line of instructions in bytes.
    pub instruction_line_bytes: u32,
    /// Bytes that `dc zva` zeroes; `None`: forbidden.
    pub zero_block_bytes: Option<usize>,
    /// Whether it zeroed exactly these.
    pub is_zero_block_exact: Option<bool>,
    /// The other cores, from 1.
    pub exchanges: [ExchangeFacts; 3],
    /// MAIR attribute of the UART's registers.
    pub device_attribute: Option<u8>,
    /// MAIR attribute of the kernel's data.
    pub data_attribute: Option<u8>,
    /// Whether late bus errors are reported at once.
    pub is_serror_reported: bool,
    /// Whether the vectors are the kernel's.
    pub has_own_vectors: bool,
    /// Whether a page that is mapped elsewhere is seen elsewhere at once; `None`: nothing to look at.
    pub do_mappings_follow: Option<bool>,
    /// Interrupts of the timer on core 0.
    pub timer_interrupts: u64,
    /// Whether the timer must have interrupted by now: the boot is quicker than its first tick.
    pub is_timer_due: bool,
    /// Bytes that came over the serial line.
    pub received_bytes: u64,
    /// Whether the engine has answered with vectors on: it is ready.
    pub is_engine_ready: bool,
    /// Whether the watchdog is fed.
    pub has_watchdog: bool,
}

impl SelfTestFacts<'_> {
    /// How far the counter is from that rate, in tenths of a percent; `None` without a clock to compare with.
    #[must_use]
    pub fn counter_deviation_permille(&self) -> Option<u64> {
        let by_reference_hz = self.counter_reference_hz()?;
        Some((by_reference_hz.abs_diff(self.counter_hz)).saturating_mul(1000) / self.counter_hz.max(1))
    }

    /// The counter's frequency by the SoC's timer, in Hz.
    #[must_use]
    pub fn counter_reference_hz(&self) -> Option<u64> {
        let (ticks, us) = self.counter_check?;
        u64::try_from(u128::from(ticks) * 1_000_000 / u128::from(us.max(1))).ok()
    }

    /// Whether the sources of the size of RAM agree; `None` if there are not two to compare. The tree of QEMU knows the first GiB only.
    #[must_use]
    pub fn do_memory_sources_agree(&self) -> Option<bool> {
        let by_revision = self.revision_bytes?;
        let first_gib = self.mailbox_bytes.zip(self.video_core_bytes).map(|(arm, video_core)| arm + video_core);
        let is_split_right = first_gib.map(|bytes| bytes == by_revision.min(1 << 30));
        let is_tree_right = self.tree_bytes.filter(|_| !self.is_emulator).map(|bytes| bytes == self.ram_bytes);
        match (is_split_right, is_tree_right) {
            (None, None) => None,
            (split, tree) => Some(split.unwrap_or(true) && tree.unwrap_or(true)),
        }
    }

    /// Whether each other core that runs exchanged all its messages.
    #[must_use]
    pub fn is_coherent(&self) -> bool {
        self.partners().all(ExchangeFacts::is_good)
    }

    /// The exchanges of the cores that run.
    pub fn partners(&self) -> impl Iterator<Item = &ExchangeFacts> {
        self.exchanges.iter().take(self.cores_started.saturating_sub(1))
    }
}
