//! What the demo shows: on a terminal a screen that is drawn anew each second, elsewhere a line for each block;
//! a summary at the end that compares the ledger of each chain with the chain.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use serde_json::{Value, json};

use crate::base::amount::format_amount;
use crate::base::{Hash32, display_hash, parse_hash};
use crate::coin::address;
use crate::coin::coinbase::TxOut;
use crate::face::{Site, methods, table};

use super::chain::{Chain, KEPT_BLOCKS};

/// Blocks that the screen shows of the only chain, and of each of several.
const SHOWN_BLOCKS: usize = 4;
const SHOWN_BLOCKS_EACH: usize = 1;
/// Blocks of a chain that are looked through for those that were not told yet.
const TOLD_BLOCKS: usize = 64;

/// See the module.
pub struct View {
    rpc: SocketAddr,
    stratum: SocketAddr,
    /// The chains as their nodes have them, the parent first.
    chains: Vec<Arc<Mutex<Chain>>>,
    is_terminal: bool,
    next_ms: u64,
    /// The newest block of each chain that was told.
    told: Vec<Option<Value>>,
    /// The headers that won several blocks and were told.
    told_nonces: Vec<Hash32>,
}

impl View {
    /// A view of a pool that answers at these addresses and mines these chains.
    pub fn new(rpc: SocketAddr, stratum: SocketAddr, chains: Vec<Arc<Mutex<Chain>>>) -> View {
        let told = vec![None; chains.len()];
        View {
            rpc,
            stratum,
            chains,
            is_terminal: io::stdout().is_terminal(),
            next_ms: 0,
            told,
            told_nonces: Vec::new(),
        }
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
        for index in 0..self.chains.len() {
            let blocks = self.ask(site, index, "getblocks", json!([TOLD_BLOCKS]));
            let blocks = list(&blocks);
            let is_told = |block: &&Value| self.told[index].as_ref() == Some(&block["hash"]);
            // Of one that was submitted just now the chain may not know yet.
            let known = blocks.iter().skip_while(|block| block["status"] == "submitted");
            let new: Vec<&Value> = known.take_while(|block| !is_told(block)).collect();
            for block in new.iter().rev() {
                let mut text = self.block_list(index, &json!([block]), 1);
                // A nonce that won several blocks is told with the first of them.
                if let Some(solved) = self.solved(index, block).filter(|solved| !self.told_nonces.contains(solved)) {
                    let together = self.won_together(&solved);
                    self.told_nonces.extend((!together.is_empty()).then_some(solved));
                    text += &together;
                }
                self.write(&text);
            }
            if let Some(newest) = new.first() {
                self.told[index] = Some(newest["hash"].clone());
            }
        }
    }

    /// The last picture, and what came of it all.
    pub fn finish(&mut self, site: &mut Site) {
        let screen = self.screen(site);
        let mut summary = String::new();
        for index in 0..self.chains.len() {
            summary += &self.books(site, index);
        }
        if self.is_merged() {
            summary += &format!("{} nonces won blocks of more than one chain\n", self.shared_nonces());
        }
        let stats = self.ask(site, 0, "getminerstats", json!([]));
        let (accepted, rejected, stale) = (&stats["accepted"], &stats["rejected"], &stats["stale"]);
        summary += &format!("{accepted} shares accepted, {rejected} rejected, {stale} stale\n");
        self.write(&format!("\n{screen}\n{summary}"));
    }

    fn screen(&self, site: &mut Site) -> String {
        let info = self.ask(site, 0, "getinfo", json!([]));
        let pool = &info["pools"][0];
        let mut screen = format!(
            "edgepool demo · {} s · status page http://{}/ · stratum+tcp://{} · Ctrl-C ends it\n",
            info["uptime"], self.rpc, self.stratum,
        );
        let (shown, gap) = if self.is_merged() { (SHOWN_BLOCKS_EACH, "") } else { (SHOWN_BLOCKS, "\n") };
        for index in 0..self.chains.len() {
            let payouts = self.ask(site, index, "getpayoutinfo", json!([]));
            let blocks = self.ask(site, index, "getblocks", json!([shown]));
            screen += "\n";
            screen += &if index == 0 { table::pool_state(pool) } else { table::child_state(&pool["chains"][index]) };
            screen += gap;
            screen += &table::miners(&payouts);
            screen += gap;
            screen += &self.block_list(index, &blocks, shown);
            for block in list(&blocks) {
                let solved = self.solved(index, block);
                screen += &solved.map_or_else(String::new, |solved| self.won_together(&solved));
            }
        }
        if !self.is_merged() {
            screen += &format!("\n{}", self.rigs(site));
        }
        screen
    }

    fn rigs(&self, site: &mut Site) -> String {
        let payouts = self.ask(site, 0, "getpayoutinfo", json!([]));
        let mut rigs = Vec::new();
        for miner in list(&payouts["miners"]) {
            let stats = self.ask(site, 0, "getminerstats", json!([miner["address"]]));
            rigs.extend(list(&stats["workers"]).iter().cloned());
        }
        table::rigs(&rigs)
    }

