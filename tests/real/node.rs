//! A real node, litecoind or bitcoind, in a folder of its own, on ports of its own, ended with its owner.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::chain::Chain;
use crate::http;
use crate::kind::Kind;
use crate::place::{Folder, free_port, wait_for};
use crate::visitor::Visitor;

const WALLET: &str = "miners";

/// Why a call gave no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RpcError {
    /// No HTTP answer, or one that is not JSON-RPC.
    Transport(String),
    /// The node's own error.
    Node { code: i64, message: String },
}

/// A running (or, after [`Node::kill`] and [`Node::stop`], a stopped) node.
pub struct Node {
    // Fields drop in this order: the visitor and the process end before the folder goes.
    _visitor: Option<Visitor>,
    process: Mutex<Option<Child>>,
    chain: Chain,
    more_arguments: Vec<String>,
    rpc_port: u16,
    p2p_port: u16,
    folder: Folder,
}

impl Node {
    /// Starts a node on a copy of `chain` and waits until it would give block templates.
    pub fn start(chain: Chain) -> Node {
        Node::start_with(chain, &[])
    }

    /// The same, with more arguments.
    pub fn start_with(chain: Chain, more_arguments: &[&str]) -> Node {
        let folder = Folder::new(chain.kind().name);
        chain.copy_to(&folder);
        Node::start_in(folder, chain, more_arguments)
    }

    pub fn start_in(folder: Folder, chain: Chain, more_arguments: &[&str]) -> Node {
        let (rpc_port, p2p_port) = (free_port(), free_port());
        let _visitor = chain.kind().needs_peer.then(|| Visitor::new(p2p_port));
        let more_arguments = more_arguments.iter().map(ToString::to_string).collect();
        let node = Node { _visitor, process: Mutex::new(None), chain, more_arguments, rpc_port, p2p_port, folder };
        node.restart();
        node
    }

    /// Starts the process again on the same folder and ports, with a new cookie.
    pub fn restart(&self) {
        let mut process = self.process.lock().unwrap();
        assert!(process.is_none(), "the node still runs");
        let kind = self.kind();
        let log = File::create(self.folder.path().join("output.log")).unwrap();
        let child = Command::new(kind.program())
            .arg(format!("-{}", self.chain.network()))
            .args(["-server", "-listenonion=0", "-discover=0", "-dnsseed=0"])
            .args(["-fallbackfee=0.0002", "-maxtipage=9999999999", "-rpcthreads=8", "-rpcworkqueue=64"])
            // A test's node is flushed by hand where that matters; the rest is speed.
            .args(["-checkblocks=1", "-dbcache=16", "-maxmempool=20", "-rpcallowip=127.0.0.1"])
            .args(kind.arguments)
            .args(&self.more_arguments)
            .arg(format!("-datadir={}", self.folder.path().display()))
            .arg(format!("-bind=127.0.0.1:{}", self.p2p_port))
            .arg(format!("-rpcbind=127.0.0.1:{}", self.rpc_port))
            .arg(format!("-rpcport={}", self.rpc_port))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("the node can be started");
        *process = Some(child);
        drop(process);
        wait_for("the node answers", 60, || {
            let exited = self.process.lock().unwrap().as_mut().unwrap().try_wait().unwrap();
            assert!(exited.is_none(), "{} ended ({exited:?}):\n{}", kind.name, self.log());
            self.call("/", "getblockcount", &json!([])).ok()
        });
        self.open_wallet();
        if kind.needs_peer {
            wait_for("the node sees a peer", 20, || (self.ask("getconnectioncount", json!([])) != 0).then_some(()));
        }
    }

