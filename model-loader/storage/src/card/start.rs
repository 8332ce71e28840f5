//! The start of a card, one short step at a time (SD Physical Layer 4.2 and 4.3; figure 4-2).
//!
//! ```text
//! Reset -> WaitReset -> 400 kHz -> Idle -> PowerUp (again and again) -> Identify
//!   -> 25 MHz -> Select -> Configure -> Switch -> 50 MHz -> Verify -> Ready
//! ```
//! Where the card fails at high speed, everything begins again without it.

use super::error::CardError;
use super::registers::{Configuration, block_count, is_high_speed, supports_high_speed};
use super::{CardInfo, CardStep, SEND_STATUS, STATUS_ERRORS};
use crate::host::{BusWidth, Command, HostFault, Mode, Response, ResponseKind, SdHost};

const MILLISECOND_NS: u64 = 1_000_000;
/// SD Host Controller 3.2: the reset ends "within 100 ms"; a clock that is not stable by then never is.
const HOST_TIMEOUT_NS: u64 = 100 * MILLISECOND_NS;
/// Power and clock changes settle in this time; the standard asks for 1 ms and 74 clocks (6.4.1).
const SETTLE_NS: u64 = 2 * MILLISECOND_NS;
/// Pause between two questions whether the card has powered up.
const POWER_UP_PAUSE_NS: u64 = 10 * MILLISECOND_NS;
/// The standard allows 1 s (4.2.3).
const POWER_UP_TIMEOUT_NS: u64 = 1500 * MILLISECOND_NS;

const IDENTIFICATION_HZ: u32 = 400_000;
const DEFAULT_SPEED_HZ: u32 = 25_000_000;
const HIGH_SPEED_HZ: u32 = 50_000_000;

/// CMD8: 2.7 to 3.6 V and a pattern to echo (4.3.13).
const INTERFACE_CONDITION: u32 = 0x1AA;
/// ACMD41: 2.7 to 3.6 V (5.1).
const VOLTAGE_WINDOW: u32 = 0x00FF_8000;
/// ACMD41: the host knows high capacity; in the OCR: the card is one.
const HIGH_CAPACITY: u32 = 1 << 30;
/// OCR: powered up.
const POWERED_UP: u32 = 1 << 31;
/// Card status: locked by a password.
const CARD_IS_LOCKED: u32 = 1 << 25;
/// CMD6: group 1 to function 1 (high speed), the others unchanged; bit 31 tells set from check (4.3.10).
const SWITCH_HIGH_SPEED: u32 = 0x00FF_FFF1;
const SWITCH_SET: u32 = 1 << 31;
/// ACMD6: four data lines.
const FOUR_LINES: u32 = 2;

/// State of the start.
pub struct Start {
    phase: Phase,
    /// Nothing happens before this time.
    not_before_ns: u64,
    /// When the phase that waits for something gives up; `None`: its clock has not begun.
    deadline_ns: Option<u64>,
    /// Whether the card answered CMD8: it follows version 2.00 or later.
    answers_interface_condition: bool,
    may_use_high_speed: bool,
    /// RCA in its place, bits 31:16.
    card_address: u32,
    info: CardInfo,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Reset,
    WaitReset,
    StopClock(Speed),
    DivideClock(Speed),
    WaitClock(Speed),
    Idle,
    PowerUp,
    Identify,
    Select,
    Configure,
    Switch,
    Verify,
    Ready,
    Failed(CardError),
}

/// The rates of the clock, each with what comes after the change.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speed {
    Identification,
    Default,
    High,
}

impl Speed {
    const fn hz(self) -> u32 {
        match self {
            Self::Identification => IDENTIFICATION_HZ,
            Self::Default => DEFAULT_SPEED_HZ,
            Self::High => HIGH_SPEED_HZ,
        }
    }

    const fn next_phase(self) -> Phase {
        match self {
            Self::Identification => Phase::Idle,
            Self::Default => Phase::Select,
            Self::High => Phase::Verify,
        }
    }
}

impl Start {
    /// Before the reset.
    pub const fn new() -> Self {
        Self {
            phase: Phase::Reset,
            not_before_ns: 0,
            deadline_ns: None,
            answers_interface_condition: false,
            may_use_high_speed: true,
            card_address: 0,
            info: CardInfo {
                host_name: "",
                block_count: 0,
                is_high_capacity: false,
                has_four_lines: false,
                is_high_speed: false,
                clock_hz: 0,
                mode: Mode::ProgrammedInput,
            },
        }
    }

    /// What is known, once ready.
    pub fn info(&self) -> Option<CardInfo> {
        (self.phase == Phase::Ready).then_some(self.info)
    }

    /// The RCA as the argument of addressed commands.
    pub fn card_address(&self) -> u32 {
        self.card_address
    }

