//! Generate: token by token, as text while it comes.

use alloc::vec::Vec;

use barellama_abi::outcome::StopReason;
use barellama_abi::request::{RecordKind, Request, RequestHeader};
use barellama_abi::syscall::EmitKind;

use crate::job::Chosen;
use crate::kernel_calls::Kernel;
use crate::output::Output;
use crate::prepare::Prepared;
use crate::prompt;
use crate::request_error::RequestError;
use crate::sampler::Sampler;
use crate::text_stream::TextStream;

/// An answer in the making.
pub struct Answer<'e> {
    sampler: Sampler,
    stream: TextStream,
    output: Output<'e>,
    /// Tokens to generate at most; 0: as many as there is room for.
    max_tokens: usize,
    context: usize,
    ignore_end: bool,
    generated: usize,
}

impl<'e> Answer<'e> {
    /// The answer that a request asks for.
    ///
    /// # Errors
    /// A stop string that is not text.
    pub fn new(
        kernel: &'e dyn Kernel,
        header: &RequestHeader,
        request: &Request<'_>,
        context: usize,
    ) -> Result<Self, RequestError> {
        Ok(Self {
            sampler: Sampler::new(header.sampling),
            stream: TextStream::new(&stop_strings(request)?),
            output: Output::new(kernel, header.id, EmitKind::Text),
            max_tokens: header.max_tokens as usize,
            context,
            ignore_end: header.ignore_end,
            generated: 0,
        })
    }

    /// Chooses the token that follows `tokens`.
    ///
    /// # Errors
    /// Why none can be chosen.
    pub fn choose(&mut self, prepared: &Prepared<'_>, tokens: &[u32], logits: &[f32]) -> Result<Chosen, RequestError> {
        let token = self.sampler.sample(logits, tokens)?;
        let is_end = prepared.tokenizer.is_end_of_generation(token) && !self.ignore_end;
        Ok(if is_end { Chosen::End(StopReason::EndOfGeneration) } else { Chosen::Token(token) })
    }

    /// Takes a token into the answer; a reason ends it.
    pub fn take(&mut self, prepared: &Prepared<'_>, token: u32) -> Option<StopReason> {
        self.generated += 1;
        let mut bytes = Vec::new();
        prepared.tokenizer.piece(token, false, &mut bytes);
        if self.stream.push(&bytes, &mut |text| self.output.say(text)) {
            return Some(StopReason::StopString);
        }
        (self.max_tokens != 0 && self.generated >= self.max_tokens).then_some(StopReason::MaxTokens)
    }

    /// Tokens generated so far.
    #[must_use]
    pub const fn generated(&self) -> usize {
        self.generated
    }

    /// Tokens that may be generated.
    #[must_use]
    pub const fn most(&self) -> usize {
        if self.max_tokens == 0 { self.context } else { self.max_tokens }
    }

    /// Emits what was held back: it may end with a stop string after all.
    pub fn finish(&mut self, stopped_by: StopReason) -> StopReason {
        if self.stream.finish(&mut |text| self.output.say(text)) { StopReason::StopString } else { stopped_by }
    }
}

fn stop_strings<'r>(request: &Request<'r>) -> Result<Vec<&'r str>, RequestError> {
    let stops = request.records().filter(|record| record.kind == RecordKind::Stop);
    stops.map(|record| prompt::text(record.bytes)).collect()
}
