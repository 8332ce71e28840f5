//! All cores on one task: a loop over tiles of a buffer, each tile computed by whichever core comes first.
//!
//! Core 0 runs the schedule. For a task it publishes a closure, works on it itself, closes the task and waits until every core
//! that joined has left ([`super::roster`] has the protocol). A core that wakes up too late simply finds the task closed: nobody waits
//! for a sleeper, which matters where four guest cores share two host cores.
//!
//! This is one of the few modules with unsafe code: it lends a closure and disjoint parts of a buffer to other cores.

use core::cell::UnsafeCell;
use core::marker::PhantomData;
use core::ops::Range;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::roster::{Roster, Sleep};
use crate::kernel_calls::Kernel;

/// Turns of a waiting loop before the core parks (a turn is some 10 ns).
const SPIN_TURNS: u32 = 400;
/// A closure that each core calls with its index.
type Task<'t> = dyn Fn(usize) + Sync + 't;

/// The cores that compute together.
pub struct Team {
    roster: Roster,
    /// The task. Written by core 0 while the task is closed and nobody is inside; read by cores that joined.
    task: UnsafeCell<Option<&'static Task<'static>>>,
    cores: usize,
}

// SAFETY: `task` is written only by `Team::run` on core 0 while the roster has no task and nobody inside, and read only between a
// successful join (acquire of the store that opened the task) and the leave that core 0 waits for. The closure is `Sync`.
unsafe impl Sync for Team {}

impl Team {
    /// A team of `cores` cores, of which `cores - 1` call [`Self::work`].
    #[must_use]
    pub const fn new(cores: usize) -> Self {
        Self {
            roster: Roster::new(AtomicU32::new(0), AtomicU32::new(0), AtomicU32::new(0), SPIN_TURNS),
            task: UnsafeCell::new(None),
            cores,
        }
    }

    /// Number of cores.
    #[must_use]
    pub const fn cores(&self) -> usize {
        self.cores
    }

    /// Tasks that several cores shared so far, each of which ends with a barrier; nudges count too.
    #[must_use]
    pub fn tasks(&self) -> u32 {
        self.roster.generation()
    }

    /// The loop of every core but core 0: joins tasks while `is_running` says so (asked between tasks).
    pub fn work(&self, kernel: &dyn Kernel, core: usize, is_running: &dyn Fn() -> bool) {
        let sleep = InKernel(kernel);
        let mut seen = 0;
        while is_running() {
            seen = self.roster.wait(&sleep, core, seen);
            if self.roster.join(core) {
                // SAFETY: this core joined, so core 0 has written the task before and will not touch it until this core leaves.
                let task = unsafe { *self.task.get() };
                if let Some(task) = task {
                    task(core);
                }
                self.roster.leave(&sleep);
            }
        }
    }

    /// Wakes every core, so that [`Self::work`] asks again whether to go on.
    pub fn nudge(&self, kernel: &dyn Kernel) {
        self.roster.nudge(&InKernel(kernel));
    }

    /// Runs `task` on core 0 and on up to `cores - 1` others; returns when all have left it. Core 0 only.
    fn run(&self, kernel: &dyn Kernel, cores: usize, task: &Task<'_>) {
        let others = cores.min(self.cores).saturating_sub(1);
        if others == 0 {
            return task(0);
        }
        // SAFETY: only the lifetime changes. The reference is used by cores between join and leave alone, and this function does
        // not return before the task is closed and every core has left.
        let lent = unsafe { core::mem::transmute::<&Task<'_>, &'static Task<'static>>(task) };
        // SAFETY: the task is closed and empty (this function left it so), so no other core reads the cell.
        unsafe { *self.task.get() = Some(lent) };
        let sleep = InKernel(kernel);
        self.roster.open(&sleep, others as u32);
        task(0);
        self.roster.close(&sleep);
    }
}

/// Cores sleep and wake by system calls.
struct InKernel<'k>(&'k dyn Kernel);

impl Sleep for InKernel<'_> {
    fn park(&self, word: &AtomicU32, expected: u32) {
        self.0.park(word, expected);
    }

    fn wake(&self, cores: u32) {
        self.0.wake(cores);
    }
}

/// How many cores a request may use, and how to reach them.
#[derive(Clone, Copy)]
pub struct Crew<'t> {
    /// The cores.
    pub team: &'t Team,
    /// The system calls for parking and waking.
    pub kernel: &'t dyn Kernel,
    /// Cores to use, at least 1.
    pub cores: usize,
}

/// A counter in a cache line of its own: the cores that take tiles must not slow down those that read its neighbours.
#[repr(align(64))]
struct Line<T>(T);

