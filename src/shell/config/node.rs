//! One entry of `nodes`: where a coin node is and how to log in. Never resolves or connects.

use serde_json::Value;

use super::file;
use super::json::{Object, text};
use crate::coin::params::Network;
use crate::pool::spec::NodeSpec;
use crate::shell::secrets::{Password, Secret};

/// Reads a node; its port is the network's own when the URL has none.
pub(super) fn node(object: &mut Object<'_>, network: Option<&'static Network>) -> Option<(NodeSpec, Secret)> {
    // Where the network is wrong, that is told already; the port is then never used.
    let default_port = network.map_or(0, |network| network.default_rpc_port);
    let spec = object.required("url", |value| url(text(value)?, default_port));
    let cookie = object.optional("cookie_file", file);
    let user = object.optional("user", user);
    let inline = object.optional("password", |value| text(value).map(str::to_string));
    let password_file = object.optional("password_file", file);
    let (spec, cookie, user) = (spec?, cookie?, user?);
    let password = match (inline?, password_file?) {
        (Some(_), Some(_)) => {
            object.wrong("password", "is there beside password_file; keep one of them");
            return None;
        }
        (Some(inline), None) => Some(Password::Inline(inline)),
        (None, password_file) => password_file.map(Password::File),
    };
    let secret = match (cookie, user, password) {
        (None, None, None) => Secret::None,
        (Some(cookie), None, None) => Secret::Cookie(cookie),
        (None, Some(user), Some(password)) => Secret::Password { user, password },
        (None, Some(_), None) => {
            object.wrong("user", "has no password; add password_file or password");
            return None;
        }
        (None, None, Some(_)) => {
            object.wrong("user", "is missing beside the password; add it");
            return None;
        }
        (Some(_), ..) => {
            object.wrong("cookie_file", "is there beside user or password; keep one way to log in");
            return None;
        }
    };
    Some((spec, secret))
}

fn user(value: &Value) -> Result<String, String> {
    match text(value)? {
        "" => Err("is empty; give the node's rpcuser, or use cookie_file".into()),
        user if user.contains(':') => Err("holds a colon; put the password under password_file".into()),
        user => Ok(user.into()),
    }
}

/// Takes `http://host[:port][/path]` apart. No message repeats the URL: it may hold a password.
fn url(url: &str, default_port: u16) -> Result<NodeSpec, String> {
    let Some((scheme, rest)) = url.split_once("://") else {
        return Err("is not a URL; write http://host:port".into());
    };
    if !scheme.eq_ignore_ascii_case("http") {
        return Err("must begin with http://; nodes speak nothing else, use a tunnel to a distant one".into());
    }
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, "/"),
    };
    if authority.contains('@') {
        return Err("holds a login; put it under user and password_file".into());
    }
    let visible = |part: &str| part.bytes().all(|byte| byte.is_ascii_graphic());
    if !visible(path) || path.contains(['?', '#']) {
        return Err("has a query or blanks; write http://host:port".into());
    }
    let (host, port) = split_port(authority);
    let port = match port {
        None => default_port,
        Some(port) => match port.parse() {
            Ok(port) if port != 0 => port,
            _ => return Err("has no valid port; use 1 to 65535".into()),
        },
    };
    if !is_host(host) {
        return Err("has no valid host; write http://host:port, and an IPv6 address in brackets".into());
    }
    let authority = format!("{host}:{port}");
    let shown = if path == "/" { "" } else { path };
    Ok(NodeSpec { url: format!("http://{authority}{shown}"), authority, path: path.into() })
}

/// The host, and what follows the colon after it. An IPv6 address has colons of its own, in brackets.
fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(|address| address.parse::<std::net::Ipv6Addr>().is_ok()),
        None => {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            !host.is_empty() && host.bytes().all(fits)
        }
    }
}
