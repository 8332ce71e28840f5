//! The loop of core 0: takes requests, answers them, says how they ended.

use alloc::format;
use alloc::vec::Vec;

use barellama_abi::outcome::{Outcome, StopReason};
use barellama_abi::request::{Request, RequestKind};
use barellama_abi::syscall::EmitKind;

use crate::describe;
use crate::generate::generate;
use crate::kernel_calls::{Kernel, Work};
use crate::machine::{Machine, Ticket};
use crate::output::Output;
use crate::prepare::Prepared;
use crate::request_error::RequestError;
use crate::score::score;
use crate::text_requests;

/// Serves requests until the kernel has no more work to give.
pub fn serve(machine: &mut Machine<'_>, prepared: &Prepared<'_>) {
    let kernel = machine.kernel();
    let mut bytes = Vec::new();
    while let Ok(work) = kernel.wait_for_work() {
        kernel.read_request(work, &mut bytes);
        answer(machine, prepared, work, &bytes);
    }
}

/// Says why a request (0: the preparation of the model) is refused, and ends it.
fn refuse(kernel: &dyn Kernel, request_id: u32, why: &str) {
    Output::new(kernel, request_id, EmitKind::Error).say(why);
    kernel.finish(request_id, &Outcome { stop_reason: StopReason::Error, ..Outcome::default() });
}

/// Serves without a model: the preparation and then every request are refused.
pub fn refuse_all(kernel: &dyn Kernel, why: &str) {
    refuse(kernel, 0, why);
    let mut bytes = Vec::new();
    while let Ok(work) = kernel.wait_for_work() {
        kernel.read_request(work, &mut bytes);
        refuse(kernel, request_id(&bytes), why);
    }
}

/// The id, even if the rest of the request is damaged.
fn request_id(bytes: &[u8]) -> u32 {
    bytes.first_chunk().map_or(0, |id| u32::from_le_bytes(*id))
}

fn answer(machine: &mut Machine<'_>, prepared: &Prepared<'_>, work: Work, bytes: &[u8]) {
    let kernel = machine.kernel();
    let Some(request) = Request::parse(bytes) else {
        return refuse(kernel, request_id(bytes), &format!("{}", RequestError::Malformed));
    };
    let ticket = Ticket { header: *request.header(), slot: work.slot };
    match dispatch(machine, prepared, &ticket, &request) {
        Ok(outcome) => kernel.finish(ticket.header.id, &outcome),
        Err(error) => refuse(kernel, ticket.header.id, &format!("{error}")),
    }
}

fn dispatch(
    machine: &mut Machine<'_>,
    prepared: &Prepared<'_>,
    ticket: &Ticket,
    request: &Request<'_>,
) -> Result<Outcome, RequestError> {
    let (kernel, id, session) = (machine.kernel(), ticket.header.id, ticket.header.session);
    let sessions = machine.sessions.len();
    if session as usize >= sessions {
        return Err(RequestError::NoSession { session, sessions });
    }
    match ticket.header.kind {
        RequestKind::Generate => return generate(machine, prepared, ticket, request),
        RequestKind::Score => return score(machine, prepared, ticket, request),
        RequestKind::Tokenize => text_requests::tokenize(kernel, prepared, id, request)?,
        RequestKind::Detokenize => text_requests::detokenize(kernel, prepared, id, request)?,
        RequestKind::Render => text_requests::render(kernel, prepared, id, request)?,
        RequestKind::Reset => machine.sessions[session as usize].tokens.clear(),
        RequestKind::Describe => {
            let mut report = Output::new(kernel, id, EmitKind::Report);
            describe::model_card(&mut report, prepared);
            describe::arena_table(&mut report, &prepared.plan);
            describe::tensor_table(&mut report, prepared);
        }
    }
    Ok(idle_outcome(machine, session as usize))
}

/// The outcome of a request that computed nothing.
fn idle_outcome(machine: &Machine<'_>, session: usize) -> Outcome {
    let session = &machine.sessions[session];
    let count = |tokens: usize| u32::try_from(tokens).unwrap_or(u32::MAX);
    Outcome {
        stop_reason: StopReason::Complete,
        context_used_tokens: count(session.tokens.len()),
        context_tokens: count(session.context()),
        ..Outcome::default()
    }
}
