//! The running pool as text for a terminal, made from the answers of the RPC methods, so that `edgepool
//! status` shows a remote pool and the demo shows its own in the same words.

use serde_json::Value;

/// Rows of text in columns as wide as their widest cell; the first is flush left, the others right.
fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cells = |column: usize| rows.iter().filter_map(move |row| row.get(column));
    let width = |column: usize| cells(column).map(|cell| cell.chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(width).collect();
    let line = |row: &Vec<String>| {
        let padded = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        padded.collect::<Vec<String>>().join("  ").trim_end().to_string() + "\n"
    };
    rows.iter().map(line).collect()
}

/// The first row of a table.
fn head<const N: usize>(names: [&str; N]) -> Vec<String> {
    names.map(str::to_string).to_vec()
}

/// One pool: its state, next payouts, miners and last blocks of its parent chain, from `getinfo` (the pool's part),
/// `getpayoutinfo` and `getblocks`.
pub fn pool(info: &Value, payouts: &Value, blocks: &Value) -> String {
    format!("{}\n{}\n{}", pool_state(info), miners(payouts), block_list(blocks, 8))
}

/// A pool's name, height, hashrate, troubles, and the nodes of its parent chain, from its part of `getinfo`.
pub fn pool_state(info: &Value) -> String {
    let mut out = format!(
        "{} · {} {} · height {} · {} · {} connections\n",
        text(&info["name"]),
        text(&info["coin"]),
        text(&info["network"]),
        text(&info["height"]),
        hashrate(&info["hashrate"]),
        text(&info["connections"]),
    );
    for trouble in array(&info["troubles"]) {
        out += &format!("! {}\n", text(trouble));
    }
    for warning in array(&info["warnings"]) {
        out += &format!("? {}\n", text(warning));
    }
    out += &array(&info["chains"]).first().map_or(String::new(), nodes);
    out
}

/// A chain that is merge-mined, from its part of `getinfo` and from `getpayoutinfo` and `getblocks` of it.
pub fn child(info: &Value, payouts: &Value, blocks: &Value) -> String {
    format!("{}\n{}\n{}", child_state(info), miners(payouts), block_list(blocks, 8))
}

/// How a chain is merge-mined, and its nodes, from its part of `getinfo`.
pub fn child_state(info: &Value) -> String {
    let mined = match (&info["mine"], &info["mined"]) {
        (Value::Bool(false), _) => "not mined any more (mine: false)".to_string(),
        (_, Value::Bool(true)) => format!("merge-mined by {}", text(&info["mined_by"])),
        _ => "not mined now".to_string(),
    };
    let (name, coin, network) = (text(&info["name"]), text(&info["coin"]), text(&info["network"]));
    let (height, pending) = (text(&info["height"]), text(&info["blocks_pending"]));
    let mut out = format!("{name} · {coin} {network} · {mined} · height {height} · {pending} blocks pending\n");
    out += &nodes(info);
    out
}

/// A line for each node of a chain.
fn nodes(chain: &Value) -> String {
    let line = |node: &Value| {
        let used = if node["in_use"] == true { ", in use" } else { "" };
        let error = node["error"].as_str().map_or(String::new(), |error| format!(": {error}"));
        let age = node["last_template_age_s"].as_u64().map_or(String::new(), |age| format!(", template {age} s old"));
        format!("node {}: {}{used}{age}{error}\n", text(&node["url"]), text(&node["state"]))
    };
    array(&chain["nodes"]).iter().map(line).collect()
}

/// Every miner: hashrate, part, shares, what it is owed and what the next block pays it.
pub fn miners(payouts: &Value) -> String {
    let next = array(&payouts["next_payouts"]);
    let amount = |address: &Value| {
        next.iter()
            .find(|payout| payout["address"] == *address)
            .map_or("-".to_string(), |payout| text(&payout["amount"]))
    };
    let mut sorted: Vec<&Value> = array(&payouts["miners"]).iter().collect();
    let percent = |miner: &Value| miner["contribution_percent"].as_f64().unwrap_or(0.0);
    sorted.sort_by(|a, b| percent(b).total_cmp(&percent(a)));
    let mut rows = vec![head(["miner", "hashrate", "part", "shares", "owed", "next block pays"])];
    rows.extend(sorted.into_iter().map(|miner| {
        vec![
            text(&miner["address"]),
            hashrate(&miner["estimated_hashrate"]),
            format!("{:.2} %", percent(miner)),
            text(&miner["share_count"]),
            text(&miner["balance"]),
            // Owed until an address of the chain is named.
            if miner["payable"] == false { "no address".to_string() } else { amount(&miner["address"]) },
        ]
    }));
    rows.push(vec![
        format!("pool ({} %, remainders, carried)", text(&payouts["pool_fee_percent"])),
        String::new(),
        String::new(),
        String::new(),
        String::new(),
        text(&payouts["pool_amount"]),
    ]);
    columns(&rows)
}

/// Every rig: difficulty, hashrate and what came of its submissions.
pub fn rigs(workers: &[Value]) -> String {
    let mut rows = vec![head(["rig", "difficulty", "hashrate", "accepted", "rejected", "stale"])];
    rows.extend(workers.iter().map(|worker| {
        vec![
            text(&worker["worker"]),
            worker["difficulty"].as_f64().map_or("-".to_string(), |difficulty| format!("{difficulty:.6}")),
            hashrate(&worker["hashrate_1m"]),
            text(&worker["accepted"]),
            text(&worker["rejected"]),
            text(&worker["stale"]),
        ]
    }));
    columns(&rows)
}

/// The newest blocks and who was paid what.
pub fn block_list(blocks: &Value, count: usize) -> String {
    let mut rows = Vec::new();
    for block in array(blocks).iter().take(count) {
        let depth = block["confirmations"].as_u64().filter(|_| block["status"] == "accepted");
        let depth = depth.map_or(String::new(), |depth| format!(" ({depth} deep)"));
        rows.push(vec![
            format!("block {} {}{depth}", text(&block["height"]), text(&block["status"])),
            text(&block["value"]),
            format!("effort {:.0} %", block["effort_percent"].as_f64().unwrap_or(0.0)),
        ]);
        for output in array(&block["outputs"]) {
            let pool = if output["pool"] == true { " (pool)" } else { "" };
            rows.push(vec![format!("  {}{pool}", text(&output["address"])), text(&output["amount"]), String::new()]);
        }
    }
    if rows.is_empty() { "no blocks yet\n".to_string() } else { columns(&rows) }
}

/// Hashes per second with a prefix.
fn hashrate(value: &Value) -> String {
    let mut rate = value.as_f64().unwrap_or(0.0);
    let mut units = ["H/s", "kH/s", "MH/s", "GH/s", "TH/s", "PH/s", "EH/s"].iter();
    let mut unit = units.next().unwrap_or(&"H/s");
    for next in units {
        if rate < 1_000.0 {
            break;
        }
        rate /= 1_000.0;
        unit = next;
    }
    format!("{rate:.1} {unit}")
}

fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_string(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
