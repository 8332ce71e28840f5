//! The planner: no plan is larger than the arena, no refusal is for nothing.

use barellama_abi::layout::REGION_BYTES_MAX;
use barellama_gguf::{ArenaPlan, PlanRequest};

use crate::input::Input;

const NAMES: [&str; 4] = ["heap", "activations", "logits", "scratch"];

/// Any sizes.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let fixed: Vec<(&'static str, u64)> = NAMES.iter().map(|name| (*name, input.u64())).collect();
    let request = PlanRequest {
        arena_bytes: input.u64() % (REGION_BYTES_MAX + 1),
        fixed: &fixed,
        kv_bytes_per_token: input.u64(),
        sessions: u64::from(input.byte()).max(1),
        context_wanted: u64::from(input.u32()),
        context_trained: u64::from(input.u32()).max(1),
    };
    match ArenaPlan::new(&request) {
        Ok(plan) => check(&request, &plan),
        Err(error) => {
            assert!(error.needed_bytes > error.arena_bytes, "refused although it fits: {error:?}");
            assert!(error.context_fits <= request.context_trained);
        }
    }
}

fn check(request: &PlanRequest<'_>, plan: &ArenaPlan) {
    let mut end = 0;
    for area in &plan.areas {
        assert_eq!(area.offset, end);
        end = area.offset.checked_add(area.bytes).expect("an area ends inside the address space");
    }
    assert_eq!(end, plan.used_bytes);
    assert!(plan.used_bytes <= request.arena_bytes);
    assert!(plan.context >= 1 && plan.context <= request.context_trained);
    let asked = request.fixed.iter().map(|(_, bytes)| *bytes);
    let kv_bytes = plan.context * request.kv_bytes_per_token * request.sessions;
    for (area, bytes) in plan.areas.iter().zip(asked.chain([kv_bytes])) {
        assert!(area.bytes >= bytes, "{} has {} of {bytes} bytes", area.name, area.bytes);
    }
    if request.context_wanted != 0 {
        assert_eq!(plan.context, request.context_wanted.min(request.context_trained));
    }
}
