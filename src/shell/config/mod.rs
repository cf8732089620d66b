//! The configuration: one JSON file, read strictly into values that need no more checking. It opens no
//! socket and no file but itself; secrets are only noted here, and read by [`crate::shell::secrets`].

pub mod board;
mod chain;
pub mod check;
mod json;
mod merge;
mod node;
mod payments;
mod ports;
#[cfg(test)]
mod tests;

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::base::amount::AmountError;
use crate::base::limits;
use crate::base::time::{HOUR, MINUTE, SECOND};
use crate::coin::difficulty::Difficulty;
use crate::pool::spec::{GuardSpec, PoolSpec, PortSpec, StratumSpec, VardiffSpec};
use crate::shell::nearest::nearest;
use crate::shell::secrets::Secret;
use board::Board;
use chain::chain;
use json::{Mistakes, Object, boolean, integer, kind, one_or_more, size, text};
use ports::ports;

/// Where the configuration is when the command line doesn't say.
pub const DEFAULT_PATH: &str = "/etc/edgepool/edgepool.json";

/// Every default, as it would stand in the file.
pub(super) mod default {
    pub const DATA_DIR: &str = "/var/lib/edgepool";
    pub const RPC_LISTEN: &str = "0.0.0.0:8080";
    pub const ADMIN_TOKEN: &str = "admin.token";
    pub const COMMIT_MS: u64 = 250;
    pub const MAP_MIB: usize = 512;
    pub const NETWORK: &str = "mainnet";
    pub const STRATUM_LISTEN: &str = "0.0.0.0:3333";
    pub const CONNECTIONS: usize = 4_096;
    pub const IDLE_TIMEOUT_S: u64 = 600;
    pub const EXTRANONCE2: usize = 4;
    pub const REQUESTS_PER_S: u64 = 1_000;
    pub const BAN_MINUTES: u64 = 10;
    pub const DIFFICULTY_START: f64 = 64.0;
    pub const DIFFICULTY_MIN: f64 = 0.0001;
    pub const DIFFICULTY_MAX: f64 = 1e11;
    pub const TARGET_SHARE_S: u64 = 15;
    pub const FEE_PERCENT: &str = "1.0";
    pub const MIN_PAYOUT: &str = "0.001";
    pub const MAX_OUTPUTS: usize = 10;
    pub const WINDOW_HOURS: u64 = 24;
    pub const MAX_MINERS: usize = 1_024;
    pub const COINBASE_TAG: &str = "/edgepool/";
}

/// A whole, valid configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the ledger is.
    pub data_dir: PathBuf,
    /// Where JSON-RPC, metrics and the status page are served.
    pub rpc_listen: Vec<SocketAddr>,
    /// The file of the token that admits to what changes anything.
    pub admin_token_file: PathBuf,
    /// Milliseconds between commits of the ledger.
    pub commit_ms: u64,
    /// Largest size of the ledger, in MiB.
    pub map_mib: usize,
    /// At least one pool; their names differ.
    pub pools: Vec<PoolConfig>,
    /// For the system image; the daemon itself does nothing with it.
    pub board: Option<Board>,
}

/// One pool, and what its core must not know.
#[derive(Clone, Debug)]
pub struct PoolConfig {
    /// What the pool does.
    pub spec: PoolSpec,
    /// Where its miners connect.
    pub listen: Vec<SocketAddr>,
    /// How to log in at each node: by chain, then by node, as in `spec.chains`.
    pub secrets: Vec<Vec<Secret>>,
    /// How to log in at each chain's wallet, where it pays from one.
    pub wallet_secrets: Vec<Option<Secret>>,
}

/// Everything that is wrong with a configuration, in the order of the reading.
#[derive(Debug, PartialEq, Eq)]
pub struct ConfigErrors(pub Vec<String>);

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join("\n"))
    }
}

impl std::error::Error for ConfigErrors {}

/// Reads the file at `path`.
pub fn read(path: &Path) -> Result<Config, ConfigErrors> {
    parse(&file_text(path)?, &path.display().to_string())
}

/// The text of the file at `path`.
pub fn file_text(path: &Path) -> Result<String, ConfigErrors> {
    fs::read_to_string(path).map_err(|error| {
        let advice = match error.kind() {
            ErrorKind::PermissionDenied => "read it as root (sudo), or name another file with --config",
            _ => "name another file with --config",
        };
        ConfigErrors(vec![format!("{}: can't be read: {error}; {advice}", path.display())])
    })
}

/// Reads a configuration from its text; `file` is what messages call it.
pub fn parse(text: &str, file: &str) -> Result<Config, ConfigErrors> {
    let map = json::document(text).map_err(|what| ConfigErrors(vec![format!("{file}: {what}")]))?;
    let mistakes = Mistakes::default();
    let config = Object::new("", &map, &mistakes).read(config);
    match (config, mistakes.into_inner()) {
        (Some(config), list) if list.is_empty() => Ok(config),
        (_, list) => Err(ConfigErrors(list)),
    }
}

