//! Reading a JSON document strictly: every mistake is collected with its path, none stops the reading.
//! Knows JSON and messages, nothing of pools.

use std::cell::RefCell;
use std::fmt;
use std::ops::RangeInclusive;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::shell::nearest::nearest;

/// Mistakes found so far, each `path: what is wrong; what to do`.
#[derive(Debug, Default)]
pub(super) struct Mistakes(RefCell<Vec<String>>);

impl Mistakes {
    pub(super) fn add(&self, path: &str, what: impl fmt::Display) {
        self.0.borrow_mut().push(format!("{path}: {what}"));
    }

    pub(super) fn into_inner(self) -> Vec<String> {
        self.0.into_inner()
    }
}

/// Reads `text` as one JSON object; the error names line and column.
pub(super) fn document(text: &str) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(text) {
        Ok(Strict(Value::Object(map))) => Ok(map),
        Ok(Strict(other)) => Err(format!("must be a JSON object in braces, not {}", kind(&other))),
        Err(error) => Err(format!("is not valid JSON: {error}")),
    }
}

/// One object of the document. Each key is asked for once; [`Object::read`] then knows the strangers.
pub(super) struct Object<'a> {
    path: String,
    map: &'a Map<String, Value>,
    known: Vec<&'static str>,
    mistakes: &'a Mistakes,
}

impl<'a> Object<'a> {
    pub(super) fn new(path: &str, map: &'a Map<String, Value>, mistakes: &'a Mistakes) -> Object<'a> {
        Object { path: path.into(), map, known: Vec::new(), mistakes }
    }

    /// The path of a key, as messages show it.
    pub(super) fn path(&self, key: &str) -> String {
        if self.path.is_empty() { key.into() } else { format!("{}.{key}", self.path) }
    }

    /// Notes a mistake about the value of `key`.
    pub(super) fn wrong(&self, key: &str, what: impl fmt::Display) {
        self.mistakes.add(&self.path(key), what);
    }

    /// Reads a key that may be absent. As everywhere here, `None` follows a mistake that was noted.
    pub(super) fn optional<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&'a Value) -> Result<T, String>,
    ) -> Option<Option<T>> {
        self.known.push(key);
        let read = self.map.get(key).map(read).transpose();
        read.map_err(|what| self.wrong(key, what)).ok()
    }

    /// Reads a key that must be there.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&'a Value) -> Result<T, String>,
    ) -> Option<T> {
        let value = self.optional(key, read)?;
        if value.is_none() {
            self.wrong(key, "is missing; add it");
        }
        value
    }

    /// Reads a key, which means `default` when it is absent.
    pub(super) fn or<T>(
        &mut self,
        key: &'static str,
        default: T,
        read: impl FnOnce(&'a Value) -> Result<T, String>,
    ) -> Option<T> {
        Some(self.optional(key, read)?.unwrap_or(default))
    }

    /// The object under a key; an empty one when it is absent.
    pub(super) fn section<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Object<'a>) -> Option<T>,
    ) -> Option<T> {
        static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
        let map = self.or(key, &*EMPTY, object)?;
        Object::new(&self.path(key), map, self.mistakes).read(read)
    }

    /// The object under a key that may be absent.
    pub(super) fn optional_section<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&mut Object<'a>) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.optional(key, object)? {
            None => Some(None),
            Some(map) => Object::new(&self.path(key), map, self.mistakes).read(read).map(Some),
        }
    }

    /// The objects of the list under a key; it must be there unless `bounds` admit an empty one. All are
    /// read, also after a mistake in one of them.
    pub(super) fn list<T>(
        &mut self,
        key: &'static str,
        bounds: RangeInclusive<usize>,
        mut read: impl FnMut(&mut Object<'a>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let read_list = |value: &'a Value| match value {
            Value::Array(list) if bounds.contains(&list.len()) => Ok(&list[..]),
            Value::Array(list) => Err(wrong_length(list, &bounds)),
            other => Err(format!("must be a list of objects in brackets, not {}", kind(other))),
        };
        let list = match bounds.start() {
            0 => self.or(key, &[][..], read_list),
            _ => self.required(key, read_list),
        }?;
        let read_one = |(place, value): (usize, &'a Value)| {
            let path = format!("{}[{place}]", self.path(key));
            match object(value) {
                Ok(map) => Object::new(&path, map, self.mistakes).read(&mut read),
                Err(what) => {
                    self.mistakes.add(&path, what);
                    None
                }
            }
        };
        let all: Vec<Option<T>> = list.iter().enumerate().map(read_one).collect();
        all.into_iter().collect()
    }

    /// Reads the whole object, and notes every key that was not asked for.
    pub(super) fn read<T>(mut self, read: impl FnOnce(&mut Object<'a>) -> Option<T>) -> Option<T> {
        let value = read(&mut self);
        for key in self.map.keys().filter(|key| !self.known.contains(&key.as_str())) {
            match nearest(key, self.known.iter().copied()) {
                Some(meant) => self.wrong(key, format!("unknown key; did you mean \"{meant}\"?")),
                None => self.wrong(key, format!("unknown key; known here are {}", self.known.join(", "))),
            }
        }
        value
    }
}

/// A string.
pub(super) fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| format!("must be a string in quotes, not {}", kind(value)))
}

