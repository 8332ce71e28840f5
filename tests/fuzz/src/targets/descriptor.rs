//! What a previous run of the engine, perhaps a hostile one, left behind the sealed model.

use barellama_engine::descriptor::Descriptor;

use crate::input::Input;

/// Any bytes as a descriptor, and any facts with a right checksum.
pub fn run(data: &[u8]) {
    if let Some(descriptor) = Descriptor::from_bytes(data) {
        assert_eq!(Some(&descriptor.to_bytes()), data.first_chunk(), "one form only");
    }
    let mut input = Input(data);
    let facts =
        Descriptor { file_bytes: input.u64(), context: input.u64(), used_bytes: input.u64(), interleaved: input.u64() };
    let mut bytes = facts.to_bytes();
    assert_eq!(Descriptor::from_bytes(&bytes), Some(facts));
    let (at, change) = (usize::from(input.byte()) % bytes.len(), input.byte());
    bytes[at] ^= change;
    assert_eq!(Descriptor::from_bytes(&bytes).is_some(), change == 0, "a change of a byte is noticed");
}