fn config(root: &mut Object<'_>) -> Option<Config> {
    let data_dir = root.or("data_dir", PathBuf::from(default::DATA_DIR), file);
    let mut seen = Seen::default();
    let rpc = root.section("rpc", |rpc| {
        let listen = rpc.or("listen", vec![valid(default::RPC_LISTEN.parse())], listeners);
        if let Some(listen) = &listen {
            seen.claim(rpc, listen.iter().copied());
        }
        let token = rpc.optional("admin_token_file", file);
        Some((listen?, token?))
    });
    let ledger = root.section("ledger", |ledger| {
        let commit_ms = ledger.or("commit_ms", default::COMMIT_MS, integer(limits::COMMIT_MS));
        let map_mib = ledger.or("map_mib", default::MAP_MIB, map_mib);
        Some((commit_ms?, map_mib?))
    });
    // Mistakes in the pools are worth telling also when the ledger's part has some.
    let commit_ms = ledger.map_or(default::COMMIT_MS, |(commit_ms, _)| commit_ms);
    let pools = root.list("pools", 1..=limits::POOLS, |object| pool(object, commit_ms, &mut seen));
    let board = root.optional_section("board", board::board);
    let (data_dir, (rpc_listen, token), (commit_ms, map_mib)) = (data_dir?, rpc?, ledger?);
    let admin_token_file = token.unwrap_or_else(|| data_dir.join(default::ADMIN_TOKEN));
    Some(Config { data_dir, rpc_listen, admin_token_file, commit_ms, map_mib, pools: pools?, board: board? })
}

fn pool(object: &mut Object<'_>, commit_ms: u64, seen: &mut Seen) -> Option<PoolConfig> {
    let parent = chain(object, Some(default::NETWORK), &mut seen.pools, |payout| {
        let window = payout.or("window_hours", default::WINDOW_HOURS, integer(limits::WINDOW_HOURS));
        let max_miners = payout.or("max_miners", default::MAX_MINERS, size(1..=limits::MINERS));
        Some((window?, max_miners?))
    });
    let stratum = object.section("stratum", |stratum| {
        let listen = stratum.or("listen", vec![(valid(default::STRATUM_LISTEN.parse()), PortSpec::default())], ports);
        if let Some(listen) = &listen {
            seen.claim(stratum, listen.iter().map(|(address, _)| *address));
        }
        let max_connections = stratum.or("max_connections", default::CONNECTIONS, size(1..=limits::CONNECTIONS));
        let idle_s = stratum.or("idle_timeout_s", default::IDLE_TIMEOUT_S, integer(limits::IDLE_TIMEOUT_S));
        let extranonce2 = size(limits::EXTRANONCE2_MIN..=limits::EXTRANONCE2_MAX);
        let extranonce2_len = stratum.or("extranonce2_size", default::EXTRANONCE2, extranonce2);
        let guard = guard(stratum, max_connections);
        // Only now: a key that was not asked for yet would be taken for an unknown one.
        let idle_timeout_ms = idle_s? * SECOND;
        let (listen, ports) = listen?.into_iter().unzip();
        let spec = StratumSpec {
            ports,
            max_connections: max_connections?,
            idle_timeout_ms,
            extranonce2_len: extranonce2_len?,
            guard: guard?,
        };
        Some((listen, spec))
    });
    let vardiff = object.section("vardiff", vardiff);
    let network = parent.network.map(|network| network.name);
    let mut chain_names: Vec<String> = parent.name.iter().cloned().collect();
    if let Some(coin) = parent.coin.filter(|coin| !coin.is_mined_alone()) {
        let what = format!("{} is mined together with another coin only; put it into \"merge\" of that one", coin.name);
        object.wrong("coin", what);
    }
    let mut merged = Vec::new();
    let children = object.list("merge", 0..=limits::CHAINS - 1, |object| {
        let child = chain(object, network, &mut chain_names, |_| Some(()));
        let mine = object.or("mine", true, boolean);
        merge::check(object, (parent.coin, parent.network), (child.coin, child.network), &mut merged);
        child.whole.zip(mine).map(|(mut child, mine)| {
            child.spec.mine = mine;
            child
        })
    });
    let (parent, (listen, stratum), vardiff) = (parent.whole?, stratum?, vardiff?);
    let (window_hours, max_miners) = parent.more;
    let mut chains = vec![parent.spec];
    let (mut secrets, mut wallet_secrets) = (vec![parent.secrets], vec![parent.wallet_secret]);
    for child in children? {
        chains.push(child.spec);
        secrets.push(child.secrets);
        wallet_secrets.push(child.wallet_secret);
    }
    let window_ms = window_hours * HOUR;
    let name = chains[0].name.clone();
    let spec = PoolSpec { name, chains, stratum, vardiff, window_ms, max_miners, commit_ms };
    Some(PoolConfig { spec, listen, secrets, wallet_secrets })
}

