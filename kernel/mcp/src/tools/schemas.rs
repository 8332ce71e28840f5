//! JSON Schemas of arguments and results (2020-12, the dialect that MCP assumes).

macro_rules! object {
    ("", $($property:expr),* $(,)?) => {
        concat!(r#"{"type":"object","properties":{"#, list!($($property),*), r#"},"additionalProperties":false}"#)
    };
    ($required:expr, $($property:expr),* $(,)?) => {
        concat!(
            r#"{"type":"object","properties":{"#,
            list!($($property),*),
            r#"},"required":["#, $required, r#"],"additionalProperties":false}"#
        )
    };
}

/// Results may grow members, so theirs are not closed.
macro_rules! result {
    ($required:expr, $($property:expr),* $(,)?) => {
        concat!(r#"{"type":"object","properties":{"#, list!($($property),*), r#"},"required":["#, $required, "]}")
    };
}

macro_rules! list {
    () => { "" };
    ($first:expr $(, $rest:expr)*) => { concat!($first $(, ",", $rest)*) };
}

/// A member of a type, with more about it where its name does not say all.
macro_rules! member {
    ($name:literal, $kind:expr) => {
        concat!(r#"""#, $name, r#"":{"type":"#, $kind, "}")
    };
    ($name:literal, $kind:expr, $description:literal) => {
        concat!(r#"""#, $name, r#"":{"type":"#, $kind, r#","description":""#, $description, r#""}"#)
    };
}

macro_rules! number {
    ($name:literal, $range:literal, $description:literal) => {
        member!($name, concat!(r#""number","#, $range), $description)
    };
}

macro_rules! integer {
    ($name:literal, $range:literal, $description:literal) => {
        member!($name, concat!(r#""integer","#, $range), $description)
    };
}

macro_rules! count {
    ($name:literal $(, $description:literal)?) => {
        member!($name, r#""integer""# $(, $description)?)
    };
}

macro_rules! optional_count {
    ($name:literal $(, $description:literal)?) => {
        member!($name, r#"["integer","null"]"# $(, $description)?)
    };
}

macro_rules! string {
    ($name:literal $(, $description:literal)?) => {
        member!($name, r#""string""# $(, $description)?)
    };
}

macro_rules! boolean {
    ($name:literal $(, $description:literal)?) => {
        member!($name, r#""boolean""# $(, $description)?)
    };
}

macro_rules! token_ids {
    ($name:literal, $description:literal) => {
        member!($name, r#""array","items":{"type":"integer","minimum":0,"maximum":4294967295}"#, $description)
    };
}

macro_rules! messages {
    () => {
        concat!(
            r#""messages":{"type":"array","minItems":1,"maxItems":256,"items":{"type":"object","properties":{"#,
            r#""role":{"type":"string","enum":["system","user","assistant"],"description":"who speaks"},"#,
            string!("content", "what is said"),
            r#"},"required":["role","content"],"additionalProperties":false},"description":"the conversation so far, oldest message first"}"#
        )
    };
}

/// With the options that `generate` and `chat` share.
macro_rules! generation_input {
    ($required:literal, $subject:expr) => {
        object!(
            $required,
            $subject,
            integer!("max_tokens", r#""minimum":0,"maximum":65536,"default":256"#, "most tokens to generate; 0: until the context is full"),
            number!("temperature", r#""minimum":0,"maximum":10,"default":0"#, "0: always the likeliest token; higher: more varied"),
            integer!("top_k", r#""minimum":0,"maximum":1000000,"default":40"#, "choose among this many best tokens; 0: all"),
            number!("top_p", r#""minimum":0,"maximum":1,"default":0.95"#, "choose among the best tokens with this total probability; 1: all"),
            number!("min_p", r#""minimum":0,"maximum":1,"default":0.05"#, "drop tokens below this share of the best one's probability; 0: none"),
            number!("repeat_penalty", r#""exclusiveMinimum":0,"maximum":10,"default":1"#, "penalty for the last 64 tokens; 1: none"),
            integer!("seed", r#""minimum":0,"maximum":9007199254740991,"default":1"#, "the same seed gives the same text"),
            r#""stop":{"type":"array","maxItems":8,"items":{"type":"string","minLength":1,"maxLength":64},"description":"texts that end the answer, not part of it"}"#,
            integer!("deadline_ms", r#""minimum":0,"maximum":86400000,"default":55000"#, "return the text so far after this time, waiting included; 0: none"),
        )
    };
}

pub(super) const GENERATE_INPUT: &str =
    generation_input!(r#""prompt""#, string!("prompt", "the text to continue; special tokens are recognised"));

pub(super) const CHAT_INPUT: &str = generation_input!(r#""messages""#, messages!());

pub(super) const GENERATION_OUTPUT: &str = result!(
    r#""text","stop_reason","truncated","prompt_tokens","reused_tokens","generated_tokens","context_used_tokens","context_tokens","queue_ms","prompt_ms","decode_ms""#,
    string!("text"),
    string!(
        "stop_reason",
        "end: the model was done; stop: a stop text came; max_tokens; context_full; deadline; cancelled: by a person at the board"
    ),
    boolean!("truncated", "whether the text was too long to be returned whole"),
    count!("prompt_tokens"),
    count!("reused_tokens", "prompt tokens that were still in the cache"),
    count!("generated_tokens"),
    count!("context_used_tokens", "tokens in the context now"),
    count!("context_tokens"),
    count!("queue_ms"),
    count!("prompt_ms"),
    count!("decode_ms", "time from the first to the last generated token, in milliseconds"),
    member!("tokens_per_second", r#""number""#),
);

pub(super) const TOKENIZE_INPUT: &str =
    object!(r#""text""#, string!("text", "the text; special tokens are recognised"));

pub(super) const TOKENS_OUTPUT: &str = result!(
    r#""tokens","count","truncated""#,
    token_ids!("tokens", "token ids"),
    count!("count"),
    boolean!("truncated", "whether there were more ids than could be returned"),
);

pub(super) const DETOKENIZE_INPUT: &str = object!(r#""tokens""#, token_ids!("tokens", "token ids"));

pub(super) const TEXT_OUTPUT: &str = result!(
    r#""text","truncated""#,
    string!("text"),
    boolean!("truncated", "whether the text was too long to be returned whole"),
);

pub(super) const SCORE_INPUT: &str = object!(
    "",
    string!("prompt", "the prompt as raw text; give exactly one of prompt, tokens and messages"),
    token_ids!("tokens", "the prompt as token ids"),
    messages!(),
    token_ids!("forced", "ids that are taken one after the other, whatever the model would choose"),
    integer!("steps", r#""minimum":0,"maximum":65536,"default":0"#, "how many steps; 0: one for each forced id, or 16"),
    integer!("top", r#""minimum":0,"maximum":64,"default":5"#, "how many of the best candidates per step"),
    integer!(
        "deadline_ms",
        r#""minimum":0,"maximum":86400000,"default":55000"#,
        "return the steps so far after this time; 0: none"
    ),
);

pub(super) const SCORE_OUTPUT: &str = result!(
    r#""steps","stop_reason","truncated","prompt_tokens","generated_tokens","queue_ms","prompt_ms","decode_ms""#,
    concat!(
        r#""steps":{"type":"array","description":"one entry per step","items":{"type":"object","properties":{"#,
        count!("step", "number of the step, from 0"),
        ",",
        count!("id", "the best id"),
        r#","top":{"type":"array","description":"the best candidates as pairs of id and logit, best first","items":{"type":"array","items":{"type":["number","null"]},"minItems":2,"maxItems":2}},"#,
        string!("crc", "CRC-32 of all logits of the step"),
        r#"},"required":["step","id","top","crc"]}}"#
    ),
    string!("stop_reason", "complete, context_full, deadline or cancelled"),
    boolean!("truncated", "whether there were more steps than could be returned"),
    count!("prompt_tokens"),
    count!("generated_tokens", "steps that were made"),
    count!("queue_ms"),
    count!("prompt_ms"),
    count!("decode_ms"),
);

pub(super) const BENCHMARK_INPUT: &str = object!(
    "",
    integer!("prompt_tokens", r#""minimum":1,"maximum":8192,"default":64"#, "about how many tokens to read"),
    integer!("generate_tokens", r#""minimum":2,"maximum":8192,"default":32"#, "how many tokens to generate"),
    integer!("deadline_ms", r#""minimum":0,"maximum":86400000,"default":55000"#, "end after this time; 0: none"),
);

pub(super) const BENCHMARK_OUTPUT: &str = result!(
    r#""stop_reason","prompt_tokens","generated_tokens","queue_ms","prompt_ms","decode_ms""#,
    string!("stop_reason", "max_tokens if all was done"),
    count!("prompt_tokens"),
    count!("generated_tokens"),
    count!("queue_ms"),
    count!("prompt_ms"),
    count!("decode_ms", "time from the first to the last generated token, in milliseconds"),
    member!("prompt_tokens_per_second", r#""number""#),
    member!("tokens_per_second", r#""number""#),
);

pub(super) const NO_INPUT: &str = object!("",);

pub(super) const STATUS_OUTPUT: &str = result!(
    concat!(
        r#""board","version","uptime_ms","engine","model","arm_clock_hz","core_clock_hz","temperature_millidegrees","throttled_bits","#,
        r#""ram_bytes","model_bytes","arena_bytes","heap_bytes","heap_used_bytes","heap_peak_bytes","faults","restarts","requests","#,
        r#""tokens_served","overruns","damaged_frames","open_calls""#
    ),
    string!("board"),
    string!("version"),
    count!("uptime_ms"),
    string!("engine"),
    member!("model", r#"["string","null"]"#, "the loaded one"),
    optional_count!("arm_clock_hz", "clock of the cores"),
    optional_count!("core_clock_hz", "clock of the peripherals"),
    optional_count!("temperature_millidegrees"),
    optional_count!("throttled_bits", "the firmware's throttling bits; 0: never throttled"),
    count!("ram_bytes"),
    count!("model_bytes", "the model file in memory; 0: no model"),
    count!("arena_bytes", "memory for the engine's tensors and caches"),
    count!("heap_bytes", "the kernel's pool for messages"),
    count!("heap_used_bytes"),
    count!("heap_peak_bytes"),
    count!("faults"),
    count!("restarts"),
    count!("requests"),
    count!("tokens_served"),
    count!("overruns"),
    count!("damaged_frames", "frames that came damaged and were sent again"),
    count!("open_calls", "calls that wait or run, this one included"),
);

pub(super) const MODELS_INPUT: &str = object!(
    r#""action""#,
    r#""action":{"type":"string","enum":["list","load"],"description":"list: which models are on the card; load: replace the loaded model"}"#,
    string!("name", "load: the file's name as in the list"),
);

pub(super) const MODELS_OUTPUT: &str = result!(
    r#""models","truncated""#,
    concat!(
        r#""models":{"type":"array","description":"the model files, or the one that was loaded","items":{"type":"object","properties":{"#,
        string!("name"),
        ",",
        count!("bytes"),
        ",",
        boolean!("is_loaded"),
        r#"},"required":["name","is_loaded"]}}"#
    ),
    boolean!("truncated", "whether there were more models than could be returned"),
);
