//! The edgepool binary as it ships, with a configuration, ports and a data directory of its own.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::http;
use crate::litecoind::Litecoind;
use crate::place::{Folder, free_port, wait_for};
use crate::program;

/// Difficulty 1 is 65,536 hashes of scrypt; this is one hash. Regtest's own difficulty is just below two of them, so that
/// about half of the shares of this difficulty make no block.
pub const ONE_HASH: f64 = 1.0 / 65_536.0;

/// An error of edgepool's JSON-RPC: code and text.
pub type RpcError = (i64, String);

pub struct Pool {
    process: Option<Child>,
    pub rpc_port: u16,
    pub stratum_port: u16,
    folder: Folder,
}

impl Pool {
    /// A pool that pays `pool_address` and mines on these nodes, ready to hand out work.
    pub fn start(nodes: &[&Litecoind], pool_address: &str) -> Pool {
        Pool::start_with(nodes, pool_address, |_| {})
    }

    /// The same, with changes to the only entry of the configuration's `pools`.
    pub fn start_with(nodes: &[&Litecoind], pool_address: &str, change: impl FnOnce(&mut Value)) -> Pool {
        let pool = Pool::start_unready(nodes, pool_address, change);
        pool.wait_until_ready();
        pool
    }

    /// A pool that answers RPC, whether it has work or not.
    pub fn start_unready(nodes: &[&Litecoind], pool_address: &str, change: impl FnOnce(&mut Value)) -> Pool {
        let mut pool =
            Pool { process: None, rpc_port: free_port(), stratum_port: free_port(), folder: Folder::new("edgepool") };
        let nodes: Vec<Value> =
            nodes.iter().map(|node| json!({"url": node.url(), "cookie_file": node.cookie_file()})).collect();
        let mut entry = json!({
            "name": "ltc",
            "coin": "litecoin",
            "network": "regtest",
            "nodes": nodes,
            "stratum": {"listen": [format!("127.0.0.1:{}", pool.stratum_port)]},
            // Vardiff stays out of the way: a share is always one hash, unless a miner asks for more.
            "vardiff": {"start": ONE_HASH, "min": ONE_HASH, "max": 1, "target_share_s": 15},
            "payout": {"address": pool_address, "fee_percent": "1.0", "min_payout": "0.001", "max_outputs": 10}
        });
        change(&mut entry);
        let data_dir = pool.folder.path().join("data");
        fs::create_dir_all(&data_dir).unwrap();
        let config = json!({
            "data_dir": data_dir,
            "rpc": {"listen": format!("127.0.0.1:{}", pool.rpc_port), "admin_token_file": data_dir.join("admin.token")},
            "pools": [entry]
        });
        fs::write(pool.config_file(), config.to_string()).unwrap();
        pool.restart();
        pool
    }

    fn config_file(&self) -> PathBuf {
        self.folder.path().join("edgepool.json")
    }

    /// Runs a command of the binary on this pool's configuration.
    pub fn command(&self, arguments: &[&str]) -> Output {
        let mut command = program::command();
        command.args(arguments).arg("--config").arg(self.config_file()).output().expect("edgepool can be started")
    }

