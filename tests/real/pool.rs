//! The edgepool binary as it ships, with a configuration, ports and a data directory of its own.

use std::fs::{self, File};
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;

use serde_json::{Value, json};

use crate::kind::LITECOIND;
use crate::miner::Port;
use crate::node::Node;
use crate::place::{Folder, free_port, wait_for};
use crate::program;
use crate::rpc::Rpc;

/// The easiest share. Difficulty 1 is 65,536 hashes of scrypt, so this is one. Regtest's own difficulty is just below two of
/// them: about half of the shares of this difficulty make no block. Of sha256d it is 65,536 hashes, and all make one.
pub const ONE_HASH: f64 = 1.0 / 65_536.0;

pub struct Pool {
    process: Option<Child>,
    rpc: Rpc,
    /// Where the rigs of the first of its pools connect.
    pub stratum_port: Port,
    folder: Folder,
}

/// One entry of a configuration's `pools`, and where its rigs connect.
pub struct Entry {
    pub config: Value,
    pub port: Port,
}

impl Entry {
    /// A pool that pays `pool_address` and mines on these nodes; Litecoin's where there are none.
    pub fn new(nodes: &[&Node], pool_address: &str) -> Entry {
        let kind = nodes.first().map_or(&LITECOIND, |node| node.kind());
        let port = Port { number: free_port(), proof_of_work: kind.proof_of_work };
        let network = nodes.first().map_or("regtest", |node| node.network());
        let nodes: Vec<Value> =
            nodes.iter().map(|node| json!({"url": node.url(), "cookie_file": node.cookie_file()})).collect();
        let config = json!({
            "name": kind.pool,
            "coin": kind.coin,
            "network": network,
            "nodes": nodes,
            "stratum": {"listen": [format!("127.0.0.1:{}", port.number)]},
            // Vardiff stays out of the way: a share is always the easiest, unless a miner asks for more.
            "vardiff": {"start": ONE_HASH, "min": ONE_HASH, "max": 1, "target_share_s": 15},
            "payout": {"address": pool_address, "fee_percent": "1.0", "min_payout": "0.001", "max_outputs": 10}
        });
        Entry { config, port }
    }
}

impl Pool {
    /// A pool that pays `pool_address` and mines on these nodes, ready to hand out work.
    pub fn start(nodes: &[&Node], pool_address: &str) -> Pool {
        Pool::start_with(nodes, pool_address, |_| {})
    }

    /// The same, with changes to the only entry of the configuration's `pools`.
    pub fn start_with(nodes: &[&Node], pool_address: &str, change: impl FnOnce(&mut Value)) -> Pool {
        let pool = Pool::start_unready(nodes, pool_address, change);
        pool.wait_until_ready();
        pool
    }

    /// A pool that answers RPC, whether it has work or not.
    pub fn start_unready(nodes: &[&Node], pool_address: &str, change: impl FnOnce(&mut Value)) -> Pool {
        let mut entry = Entry::new(nodes, pool_address);
        change(&mut entry.config);
        Pool::start_several(&[entry])
    }

    /// One daemon for all of these pools. Answers RPC, whether they have work or not.
    pub fn start_several(entries: &[Entry]) -> Pool {
        let mut pool = Pool::configured(entries);
        pool.restart();
        pool
    }

    /// What `edgepool check` says of these pools.
    pub fn check(entries: &[Entry]) -> Output {
        Pool::configured(entries).command(&["check"])
    }

    fn configured(entries: &[Entry]) -> Pool {
        let stratum_port = entries[0].port;
        let folder = Folder::new("edgepool");
        let data_dir = folder.path().join("data");
        fs::create_dir_all(&data_dir).unwrap();
        let rpc = Rpc { rpc_port: free_port(), data_dir: data_dir.clone(), pool: None };
        let pool = Pool { process: None, rpc, stratum_port, folder };
        let config = json!({
            "data_dir": data_dir,
            "rpc": {"listen": format!("127.0.0.1:{}", pool.rpc_port), "admin_token_file": data_dir.join("admin.token")},
            "pools": entries.iter().map(|entry| &entry.config).collect::<Vec<&Value>>()
        });
        fs::write(pool.config_file(), config.to_string()).unwrap();
        pool
    }

    fn config_file(&self) -> PathBuf {
        self.folder.path().join("edgepool.json")
    }

    /// Runs a command of the binary on this pool's configuration.
    pub fn command(&self, arguments: &[&str]) -> Output {
        let config = self.config_file();
        Pool::run(&[arguments, &["--config", config.to_str().expect("the folder's name is text")]].concat())
    }

    /// Runs a command of the binary.
    pub fn run(arguments: &[&str]) -> Output {
        program::command().args(arguments).output().expect("edgepool can be started")
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.process.as_ref().expect("the pool runs").id()
    }

    /// Starts the process again on the same configuration and data, and waits until it answers RPC.
    pub fn restart(&mut self) {
        assert!(self.process.is_none(), "the pool still runs");
        let log = File::options().create(true).append(true).open(self.log_file()).unwrap();
        // A test may set a limit to the size of files: then writing fails, as on a full disk, and no signal ends the
        // process.
        let child = Command::new("sh")
            .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
            .args(program::words())
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

    /// SIGKILL: as near to a power cut as a process can have.
    pub fn kill(&mut self) {
        let mut child = self.process.take().expect("the pool runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM, as systemd ends a service.
    pub fn stop(&mut self) -> ExitStatus {
        let sent = Command::new("kill").arg(self.id().to_string()).status().unwrap();
        assert!(sent.success());
        self.wait_for_end()
    }

    /// The end of a pool that was asked for it.
    pub fn wait_for_end(&mut self) -> ExitStatus {
        let mut child = self.process.take().expect("the pool runs");
        wait_for("edgepool ends", 20, || child.try_wait().unwrap())
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("edgepool.log")
    }
}

impl Deref for Pool {
    type Target = Rpc;

    fn deref(&self) -> &Rpc {
        &self.rpc
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