/// Values that one core works through sooner than it could share them: a task costs some thousand cycles of waiting.
const ALONE_VALUES: usize = 8192;

impl Crew<'_> {
    /// The crew for a stage that only passes once over so many values: core 0 alone if they are few. So a pass of few tokens has one
    /// barrier for each product that depends on the one before, and one for attention.
    #[must_use]
    pub fn for_values(&self, values: usize) -> Self {
        if values <= ALONE_VALUES { Self { cores: 1, ..*self } } else { *self }
    }

    /// Computes every tile of `output`, a table of rows of `width`, on all cores of the crew.
    ///
    /// Tiles are `tile` = (rows, columns) large, smaller at the edges; `compute` is called once for each, with scratch memory
    /// that belongs to its core alone: an equal share of `scratch` for each core of the team.
    pub fn for_tiles<T: Send>(
        &self,
        output: &mut [T],
        width: usize,
        tile: (usize, usize),
        scratch: &mut [f32],
        compute: impl Fn(&mut Tile<'_, T>, &mut [f32]) + Sync,
    ) {
        let height = output.len() / width.max(1);
        let tile = (tile.0.max(1), tile.1.max(1));
        let columns_of_tiles = width.div_ceil(tile.1);
        let tiles = height.div_ceil(tile.0) * columns_of_tiles;
        let share = scratch.len() / self.team.cores;
        let output = Shared::new(output);
        let scratch = Shared::new(scratch);
        let next = Line(AtomicUsize::new(0));
        let task = |core: usize| {
            loop {
                let index = next.0.fetch_add(1, Ordering::Relaxed);
                if index >= tiles {
                    break;
                }
                let rows = edge(index / columns_of_tiles, tile.0, height);
                let columns = edge(index % columns_of_tiles, tile.1, width);
                let mut part = Tile { output: &output, width, rows, columns };
                // SAFETY: each core has an index of its own below `cores`, and calls `compute` for one tile at a time, so this
                // share of the scratch memory is borrowed once.
                let scratch = unsafe { scratch.slice(core * share, share) };
                compute(&mut part, scratch);
            }
        };
        self.team.run(self.kernel, self.cores.min(tiles), &task);
    }
}

/// Rows (or columns) of the tile of that index.
fn edge(index: usize, step: usize, end: usize) -> Range<usize> {
    index * step..end.min((index + 1) * step)
}

/// A buffer that several cores hold; parts are borrowed with [`Self::slice`].
struct Shared<'b, T> {
    start: *mut T,
    length: usize,
    buffer: PhantomData<&'b mut [T]>,
}

// SAFETY: a `Shared` is as good as a `&mut [T]` whose parts are handed out once each; sending parts to other cores needs
// `T: Send` and nothing more.
unsafe impl<T: Send> Sync for Shared<'_, T> {}

impl<'b, T> Shared<'b, T> {
    fn new(buffer: &'b mut [T]) -> Self {
        Self { start: buffer.as_mut_ptr(), length: buffer.len(), buffer: PhantomData }
    }

    /// A part of the buffer.
    ///
    /// # Safety
    /// No other live borrow may overlap the part.
    #[allow(clippy::mut_from_ref)]
    unsafe fn slice(&self, offset: usize, length: usize) -> &mut [T] {
        assert!(offset <= self.length && length <= self.length - offset, "a part lies inside the buffer");
        // SAFETY: inside the buffer by the assertion, which is borrowed for 'b; alone by the caller's promise.
        unsafe { core::slice::from_raw_parts_mut(self.start.add(offset), length) }
    }
}

/// A rectangle of a table that one core computes.
pub struct Tile<'s, T> {
    output: &'s Shared<'s, T>,
    width: usize,
    rows: Range<usize>,
    columns: Range<usize>,
}

impl<T> Tile<'_, T> {
    /// The rows of the table that the tile covers.
    #[must_use]
    pub fn rows(&self) -> Range<usize> {
        self.rows.clone()
    }

    /// The columns of the table that the tile covers.
    #[must_use]
    pub fn columns(&self) -> Range<usize> {
        self.columns.clone()
    }

    /// The tile's part of a row of the table: as long as [`Self::columns`].
    ///
    /// # Panics
    /// If the row is not one of the tile's.
    pub fn row_mut(&mut self, row: usize) -> &mut [T] {
        assert!(self.rows.contains(&row), "the row belongs to the tile");
        // SAFETY: tiles do not overlap and each is handed out once per task; rows of one tile do not overlap, and `&mut self`
        // allows one of them to be borrowed at a time.
        unsafe { self.output.slice(row * self.width + self.columns.start, self.columns.len()) }
    }
}
