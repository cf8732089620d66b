//! What `edgepool check` prints of a valid configuration: every value in effect, also the defaults, under
//! the names of their keys. Secrets are named by where they are, never shown.

use std::fmt::{Display, Write};
use std::net::SocketAddr;

use super::payments::fee_from_name;
use super::{Config, PoolConfig, board};
use crate::base::amount::{format_amount, format_percent};
use crate::base::time::{HOUR, MINUTE, SECOND};
use crate::coin::address;
use crate::coin::params::{AuxPow, AuxWork};
use crate::pool::spec::{ChainSpec, GuardSpec, PaymentsSpec, PortSpec};
use crate::shell::secrets::{Password, Secret};

/// The summary, a line for each subject.
pub fn summary(config: &Config) -> String {
    let mut out = String::new();
    line(&mut out, "data_dir", config.data_dir.display());
    let token = config.admin_token_file.display();
    line(&mut out, "rpc", format!("listen {}, admin_token_file {token}", list(&config.rpc_listen)));
    line(&mut out, "ledger", format!("commit_ms {}, map_mib {}", config.commit_ms, config.map_mib));
    for pool in &config.pools {
        pool_summary(&mut out, pool);
    }
    if let Some(board) = &config.board {
        line(&mut out, "board", board::summary(board));
    }
    out
}

/// How the nodes and wallets are logged in at, each with the JSON path of its entry; a wallet that is the chain's first
/// node once.
pub fn logins(config: &Config) -> Vec<(String, &Secret)> {
    let mut all = Vec::new();
    for (place, pool) in config.pools.iter().enumerate() {
        for (chain, (secrets, wallet)) in pool.secrets.iter().zip(&pool.wallet_secrets).enumerate() {
            let path = match chain {
                0 => format!("pools[{place}]"),
                _ => format!("pools[{place}].merge[{}]", chain - 1),
            };
            all.extend(secrets.iter().enumerate().map(|(node, secret)| (format!("{path}.nodes[{node}]"), secret)));
            let own = wallet.as_ref().filter(|wallet| secrets.first() != Some(wallet));
            all.extend(own.map(|secret| (format!("{path}.payments.wallet"), secret)));
        }
    }
    all
}

fn pool_summary(out: &mut String, pool: &PoolConfig) {
    let spec = &pool.spec;
    line(out, "pool", &spec.name);
    let stratum = format!(
        "listen {}, max_connections {}, idle_timeout_s {}, extranonce2_size {}",
        ports(pool),
        spec.stratum.max_connections,
        spec.stratum.idle_timeout_ms / SECOND,
        spec.stratum.extranonce2_len
    );
    line(out, "  stratum", stratum);
    let GuardSpec { max_per_address, max_requests_per_second, ban_ms } = spec.stratum.guard;
    let guard = format!(
        "max_per_address {max_per_address}, max_requests_per_second {max_requests_per_second}, ban_minutes {}",
        ban_ms / MINUTE
    );
    line(out, "", guard);
    let vardiff = &spec.vardiff;
    let difficulties = format!("start {}, min {}, max {}", vardiff.start, vardiff.min, vardiff.max);
    line(out, "  vardiff", format!("{difficulties}, target_share_s {}", vardiff.target_share_ms / SECOND));
    line(out, "  window", format!("window_hours {}, max_miners {}", spec.window_ms / HOUR, spec.max_miners));
    let chains = spec.chains.iter().zip(&pool.secrets).zip(&pool.wallet_secrets);
    for (index, ((chain, secrets), wallet_secret)) in chains.enumerate() {
        chain_summary(out, chain, chain.coin.auxpow.filter(|_| index > 0), secrets);
        payments_summary(out, chain.payments.as_ref().zip(wallet_secret.as_ref()));
    }
}

/// Where rigs connect, with the size of coinbase that a port has of its own.
fn ports(pool: &PoolConfig) -> String {
    let port = |(address, port): (&SocketAddr, &PortSpec)| match port.class {
        Some(class) => format!("{address} (coinbase_bytes {class})"),
        None => address.to_string(),
    };
    list(&pool.listen.iter().zip(&pool.spec.stratum.ports).map(port).collect::<Vec<String>>())
}

/// A chain of a pool; one that is merge-mined with how it is.
fn chain_summary(out: &mut String, chain: &ChainSpec, merged: Option<AuxPow>, secrets: &[Secret]) {
    let what = format!("{}: {} {}", chain.name, chain.coin.name, chain.network.name);
    let is_node_block = merged.is_some_and(|merged| merged.work == AuxWork::NodeBlock);
    match merged {
        None => line(out, "  chain", what),
        Some(AuxPow { chain_id, .. }) => {
            let mined = if chain.mine { "" } else { ", not mined (mine false)" };
            line(out, "  merged", format!("{what}, chain id {chain_id}{mined}"));
            let how = if is_node_block { "wallet: its node's blocks pay the pool alone" } else { "own coinbase" };
            line(out, "", format!("miners are paid by its {how}"));
        }
    }
    for (node, secret) in chain.nodes.iter().zip(secrets) {
        line(out, "    node", format!("{}, {}", node.url, login(secret)));
    }
    let terms = &chain.terms;
    let address = address::encode(&terms.pool_script, chain.coin, chain.network);
    line(out, "    payout", address.expect("the script came from an address of this chain"));
    let (fee, least) = (format_percent(terms.fee_ppm), format_amount(terms.min_payout));
    if is_node_block {
        return line(out, "", format!("fee_percent {fee}"));
    }
    line(out, "", format!("fee_percent {fee}, min_payout {least}, max_outputs {}", terms.max_outputs));
    line(out, "", format!("coinbase_tag \"{}\"", String::from_utf8_lossy(&chain.coinbase_tag)));
}

fn payments_summary(out: &mut String, payments: Option<(&PaymentsSpec, &Secret)>) {
    let Some((spec, secret)) = payments else { return line(out, "  payments", "none: no wallet is used") };
    line(out, "  payments", format!("wallet {}, {}", spec.wallet.url, login(secret)));
    let every = match spec.every_ms {
        Some(every_ms) => format!("every_hours {}", every_ms / HOUR),
        None => "when asked (no every_hours)".to_string(),
    };
    let threshold = format_amount(spec.threshold);
    let settled = format!("max_outputs {}, confirmations {}", spec.max_outputs, spec.confirmations);
    line(out, "", format!("{every}, threshold {threshold}, {settled}"));
    let rate = spec.fee_rate.map_or("of the wallet".to_string(), format_amount);
    let (from, most) = (fee_from_name(spec.fee_from), format_amount(spec.max_fee));
    line(out, "", format!("fee_from {from}, fee_rate {rate}, max_fee {most}"));
}

fn login(secret: &Secret) -> String {
    match secret {
        Secret::None => "no login".into(),
        Secret::Cookie(path) => format!("cookie_file {}", path.display()),
        Secret::Password { user, password: Password::File(path) } => {
            format!("user {user}, password_file {}", path.display())
        }
        Secret::Password { user, password: Password::Inline(_) } => format!("user {user}, password (hidden)"),
    }
}

fn line(out: &mut String, subject: &str, what: impl Display) {
    writeln!(out, "{subject:<11} {what}").expect("a String takes everything");
}

fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(" and ")
}