    /// One step.
    pub fn step<H: SdHost>(&mut self, host: &mut H, now_ns: u64) -> CardStep {
        if now_ns >= self.not_before_ns
            && let Err(error) = self.advance(host, now_ns)
        {
            self.fail(error);
        }
        match self.phase {
            Phase::Ready => CardStep::Ready(self.info),
            Phase::Failed(error) => CardStep::Failed(error),
            _ => CardStep::Busy,
        }
    }

    fn fail(&mut self, error: CardError) {
        let was_fast = self.info.is_high_speed;
        *self = Self::new();
        if was_fast {
            self.may_use_high_speed = false;
        } else {
            self.phase = Phase::Failed(error);
        }
    }

    fn advance<H: SdHost>(&mut self, host: &mut H, now_ns: u64) -> Result<(), CardError> {
        match self.phase {
            Phase::Reset => {
                host.begin_reset();
                self.phase = Phase::WaitReset;
            }
            Phase::WaitReset => self.wait_reset(host, now_ns)?,
            Phase::StopClock(speed) => {
                host.stop_clock();
                self.go(Phase::DivideClock(speed), now_ns + SETTLE_NS);
            }
            Phase::DivideClock(speed) => {
                self.info.clock_hz = host.begin_clock(speed.hz());
                self.phase = Phase::WaitClock(speed);
            }
            Phase::WaitClock(speed) => self.wait_clock(host, speed, now_ns)?,
            Phase::Idle => self.go_idle(host)?,
            Phase::PowerUp => self.power_up(host, now_ns)?,
            Phase::Identify => self.identify(host)?,
            Phase::Select => self.select(host)?,
            Phase::Configure => self.configure(host)?,
            Phase::Switch => self.switch(host, now_ns)?,
            Phase::Verify => {
                // Its data come with a CRC: a card that cannot do the new timing shows it here.
                self.read_configuration(host)?;
                self.phase = Phase::Ready;
            }
            Phase::Ready | Phase::Failed(_) => {}
        }
        Ok(())
    }

    fn go(&mut self, phase: Phase, not_before_ns: u64) {
        self.phase = phase;
        self.not_before_ns = not_before_ns;
        self.deadline_ns = None;
    }

    /// Whether the phase has been waiting for longer than `timeout_ns`.
    fn is_late(&mut self, now_ns: u64, timeout_ns: u64) -> bool {
        now_ns > *self.deadline_ns.get_or_insert(now_ns.saturating_add(timeout_ns))
    }

    fn wait_reset<H: SdHost>(&mut self, host: &mut H, now_ns: u64) -> Result<(), CardError> {
        if host.is_reset_done() {
            host.power_on();
            self.info.host_name = host.name();
            self.go(Phase::StopClock(Speed::Identification), now_ns + SETTLE_NS);
        } else if self.is_late(now_ns, HOST_TIMEOUT_NS) {
            return Err(CardError::ResetStuck);
        }
        Ok(())
    }

    fn wait_clock<H: SdHost>(&mut self, host: &mut H, speed: Speed, now_ns: u64) -> Result<(), CardError> {
        if host.is_clock_stable() {
            host.start_clock();
            self.go(speed.next_phase(), now_ns + SETTLE_NS);
        } else if self.is_late(now_ns, HOST_TIMEOUT_NS) {
            return Err(CardError::ClockUnstable);
        }
        Ok(())
    }

    fn go_idle<H: SdHost>(&mut self, host: &mut H) -> Result<(), CardError> {
        send(host, 0, 0, ResponseKind::None)?;
        match send(host, 8, INTERFACE_CONDITION, ResponseKind::Short) {
            Ok(response) if response.words[0] & 0xFFF == INTERFACE_CONDITION => self.answers_interface_condition = true,
            Ok(response) => return Err(CardError::Voltage { answer: response.words[0] }),
            // Cards before version 2.00 do not know the command.
            Err(CardError::Command { error, .. }) if error.fault == HostFault::CommandTimeout => {}
            Err(error) => return Err(error),
        }
        self.phase = Phase::PowerUp;
        Ok(())
    }

