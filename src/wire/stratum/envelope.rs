//! A line as far as a request is concerned: its first `id`, `method` and `params`, borrowed from it. A share is read
//! without an allocation, unless its texts hold escapes.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::json::Json;

/// See the module.
#[derive(Debug)]
pub struct Envelope<'a> {
    /// The JSON of the id as it came; `None` where there is none.
    pub id: Option<&'a str>,
    /// Whatever stands there; null where nothing does.
    pub method: Json<'a>,
    /// See [`Params`].
    pub params: Params<'a>,
    /// Whether there is a `result` or an `error`.
    pub is_reply: bool,
}

/// A line that is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Not JSON at all.
    NotJson,
    /// Another JSON value than an object.
    NotObject,
}

impl<'a> Envelope<'a> {
    /// Parses a whole line.
    pub fn parse(line: &'a [u8]) -> Result<Envelope<'a>, Unreadable> {
        let text = std::str::from_utf8(line).map_err(|_| Unreadable::NotJson)?;
        let Object(envelope) = serde_json::from_str(text).map_err(|_| Unreadable::NotJson)?;
        envelope.ok_or(Unreadable::NotObject)
    }
}

/// Positional parameters; none of a request that leaves them out or says null.
#[derive(Debug, Default)]
pub struct Params<'a> {
    items: [Json<'a>; Params::MOST],
    /// Whether something else stood there than a list or null.
    pub is_not_list: bool,
}

impl<'a> Params<'a> {
    /// No request has more that matter; what follows is left out.
    const MOST: usize = 6;

    /// The value at a place; null where there is none.
    pub fn item(&self, index: usize) -> &Json<'a> {
        self.items.get(index).unwrap_or(&Json::Null)
    }

    /// The text at a place, taken out; empty where there is none.
    pub fn take_text(&mut self, index: usize) -> Cow<'a, str> {
        match self.items.get_mut(index).map(std::mem::take) {
            Some(Json::Text(text)) => text,
            _ => Cow::default(),
        }
    }
}

/// The envelope if the value is an object.
struct Object<'a>(Option<Envelope<'a>>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Object<'de>, D::Error> {
        deserializer.deserialize_any(ObjectVisitor)
    }
}

/// What is read of an object.
enum Key {
    Id,
    Method,
    Params,
    Outcome,
    Other,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
        deserializer.deserialize_identifier(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = Key;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, name: &str) -> Result<Key, E> {
        Ok(match name {
            "id" => Key::Id,
            "method" => Key::Method,
            "params" => Key::Params,
            "result" | "error" => Key::Outcome,
            _ => Key::Other,
        })
    }
}

struct ObjectVisitor;

/// What is not looked at is nothing, whatever it is.
macro_rules! nothing {
    ($nothing:expr, $($visit:ident: $type:ty),*) => {
        $(fn $visit<E>(self, _value: $type) -> Result<Self::Value, E> {
            Ok($nothing)
        })*
    };
}

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    nothing!(Object(None), visit_bool: bool, visit_u64: u64, visit_i64: i64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E>(self) -> Result<Object<'de>, E> {
        Ok(Object(None))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Object<'de>, A::Error> {
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Object(None))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Object<'de>, A::Error> {
        let (mut id, mut method, mut params, mut is_reply) = (None, None, None, false);
        while let Some(key) = entries.next_key()? {
            match key {
                Key::Id if id.is_none() => id = Some(entries.next_value::<&RawValue>()?.get()),
                Key::Method if method.is_none() => method = Some(entries.next_value()?),
                Key::Params if params.is_none() => params = Some(entries.next_value()?),
                Key::Outcome => {
                    is_reply = true;
                    entries.next_value::<IgnoredAny>()?;
                }
                _ => {
                    entries.next_value::<IgnoredAny>()?;
                }
            }
        }
        let method = method.unwrap_or_default();
        Ok(Object(Some(Envelope { id, method, params: params.unwrap_or_default(), is_reply })))
    }
}

impl<'de> Deserialize<'de> for Params<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Params<'de>, D::Error> {
        deserializer.deserialize_any(ParamsVisitor)
    }
}

struct ParamsVisitor;

impl ParamsVisitor {
    fn not_list<'de>() -> Params<'de> {
        Params { is_not_list: true, ..Params::default() }
    }
}

impl<'de> Visitor<'de> for ParamsVisitor {
    type Value = Params<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    nothing!(Self::not_list(), visit_bool: bool, visit_u64: u64, visit_i64: i64, visit_f64: f64, visit_str: &str);

    fn visit_unit<E>(self) -> Result<Params<'de>, E> {
        Ok(Params::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Params<'de>, A::Error> {
        let mut params = Params::default();
        for item in &mut params.items {
            match list.next_element()? {
                Some(value) => *item = value,
                None => return Ok(params),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(params)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Params<'de>, A::Error> {
        while entries.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::not_list())
    }
}