    /// Starts the process again on the same configuration and data, and waits until it answers RPC.
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "the pool still runs");
        let log = File::options().create(true).append(true).open(self.log_file()).unwrap();
        let child = program::command()
            .args(["run", "--config"])
            .arg(self.config_file())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("edgepool can be started");
        self.process = Some(child);
        wait_for("edgepool answers RPC", 60, || {
            let exited = self.process.as_mut().unwrap().try_wait().unwrap();
            assert!(exited.is_none(), "edgepool ended at its start ({exited:?})");
            self.rpc("uptime", json!([])).ok()
        });
    }

    #[track_caller]
    pub fn wait_until_ready(&self) {
        wait_for("/health answers 200", 60, || (self.health().ok()? == 200).then_some(()));
    }

    /// The status code of `GET /health`.
    pub fn health(&self) -> io::Result<u16> {
        http::request("GET", self.rpc_port, "/health", None, b"", Duration::from_secs(10)).map(|reply| reply.status)
    }

    /// A call that needs no token.
    pub fn rpc(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        self.call(method, params, None)
    }

    /// A call with the admin token.
    pub fn rpc_as_admin(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        let token = fs::read_to_string(self.token_file());
        let token = token.map_err(|error| (0, format!("no token: {error}")))?;
        self.call(method, params, Some(&format!("Bearer {}", token.trim())))
    }

    /// A reading call that can't fail in a sound test.
    #[track_caller]
    pub fn ask(&self, method: &str, params: Value) -> Value {
        self.rpc(method, params).unwrap_or_else(|error| panic!("{method}: {error:?}"))
    }

    fn call(&self, method: &str, params: Value, authorization: Option<&str>) -> Result<Value, RpcError> {
        let body = json!({"jsonrpc": "2.0", "id": 7, "method": method, "params": params}).to_string();
        let timeout = Duration::from_secs(30);
        let reply = http::request("POST", self.rpc_port, "/", authorization, body.as_bytes(), timeout)
            .map_err(|error| (0, error.to_string()))?;
        let mut answer: Value = serde_json::from_slice(&reply.body)
            .map_err(|_| (0, format!("{}: {}", reply.status, String::from_utf8_lossy(&reply.body))))?;
        assert_eq!(answer["id"], 7, "the answer to another call: {answer}");
        match answer.get("error").filter(|error| !error.is_null()) {
            None => Ok(answer["result"].take()),
            Some(error) => Err((
                error["code"].as_i64().unwrap_or_default(),
                error["message"].as_str().unwrap_or_default().to_owned(),
            )),
        }
    }

    /// Waits until `getinfo` shows node number `index` in a state that is wanted.
    #[track_caller]
    pub fn wait_for_node_state(&self, index: usize, description: &str, wanted: impl Fn(&str) -> bool) {
        wait_for(&format!("node {index} is {description}"), 60, || {
            let info = self.ask("getinfo", json!([]));
            let nodes = find(&info, "nodes").unwrap_or_else(|| panic!("getinfo shows nodes: {info}"));
            let state = nodes[index]["state"].as_str().unwrap_or_else(|| panic!("a node has a state: {nodes}"));
            wanted(state).then_some(())
        });
    }

    /// The entry of `getpayoutinfo`'s miners for an address, if it is there.
    pub fn miner_info(&self, address: &str) -> Option<Value> {
        let mut info = self.ask("getpayoutinfo", json!([]));
        let miners = info["miners"].as_array_mut().expect("getpayoutinfo shows miners");
        miners.iter_mut().find(|miner| miner["address"] == address).map(Value::take)
    }

    /// Shares in the window under an address.
    pub fn share_count(&self, address: &str) -> u64 {
        self.miner_info(address).map_or(0, |miner| miner["share_count"].as_u64().expect("share_count is a number"))
    }

    /// SIGKILL: as near to a power cut as a process can have.
    pub fn kill(&mut self) {
        let mut child = self.process.take().expect("the pool runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM, as systemd ends a service.
    pub fn stop(&mut self) -> ExitStatus {
        let id = self.process.as_ref().expect("the pool runs").id();
        let sent = Command::new("kill").arg(id.to_string()).status().unwrap();
        assert!(sent.success());
        self.wait_for_end()
    }

    /// The end of a pool that was asked for it.
    pub fn wait_for_end(&mut self) -> ExitStatus {
        let mut child = self.process.take().expect("the pool runs");
        wait_for("edgepool ends", 20, || child.try_wait().unwrap())
    }

    pub fn token_file(&self) -> PathBuf {
        self.folder.path().join("data/admin.token")
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("edgepool.log")
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        if let Some(mut child) = self.process.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if thread::panicking() {
            let log = fs::read_to_string(self.log_file()).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines[lines.len().saturating_sub(80)..].join("\n");
            eprintln!("--- end of {} ---\n{last}\n---", self.log_file().display());
        }
    }
}

/// The first member of this name at any depth.
fn find<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    match value {
        Value::Object(members) => members.get(name).or_else(|| members.values().find_map(|member| find(member, name))),
        Value::Array(items) => items.iter().find_map(|item| find(item, name)),
        _ => None,
    }
}
