//! Text through a hostile vocabulary.

use barellama_engine::tokenizer::{Encode, Tokenizer};
use barellama_gguf::Gguf;

use crate::heap;
use crate::input::Input;
use crate::model_file::{ModelFile, kind};

const PRE_TOKENIZERS: [&str; 5] = ["default", "llama-bpe", "smollm", "gpt-2", "no such"];
/// What [`Tokenizer::encode`] promises, and its small lists.
const HEAP_PER_BYTE: usize = 100;
const HEAP_FIXED: usize = 4096;

/// Kind of vocabulary, tokens with their types and scores, merges, then the text.
pub fn run(data: &[u8]) {
    let mut input = Input(data);
    let file = vocabulary(&mut input).build();
    let text = input.text();
    let gguf = Gguf::parse(&file).expect("the file around the vocabulary is intact");
    let Ok(tokenizer) = Tokenizer::new(&gguf) else { return };
    assert!(tokenizer.bos().is_none_or(|id| (id as usize) < tokenizer.len()));
    for options in 0..4u8 {
        let options = Encode { add_special: options & 1 != 0, parse_special: options & 2 != 0 };
        let (ids, peak) = heap::peak_of(|| tokenizer.encode(&text, options));
        assert!(peak <= HEAP_PER_BYTE * text.len() + HEAP_FIXED, "{peak} bytes of heap for {}", text.len());
        let Ok(ids) = ids else { continue };
        assert!(ids.len() <= text.len() * 3 + 5, "no more tokens than bytes of the spelled text");
        assert_eq!(Ok(&ids), tokenizer.encode(&text, options).as_ref());
        let mut bytes = Vec::new();
        for id in ids {
            assert!((id as usize) < tokenizer.len(), "ids are tokens");
            tokenizer.piece(id, true, &mut bytes);
        }
    }
}

fn vocabulary(input: &mut Input<'_>) -> ModelFile {
    let flags = input.byte();
    let is_bpe = flags & 1 != 0;
    let pre = PRE_TOKENIZERS[usize::from(input.byte()) % PRE_TOKENIZERS.len()];
    let count = usize::from(input.byte());
    let tokens: Vec<String> = (0..count).map(|_| input.text()).collect();
    let types: Vec<u8> = input.take(count).iter().flat_map(|&byte| i32::from(byte % 8).to_le_bytes()).collect();
    let scores: Vec<u8> = input.take(count).iter().flat_map(|&byte| f32::from(byte as i8).to_le_bytes()).collect();
    let merge_count = usize::from(input.byte());
    let merges: Vec<String> = (0..merge_count).map(|_| input.text()).collect();
    let mut file = ModelFile::default()
        .text("tokenizer.ggml.model", if is_bpe { "gpt2" } else { "llama" })
        .text("tokenizer.ggml.pre", pre)
        .texts("tokenizer.ggml.tokens", &tokens)
        .array("tokenizer.ggml.token_type", kind::I32, (types.len() / 4) as u64, &types)
        .array("tokenizer.ggml.scores", kind::F32, (scores.len() / 4) as u64, &scores)
        .texts("tokenizer.ggml.merges", &merges);
    if flags & 2 != 0 {
        file = file.key("tokenizer.ggml.add_bos_token", kind::BOOL, &[flags >> 2 & 1]);
    }
    if flags & 8 != 0 {
        file = file.u32("tokenizer.ggml.eos_token_id", u32::from(input.byte()));
    }
    if flags & 16 != 0 {
        file = file.key("tokenizer.ggml.add_space_prefix", kind::BOOL, &[flags >> 5 & 1]);
    }
    file
}
