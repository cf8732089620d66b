//! What the demo shows: on a terminal a screen that is drawn anew each second, elsewhere a line for each block;
//! a summary at the end that compares the ledger with the chain.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::base::amount::format_amount;
use crate::face::{Site, methods, table};

use super::chain::Chain;

/// See the module.
pub struct View {
    rpc: SocketAddr,
    stratum: SocketAddr,
    is_terminal: bool,
    next_ms: u64,
    blocks_seen: usize,
}

impl View {
    /// A view of a pool that answers at these addresses.
    pub fn new(rpc: SocketAddr, stratum: SocketAddr) -> View {
        View { rpc, stratum, is_terminal: io::stdout().is_terminal(), next_ms: 0, blocks_seen: 0 }
    }

    /// Draws, if it is time to.
    pub fn refresh(&mut self, site: &mut Site) {
        if site.now.mono_ms < self.next_ms {
            return;
        }
        self.next_ms = site.now.mono_ms + 1_000;
        if self.is_terminal {
            // From the top, over the last screen: each line and the rest of the screen are cleared behind it.
            let screen = self.screen(site).replace('\n', "\x1b[K\n");
            self.write(&format!("\x1b[H{screen}\x1b[J"));
            return;
        }
        let blocks = ask(site, "getblocks", json!([64]));
        let list = blocks.as_array().map_or(&[][..], Vec::as_slice);
        let total = ask(site, "getinfo", json!([]))["pools"][0]["blocks_found"].as_u64().unwrap_or(0) as usize;
        let new = total.saturating_sub(self.blocks_seen).min(list.len());
        for block in list[..new].iter().rev() {
            self.write(&table::block_list(&json!([block]), 1));
        }
        self.blocks_seen = total;
    }

    /// The last picture, and what came of it all.
    pub fn finish(&mut self, site: &mut Site, chain: &Chain) {
        let screen = self.screen(site);
        self.write(&format!("\n{screen}\n{}", summary(site, chain)));
    }

    fn screen(&self, site: &mut Site) -> String {
        let info = ask(site, "getinfo", json!([]));
        let payouts = ask(site, "getpayoutinfo", json!([]));
        let blocks = ask(site, "getblocks", json!([4]));
        let mut rigs = Vec::new();
        for miner in payouts["miners"].as_array().map_or(&[][..], Vec::as_slice) {
            let stats = ask(site, "getminerstats", json!([miner["address"]]));
            rigs.extend(stats["workers"].as_array().cloned().unwrap_or_default());
        }
        format!(
            "edgepool demo · {} s · status page http://{}/ · stratum+tcp://{} · Ctrl-C ends it\n\n{}\n{}",
            info["uptime"],
            self.rpc,
            self.stratum,
            table::pool(&info["pools"][0], &payouts, &blocks),
            table::rigs(&rigs),
        )
    }

    fn write(&self, text: &str) {
        let mut out = io::stdout().lock();
        // A reader that went away does not end the demo.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

/// Blocks, payments and the books, compared with what the chain says.
fn summary(site: &mut Site, chain: &Chain) -> String {
    let balances = ask(site, "getbalances", json!([]));
    let stats = ask(site, "getminerstats", json!([]));
    let on_chain: u64 = chain.links().iter().flat_map(|link| &link.outputs).map(|(amount, _)| amount).sum();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
    let books = if balances["conserved"] == true { "the books balance" } else { "THE BOOKS DO NOT BALANCE" };
    format!(
        "{} blocks, {} LTC in their coinbases by the chain, {} by the ledger\n\
         = {} paid to miners + {} owed + {} fees and remainders: {books}\n\
         {} shares accepted, {} rejected, {} stale\n",
        chain.height(),
        format_amount(on_chain),
        text(&balances["coinbase_total"]),
        text(&balances["paid_total"]),
        text(&balances["owed_total"]),
        text(&balances["fees_and_remainders_total"]),
        stats["accepted"],
        stats["rejected"],
        stats["stale"],
    )
}

/// Asks the pool as any client of the RPC port does.
fn ask(site: &mut Site, method: &str, params: Value) -> Value {
    methods::call(site, method, params).unwrap_or(Value::Null)
}
