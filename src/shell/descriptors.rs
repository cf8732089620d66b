//! File descriptors: each connection takes one. The limit is raised as far as the system lets us, and what is not to
//! be spent on rigs is kept back: nodes, the status port and the ledger must have theirs whatever rigs do.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::base::limits::{RPC_CONNECTIONS, SPARE_DESCRIPTORS};

use super::config::Config;

/// Raises the limit and says how many connections of rigs there may be; warns when that is less than configured.
pub fn room_for_rigs(config: &Config) -> usize {
    let limit = raise();
    let kept = kept_back(config);
    let room = limit.saturating_sub(kept).max(1);
    let wanted: usize = config.pools.iter().map(|pool| pool.spec.stratum.max_connections).sum();
    if room < wanted {
        log::warn!(
            "{limit} files may be open: rigs beyond the first {room} are turned away, where {wanted} are configured; \
             set LimitNOFILE= of the unit (or ulimit -n) to {}",
            wanted + kept
        );
    }
    room
}

/// Two for each node and one for each wallet, the listeners, the status port's clients, and a few.
fn kept_back(config: &Config) -> usize {
    let chains = config.pools.iter().flat_map(|pool| &pool.spec.chains);
    let links: usize = chains.map(|chain| 2 * chain.nodes.len() + usize::from(chain.payments.is_some())).sum();
    let listeners: usize = config.pools.iter().map(|pool| pool.listen.len()).sum();
    links + listeners + config.rpc_listen.len() + RPC_CONNECTIONS + SPARE_DESCRIPTORS
}

/// The limit after it was raised to the most that is allowed.
pub(super) fn raise() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let in_force = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        // A system that refuses leaves us what we had.
        Err(_) => limit.current,
    };
    in_force.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}