/// What one address and one connection may do; `most` connections are allowed altogether.
fn guard(stratum: &mut Object<'_>, most: Option<usize>) -> Option<GuardSpec> {
    let most = most.unwrap_or(limits::CONNECTIONS);
    let max_per_address = stratum.or("max_per_address", most, size(1..=limits::CONNECTIONS));
    let requests = stratum.or("max_requests_per_second", default::REQUESTS_PER_S, integer(limits::REQUESTS_PER_S));
    let ban_minutes = stratum.or("ban_minutes", default::BAN_MINUTES, integer(limits::BAN_MINUTES));
    Some(GuardSpec {
        max_per_address: max_per_address?,
        max_requests_per_second: requests? as u32,
        ban_ms: ban_minutes? * MINUTE,
    })
}

fn vardiff(object: &mut Object<'_>) -> Option<VardiffSpec> {
    let start = object.or("start", default::DIFFICULTY_START, number);
    let min = object.or("min", default::DIFFICULTY_MIN, number);
    let max = object.or("max", default::DIFFICULTY_MAX, number);
    let share_s = object.or("target_share_s", default::TARGET_SHARE_S, integer(limits::TARGET_SHARE_S));
    let exact = |key, value: Option<f64>| {
        let difficulty = Difficulty::from_f64(value?);
        if difficulty.is_none() {
            object.wrong(key, "must be a difficulty above 0 that fits its range; 64 suits a small miner");
        }
        difficulty
    };
    let (start, min, max) = (exact("start", start), exact("min", min), exact("max", max));
    let (start, min, max) = (start?, min?, max?);
    if min > max {
        object.wrong("min", format!("is {min}, above max, {max}; swap them"));
    } else if start < min || start > max {
        object.wrong("start", format!("is {start}; choose one between min, {min}, and max, {max}"));
    }
    Some(VardiffSpec { start, min, max, target_share_ms: share_s? * SECOND })
}

/// What must not come twice, as far as the reading has come.
#[derive(Default)]
struct Seen {
    pools: Vec<String>,
    sockets: Vec<(String, SocketAddr)>,
}

impl Seen {
    /// Notes the addresses of an object's `listen`. Two listeners on one port would stop the second one from
    /// starting.
    fn claim(&mut self, object: &Object<'_>, listen: impl Iterator<Item = SocketAddr>) {
        for address in listen {
            match self.sockets.iter().find(|(_, earlier)| collide(*earlier, address)) {
                Some((other, taken)) => {
                    object.wrong("listen", format!("{address} is taken by {taken} of {other}; choose another port"));
                }
                None => self.sockets.push((object.path("listen"), address)),
            }
        }
    }
}

/// Whether one socket keeps the other from being bound. Port 0 is any free port, and an IPv6 wildcard
/// takes the IPv4 addresses too.
fn collide(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = |wide: IpAddr, narrow: IpAddr| wide.is_unspecified() && (wide.is_ipv6() || narrow.is_ipv4());
    let (a, b) = (one.ip(), other.ip());
    one.port() != 0 && one.port() == other.port() && (a == b || covers(a, b) || covers(b, a))
}

fn map_mib(value: &Value) -> Result<usize, String> {
    let reason = if cfg!(target_pointer_width = "32") { "; more needs a 64-bit system" } else { "" };
    size(limits::MAP_MIB_MIN..=limits::MAP_MIB_MAX)(value).map_err(|what| what + reason)
}

fn file(value: &Value) -> Result<PathBuf, String> {
    match text(value)? {
        "" => Err("is empty; give a path".into()),
        path => Ok(path.into()),
    }
}

fn listeners(value: &Value) -> Result<Vec<SocketAddr>, String> {
    one_or_more(1..=limits::LISTENERS, socket)(value)
}

fn socket(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("\"{text}\" is not an IP address and port; write 0.0.0.0:3333 or [::]:3333"))
}

/// A default that was read from the text that would be in the file.
fn valid<T, E: fmt::Debug>(default: Result<T, E>) -> T {
    default.expect("every default is valid, or not one configuration could be read")
}

fn unknown<'a>(name: &str, what: &str, candidates: impl Iterator<Item = &'a str> + Clone) -> String {
    match nearest(name, candidates.clone()) {
        Some(meant) => format!("\"{name}\" is not {what}; did you mean \"{meant}\"?"),
        None => format!("\"{name}\" is not {what}; choose from {}", candidates.collect::<Vec<_>>().join(", ")),
    }
}

fn number(value: &Value) -> Result<f64, String> {
    value.as_f64().ok_or_else(|| format!("must be a number without quotes, not {}", kind(value)))
}

/// An exact number, which JSON's own can't be trusted to stay.
fn decimal<T>(parse: impl Fn(&str) -> Result<T, AmountError>) -> impl Fn(&Value) -> Result<T, String> {
    move |value| match value {
        Value::String(text) => parse(text).map_err(|error| format!("\"{text}\" {error}")),
        Value::Number(number) => Err(format!("must be a decimal string; write \"{number}\" in quotes")),
        other => Err(format!("must be a decimal string such as \"0.001\", not {}", kind(other))),
    }
}
