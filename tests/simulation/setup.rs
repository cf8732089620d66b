//! How a pool of the simulation is configured: by chance, within what an operator may write.

use edgepool::base::rng::Rng;
use edgepool::coin::difficulty::Difficulty;
use edgepool::coin::params::AuxWork;
use edgepool::coin::script::Script;
use edgepool::pool::spec::{
    ChainSpec, FeeFrom, GuardSpec, PaymentsSpec, PoolSpec, PortSpec, StratumSpec, Terms, VardiffSpec,
};

use crate::chain::{node_spec, regtest};
use crate::node::Kind;
use crate::world::{CONFIRMATIONS, MATURITY, POOL, SECOND, WINDOW_MS};

pub fn spec(rng: &mut Rng) -> PoolSpec {
    let child = ["dogecoin", "dogecoin", "pepecoin"][rng.below(3) as usize];
    let difficulty = |units| Difficulty::from_units(units).unwrap();
    PoolSpec {
        name: "ltc".into(),
        chains: vec![chain_spec("litecoin", "ltc", rng), chain_spec(child, "child", rng)],
        stratum: StratumSpec {
            ports: vec![PortSpec::default()],
            max_connections: 100,
            idle_timeout_ms: 600_000,
            extranonce2_len: 8,
            guard: GuardSpec::default(),
        },
        vardiff: VardiffSpec {
            start: difficulty(2),
            min: difficulty(1),
            max: difficulty(4),
            target_share_ms: 5 * SECOND,
        },
        window_ms: WINDOW_MS,
        max_miners: 7,
        commit_ms: 250,
    }
}

fn chain_spec(coin: &str, name: &str, rng: &mut Rng) -> ChainSpec {
    let (coin, network) = regtest(coin, MATURITY);
    let terms = Terms {
        pool_script: Script::p2pkh(&[POOL; 20]),
        fee_ppm: 10_000,
        min_payout: [100_000, 60_000_000, 150_000_000][rng.below(3) as usize],
        max_outputs: [2, 3, 10][rng.below(3) as usize],
    };
    let payments = PaymentsSpec {
        wallet: node_spec(format!("{name}-wallet")),
        every_ms: [None, Some(200 * SECOND)][rng.below(2) as usize],
        threshold: 1_000_000,
        max_outputs: [1, 2, 10][rng.below(3) as usize],
        confirmations: CONFIRMATIONS,
        fee_from: [FeeFrom::Pool, FeeFrom::Receivers][rng.below(2) as usize],
        fee_rate: None,
        max_fee: 10_000,
    };
    ChainSpec {
        name: name.into(),
        coin,
        network,
        nodes: (0..1 + rng.below(3)).map(|index| node_spec(format!("{name}{index}"))).collect(),
        terms,
        coinbase_tag: b"/sim/".to_vec(),
        payments: Some(payments),
        mine: true,
    }
}

/// What the nodes of a chain are, and which of its blocks are made here.
pub fn kind(spec: &ChainSpec, index: usize, rng: &mut Rng) -> Kind {
    // Easier than the parent, or harder.
    let bits = [0x201f_ffff, 0x2007_ffff][rng.below(2) as usize];
    match spec.coin.auxpow.filter(|_| index > 0) {
        None => Kind::Parent,
        Some(auxpow) if auxpow.work == AuxWork::NodeBlock => Kind::Own(auxpow, bits),
        Some(auxpow) => Kind::Merged(auxpow, bits),
    }
}
