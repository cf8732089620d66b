//! One entry of `nodes`: where a coin node is and how to log in. Never resolves or connects.

use std::path::PathBuf;

use serde_json::Value;

use super::file;
use super::json::{Object, text};
use crate::coin::params::Network;
use crate::pool::spec::NodeSpec;
use crate::shell::secrets::{Password, Secret};
use crate::shell::url::http_url;

/// Reads a node; its port is the network's own when the URL has none.
pub(super) fn node(object: &mut Object<'_>, network: Option<&'static Network>) -> Option<(NodeSpec, Secret)> {
    // Where the network is wrong, that is told already; the port is then never used.
    let default_port = network.map_or(0, |network| network.default_rpc_port);
    let spec = object.required("url", |value| http_url(text(value)?, default_port));
    let cookie = object.optional("cookie_file", file);
    let user = object.optional("user", user);
    let inline = object.optional("password", |value| text(value).map(str::to_string));
    let password_file = object.optional("password_file", file);
    let secret = match (cookie, user, inline, password_file) {
        (Some(cookie), Some(user), Some(inline), Some(password_file)) => {
            secret(cookie, user, inline, password_file).map_err(|(key, what)| object.wrong(key, what)).ok()
        }
        _ => None,
    };
    Some((spec?, secret?))
}

/// How to log in, or the key that is one too many or too few.
fn secret(
    cookie: Option<PathBuf>,
    user: Option<String>,
    inline: Option<String>,
    password_file: Option<PathBuf>,
) -> Result<Secret, (&'static str, &'static str)> {
    let password = match (inline, password_file) {
        (Some(_), Some(_)) => return Err(("password", "is there beside password_file; keep one of them")),
        (Some(inline), None) => Some(Password::Inline(inline)),
        (None, password_file) => password_file.map(Password::File),
    };
    match (cookie, user, password) {
        (None, None, None) => Ok(Secret::None),
        (Some(cookie), None, None) => Ok(Secret::Cookie(cookie)),
        (None, Some(user), Some(password)) => Ok(Secret::Password { user, password }),
        (None, Some(_), None) => Err(("user", "has no password; add password_file or password")),
        (None, None, Some(_)) => Err(("user", "is missing beside the password; add it")),
        (Some(_), ..) => Err(("cookie_file", "is there beside user or password; keep one way to log in")),
    }
}

fn user(value: &Value) -> Result<String, String> {
    match text(value)? {
        "" => Err("is empty; give the node's rpcuser, or use cookie_file".into()),
        user if user.contains(':') => Err("holds a colon; put the password under password_file".into()),
        user => Ok(user.into()),
    }
}
