//! A QEMU machine that runs the image, and a conversation with its console.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::artifacts;
use crate::monitor::Monitor;
use crate::score::Score;
use crate::transcript::{find_end, plain};

const QEMU: &str = "qemu-system-aarch64";
/// Becomes QEMU, which the system then kills as soon as the thread is gone that started it, however that ended (prctl(2),
/// PR_SET_PDEATHSIG): a test that is killed drops no [`Machine`].
const TIED: [&str; 4] = ["setpriv", "--pdeathsig", "KILL", "--"];
/// The prompt stands at the start of a row, also after the editor erased it.
const PROMPTS: [&[u8]; 2] = [b"\n> ", b"\x1b[K> "];
/// What the kernel says when the engine has sealed the model.
const READY: &str = "Ready.";
/// How long anything short may take; QEMU has four busy cores on two.
pub const SHORT: Duration = Duration::from_secs(60);
/// How long an answer, a score or a card of a few MB may take.
pub const LONG: Duration = Duration::from_secs(1200);
const POLL: Duration = Duration::from_millis(20);

/// What a person sees of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The text, without blanks around it.
    pub text: String,
    /// The line behind it: stop reason, token counts, speeds.
    pub statistics: String,
}

impl Answer {
    /// Why it ended, e.g. `end`.
    #[must_use]
    pub fn stop(&self) -> &str {
        self.statistics.split_whitespace().next().unwrap_or("")
    }

    /// How many tokens of the prompt were still in the KV cache.
    #[must_use]
    pub fn reused_tokens(&self) -> usize {
        let before = self.statistics.split_once(" reused)").map_or("", |(before, _)| before);
        before.rsplit_once('(').and_then(|(_, count)| count.parse().ok()).unwrap_or(0)
    }
}

/// Which of QEMU's machines.
#[derive(Clone, Debug)]
enum Kind {
    /// A Raspberry Pi, e.g. `raspi4b`. Its processor and memory cannot be chosen.
    RaspberryPi(&'static str),
    /// `virt` with a processor, e.g. `cortex-a76`, and more options of the machine.
    Virt { processor: &'static str, options: &'static str },
}

/// How a machine is started.
#[derive(Clone, Debug)]
pub struct Setup {
    kind: Kind,
    image: PathBuf,
    placed_model: Option<PathBuf>,
    placed_at: Option<u64>,
    card: Option<PathBuf>,
    serial_socket: Option<PathBuf>,
    monitor_socket: Option<PathBuf>,
    extra: Vec<String>,
    time_limit: Duration,
}

impl Setup {
    /// Another image than `kernel8.img`.
    #[must_use]
    pub fn image(mut self, image: PathBuf) -> Self {
        self.image = image;
        self
    }

    /// A model in memory before the kernel starts, as the firmware's `initramfs` would place it.
    #[must_use]
    pub fn placed_model(mut self, model: &Path) -> Self {
        self.placed_model = Some(model.to_owned());
        self
    }

    /// The same at an address of a Raspberry Pi's memory: `-initrd` puts nothing above the VideoCore's.
    #[must_use]
    pub fn placed_model_at(mut self, model: &Path, address: u64) -> Self {
        self.placed_at = Some(address);
        self.placed_model(model)
    }

    /// A card in the slot.
    #[must_use]
    pub fn card(mut self, card: &Path) -> Self {
        self.card = Some(card.to_owned());
        self
    }

    /// A card behind an SD controller on PCI, for a machine that has PCI ([`Machine::virt_with_pci`]). `options` are the controller's,
    /// e.g. `,capareg=0x057034b4`.
    #[must_use]
    pub fn card_on_pci(mut self, card: &Path, options: &str) -> Self {
        let drive = format!("if=none,id=card,file={},format=raw", card.display());
        let controller = format!("sdhci-pci{options}");
        self.extra
            .extend(["-device", &controller, "-drive", &drive, "-device", "sd-card,drive=card"].map(str::to_owned));
        self
    }

    /// One instruction per nanosecond of guest time: the guest's clock counts instructions.
    #[must_use]
    pub fn counting_instructions(mut self) -> Self {
        self.extra.extend(["-icount", "shift=0,sleep=off"].map(str::to_owned));
        self
    }

    /// For a counted machine with several busy cores. QEMU runs them in turn, each until the machine's next timer, and the clock counts
    /// the instructions of all: what one core waits for would seem to take as long as the others' turns. A timer that nobody needs, every
    /// 100 us, makes the turns short. Sources: QEMU's `tcg-accel-ops-icount.c` (`icount_percpu_budget`) and `filter-buffer.c`.
    #[must_use]
    pub fn short_turns(mut self) -> Self {
        let ticker = "filter-buffer,id=ticker,netdev=unused,interval=100";
        self.extra.extend(["-netdev", "user,id=unused", "-object", ticker].map(str::to_owned));
        self
    }

