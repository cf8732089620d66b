//! The node of a merge-mined chain: dogecoind or pepecoind where it is installed, else the demo's chain behind its node,
//! which judges blocks and proofs by dogecoind's rules. Either is asked over RPC alone.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{self, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use edgepool::shell::demo::chain::{Chain, ChainSpec};
use edgepool::shell::demo::node::EmbeddedNode;
use serde_json::{Value, json};

use crate::http;
use crate::place::{Folder, free_port, wait_for};
use crate::visitor::Visitor;

const COOKIE: &str = "user:secret";
/// Regtest blocks that a daemon makes itself before the first that may be merge-mined.
const BEFORE_AUXPOW: u32 = 20;

/// A node of a merge-mined chain, with a configuration entry for it.
pub struct Child {
    coin: &'static str,
    port: u16,
    backing: Backing,
}

enum Backing {
    Embedded { chain: Arc<Mutex<Chain>>, node: Option<EmbeddedNode> },
    Daemon(Daemon),
}

/// dogecoind, or a relative of it that takes the same arguments.
struct Daemon {
    program: String,
    process: Option<process::Child>,
    p2p_port: u16,
    // Without a peer it has no templates, on regtest either. The fields drop in this order.
    _visitor: Visitor,
    folder: Folder,
}

impl Child {
    /// Dogecoin's: the real node if it is in PATH, whose difficulty is its own.
    pub fn dogecoin(start_hashes: u64) -> Child {
        Child::real_or(ChainSpec { start_hashes, ..ChainSpec::dogecoin() })
    }

    /// Pepecoin's, likewise.
    pub fn pepecoin(start_hashes: u64) -> Child {
        Child::real_or(ChainSpec { start_hashes, ..ChainSpec::pepecoin() })
    }

    fn real_or(spec: ChainSpec) -> Child {
        Child::real(spec.coin.name, "the demo's chain takes its place").unwrap_or_else(|| Child::embedded(spec))
    }

    /// The real node of a coin, which has a wallet. Where it is not in PATH that is said, with what follows.
    pub fn real(coin: &'static str, without: &str) -> Option<Child> {
        let program = format!("{coin}d");
        let found = Command::new(&program).arg("-version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if found.is_err() {
            // Past the test runner's capture: nobody shall believe that the real one was asked.
            let line = format!("\nSKIPPED {program}: it is not in PATH, and {without}\n");
            std::io::stderr().write_all(line.as_bytes()).expect("stderr can be written");
            return None;
        }
        let p2p_port = free_port();
        let (_visitor, folder) = (Visitor::new(p2p_port), Folder::new(&program));
        let backing = Backing::Daemon(Daemon { program, process: None, p2p_port, _visitor, folder });
        let mut child = Child { coin, port: free_port(), backing };
        child.restart();
        child.generate(BEFORE_AUXPOW);
        Some(child)
    }

    /// Has a real node make blocks that pay its own wallet.
    pub fn generate(&self, blocks: u32) {
        let address = self.ask("getnewaddress", json!([]));
        self.ask("generatetoaddress", json!([blocks, address]));
    }

    /// A chain of the demo.
    pub fn embedded(spec: ChainSpec) -> Child {
        let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as u32;
        let chain = Arc::new(Mutex::new(Chain::new(spec, now_s)));
        let mut child =
            Child { coin: spec.coin.name, port: free_port(), backing: Backing::Embedded { chain, node: None } };
        child.restart();
        child
    }

    /// Whether every hash is a block, so that it is found where the parent's is not.
    pub fn takes_every_hash(&self) -> bool {
        self.bits() == 0x2100_ffff
    }

    /// The compact target of its next block.
    pub fn bits(&self) -> u32 {
        let template = self.ask("getblocktemplate", json!([{}]));
        u32::from_str_radix(template["bits"].as_str().expect("a template has bits"), 16).unwrap()
    }

