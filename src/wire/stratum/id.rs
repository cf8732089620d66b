//! The id of a request. Rigs number their requests as they like, with numbers, texts or nothing at all, and wait for
//! the same bytes to come back; nobody else reads them.

use std::fmt;

/// Bytes of an id that are kept in place: all that rigs are known to send.
const SHORT: usize = 22;

/// A JSON number, string or null, byte for byte as it came.
#[derive(Clone)]
pub struct Id(Bytes);

#[derive(Clone)]
enum Bytes {
    Short { len: u8, bytes: [u8; SHORT] },
    Long(Box<[u8]>),
}

impl Id {
    /// The id of what nobody waits for an answer to.
    pub const NULL: Id = Id(Bytes::Short { len: 4, bytes: *b"null\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" });

    /// Takes one JSON value without blanks around it; `None` where it is a boolean, a list or an object, or something
    /// that who reads the answer may not be able to read: a number that no double holds, or half a character.
    pub fn read(json: &str) -> Option<Id> {
        let is_readable = match json.as_bytes() {
            [b'-' | b'0'..=b'9', ..] => is_readable_number(json),
            [b'"', ..] => !json.contains('\\') || serde_json::from_str::<String>(json).is_ok(),
            [b'n', ..] => true,
            _ => false,
        };
        is_readable.then(|| Id::of(json.as_bytes()))
    }

    fn of(json: &[u8]) -> Id {
        let mut bytes = [0; SHORT];
        match bytes.get_mut(..json.len()) {
            Some(place) => {
                place.copy_from_slice(json);
                Id(Bytes::Short { len: json.len() as u8, bytes })
            }
            None => Id(Bytes::Long(json.into())),
        }
    }

    /// Whether the request is a notice: without an id, or with null for one.
    pub fn is_null(&self) -> bool {
        self.as_bytes() == b"null"
    }

    /// The JSON that goes into the answer.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Bytes::Short { len, bytes } => &bytes[..usize::from(*len)],
            Bytes::Long(bytes) => bytes,
        }
    }
}

/// Whether a JSON number is within what a double holds, as few readers take more.
fn is_readable_number(number: &str) -> bool {
    // Every number of a usual rig: below 10^300 whatever its digits are.
    let is_plain = number.len() < 300 && !number.contains(['e', 'E']);
    is_plain || number.parse::<f64>().is_ok_and(f64::is_finite)
}

impl PartialEq for Id {
    fn eq(&self, other: &Id) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_comes_back_as_it_came() {
        let long = format!("\"{}\"", "x".repeat(500));
        for json in ["4", "-1", "1.50", "5444444444444444444444444444444", "\"a\\\"b\"", "null", &long] {
            assert_eq!(Id::read(json).unwrap().as_bytes(), json.as_bytes());
        }
        for json in ["true", "false", "[1]", "{}", ""] {
            assert_eq!(Id::read(json), None, "{json}");
        }
        // By the grammar of JSON, but not to most who read it.
        for json in ["5e00505", "-1E400", &"9".repeat(400), r#""\ud8080""#, r#""\udc00""#] {
            assert_eq!(Id::read(json), None, "{json}");
        }
        for json in ["1e300", &"9".repeat(305), r#""\ud808\udc00""#] {
            assert_eq!(Id::read(json).unwrap().as_bytes(), json.as_bytes());
        }
        assert!(Id::NULL.is_null() && Id::read("null").unwrap().is_null() && !Id::read("0").unwrap().is_null());
    }
}