    /// A plugin of QEMU's with its arguments: `file,key=value,...`.
    #[must_use]
    pub fn plugin(mut self, options: &str) -> Self {
        self.extra.extend(["-plugin", options].map(str::to_owned));
        self
    }

    /// The serial line at a Unix-domain socket that others connect to. What the board sends is still read here; typing is for others.
    #[must_use]
    pub fn serial_socket(mut self, path: &Path) -> Self {
        self.serial_socket = Some(path.to_owned());
        self
    }

    /// QEMU's monitor at a Unix-domain socket, for [`Machine::reset`].
    #[must_use]
    pub fn monitor_socket(mut self, path: &Path) -> Self {
        self.monitor_socket = Some(path.to_owned());
        self
    }

    /// QEMU's GDB stub at a Unix-domain socket, for [`crate::debugger::Debugger`].
    #[must_use]
    pub fn debugger_socket(mut self, path: &Path) -> Self {
        self.extra.extend(["-gdb".to_owned(), format!("unix:{},server=on,wait=off", path.display())]);
        self
    }

    /// How long the machine may run before it is killed; 40 minutes if nothing is said.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// Starts it. The thread that does has to outlive the machine.
    ///
    /// # Panics
    /// If QEMU cannot be started.
    #[must_use]
    #[track_caller]
    pub fn boot(self) -> Machine {
        let [program, arguments @ ..] = TIED;
        let mut command = Command::new(program);
        command.args(arguments).arg(QEMU);
        match &self.kind {
            Kind::RaspberryPi(machine) => command.args(["-M", machine]),
            Kind::Virt { processor, options } => command
                .args(["-M", &format!("virt,gic-version=2{options}"), "-cpu", processor])
                .args(["-smp", "4", "-m", "512M", "-nic", "none"]),
        };
        command.args(["-display", "none", "-monitor"]);
        command.arg(match &self.monitor_socket {
            None => "none".to_owned(),
            Some(path) => format!("unix:{},server=on,wait=off", path.display()),
        });
        match &self.serial_socket {
            None => command.args(["-serial", "stdio"]),
            Some(path) => {
                let options = "server=on,wait=off,logfile=/dev/stdout";
                let socket = format!("socket,id=board,path={},{options}", path.display());
                command.args(["-chardev", &socket, "-serial", "chardev:board"])
            }
        };
        command.args(["-semihosting-config", "enable=on,target=native"]);
        command.arg("-kernel").arg(&self.image);
        // QEMU has read the tree when the console speaks; until the machine goes away is long enough.
        let files = tempfile::tempdir().expect("a directory can be made");
        match (&self.placed_model, self.placed_at, &self.kind) {
            (Some(model), Some(address), Kind::RaspberryPi(machine)) => {
                let tree = device_tree_with_file(machine, files.path(), model, address);
                let loader = format!("loader,file={},addr={address:#x},force-raw=on", model.display());
                command.arg("-dtb").arg(tree).arg("-device").arg(loader);
            }
            (Some(model), None, Kind::RaspberryPi(machine)) => {
                command.arg("-dtb").arg(artifacts::device_tree(machine)).arg("-initrd").arg(model);
            }
            (Some(model), _, Kind::Virt { .. }) => {
                command.arg("-initrd").arg(model);
            }
            (None, ..) => {}
        }
        if let Some(card) = &self.card {
            command.arg("-drive").arg(format!("file={},if=sd,format=raw", card.display()));
        }
        command.args(&self.extra);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().unwrap_or_else(|error| panic!("{QEMU} by {program}: {error}; run `make setup`"));
        Machine::new(child, self.time_limit, files)
    }
}

/// The machine's device tree, compiled anew with the place of a file, as the firmware would tell it.
fn device_tree_with_file(machine: &str, directory: &Path, model: &Path, address: u64) -> PathBuf {
    let source = artifacts::device_tree_source(machine);
    let end = address + std::fs::metadata(model).expect("the model is there").len();
    let cells = |number: u64| format!("<{:#x} {:#x}>", number >> 32, number & 0xFFFF_FFFF);
    let (start, end) = (cells(address), cells(end));
    let text = std::fs::read_to_string(source).expect("the tree is there")
        + &format!("/ {{ chosen {{ linux,initrd-start = {start}; linux,initrd-end = {end}; }}; }};\n");
    let (source, tree) = (directory.join("placed.dts"), directory.join("placed.dtb"));
    std::fs::write(&source, text).expect("a file can be written");
    let compiled = Command::new("dtc").args(["-q", "-I", "dts", "-O", "dtb", "-o"]).arg(&tree).arg(&source).status();
    assert!(compiled.is_ok_and(|status| status.success()), "dtc failed; run `make setup`");
    tree
}

/// What came from the machine so far.
#[derive(Default)]
struct Received {
    bytes: Vec<u8>,
    /// Streams of QEMU that ended; two are the end.
    ended: usize,
}

type Shared = Arc<(Mutex<Received>, Condvar)>;

/// A running machine. It is killed when it is dropped.
pub struct Machine {
    child: Child,
    input: ChildStdin,
    received: Shared,
    /// Everything in front of it was expected already.
    cursor: usize,
    deadline: Instant,
    /// Files that QEMU was started with.
    _files: TempDir,
}

impl Machine {
    /// A Raspberry Pi 4 without card and model.
    #[must_use]
    pub fn raspi4b() -> Setup {
        Self::setup(Kind::RaspberryPi("raspi4b"))
    }

