//! Cuts an input into the parts that a target needs.

/// The bytes of an input that are left. When they are used up, everything is zero or empty.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// Whether nothing is left.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let [byte] = self.array();
        byte
    }

    /// The next two bytes.
    pub fn u16(&mut self) -> u16 {
        u16::from_le_bytes(self.array())
    }

    /// The next four bytes.
    pub fn u32(&mut self) -> u32 {
        u32::from_le_bytes(self.array())
    }

    /// The next eight bytes.
    pub fn u64(&mut self) -> u64 {
        u64::from_le_bytes(self.array())
    }

    /// The next bytes, at most `count` of them.
    pub fn take(&mut self, count: usize) -> &'a [u8] {
        let (part, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        part
    }

    /// Up to the next 0xFF, which no text in UTF-8 has, or the end.
    pub fn part(&mut self) -> &'a [u8] {
        let length = self.0.iter().position(|&byte| byte == 0xFF).unwrap_or(self.0.len());
        let part = self.take(length);
        self.take(1);
        part
    }

    /// Likewise as text; what is not UTF-8 is replaced.
    pub fn text(&mut self) -> String {
        String::from_utf8_lossy(self.part()).into_owned()
    }

    fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        let part = self.take(N);
        bytes[..part.len()].copy_from_slice(part);
        bytes
    }
}