    /// Blocks of a chain and whom they pay.
    fn block_list(&self, index: usize, blocks: &Value, count: usize) -> String {
        let text = table::block_list(blocks, count);
        if !self.is_merged() {
            return text;
        }
        text.replace("block ", &format!("{} block ", self.chain(index).spec().coin.ticker))
    }

    /// The id of the header that won a block of the ledger, where the chain has it.
    fn solved(&self, index: usize, block: &Value) -> Option<Hash32> {
        let chain = self.chain(index);
        let height = chain.find(&parse_hash(block["hash"].as_str()?)?)?;
        Some(chain.block(height)?.solved())
    }

    /// Says which blocks a header won, if there are several.
    fn won_together(&self, solved: &Hash32) -> String {
        let won = (0..self.chains.len()).filter_map(|index| {
            let chain = self.chain(index);
            let block = chain.newest().find(|block| block.solved() == *solved)?;
            Some(format!("{} block {}", chain.spec().coin.ticker, block.height))
        });
        match won.collect::<Vec<String>>().as_slice() {
            [] | [_] => String::new(),
            [one, other] => format!("  one nonce won both: {one} and {other}\n"),
            more => format!("  one nonce won them all: {}\n", more.join(", ")),
        }
    }

    fn shared_nonces(&self) -> usize {
        let solved = |index: usize| -> Vec<Hash32> { self.chain(index).newest().map(|block| block.solved()).collect() };
        let mut all: Vec<Hash32> = (0..self.chains.len()).flat_map(solved).collect();
        all.sort_unstable();
        all.chunk_by(|one, other| one == other).filter(|same| same.len() > 1).count()
    }

    /// Blocks, payments and the books of a chain, compared with what the chain says.
    fn books(&self, site: &mut Site, index: usize) -> String {
        let balances = self.ask(site, index, "getbalances", json!([]));
        let blocks = self.ask(site, index, "getblocks", json!([KEPT_BLOCKS]));
        let blocks = list(&blocks);
        let chain = self.chain(index);
        let ledger = site.pools.first().map(|pool| &pool.chains()[index].ledger);
        let found = ledger.map_or(0, |ledger| ledger.blocks().iter().filter(|block| block.counts).count());
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_string);
        let books = if balances["conserved"] == true { "the books balance" } else { "THE BOOKS DO NOT BALANCE" };
        let (counting, lost): (Vec<&Value>, Vec<&Value>) = blocks.iter().partition(|block| block["counts"] == true);
        // The last may have been submitted in the moment of the end.
        let answered: Vec<&Value> = counting.into_iter().filter(|block| block["status"] != "submitted").collect();
        let agreed = answered.iter().filter(|block| is_on_chain(&chain, block)).count();
        let lost = match lost.len() {
            0 => String::new(),
            lost => format!(" ({lost} more lost their place to another)"),
        };
        format!(
            "{} blocks with {} {} in their coinbases; the chain has the same of {agreed} of the last {}{lost}\n\
             = {} paid to miners + {} owed + {} fees and remainders: {books}\n",
            found,
            text(&balances["coinbase_total"]),
            chain.spec().coin.ticker,
            answered.len(),
            text(&balances["paid_total"]),
            text(&balances["owed_total"]),
            text(&balances["fees_and_remainders_total"]),
        )
    }

    fn is_merged(&self) -> bool {
        self.chains.len() > 1
    }

    fn chain(&self, index: usize) -> MutexGuard<'_, Chain> {
        self.chains[index].lock().expect("nothing panics while it holds the chain")
    }

    /// Asks the pool about one of its chains as any client of the RPC port does.
    fn ask(&self, site: &mut Site, index: usize, method: &str, mut params: Value) -> Value {
        let name = site.pools.first().map(|pool| pool.chains()[index].spec.name.clone());
        if let (Some(list), true) = (params.as_array_mut(), index > 0) {
            list.push(json!({ "chain": name }));
        }
        methods::call(site, method, params).unwrap_or(Value::Null)
    }

    fn write(&self, text: &str) {
        let mut out = io::stdout().lock();
        // A reader that went away does not end the demo.
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// Whether the chain has this block of the ledger, with the same payments.
fn is_on_chain(chain: &Chain, block: &Value) -> bool {
    let found = block["height"].as_u64().and_then(|height| chain.block(height as u32));
    let Some(found) = found.filter(|found| block["hash"] == display_hash(&found.hash)) else { return false };
    let paying = found.outputs.iter().filter(|output| output.value > 0);
    let address = |output: &TxOut| address::encode(&output.script, chain.spec().coin, chain.spec().network);
    let mut paid: Vec<(Option<String>, String)> =
        paying.map(|output| (address(output), format_amount(output.value))).collect();
    let text = |value: &Value| value.as_str().map(str::to_string);
    let mut noted: Vec<(Option<String>, String)> = list(&block["outputs"])
        .iter()
        .map(|output| (text(&output["address"]), text(&output["amount"]).unwrap_or_default()))
        .collect();
    paid.sort();
    noted.sort();
    paid == noted
}