    /// A Raspberry Pi 3 Model B without card and model.
    #[must_use]
    pub fn raspi3b() -> Setup {
        Self::setup(Kind::RaspberryPi("raspi3b"))
    }

    /// A Raspberry Pi 3 Model A+ (512 MB) without card and model.
    #[must_use]
    pub fn raspi3ap() -> Setup {
        Self::setup(Kind::RaspberryPi("raspi3ap"))
    }

    /// A `virt` with four cores of a kind and 512 MB, without model.
    #[must_use]
    pub fn virt(processor: &'static str) -> Setup {
        Self::setup(Kind::Virt { processor, options: "" })
    }

    /// The same with PCI's configuration space where the kernel can map it.
    #[must_use]
    pub fn virt_with_pci(processor: &'static str) -> Setup {
        Self::setup(Kind::Virt { processor, options: ",highmem-ecam=off" })
    }

    /// The same with a second exception level for the kernel to leave.
    #[must_use]
    pub fn virt_entered_at_el2(processor: &'static str) -> Setup {
        Self::setup(Kind::Virt { processor, options: ",virtualization=on" })
    }

    fn setup(kind: Kind) -> Setup {
        Setup {
            kind,
            image: artifacts::kernel_image(),
            placed_model: None,
            placed_at: None,
            card: None,
            serial_socket: None,
            monitor_socket: None,
            extra: Vec::new(),
            time_limit: Duration::from_secs(2400),
        }
    }

    /// A Raspberry Pi 4 with a placed model, booted until the model is ready.
    #[must_use]
    #[track_caller]
    pub fn with_model(model: &Path) -> Self {
        let mut machine = Self::raspi4b().placed_model(model).boot();
        machine.expect_ready();
        machine
    }

    /// Presses the reset button by the monitor at that socket: the lines stay connected, the guest begins anew.
    ///
    /// # Panics
    /// If there is no monitor.
    pub fn reset(&self, monitor: &Path) {
        if let Err(error) = Monitor::new(monitor).order("system_reset") {
            self.fail(&format!("the monitor: {error}"));
        }
    }

    fn new(mut child: Child, time_limit: Duration, files: TempDir) -> Self {
        let received = Shared::default();
        let input = child.stdin.take().expect("stdin is piped");
        collect(child.stdout.take().expect("stdout is piped"), &received);
        collect(child.stderr.take().expect("stderr is piped"), &received);
        Self { child, input, received, cursor: 0, deadline: Instant::now() + time_limit, _files: files }
    }

    /// Waits for a text behind everything that was expected so far; returns what came before it.
    ///
    /// # Panics
    /// If it does not come in time.
    #[track_caller]
    pub fn expect(&mut self, text: &str, timeout: Duration) -> String {
        self.expect_any(&[text.as_bytes()], timeout)
    }

    /// Waits for the prompt; returns what came before it.
    ///
    /// # Panics
    /// If it does not come in time.
    #[track_caller]
    pub fn expect_prompt(&mut self, timeout: Duration) -> String {
        self.expect_any(&PROMPTS, timeout)
    }

    /// Waits until the model can be asked, and for the prompt behind that; returns what came before.
    ///
    /// # Panics
    /// If it does not come in time.
    #[track_caller]
    pub fn expect_ready(&mut self) -> String {
        let mut before = self.expect(READY, LONG);
        before.push_str(&self.expect_prompt(SHORT));
        before
    }

    /// Types bytes.
    ///
    /// # Panics
    /// If QEMU is gone.
    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let sent = self.input.write_all(bytes.as_ref()).and_then(|()| self.input.flush());
        if let Err(error) = sent {
            self.fail(&format!("typing failed: {error}"));
        }
    }

