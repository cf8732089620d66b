//! The object `board`: what the system image for small boards sets up of the machine itself. The pool reads nothing of
//! it; it is in this file so that one file configures a board, and its mistakes are told like all others.

use std::fmt::Write;
use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Map, Value};

use super::json::{Mistakes, Object, one_or_more, text};
use super::{Config, ConfigErrors, json};

/// Most entries of each list.
const ENTRIES: usize = 8;
/// Longest label of a host name: RFC 1035.
const LABEL: usize = 63;
/// Longest host name, and longest line of a key.
const NAME: usize = 253;
const KEY: usize = 4_096;
/// What an OpenSSH public key begins with, of the kinds that dropbear knows.
const KEYS: [&str; 5] = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"];

/// Settings of the machine; what is absent is left to DHCP and the image.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Board {
    /// The board's name, which mDNS answers to under `.local`.
    pub hostname: Option<String>,
    /// A fixed address and the bits of its network; DHCP otherwise.
    pub address: Option<(Ipv4Addr, u8)>,
    /// The router of a fixed address.
    pub gateway: Option<Ipv4Addr>,
    /// Name servers.
    pub dns: Vec<IpAddr>,
    /// Time servers.
    pub ntp: Vec<String>,
    /// Public keys that may log in as root; without one no SSH server runs.
    pub ssh_keys: Vec<String>,
}

/// Reads the object.
pub(super) fn board(object: &mut Object<'_>) -> Option<Board> {
    let hostname = object.optional("hostname", |value| label(text(value)?));
    let address = object.optional("address", |value| network(text(value)?));
    let gateway = object.optional("gateway", |value| ipv4(text(value)?));
    let dns = object.or("dns", Vec::new(), one_or_more(1..=ENTRIES, ip));
    let ntp = object.or("ntp", Vec::new(), one_or_more(1..=ENTRIES, host));
    let ssh_keys = object.or("ssh_keys", Vec::new(), one_or_more(1..=ENTRIES, ssh_key));
    let (address, gateway) = (address?, gateway?);
    if gateway.is_some() && address.is_none() {
        object.wrong("gateway", "is of no use without address; give both, or neither for DHCP");
    }
    if let (Some(network), Some(gateway)) = (address, gateway)
        && !same_network(network, gateway)
    {
        let ((own, bits), gateway) = (network, gateway);
        object.wrong("gateway", format!("{gateway} is not within {own}/{bits}; check both"));
    }
    Some(Board { hostname: hostname?, address, gateway, dns: dns?, ntp: ntp?, ssh_keys: ssh_keys? })
}

/// What a board's start-up scripts need of a configuration, as `name=value` lines; and every mistake of the whole file.
/// A mistake elsewhere does not hide the board's own settings: the page that shows the mistake must be reachable.
pub fn settings(text: &str, file: &str) -> (String, Result<(), ConfigErrors>) {
    let mut out = String::new();
    if let Ok(map) = json::document(text) {
        write_board(&mut out, &alone(&map));
    }
    let whole = super::parse(text, file);
    if let Ok(config) = &whole {
        write_pool(&mut out, config);
    }
    (out, whole.map(|_| ()))
}

/// The board's settings whatever else is wrong; none where they are wrong themselves.
fn alone(document: &Map<String, Value>) -> Board {
    let Some(Value::Object(map)) = document.get("board") else { return Board::default() };
    let mistakes = Mistakes::default();
    let read = Object::new("board", map, &mistakes).read(board);
    read.filter(|_| mistakes.into_inner().is_empty()).unwrap_or_default()
}

fn write_board(out: &mut String, board: &Board) {
    let mut line = |name: &str, value: String| {
        writeln!(out, "{name}={value}").expect("a String takes everything");
    };
    if let Some(hostname) = &board.hostname {
        line("hostname", hostname.clone());
    }
    if let Some((address, bits)) = board.address {
        line("address", format!("{address}/{bits}"));
    }
    if let Some(gateway) = board.gateway {
        line("gateway", gateway.to_string());
    }
    board.dns.iter().for_each(|server| line("dns", server.to_string()));
    board.ntp.iter().for_each(|server| line("ntp", server.clone()));
    board.ssh_keys.iter().for_each(|key| line("ssh_key", key.clone()));
}

fn write_pool(out: &mut String, config: &Config) {
    let mut rpc = *config.rpc_listen.first().expect("one address at least");
    if rpc.ip().is_unspecified() {
        rpc.set_ip(if rpc.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { std::net::Ipv6Addr::LOCALHOST.into() });
    }
    writeln!(out, "rpc=http://{rpc}").expect("a String takes everything");
    writeln!(out, "data_dir={}", config.data_dir.display()).expect("a String takes everything");
    writeln!(out, "admin_token_file={}", config.admin_token_file.display()).expect("a String takes everything");
}

fn label(text: &str) -> Result<String, String> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let edge = text.starts_with('-') || text.ends_with('-');
    if text.is_empty() || text.len() > LABEL || edge || !text.bytes().all(fits) {
        return Err(format!("\"{text}\" is not a host name; use up to {LABEL} of a-z, 0-9 and -, without .local"));
    }
    Ok(text.into())
}

fn host(text: &str) -> Result<String, String> {
    let is_name = text.len() <= NAME && text.split('.').all(|part| label(part).is_ok());
    if !is_name && text.parse::<IpAddr>().is_err() {
        return Err(format!("\"{text}\" is neither a host name nor an IP address"));
    }
    Ok(text.into())
}