    fn power_up<H: SdHost>(&mut self, host: &mut H, now_ns: u64) -> Result<(), CardError> {
        let is_late = self.is_late(now_ns, POWER_UP_TIMEOUT_NS);
        let capacity = if self.answers_interface_condition { HIGH_CAPACITY } else { 0 };
        // The status of CMD55 may still complain about CMD8, so it is not checked.
        let ocr = send(host, 55, 0, ResponseKind::Short)
            .and_then(|_| send(host, 41, VOLTAGE_WINDOW | capacity, ResponseKind::ShortUnchecked));
        match ocr {
            Ok(ocr) if ocr.words[0] & POWERED_UP != 0 => {
                self.info.is_high_capacity = ocr.words[0] & HIGH_CAPACITY != 0;
                self.go(Phase::Identify, now_ns);
            }
            Ok(ocr) if is_late => return Err(CardError::PowerUpTimeout { ocr: ocr.words[0] }),
            Ok(_) => self.not_before_ns = now_ns + POWER_UP_PAUSE_NS,
            Err(CardError::Command { error, .. })
                if error.fault == HostFault::CommandTimeout && !self.answers_interface_condition =>
            {
                return Err(CardError::NoCard);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn identify<H: SdHost>(&mut self, host: &mut H) -> Result<(), CardError> {
        send(host, 2, 0, ResponseKind::Long)?;
        // R6: the address that the card chose in the upper half (4.9.5).
        self.card_address = send(host, 3, 0, ResponseKind::Short)?.words[0] & 0xFFFF_0000;
        let csd = send(host, 9, self.card_address, ResponseKind::Long)?;
        self.info.block_count = block_count(&csd)?;
        self.phase = Phase::StopClock(Speed::Default);
        Ok(())
    }

    fn select<H: SdHost>(&mut self, host: &mut H) -> Result<(), CardError> {
        let status = send(host, 7, self.card_address, ResponseKind::ShortBusy)?;
        if status.words[0] & CARD_IS_LOCKED != 0 {
            return Err(CardError::Locked);
        }
        if !self.info.is_high_capacity {
            send_checked(host, 16, super::BLOCK_BYTES as u32)?;
        }
        self.phase = Phase::Configure;
        Ok(())
    }

    fn configure<H: SdHost>(&mut self, host: &mut H) -> Result<(), CardError> {
        let configuration = self.read_configuration(host)?;
        if configuration.has_four_lines {
            send_checked(host, 55, self.card_address)?;
            send_checked(host, 6, FOUR_LINES)?;
            host.set_bus_width(BusWidth::Four);
            self.info.has_four_lines = true;
        }
        let may_switch = configuration.has_switch && self.may_use_high_speed;
        self.phase = if may_switch { Phase::Switch } else { Phase::Ready };
        Ok(())
    }

    /// High speed is a gain, not a need: a card that refuses stays at default speed.
    fn switch<H: SdHost>(&mut self, host: &mut H, now_ns: u64) -> Result<(), CardError> {
        let mut status = [0; 64];
        let answers = read_register(host, 6, SWITCH_HIGH_SPEED, &mut status).is_ok() && supports_high_speed(&status);
        if !answers {
            self.phase = Phase::Ready;
            return self.clear_errors(host);
        }
        // From here on the card may have changed its timing: what fails now begins again at default speed.
        self.info.is_high_speed = true;
        read_register(host, 6, SWITCH_HIGH_SPEED | SWITCH_SET, &mut status)?;
        if is_high_speed(&status) {
            host.set_high_speed();
            self.go(Phase::StopClock(Speed::High), now_ns + SETTLE_NS);
        } else {
            self.info.is_high_speed = false;
            self.phase = Phase::Ready;
        }
        Ok(())
    }

    /// Reads the status once so that the error bits of a refused command do not appear in the next one.
    fn clear_errors<H: SdHost>(&mut self, host: &mut H) -> Result<(), CardError> {
        send(host, SEND_STATUS, self.card_address, ResponseKind::Short).map(|_| ())
    }

    fn read_configuration<H: SdHost>(&mut self, host: &mut H) -> Result<Configuration, CardError> {
        send_checked(host, 55, self.card_address)?;
        let mut scr = [0; 8];
        read_register(host, 51, 0, &mut scr)?;
        Ok(Configuration::parse(&scr))
    }
}

/// Sends a command; after a failure the lines are brought back, so that the next command starts clean.
fn send<H: SdHost>(host: &mut H, index: u8, argument: u32, response: ResponseKind) -> Result<Response, CardError> {
    host.command(&Command { index, argument, response }).map_err(|error| {
        // If the lines do not come back, the next command says so.
        let _ = host.recover();
        CardError::Command { index, argument, error }
    })
}

/// Sends a command with R1 and looks at its error bits.
fn send_checked<H: SdHost>(host: &mut H, index: u8, argument: u32) -> Result<(), CardError> {
    let status = send(host, index, argument, ResponseKind::Short)?.words[0];
    if status & STATUS_ERRORS != 0 { Err(CardError::Status { index, status }) } else { Ok(()) }
}

/// Reads a register that the card sends as one short block.
fn read_register<H: SdHost>(host: &mut H, index: u8, argument: u32, destination: &mut [u8]) -> Result<(), CardError> {
    let command = Command { index, argument, response: ResponseKind::Short };
    let status = match host.read(&command, destination.len(), destination) {
        Ok(response) => response.words[0],
        Err(failure) => {
            let _ = host.recover();
            return Err(CardError::Command { index, argument, error: failure.error });
        }
    };
    if status & STATUS_ERRORS != 0 { Err(CardError::Status { index, status }) } else { Ok(()) }
}