    /// Its part of the configuration's `merge`.
    pub fn entry(&self, pool_address: &str) -> Value {
        let mut node = json!({ "url": format!("http://127.0.0.1:{}", self.port) });
        match &self.backing {
            Backing::Embedded { .. } => {
                node["user"] = "user".into();
                node["password"] = "secret".into();
            }
            Backing::Daemon(daemon) => node["cookie_file"] = json!(daemon.cookie_file()),
        }
        json!({
            "coin": self.coin,
            "nodes": [node],
            "payout": { "address": pool_address, "fee_percent": "1.0", "min_payout": "1", "max_outputs": 10 },
        })
    }

    /// The id of the best block.
    pub fn tip(&self) -> String {
        self.ask("getbestblockhash", json!([])).as_str().unwrap().to_owned()
    }

    /// A block's bytes, its proof among them.
    pub fn raw_block(&self, hash: &str) -> Vec<u8> {
        hex::decode(self.ask("getblock", json!([hash, false])).as_str().unwrap()).unwrap()
    }

    /// A call that can't fail in a sound test.
    #[track_caller]
    pub fn ask(&self, method: &str, params: Value) -> Value {
        self.rpc(method, params).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    fn rpc(&self, method: &str, params: Value) -> Result<Value, String> {
        let cookie = match &self.backing {
            Backing::Embedded { .. } => COOKIE.to_owned(),
            Backing::Daemon(daemon) => fs::read_to_string(daemon.cookie_file()).map_err(|error| error.to_string())?,
        };
        let basic = format!("Basic {}", STANDARD.encode(cookie.trim()));
        let body = json!({"jsonrpc": "1.0", "id": 0, "method": method, "params": params}).to_string();
        let reply = http::request("POST", self.port, "/", Some(&basic), body.as_bytes(), Duration::from_secs(60));
        let reply = reply.map_err(|error| error.to_string())?;
        let mut answer: Value = serde_json::from_slice(&reply.body).map_err(|error| error.to_string())?;
        if answer["error"].is_null() { Ok(answer["result"].take()) } else { Err(answer["error"].to_string()) }
    }

    /// Ends the node; its chain stays.
    pub fn stop(&mut self) {
        match &mut self.backing {
            Backing::Embedded { node, .. } => drop(node.take()),
            Backing::Daemon(daemon) => daemon.end(),
        }
    }

    /// Starts the node again on the same port and chain.
    pub fn restart(&mut self) {
        let port = self.port;
        match &mut self.backing {
            Backing::Embedded { chain, node } => {
                let socket = wait_for("the port", 20, || TcpListener::bind(("127.0.0.1", port)).ok());
                *node = Some(EmbeddedNode::serve(socket, chain.clone(), COOKIE).expect("a thread can be started"));
            }
            Backing::Daemon(daemon) => daemon.start(port),
        }
        wait_for("the child's node answers", 60, || self.rpc("getblockcount", json!([])).ok());
        if matches!(self.backing, Backing::Daemon(_)) {
            wait_for("it sees a peer", 20, || (self.ask("getconnectioncount", json!([])) != 0).then_some(()));
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Daemon {
    fn start(&mut self, rpc_port: u16) {
        let log = File::create(self.folder.path().join("output.log")).unwrap();
        let started = Command::new(&self.program)
            .args(["-regtest", "-server", "-listenonion=0", "-discover=0", "-dnsseed=0", "-upnp=0"])
            .args(["-maxtipage=9999999999", "-rpcthreads=8", "-rpcworkqueue=64", "-dbcache=16"])
            .arg(format!("-datadir={}", self.folder.path().display()))
            .arg(format!("-bind=127.0.0.1:{}", self.p2p_port))
            .arg(format!("-rpcport={rpc_port}"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn();
        self.process = Some(started.unwrap_or_else(|error| panic!("{}: {error}", self.program)));
    }

    fn cookie_file(&self) -> PathBuf {
        self.folder.path().join("regtest/.cookie")
    }

    /// In order: a chain that is killed young would lose its last blocks.
    fn end(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = Command::new("kill").arg(process.id().to_string()).status();
            let _ = process.wait();
        }
    }
}
