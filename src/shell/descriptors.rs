//! File descriptors: each connection takes one. The limit is raised as far as the system lets us, and what is not to
//! be spent on rigs is kept back: nodes, the status port and the ledger must have theirs whatever rigs do. Each pool has
//! its own part of the rest, so that a crowd at one pool's ports takes no place from another's.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::base::limits::{RPC_CONNECTIONS, SPARE_DESCRIPTORS};

use super::config::Config;

/// Raises the limit and says how many connections of rigs each pool may have; warns when that is less than configured.
pub fn room_for_rigs(config: &Config) -> Vec<usize> {
    let limit = raise();
    let kept = kept_back(config);
    let room = limit.saturating_sub(kept);
    let wanted: Vec<usize> = config.pools.iter().map(|pool| pool.spec.stratum.max_connections).collect();
    let total: usize = wanted.iter().sum();
    if room < total {
        log::warn!(
            "{limit} files may be open: rigs beyond the first {room} are turned away, where {total} are configured; \
             set LimitNOFILE= of the unit (or ulimit -n) to {}",
            total + kept
        );
    }
    parts(room, &wanted)
}

/// Each pool's part of the room, in proportion to what it wants; never none.
fn parts(room: usize, wanted: &[usize]) -> Vec<usize> {
    let total: u128 = wanted.iter().map(|wanted| *wanted as u128).sum();
    let part = |wanted: &usize| room as u128 * *wanted as u128 / total.max(1);
    wanted.iter().map(|wanted| usize::try_from(part(wanted)).unwrap_or(usize::MAX).max(1)).collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_room_is_shared_out_as_pools_want_it() {
        assert_eq!(parts(1_000, &[4_096]), [1_000]);
        assert_eq!(parts(900, &[4_096, 512, 4_096]), [423, 52, 423]);
        assert_eq!(parts(0, &[4_096, 4_096]), [1, 1]);
        assert_eq!(parts(usize::MAX, &[10, 10]), [usize::MAX / 2; 2]);
        // None is below what it may use where there is enough for all.
        assert!(parts(8_704, &[4_096, 512, 4_096]).into_iter().eq([4_096, 512, 4_096]));
    }
}
