//! One line for a rig, and how it is written.

use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

use serde::Serialize;

/// Bytes of a line that are kept in place: the answer to a share, accepted or refused, under any usual id.
const SHORT: usize = 118;

/// A whole line with its newline. Short ones are kept in place, since every share is answered with one; long ones are
/// shared, since many rigs are sent the same.
#[derive(Clone)]
pub struct Line(Bytes);

#[derive(Clone)]
enum Bytes {
    Short { len: u8, bytes: [u8; SHORT] },
    Shared(Rc<[u8]>),
}

impl Line {
    /// The bytes, if they are shared: whoever keeps them need not copy.
    pub fn shared(&self) -> Option<&Rc<[u8]>> {
        match &self.0 {
            Bytes::Short { .. } => None,
            Bytes::Shared(bytes) => Some(bytes),
        }
    }
}

impl Deref for Line {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Bytes::Short { len, bytes } => &bytes[..usize::from(*len)],
            Bytes::Shared(bytes) => bytes,
        }
    }
}

impl From<Vec<u8>> for Line {
    fn from(bytes: Vec<u8>) -> Line {
        Line(Bytes::Shared(bytes.into()))
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", String::from_utf8_lossy(self))
    }
}

/// A line being written: in place as long as it is short.
pub(super) struct Writer {
    short: [u8; SHORT],
    len: usize,
    /// Everything, once it is more than fits in place.
    long: Vec<u8>,
}

impl Writer {
    pub(super) fn new() -> Writer {
        Writer { short: [0; SHORT], len: 0, long: Vec::new() }
    }

    /// For a line of about so many bytes, too many to be kept in place.
    pub(super) fn long(capacity: usize) -> Writer {
        Writer { long: Vec::with_capacity(capacity.max(SHORT + 1)), ..Writer::new() }
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) -> &mut Writer {
        if self.long.capacity() == 0 {
            if let Some(place) = self.short.get_mut(self.len..self.len + bytes.len()) {
                place.copy_from_slice(bytes);
                self.len += bytes.len();
                return self;
            }
            self.long.extend_from_slice(&self.short[..self.len]);
        }
        self.long.extend_from_slice(bytes);
        self
    }

    pub(super) fn raw(&mut self, text: &str) -> &mut Writer {
        self.bytes(text.as_bytes())
    }

    pub(super) fn json(&mut self, value: &(impl Serialize + ?Sized)) -> &mut Writer {
        self.raw(&serde_json::to_string(value).expect("plain values with string keys always serialise"))
    }

    /// A JSON string.
    pub(super) fn text(&mut self, text: &str) -> &mut Writer {
        if text.bytes().all(|byte| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\') {
            self.raw("\"").raw(text).raw("\"")
        } else {
            self.json(text)
        }
    }

    pub(super) fn hex(&mut self, bytes: &[u8]) -> &mut Writer {
        let mut digits = [0; 64];
        for part in bytes.chunks(32) {
            let digits = &mut digits[..2 * part.len()];
            hex::encode_to_slice(part, digits).expect("the room is twice the bytes");
            self.bytes(digits);
        }
        self
    }

    pub(super) fn end(&mut self) -> Line {
        self.bytes(b"\n");
        if self.long.is_empty() {
            Line(Bytes::Short { len: self.len as u8, bytes: self.short })
        } else {
            std::mem::take(&mut self.long).into()
        }
    }
}
