//! What `edgepool check` prints of a valid configuration: every value in effect, also the defaults, under
//! the names of their keys. Secrets are named by where they are, never shown.

use std::fmt::{Display, Write};

use super::{Config, PoolConfig};
use crate::base::amount::{format_amount, format_percent};
use crate::base::time::{HOUR, SECOND};
use crate::coin::address;
use crate::pool::spec::ChainSpec;
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
    out
}

fn pool_summary(out: &mut String, pool: &PoolConfig) {
    let spec = &pool.spec;
    line(out, "pool", &spec.name);
    let stratum = format!(
        "listen {}, max_connections {}, idle_timeout_s {}, extranonce2_size {}",
        list(&pool.listen),
        spec.stratum.max_connections,
        spec.stratum.idle_timeout_ms / SECOND,
        spec.stratum.extranonce2_len
    );
    line(out, "  stratum", stratum);
    let vardiff = &spec.vardiff;
    let difficulties = format!("start {}, min {}, max {}", vardiff.start, vardiff.min, vardiff.max);
    line(out, "  vardiff", format!("{difficulties}, target_share_s {}", vardiff.target_share_ms / SECOND));
    line(out, "  window", format!("window_hours {}, max_miners {}", spec.window_ms / HOUR, spec.max_miners));
    for (chain, secrets) in spec.chains.iter().zip(&pool.secrets) {
        chain_summary(out, chain, secrets);
    }
}

fn chain_summary(out: &mut String, chain: &ChainSpec, secrets: &[Secret]) {
    line(out, "  chain", format!("{}: {} {}", chain.name, chain.coin.name, chain.network.name));
    for (node, secret) in chain.nodes.iter().zip(secrets) {
        let login = match secret {
            Secret::None => "no login".into(),
            Secret::Cookie(path) => format!("cookie_file {}", path.display()),
            Secret::Password { user, password: Password::File(path) } => {
                format!("user {user}, password_file {}", path.display())
            }
            Secret::Password { user, password: Password::Inline(_) } => format!("user {user}, password (hidden)"),
        };
        line(out, "    node", format!("{}, {login}", node.url));
    }
    let terms = &chain.terms;
    let address = address::encode(&terms.pool_script, chain.coin, chain.network);
    line(out, "    payout", address.expect("the script came from an address of this chain"));
    let (fee, least) = (format_percent(terms.fee_ppm), format_amount(terms.min_payout));
    line(out, "", format!("fee_percent {fee}, min_payout {least}, max_outputs {}", terms.max_outputs));
    line(out, "", format!("coinbase_tag \"{}\"", String::from_utf8_lossy(&chain.coinbase_tag)));
}

fn line(out: &mut String, subject: &str, what: impl Display) {
    writeln!(out, "{subject:<11} {what}").expect("a String takes everything");
}

fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join(" and ")
}
