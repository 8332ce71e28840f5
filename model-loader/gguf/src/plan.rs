//! The arena plan: what lies where, computed before anything is used.

use alloc::vec::Vec;
use core::fmt;

/// Areas start at multiples of this, in bytes: a page, so that no two areas share a cache line.
const AREA_ALIGNMENT: u64 = 4096;
/// The shortest context that is worth to start with, in tokens.
const CONTEXT_MIN: u64 = 64;
/// A context that was reduced is a multiple of this, in tokens.
const CONTEXT_STEP: u64 = 32;
const MIB: u64 = 1 << 20;

/// What the plan is made from. Sizes are in bytes unless they say tokens.
#[derive(Clone, Copy, Debug)]
pub struct PlanRequest<'a> {
    /// Size of the arena.
    pub arena_bytes: u64,
    /// Areas of a fixed size, in their order, before the KV cache.
    pub fixed: &'a [(&'static str, u64)],
    /// Size of the KV cache for one token of one session.
    pub kv_bytes_per_token: u64,
    /// Number of sessions, at least 1.
    pub sessions: u64,
    /// Context that the user asked for, in tokens; 0: the model's own, as far as it fits.
    pub context_wanted: u64,
    /// Context that the model was trained for, in tokens.
    pub context_trained: u64,
}

/// A piece of the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Area {
    /// What it is for.
    pub name: &'static str,
    /// Offset in the arena, in bytes.
    pub offset: u64,
    /// Size in bytes.
    pub bytes: u64,
}

/// The pieces of the arena in the order of the request, the KV cache last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArenaPlan {
    /// The pieces.
    pub areas: Vec<Area>,
    /// Context of each session, in tokens.
    pub context: u64,
    /// Bytes in use, from the start of the arena.
    pub used_bytes: u64,
    /// Size of the arena, in bytes.
    pub arena_bytes: u64,
}

/// The arena is too small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanError {
    /// What would be needed, in bytes.
    pub needed_bytes: u64,
    /// What there is, in bytes.
    pub arena_bytes: u64,
    /// The longest context that would fit, in tokens; 0: none.
    pub context_fits: u64,
}

impl fmt::Display for PlanError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (needed, there) = (self.needed_bytes.div_ceil(MIB), self.arena_bytes / MIB);
        write!(formatter, "needs {needed} of {there} MiB")?;
        match self.context_fits {
            0 => write!(formatter, "; no context fits: use a smaller model"),
            tokens => write!(formatter, "; context <= {tokens} fits"),
        }
    }
}

impl core::error::Error for PlanError {}

impl ArenaPlan {
    /// Lays the areas out one after the other.
    ///
    /// # Errors
    /// If the fixed areas and the context asked for (or the shortest useful one) do not fit.
    pub fn new(request: &PlanRequest<'_>) -> Result<Self, PlanError> {
        let fixed_bytes = request.fixed.iter().fold(0u64, |sum, (_, bytes)| sum.saturating_add(aligned(*bytes)));
        let per_token = request.kv_bytes_per_token.saturating_mul(request.sessions).max(1);
        let room = request.arena_bytes.saturating_sub(fixed_bytes) / AREA_ALIGNMENT * AREA_ALIGNMENT;
        let fits = (room / per_token).min(request.context_trained);
        let least = CONTEXT_MIN.min(request.context_trained);
        let context = match request.context_wanted {
            0 if fits == request.context_trained => fits,
            0 => fits / CONTEXT_STEP * CONTEXT_STEP,
            wanted => wanted.min(request.context_trained),
        };
        if context > fits || fits < least || fixed_bytes > request.arena_bytes {
            return Err(PlanError {
                needed_bytes: fixed_bytes.saturating_add(aligned(per_token.saturating_mul(context.max(least)))),
                arena_bytes: request.arena_bytes,
                context_fits: if fits < least { 0 } else { fits },
            });
        }
        Ok(Self::lay_out(request, context, per_token * context))
    }

    fn lay_out(request: &PlanRequest<'_>, context: u64, kv_bytes: u64) -> Self {
        let mut offset = 0;
        let sizes = request.fixed.iter().copied().chain([("kv cache", kv_bytes)]);
        let areas = sizes
            .map(|(name, bytes)| {
                let area = Area { name, offset, bytes: aligned(bytes) };
                offset += area.bytes;
                area
            })
            .collect();
        Self { areas, context, used_bytes: offset, arena_bytes: request.arena_bytes }
    }
}

const fn aligned(bytes: u64) -> u64 {
    match bytes.checked_next_multiple_of(AREA_ALIGNMENT) {
        Some(aligned) => aligned,
        None => u64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIXED: &[(&str, u64)] = &[("heap", 3 * MIB), ("activations", MIB + 1)];

    fn request(arena_bytes: u64, context_wanted: u64) -> PlanRequest<'static> {
        PlanRequest {
            arena_bytes,
            fixed: FIXED,
            kv_bytes_per_token: 1024,
            sessions: 2,
            context_wanted,
            context_trained: 2048,
        }
    }

    #[test]
    fn areas_lie_one_after_the_other_and_inside() {
        let plan = ArenaPlan::new(&request(64 * MIB, 0)).unwrap();
        assert_eq!(plan.context, 2048);
        let mut end = 0;
        for area in &plan.areas {
            assert_eq!(area.offset, end);
            assert!(area.offset.is_multiple_of(AREA_ALIGNMENT));
            end += area.bytes;
        }
        assert_eq!(end, plan.used_bytes);
        assert_eq!(plan.areas.last().unwrap().bytes, 2 * 2048 * 1024);
        assert!(plan.used_bytes <= plan.arena_bytes);
    }

    #[test]
    fn the_models_own_context_is_reduced_to_what_fits() {
        let plan = ArenaPlan::new(&request(6 * MIB, 0)).unwrap();
        assert!(plan.context < 1024 && plan.context.is_multiple_of(CONTEXT_STEP) && plan.context > 900);
        assert!(plan.used_bytes <= plan.arena_bytes);
    }

    #[test]
    fn a_context_asked_for_is_given_or_refused() {
        assert_eq!(ArenaPlan::new(&request(64 * MIB, 100)).unwrap().context, 100);
        assert_eq!(ArenaPlan::new(&request(64 * MIB, 9999)).unwrap().context, 2048);
        let error = ArenaPlan::new(&request(6 * MIB, 1500)).unwrap_err();
        assert!(error.context_fits > 900 && error.context_fits < 1024);
        assert!(error.needed_bytes > error.arena_bytes);
    }

    #[test]
    fn an_arena_without_room_is_refused() {
        let error = ArenaPlan::new(&request(2 * MIB, 0)).unwrap_err();
        assert_eq!(error.context_fits, 0);
        assert!(alloc::format!("{error}").starts_with("needs 5 of 2 MiB"));
        assert!(ArenaPlan::new(&request(0, 0)).is_err());
        // Areas are whole pages, and what is needed counts them.
        let tiny = PlanRequest { fixed: &[], kv_bytes_per_token: 1, context_trained: 1, sessions: 1, ..request(4, 0) };
        assert_eq!(ArenaPlan::new(&tiny).unwrap_err().needed_bytes, 4096);
        let huge = PlanRequest { fixed: &[("heap", u64::MAX)], ..request(64 * MIB, 0) };
        assert!(ArenaPlan::new(&huge).is_err());
    }
}