fn ip(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|_| format!("\"{text}\" is not an IP address; write 192.168.1.1"))
}

fn ipv4(text: &str) -> Result<Ipv4Addr, String> {
    text.parse().map_err(|_| format!("\"{text}\" is not an IPv4 address; write 192.168.1.1"))
}

fn network(text: &str) -> Result<(Ipv4Addr, u8), String> {
    let parts = text.split_once('/').and_then(|(address, bits)| Some((address.parse().ok()?, bits.parse().ok()?)));
    parts
        .filter(|(_, bits)| (1..=30).contains(bits))
        .ok_or_else(|| format!("\"{text}\" is not an address with the bits of its network; write 192.168.1.50/24"))
}

fn same_network((own, bits): (Ipv4Addr, u8), other: Ipv4Addr) -> bool {
    (own.to_bits() ^ other.to_bits()) >> (32 - bits) == 0
}

fn ssh_key(text: &str) -> Result<String, String> {
    let mut words = text.split(' ');
    let known = words.next().is_some_and(|first| KEYS.contains(&first));
    let body = words.next().is_some_and(|body| {
        body.len() >= 32 && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte))
    });
    if !known || !body || text.len() > KEY || !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return Err(format!("is not a line of an OpenSSH public key; it begins with one of {}", KEYS.join(", ")));
    }
    Ok(text.into())
}

/// What `check` prints of it.
pub(super) fn summary(board: &Board) -> String {
    let mut parts = Vec::new();
    let mut part = |name: &str, value: String| parts.push(format!("{name} {value}"));
    if let Some(hostname) = &board.hostname {
        part("hostname", hostname.clone());
    }
    match (board.address, board.gateway) {
        (Some((address, bits)), Some(gateway)) => part("address", format!("{address}/{bits}, gateway {gateway}")),
        (Some((address, bits)), None) => part("address", format!("{address}/{bits}")),
        (None, _) => part("address", "by DHCP".into()),
    }
    if !board.ssh_keys.is_empty() {
        part("ssh_keys", board.ssh_keys.len().to_string());
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::limits;
    use serde_json::json;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEMAkmyv7s3G4i0oZkq3q6Wm8lq1d9mVQe8M0h1n0uJx farm";

    fn mistakes(board: Value) -> Vec<String> {
        let text = json!({ "board": board }).to_string();
        let (_, result) = settings(&text, "edgepool.json");
        result.unwrap_err().0.into_iter().filter(|mistake| mistake.starts_with("board")).collect()
    }

    #[test]
    fn the_boards_settings_are_given_whatever_is_wrong_with_the_pools() {
        let board = json!({
            "hostname": "barn", "address": "10.1.2.3/16", "gateway": "10.1.0.1", "dns": ["9.9.9.9", "fe80::1"],
            "ntp": "10.1.0.1", "ssh_keys": KEY
        });
        let (out, result) = settings(&json!({ "board": board, "pools": [] }).to_string(), "edgepool.json");
        let expected = format!(
            "hostname=barn\naddress=10.1.2.3/16\ngateway=10.1.0.1\ndns=9.9.9.9\ndns=fe80::1\nntp=10.1.0.1\nssh_key={KEY}\n"
        );
        assert_eq!(out, expected);
        assert_eq!(result.unwrap_err().0, [format!("pools: must be a list of 1 to {}, not of 0", limits::POOLS)]);
    }

    #[test]
    fn settings_that_are_wrong_or_no_json_give_none_and_say_why() {
        let (out, result) = settings("{", "edgepool.json");
        assert_eq!(out, "");
        assert!(result.unwrap_err().0[0].starts_with("edgepool.json: is not valid JSON"));
        let (out, _) = settings(&json!({ "board": { "address": "10.1.2.3" } }).to_string(), "edgepool.json");
        assert_eq!(out, "");
    }

    #[test]
    fn each_mistake_is_told_with_its_path() {
        let cases = [
            (json!({ "hostname": "edge.pool" }), "board.hostname: \"edge.pool\" is not a host name"),
            (json!({ "hostname": "-a" }), "board.hostname: "),
            (json!({ "address": "10.0.0.1" }), "board.address: \"10.0.0.1\" is not an address with the bits"),
            (json!({ "address": "10.0.0.1/32" }), "board.address: "),
            (json!({ "gateway": "10.0.0.1" }), "board.gateway: is of no use without address"),
            (json!({ "address": "10.0.0.2/24", "gateway": "10.0.1.1" }), "board.gateway: 10.0.1.1 is not within"),
            (json!({ "dns": ["one"] }), "board.dns: \"one\" is not an IP address"),
            (json!({ "ntp": ["a b"] }), "board.ntp: \"a b\" is neither"),
            (json!({ "ssh_keys": "rm -rf /" }), "board.ssh_keys: is not a line"),
            (json!({ "ssh_keys": format!("{KEY}\n{KEY}") }), "board.ssh_keys: is not a line"),
            (json!({ "host": "a" }), "board.host: unknown key"),
        ];
        for (board, expected) in cases {
            let found = mistakes(board.clone());
            assert!(found.len() == 1 && found[0].starts_with(expected), "{board}: {found:?}");
        }
    }
}
