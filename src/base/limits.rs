//! Every bound in one place, so that they can be seen together and related to each other.

use std::ops::RangeInclusive;

/// Longest stratum line that is read, in bytes without the newline. ckpool's limit is the same; the
/// longest honest line (a submit with a 127-character username) is below 400.
pub const STRATUM_LINE: usize = 1_024;
/// Longest address part plus worker name in a username. Whatsminer overflows above 127.
pub const USERNAME: usize = 256;
/// A connection that has not authorised itself after this long is closed, in milliseconds.
pub const UNAUTHORISED_MS: u64 = 60_000;
/// Bytes that may wait for a miner that doesn't read, before it is dropped.
pub const MINER_BACKLOG: usize = 64 * 1024;
/// Workers authorised on one connection.
pub const WORKERS_PER_SESSION: usize = 16;
/// Jobs of the current tip that shares are accepted for.
pub const LIVE_JOBS: usize = 16;
/// Jobs of the previous tip that are kept: their shares are stale, but may still solve a block.
pub const STALE_JOBS: usize = 4;
/// Accepted shares remembered per job to recognise duplicates.
pub const SHARES_PER_JOB: usize = 1 << 20;
/// Time slots of the contribution window.
pub const WINDOW_SLOTS: usize = 288;

/// Extranonce1: what the pool gives each connection, in bytes.
pub const EXTRANONCE1: usize = 4;
/// Bytes before extranonce1 that differ from job to job, and from sending to sending of one job.
pub const JOB_STAMP: usize = 4;
/// Extranonce2: what a rig may vary, in bytes. cgminer above 8 never submits; NiceHash needs 4 or more.
pub const EXTRANONCE2_MIN: usize = 2;
/// Largest extranonce2, in bytes.
pub const EXTRANONCE2_MAX: usize = 8;
/// Consensus bound on a coinbase's scriptSig, in bytes (all coins here; `bad-cb-length` otherwise).
pub const COINBASE_SCRIPT: usize = 100;
/// Bytes a BIP34 height push takes at most (heights below 2^31).
pub const HEIGHT_PUSH: usize = 5;
/// Bytes kept for a merged-mining commitment: its push opcode and 44 bytes.
pub const AUX_TAG: usize = 45;
/// Longest tag that the operator may put in the coinbase, in bytes.
pub const COINBASE_TAG: usize = 33;
const _: () = assert!(
    HEIGHT_PUSH + AUX_TAG + 1 + JOB_STAMP + EXTRANONCE1 + EXTRANONCE2_MAX + COINBASE_TAG <= COINBASE_SCRIPT,
    "a coinbase scriptSig holds all its parts at their largest"
);
/// Most outputs that may be configured for a coinbase.
pub const COINBASE_OUTPUTS: usize = 360;

/// Miners that one payment from a wallet may be configured to pay: about 35 kB of outputs, a third of what is relayed.
pub const PAYMENT_OUTPUTS: usize = 1_000;
/// Payments that may wait or be under way on one chain.
pub const QUEUED_PAYMENTS: usize = 16;
/// Hours between payments by the schedule.
pub const PAYMENT_HOURS: RangeInclusive<u64> = 1..=8_760;
/// Confirmations that may be asked for before a payment is settled.
pub const PAYMENT_CONFIRMATIONS: RangeInclusive<u64> = 1..=1_000;

/// Largest answer read from a node, in bytes: a full Bitcoin template in hexadecimal is below 12 MB.
pub const NODE_RESPONSE: usize = 32 * 1024 * 1024;
/// Calls that may wait on one connection to a node: one of each kind and every block in flight.
pub const NODE_QUEUE: usize = 64;
/// Largest HTTP head on either side, in bytes.
pub const HTTP_HEAD: usize = 8 * 1024;
/// Largest request body on the status port, in bytes.
pub const RPC_REQUEST: usize = 64 * 1024;
/// Calls in one JSON-RPC batch.
pub const RPC_BATCH: usize = 64;
/// Connections to the status port at one time.
pub const RPC_CONNECTIONS: usize = 64;
/// A status-port connection that is silent this long is closed, in milliseconds.
pub const RPC_IDLE_MS: u64 = 15_000;
/// Bytes that may wait for a status-port client that doesn't read, before it is dropped.
pub const RPC_BACKLOG: usize = 4 * 1024 * 1024;

/// Pools in one daemon.
pub const POOLS: usize = 16;
/// Chains of one pool: the parent and its merge-mined children.
pub const CHAINS: usize = 8;
/// Nodes of one chain.
pub const NODES: usize = 8;
/// Addresses that the window may be configured for.
pub const MINERS: usize = 65_536;

/// Longest name of a pool or chain, in bytes.
pub const NAME: usize = 32;
/// Addresses that one port may listen on.
pub const LISTENERS: usize = 8;
/// Stratum connections that may be configured for one pool.
pub const CONNECTIONS: usize = 65_536;
/// Requests a second that may be configured for one connection.
pub const REQUESTS_PER_S: RangeInclusive<u64> = 10..=1_000_000;
/// Lengths of a ban, in minutes; 0 for none.
pub const BAN_MINUTES: RangeInclusive<u64> = 0..=10_080;
/// Connections taken from one listener before everybody else has their turn.
pub const ACCEPTS_PER_TURN: usize = 16;
/// File descriptors that are kept from the rigs: the ledger, the loop, signals, the log and what libraries open.
pub const SPARE_DESCRIPTORS: usize = 64;
/// Silence after which a miner may be dropped, in seconds.
pub const IDLE_TIMEOUT_S: RangeInclusive<u64> = 30..=86_400;
/// Time between two shares of a miner that vardiff may aim for, in seconds.
pub const TARGET_SHARE_S: RangeInclusive<u64> = 1..=600;
/// Lengths of the contribution window, in hours.
pub const WINDOW_HOURS: RangeInclusive<u64> = 1..=744;
/// Intervals between commits, in milliseconds: an acknowledgement waits for one.
pub const COMMIT_MS: RangeInclusive<u64> = 0..=5_000;
/// Smallest map of the ledger that may be configured, in MiB: a few found blocks fit.
pub const MAP_MIB_MIN: usize = 16;
/// Largest map of the ledger, in MiB: addresses are scarce in a 32-bit process.
pub const MAP_MIB_MAX: usize = if cfg!(target_pointer_width = "32") { 512 } else { 1 << 20 };