/// `true` or `false`.
pub(super) fn boolean(value: &Value) -> Result<bool, String> {
    value.as_bool().ok_or_else(|| format!("must be true or false, not {}", kind(value)))
}

/// A whole number within bounds.
pub(super) fn integer(bounds: RangeInclusive<u64>) -> impl Fn(&Value) -> Result<u64, String> {
    move |value| match value {
        Value::Number(number) => match number.as_u64() {
            Some(integer) if bounds.contains(&integer) => Ok(integer),
            _ => Err(format!("must be a whole number from {} to {}, not {number}", bounds.start(), bounds.end())),
        },
        other => Err(format!("must be a number without quotes, not {}", kind(other))),
    }
}

/// As [`integer`] for sizes and counts.
pub(super) fn size(bounds: RangeInclusive<usize>) -> impl Fn(&Value) -> Result<usize, String> {
    let read = integer(to_u64(&bounds));
    move |value| Ok(usize::try_from(read(value)?).expect("the bounds are sizes"))
}

/// Strings that are read one by one: a list, or a single one without brackets.
pub(super) fn one_or_more<T>(
    bounds: RangeInclusive<usize>,
    read: impl Fn(&str) -> Result<T, String>,
) -> impl Fn(&Value) -> Result<Vec<T>, String> {
    move |value| match value {
        Value::String(one) => Ok(vec![read(one)?]),
        Value::Array(list) if bounds.contains(&list.len()) => list.iter().map(|item| read(text(item)?)).collect(),
        Value::Array(list) => Err(wrong_length(list, &bounds)),
        other => Err(format!("must be a string or a list of strings, not {}", kind(other))),
    }
}

fn object(value: &Value) -> Result<&Map<String, Value>, String> {
    value.as_object().ok_or_else(|| format!("must be an object in braces, not {}", kind(value)))
}

fn to_u64(bounds: &RangeInclusive<usize>) -> RangeInclusive<u64> {
    *bounds.start() as u64..=*bounds.end() as u64
}

fn wrong_length(list: &[Value], bounds: &RangeInclusive<usize>) -> String {
    format!("must be a list of {} to {}, not of {}", bounds.start(), bounds.end(), list.len())
}

/// A value's type for messages; never the value, which may be a secret in the wrong place.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// A [`Value`] in whose objects no key comes twice: serde_json alone takes the last without a word.
struct Strict(Value);

impl<'de> Deserialize<'de> for Strict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Strict, D::Error> {
        deserializer.deserialize_any(StrictVisitor).map(Strict)
    }
}

struct StrictVisitor;

impl<'de> Visitor<'de> for StrictVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Strict(item)) = items.next_element()? {
            list.push(item);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(de::Error::custom(format!("key \"{key}\" is there twice")));
            }
            let Strict(value) = entries.next_value()?;
            map.insert(key, value);
        }
        Ok(map.into())
    }
}
