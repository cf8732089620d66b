//! The addresses of what is called over HTTP: coin nodes, and the pool's own status port. Never resolves a
//! name: that is done at each connection, since a node may move.

use std::net::Ipv6Addr;

use crate::pool::spec::NodeSpec;

/// Takes `http://host[:port][/path]` apart, and gives it back with its port. No message repeats the URL: it
/// may hold a password.
pub fn http_url(url: &str, default_port: u16) -> Result<NodeSpec, String> {
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
        Some(rest) => rest.strip_suffix(']').is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
            !host.is_empty() && host.bytes().all(fits)
        }
    }
}