    pub fn kind(&self) -> &'static Kind {
        self.chain.kind()
    }

    /// What it started with.
    pub fn chain(&self) -> Chain {
        self.chain
    }

    /// As a configuration names the network.
    pub fn network(&self) -> &'static str {
        self.chain.network()
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn open_wallet(&self) {
        let loaded = self.call("/", "loadwallet", &json!([WALLET]));
        if let Err(RpcError::Node { code: -18, .. }) = loaded {
            self.call("/", "createwallet", &json!([WALLET])).expect("a wallet can be made");
        } else {
            loaded.expect("the wallet can be loaded");
        }
    }

    /// One JSON-RPC call, on the wallet's path where a wallet is asked.
    pub fn rpc(&self, method: &str, params: Value) -> Result<Value, RpcError> {
        self.call(&format!("/wallet/{WALLET}"), method, &params)
    }

    /// A call that can't fail in a sound test.
    #[track_caller]
    pub fn ask(&self, method: &str, params: Value) -> Value {
        match self.rpc(method, params.clone()) {
            Ok(result) => result,
            Err(error) => panic!("{method} {params}: {error:?}"),
        }
    }

    fn call(&self, path: &str, method: &str, params: &Value) -> Result<Value, RpcError> {
        let transport = |text: String| RpcError::Transport(text);
        let cookie = fs::read_to_string(self.cookie_file()).map_err(|error| transport(error.to_string()))?;
        let basic = format!("Basic {}", STANDARD.encode(cookie.trim()));
        let body = json!({"jsonrpc": "1.0", "id": 0, "method": method, "params": params}).to_string();
        let reply = http::request("POST", self.rpc_port, path, Some(&basic), body.as_bytes(), Duration::from_secs(60))
            .map_err(|error| transport(error.to_string()))?;
        let mut answer: Value = serde_json::from_slice(&reply.body)
            .map_err(|_| transport(format!("{}: {}", reply.status, String::from_utf8_lossy(&reply.body))))?;
        match &answer["error"] {
            Value::Null => Ok(answer["result"].take()),
            error => Err(RpcError::Node {
                code: error["code"].as_i64().unwrap_or_default(),
                message: error["message"].as_str().unwrap_or_default().to_owned(),
            }),
        }
    }

    /// Mines blocks to a segwit address of the wallet.
    pub fn generate(&self, blocks: u64) {
        let address = self.ask("getnewaddress", json!(["", "bech32"]));
        self.ask("generatetoaddress", json!([blocks, address]));
    }

    pub fn height(&self) -> u64 {
        self.ask("getblockcount", json!([])).as_u64().unwrap()
    }

    pub fn tip(&self) -> String {
        self.ask("getbestblockhash", json!([])).as_str().unwrap().to_owned()
    }

    /// A template as a pool asks for it.
    pub fn template(&self) -> Result<Value, RpcError> {
        self.rpc("getblocktemplate", json!([{"rules": self.kind().rules}]))
    }

    /// Whether the tip is a block with MWEB data.
    pub fn mweb_activated(&self) -> bool {
        self.ask("getblock", json!([self.tip()])).get("mweb").is_some()
    }

    /// The address the node prints for an output script.
    pub fn address_of(&self, script_hex: &str) -> String {
        address_in(&self.ask("decodescript", json!([script_hex]))).expect("a script of a known type").to_owned()
    }

    /// Asks this node to connect to another one, and waits until they have the same tip.
    pub fn connect_to(&self, other: &Node) {
        self.ask("addnode", json!([format!("127.0.0.1:{}", other.p2p_port), "onetry"]));
        wait_for("two nodes agree on a tip", 30, || (self.tip() == other.tip()).then_some(()));
    }

    /// Ends the connection that [`Node::connect_to`] made.
    pub fn disconnect_from(&self, other: &Node) {
        self.ask("disconnectnode", json!([format!("127.0.0.1:{}", other.p2p_port)]));
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.rpc_port)
    }

    /// Where the wallet is asked.
    pub fn wallet_url(&self) -> String {
        self.wallet_url_of(WALLET)
    }

    /// Where a wallet of another name is asked.
    pub fn wallet_url_of(&self, name: &str) -> String {
        format!("{}/wallet/{name}", self.url())
    }

    /// A call that can't fail in a sound test, to a wallet of another name.
    #[track_caller]
    pub fn rpc_of(&self, wallet: &str, method: &str, params: Value) -> Value {
        let result = self.call(&format!("/wallet/{wallet}"), method, &params);
        result.unwrap_or_else(|error| panic!("{method} {params}: {error:?}"))
    }

    pub fn cookie_file(&self) -> PathBuf {
        self.folder.path().join(self.network()).join(".cookie")
    }

    /// Ends the node in order: everything is on disk afterwards.
    pub fn stop(&self) {
        self.ask("stop", json!([]));
        if let Some(mut child) = self.process.lock().unwrap().take() {
            child.wait().unwrap();
        }
    }

    /// SIGKILL. The chain is flushed first: a young regtest node would otherwise come back without its last blocks.
    pub fn kill(&self) {
        self.ask("gettxoutsetinfo", json!([]));
        if let Some(mut child) = self.process.lock().unwrap().take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("output.log")).unwrap_or_default()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // A poisoned lock must not keep the process alive after a failed test.
        let mut process = self.process.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(mut child) = process.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The address that a node prints with an output script: newer ones have one, older ones a list of it.
pub fn address_in(script: &Value) -> Option<&str> {
    script["address"].as_str().or_else(|| script["addresses"][0].as_str())
}
