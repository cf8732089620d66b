//! `GET /metrics`: the Prometheus text format, version 0.0.4.

use std::fmt::Write;

use crate::base::amount::COIN;
use crate::base::time::SECOND;
use crate::pool::Pool;

use super::Site;
use super::views::{difficulty, is_mined, template};

/// One metric of every pool, or of the daemon.
struct Family<'a> {
    name: &'a str,
    kind: &'a str,
    help: &'a str,
}

/// Every metric.
pub fn text(site: &Site) -> String {
    let mut out = String::new();
    let gauge = |name, help| Family { name, kind: "gauge", help };
    let counter = |name, help| Family { name, kind: "counter", help };
    let per_pool = |out: &mut String, family: Family, value: &dyn Fn(&Pool) -> Option<f64>| {
        family.head(out);
        for pool in site.pools.iter() {
            if let Some(value) = value(pool) {
                family.line(out, &[("pool", &pool.spec().name)], value);
            }
        }
    };
    let per_chain = |out: &mut String, family: Family, value: &dyn Fn(&Pool, usize) -> Option<f64>| {
        family.head(out);
        for pool in site.pools.iter() {
            for (index, chain) in pool.chains().iter().enumerate() {
                if let Some(value) = value(pool, index) {
                    family.line(out, &[("pool", &pool.spec().name), ("chain", &chain.spec.name)], value);
                }
            }
        }
    };
    let now = site.now;

    let family = gauge("edgepool_uptime_seconds", "Seconds since the daemon started.");
    family.head(&mut out);
    family.line(&mut out, &[], site.uptime_s() as f64);
    let family = gauge("edgepool_ledger_used_bytes", "Bytes of the ledger's map in use.");
    family.head(&mut out);
    family.line(&mut out, &[], site.ledger.used_bytes as f64);
    let family = gauge("edgepool_ledger_map_bytes", "Bytes of the ledger's map.");
    family.head(&mut out);
    family.line(&mut out, &[], site.ledger.map_bytes as f64);

    per_pool(&mut out, gauge("edgepool_connections", "Open stratum connections."), &|pool| {
        Some(pool.connections() as f64)
    });
    per_pool(&mut out, gauge("edgepool_hashrate", "Hashes per second over 15 minutes."), &|pool| {
        let algorithm = pool.chains()[0].spec.coin.algorithm;
        Some(pool.rates().quarter.per_second(now.mono_ms) * algorithm.hashes_per_unit() as f64)
    });
    per_pool(&mut out, gauge("edgepool_miners", "Addresses with work in the window."), &|pool| {
        Some(pool.window().iter().filter(|(_, row)| row.shares > 0).count() as f64)
    });
    per_pool(&mut out, gauge("edgepool_window_difficulty", "Work in the window, in difficulty."), &|pool| {
        Some(pool.window().total_work() as f64 / 65_536.0)
    });
    per_chain(&mut out, gauge("edgepool_height", "Height of the block being mined."), &|pool, chain| {
        template(pool, chain).map(|template| f64::from(template.height))
    });
    let family = gauge("edgepool_network_difficulty", "The network's difficulty as miners count.");
    per_chain(&mut out, family, &|pool, chain| template(pool, chain).map(|template| difficulty(pool, template)));
    let family = gauge("edgepool_mined", "1 when the job that rigs work on may find a block of the chain.");
    per_chain(&mut out, family, &|pool, chain| {
        // One that the operator wants no more is no fault.
        let is_wanted = pool.chains()[chain].spec.mine;
        is_wanted.then(|| f64::from(u8::from(is_mined(pool, chain))))
    });
    per_pool(&mut out, gauge("edgepool_job_age_seconds", "Age of the job that rigs work on."), &|pool| {
        pool.current_job().map(|job| (job.age_ms(now.mono_ms) / SECOND) as f64)
    });
    per_pool(&mut out, gauge("edgepool_troubles", "Conditions that need the operator."), &|pool| {
        Some(pool.troubles().len() as f64)
    });

    let shares = counter("edgepool_shares_total", "Submissions since start, by outcome.");
    shares.head(&mut out);
    let rejects = counter("edgepool_rejects_total", "Refused submissions since start, by reason.");
    let mut reject_lines = String::new();
    let blocks = counter("edgepool_blocks_total", "Blocks found, by status.");
    let mut block_lines = String::new();
    let owed = gauge("edgepool_owed_coins", "Owed to miners, in whole coins.");
    let mut owed_lines = String::new();
    let nameless = gauge("edgepool_nameless_coins", "Of it what is owed to miners without an address there.");
    let mut nameless_lines = String::new();
    let reserved = gauge("edgepool_reserved_coins", "Of it what payments under way hold, in whole coins.");
    let mut reserved_lines = String::new();
    let payments = gauge("edgepool_payments", "Payments from the wallet, by status.");
    let mut payment_lines = String::new();
    let stuck = gauge("edgepool_payment_stuck", "1 when a payment has not come forward for an hour.");
    let mut stuck_lines = String::new();
    let ready = gauge("edgepool_node_ready", "1 when the node gives templates.");
    let mut ready_lines = String::new();
    for pool in site.pools.iter() {
        let name = pool.spec().name.as_str();
        let counts = pool.counts();
        for (outcome, count) in [
            ("accepted", counts.accepted),
            ("rejected", counts.rejected),
            ("stale", counts.stale),
            ("uncredited", counts.uncredited),
        ] {
            shares.line(&mut out, &[("pool", name), ("outcome", outcome)], count as f64);
        }
        for (reason, count) in pool.rejects() {
            rejects.line(&mut reject_lines, &[("pool", name), ("reason", reason)], *count as f64);
        }
        for (index, chain) in pool.chains().iter().enumerate() {
            for status in ["submitted", "accepted", "confirmed", "rejected", "orphaned"] {
                let count = chain.ledger.blocks().iter().filter(|block| block.status.name() == status).count();
                let labels = [("pool", name), ("chain", chain.spec.name.as_str()), ("status", status)];
                blocks.line(&mut block_lines, &labels, count as f64);
            }
            let labels = [("pool", name), ("chain", chain.spec.name.as_str())];
            let reserves: u64 = chain.ledger.accounts().map(|(_, account)| account.reserved).sum();
            owed.line(&mut owed_lines, &labels, chain.ledger.totals().owed as f64 / COIN as f64);
            let has_none = |miner| index > 0 && pool.payout_script(index, miner).is_none();
            let accounts = chain.ledger.accounts().filter(|(miner, _)| has_none(*miner));
            let without: i128 = accounts.map(|(_, account)| i128::from(account.balance)).sum();
            nameless.line(&mut nameless_lines, &labels, without as f64 / COIN as f64);
            reserved.line(&mut reserved_lines, &labels, reserves as f64 / COIN as f64);
            if let Some(wallet) = &chain.payments {
                stuck.line(&mut stuck_lines, &labels, f64::from(u8::from(wallet.status(now).is_stuck())));
                for status in ["queued", "signed", "sent", "settled", "conflicted", "dropped"] {
                    let all = chain.ledger.payments().iter();
                    let count = all.filter(|payment| payment.status.name() == status).count();
                    let labels = [labels[0], labels[1], ("status", status)];
                    payments.line(&mut payment_lines, &labels, count as f64);
                }
            }
            for node in &chain.nodes {
                let labels = [("pool", name), ("chain", &chain.spec.name), ("url", node.spec().url.as_str())];
                ready.line(&mut ready_lines, &labels, f64::from(u8::from(node.ready_template().is_some())));
            }
        }
    }
    let families = [
        (rejects, reject_lines),
        (blocks, block_lines),
        (owed, owed_lines),
        (nameless, nameless_lines),
        (reserved, reserved_lines),
        (payments, payment_lines),
        (stuck, stuck_lines),
        (ready, ready_lines),
    ];
    for (family, lines) in families {
        family.head(&mut out);
        out.push_str(&lines);
    }
    out
}

impl Family<'_> {
    fn head(&self, out: &mut String) {
        let _ = writeln!(out, "# HELP {} {}\n# TYPE {} {}", self.name, self.help, self.name, self.kind);
    }

    fn line(&self, out: &mut String, labels: &[(&str, &str)], value: f64) {
        out.push_str(self.name);
        if !labels.is_empty() {
            let escape = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let labels: Vec<String> =
                labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escape(value))).collect();
            let _ = write!(out, "{{{}}}", labels.join(","));
        }
        let _ = writeln!(out, " {value}");
    }
}