    /// Types a line at the prompt and waits for the next prompt; returns what was shown in between.
    ///
    /// # Panics
    /// If the prompt does not come back in time.
    #[track_caller]
    pub fn ask(&mut self, line: &str) -> String {
        self.send(format!("{line}\r"));
        self.expect("\r\n", SHORT);
        // The line break that ends the typed line may be the one in front of the prompt.
        self.cursor -= 1;
        self.expect_prompt(LONG)
    }

    /// Sends a message to the model and waits for the whole answer.
    ///
    /// # Panics
    /// If no answer comes in time.
    #[track_caller]
    pub fn chat(&mut self, message: &str) -> Answer {
        self.send(format!("{message}\r"));
        self.expect("\r\n", SHORT);
        self.expect_answer()
    }

    /// Waits for the rest of an answer.
    ///
    /// # Panics
    /// If it does not come in time.
    #[track_caller]
    pub fn expect_answer(&mut self) -> Answer {
        let text = self.expect("stop=", LONG).trim().to_owned();
        let statistics = self.expect_prompt(SHORT).trim().to_owned();
        Answer { text, statistics }
    }

    /// Runs `/score` with a JSON argument.
    ///
    /// # Panics
    /// If the answer is not a complete score.
    #[track_caller]
    pub fn score(&mut self, request: &serde_json::Value) -> Score {
        let shown = self.ask(&format!("/score {request}"));
        Score::from_console(&shown).unwrap_or_else(|problem| self.fail(&problem))
    }

    /// The token ids of a text, by `/tokens`.
    ///
    /// # Panics
    /// If the answer has no list of ids.
    #[track_caller]
    pub fn tokens(&mut self, text: &str) -> Vec<u32> {
        let shown = self.ask(&format!("/tokens {}", serde_json::Value::from(text)));
        shown
            .lines()
            .find_map(|line| {
                let value = serde_json::from_str::<serde_json::Value>(line.trim()).ok()?;
                let ids = if value.is_array() { value } else { value.get("ids")?.clone() };
                serde_json::from_value(ids).ok()
            })
            .unwrap_or_else(|| self.fail("no token ids in the answer"))
    }

    /// Waits until QEMU ends; returns its exit status.
    ///
    /// # Panics
    /// If it does not end in time.
    #[track_caller]
    pub fn expect_exit(&mut self, timeout: Duration) -> ExitStatus {
        let deadline = self.deadline.min(Instant::now() + timeout);
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return status,
                Ok(None) if Instant::now() < deadline => thread::sleep(POLL),
                Ok(None) => self.fail("the machine does not halt"),
                Err(error) => self.fail(&error.to_string()),
            }
        }
    }

    /// Everything that came so far, as a person sees it.
    #[must_use]
    pub fn transcript(&self) -> String {
        plain(&self.received().bytes)
    }

    /// Ends the test with the transcript.
    ///
    /// # Panics
    /// Always.
    #[track_caller]
    pub fn fail(&self, problem: &str) -> ! {
        panic!("{problem}\n---- serial line ----\n{}\n---- end ----", self.transcript())
    }

    #[track_caller]
    fn expect_any(&mut self, needles: &[&[u8]], timeout: Duration) -> String {
        let deadline = self.deadline.min(Instant::now() + timeout);
        let found = self.wait_for(needles, deadline);
        let Some((before, end)) = found else {
            let wanted = needles.iter().map(|needle| format!("{:?}", String::from_utf8_lossy(needle)));
            self.fail(&format!("did not come: {}", wanted.collect::<Vec<_>>().join(" or ")))
        };
        self.cursor = end;
        before
    }

    /// The text before the first of the needles and where that ends; `None` at the deadline or at the end of QEMU.
    fn wait_for(&self, needles: &[&[u8]], deadline: Instant) -> Option<(String, usize)> {
        let mut received = self.received();
        loop {
            let ends = needles.iter().filter_map(|needle| {
                find_end(&received.bytes, self.cursor, needle).map(|end| (end - needle.len(), end))
            });
            if let Some((start, end)) = ends.min() {
                return Some((plain(&received.bytes[self.cursor..start]), end));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || received.ended == 2 {
                return None;
            }
            received = self.received.1.wait_timeout(received, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn received(&self) -> MutexGuard<'_, Received> {
        self.received.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Collects a stream on a thread of its own, so that QEMU never waits for the test.
fn collect(mut stream: impl Read + Send + 'static, received: &Shared) {
    let received = Arc::clone(received);
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        loop {
            let count = stream.read(&mut buffer).unwrap_or(0);
            let mut received_now = received.0.lock().unwrap_or_else(PoisonError::into_inner);
            received_now.bytes.extend_from_slice(&buffer[..count]);
            received_now.ended += usize::from(count == 0);
            received.1.notify_all();
            if count == 0 {
                return;
            }
        }
    });
}
