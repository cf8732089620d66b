//! Parameters of a call: by position or by name, with `pool` and `chain` always by name.

use serde_json::{Map, Value};

use crate::wire::jsonrpc::{INVALID_PARAMS, RpcError};

/// What a call was given.
#[derive(Debug)]
pub struct Params {
    positional: Vec<Value>,
    named: Map<String, Value>,
}

impl Params {
    /// Reads an array, an object, or an array whose last element is an object of named ones.
    pub fn read(params: Value) -> Result<Params, RpcError> {
        match params {
            Value::Null => Ok(Params { positional: Vec::new(), named: Map::new() }),
            Value::Object(named) => Ok(Params { positional: Vec::new(), named }),
            Value::Array(mut positional) => {
                let named = match positional.pop_if(|last| last.is_object()) {
                    Some(Value::Object(named)) => named,
                    _ => Map::new(),
                };
                Ok(Params { positional, named })
            }
            _ => Err(invalid("params must be an array or an object")),
        }
    }

    /// Takes the parameter `name`, or the one at `index` among the positional.
    pub fn take(&mut self, index: usize, name: &str) -> Option<Value> {
        let positional = self.positional.get_mut(index).map(Value::take);
        self.named.remove(name).or(positional).filter(|value| !value.is_null())
    }

    /// As [`Params::take`], a text that must be there.
    pub fn text(&mut self, index: usize, name: &str) -> Result<String, RpcError> {
        self.optional_text(index, name)?.ok_or_else(|| invalid(&format!("{name} is missing")))
    }

    /// As [`Params::take`], a text.
    pub fn optional_text(&mut self, index: usize, name: &str) -> Result<Option<String>, RpcError> {
        match self.take(index, name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            // An amount typed without quotes on a command line: its digits as they were sent.
            Some(Value::Number(number)) => Ok(Some(number.to_string())),
            Some(_) => Err(invalid(&format!("{name} must be a string"))),
        }
    }

    /// As [`Params::take`], a count.
    pub fn optional_count(&mut self, index: usize, name: &str) -> Result<Option<usize>, RpcError> {
        match self.take(index, name) {
            None => Ok(None),
            Some(value) => value
                .as_u64()
                .and_then(|count| usize::try_from(count).ok())
                .map(Some)
                .ok_or_else(|| invalid(&format!("{name} must be a whole number from 0"))),
        }
    }

    /// Takes a parameter that is given by name only: whether to do so; `false` where it is left out.
    pub fn flag(&mut self, name: &str) -> Result<bool, RpcError> {
        match self.take(usize::MAX, name) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(invalid(&format!("{name} must be true or false"))),
        }
    }

    /// As [`Params::take`], a count at `index` and how many to skip after it. `usual` are given where no count is,
    /// `most` at most.
    pub fn page(&mut self, index: usize, usual: usize, most: usize) -> Result<Page, RpcError> {
        let count = self.optional_count(index, "count")?.unwrap_or(usual).min(most);
        let skip = self.optional_count(index + 1, "skip")?.unwrap_or(0);
        Ok(Page { count, skip })
    }

    /// Refuses what nobody took.
    pub fn finish(self, most: usize) -> Result<(), RpcError> {
        if self.positional.len() > most {
            return Err(invalid(&format!("at most {most} parameters are expected")));
        }
        match self.named.keys().next() {
            Some(name) => Err(invalid(&format!("there is no parameter {name}"))),
            None => Ok(()),
        }
    }
}

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Items at most.
    pub count: usize,
    /// Items of the list before them.
    pub skip: usize,
}

impl Page {
    /// Its items.
    pub fn of<I: Iterator>(self, list: I) -> impl Iterator<Item = I::Item> {
        list.skip(self.skip).take(self.count)
    }
}

/// A −32602 error with its reason.
pub fn invalid(reason: &str) -> RpcError {
    RpcError::new(INVALID_PARAMS, reason)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn parameters_come_by_position_by_name_or_both() {
        for given in [json!(["a", 5]), json!({"address": "a", "count": 5}), json!(["a", {"count": 5}])] {
            let mut params = Params::read(given.clone()).unwrap();
            assert_eq!(params.text(0, "address").unwrap(), "a", "{given}");
            assert_eq!(params.optional_count(1, "count").unwrap(), Some(5), "{given}");
            params.finish(2).unwrap();
        }
    }

    #[test]
    fn a_wrong_parameter_is_named() {
        let message = |error: RpcError| error.message;
        assert_eq!(message(Params::read(json!("x")).unwrap_err()), "params must be an array or an object");
        let mut params = Params::read(json!({"count": -1, "typo": 1})).unwrap();
        assert_eq!(message(params.text(0, "address").unwrap_err()), "address is missing");
        assert_eq!(message(params.optional_count(1, "count").unwrap_err()), "count must be a whole number from 0");
        assert_eq!(message(params.finish(2).unwrap_err()), "there is no parameter typo");
        let mut params = Params::read(json!({"yes": true, "perhaps": "true"})).unwrap();
        assert_eq!((params.flag("yes"), params.flag("no")), (Ok(true), Ok(false)));
        assert_eq!(message(params.flag("perhaps").unwrap_err()), "perhaps must be true or false");
        assert_eq!(
            message(Params::read(json!([1, 2])).unwrap().finish(1).unwrap_err()),
            "at most 1 parameters are expected"
        );
    }
}
