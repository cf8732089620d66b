//! A real litecoind on regtest, in a folder of its own, on ports of its own, ended with its owner.
//!
//! Chains of the heights that tests start from are mined once per version of litecoind and kept under the target's
//! temporary folder; each node starts on a copy.

use std::fs::{self, File};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::http;
use crate::place::{Folder, base, copy_folder, free_port, wait_for};

/// Debian's wrapper at `/usr/bin/litecoind` only adds options; the program itself is preferred.
const PROGRAMS: [&str; 2] = ["/usr/lib/litecoin/litecoind", "/usr/bin/litecoind"];
const WALLET: &str = "miners";
/// The first block that must carry MWEB data on regtest.
pub const MWEB_HEIGHT: u64 = 432;

/// The chain a node starts with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Chain {
    /// Genesis alone, and an empty wallet.
    Genesis,
    /// Tip at 429: two blocks before the last one without MWEB; segwit is active, the wallet has legacy and segwit coins.
    BeforeMweb,
    /// Tip at 440: MWEB is active, and the wallet has legacy, segwit and MWEB coins to spend.
    Mweb,
}

impl Chain {
    fn label(self) -> &'static str {
        match self {
            Chain::Genesis => "genesis",
            Chain::BeforeMweb => "before-mweb",
            Chain::Mweb => "mweb",
        }
    }
}

/// Why a call gave no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RpcError {
    /// No HTTP answer, or one that is not JSON-RPC.
    Transport(String),
    /// The node's own error.
    Node { code: i64, message: String },
}

/// A running (or, after [`Litecoind::kill`] and [`Litecoind::stop`], a stopped) node.
pub struct Litecoind {
    // Fields drop in this order: the visitor and the process end before the folder goes.
    visitor: Visitor,
    process: Mutex<Option<Child>>,
    rpc_port: u16,
    p2p_port: u16,
    folder: Folder,
}

impl Litecoind {
    /// Starts a node on a copy of `chain` and waits until it would give block templates.
    pub fn start(chain: Chain) -> Litecoind {
        let folder = Folder::new("litecoind");
        if chain != Chain::Genesis {
            copy_folder(&prepared(chain), folder.path());
        }
        Litecoind::start_in(folder)
    }

    fn start_in(folder: Folder) -> Litecoind {
        let (rpc_port, p2p_port) = (free_port(), free_port());
        let visitor = Visitor::new(p2p_port);
        let node = Litecoind { visitor, process: Mutex::new(None), rpc_port, p2p_port, folder };
        node.restart();
        node
    }

    /// Starts the process again on the same folder and ports, with a new cookie.
    pub fn restart(&self) {
        let mut process = self.process.lock().unwrap();
        assert!(process.is_none(), "the node still runs");
        let log = File::create(self.folder.path().join("output.log")).unwrap();
        let child = Command::new(program())
            .args(["-regtest", "-server", "-listenonion=0", "-discover=0", "-dnsseed=0", "-upnp=0"])
            .args(["-fallbackfee=0.0002", "-maxtipage=9999999999", "-rpcthreads=8", "-rpcworkqueue=64"])
            // A test's node is flushed by hand where that matters; the rest is speed.
            .args(["-checkblocks=1", "-dbcache=16", "-maxmempool=20", "-rpcallowip=127.0.0.1"])
            .arg(format!("-datadir={}", self.folder.path().display()))
            .arg(format!("-bind=127.0.0.1:{}", self.p2p_port))
            .arg(format!("-rpcbind=127.0.0.1:{}", self.rpc_port))
            .arg(format!("-rpcport={}", self.rpc_port))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("litecoind can be started");
        *process = Some(child);
        drop(process);
        wait_for("litecoind answers", 60, || {
            let exited = self.process.lock().unwrap().as_mut().unwrap().try_wait().unwrap();
            assert!(exited.is_none(), "litecoind ended ({exited:?}):\n{}", self.log());
            self.call("/", "getblockcount", &json!([])).ok()
        });
        self.open_wallet();
        wait_for("litecoind sees a peer", 20, || (self.ask("getconnectioncount", json!([])) != 0).then_some(()));
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
        self.rpc("getblocktemplate", json!([{"rules": ["mweb", "segwit"]}]))
    }

    /// Whether the tip is a block with MWEB data.
    pub fn mweb_activated(&self) -> bool {
        self.ask("getblock", json!([self.tip()])).get("mweb").is_some()
    }

    /// The address the node prints for an output script.
    pub fn address_of(&self, script_hex: &str) -> String {
        self.ask("decodescript", json!([script_hex]))["addresses"][0].as_str().unwrap().to_owned()
    }

    /// Asks this node to connect to another one, and waits until they have the same tip.
    pub fn connect_to(&self, other: &Litecoind) {
        self.ask("addnode", json!([format!("127.0.0.1:{}", other.p2p_port), "onetry"]));
        wait_for("two nodes agree on a tip", 30, || (self.tip() == other.tip()).then_some(()));
    }

    /// Ends the connection that [`Litecoind::connect_to`] made.
    pub fn disconnect_from(&self, other: &Litecoind) {
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
        self.folder.path().join("regtest/.cookie")
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

impl Drop for Litecoind {
    fn drop(&mut self) {
        self.visitor.leave();
        // A poisoned lock must not keep the process alive after a failed test.
        let mut process = self.process.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(mut child) = process.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn program() -> &'static str {
    PROGRAMS
        .into_iter()
        .find(|path| Path::new(path).exists())
        .expect("these tests need litecoind: install it with `apt install litecoind`")
}

/// A bare TCP connection counts as a peer of the node for 60 s, and without a peer there are no templates (-9). The visitor
/// always holds one that is younger than that, and comes back soon after a restart.
struct Visitor {
    leaving: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Visitor {
    fn new(port: u16) -> Visitor {
        let leaving = Arc::new(AtomicBool::new(false));
        let told = leaving.clone();
        let thread = thread::spawn(move || {
            let mut held = None;
            while !told.load(Ordering::Relaxed) {
                // The new connection is made before the old one is dropped: there is never a moment without a peer.
                held = connected_visit(port, &told).or(held);
            }
        });
        Visitor { leaving, thread: Some(thread) }
    }

    fn leave(&mut self) {
        self.leaving.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Opens a connection and looks after it for 20 s, or until the node closes it.
fn connected_visit(port: u16, leaving: &AtomicBool) -> Option<TcpStream> {
    let pause = Duration::from_millis(50);
    let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) else {
        thread::sleep(pause);
        return None;
    };
    stream.set_read_timeout(Some(pause)).ok()?;
    for _ in 0..400 {
        let mut byte = [0];
        match stream.peek(&mut byte) {
            Ok(0) => {
                thread::sleep(pause);
                return None;
            }
            Ok(_) => thread::sleep(pause),
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut) => {}
            Err(_) => return None,
        }
        if leaving.load(Ordering::Relaxed) {
            break;
        }
    }
    Some(stream)
}

/// The kept data directory of a chain, mined if it is not there yet.
fn prepared(chain: Chain) -> PathBuf {
    static VERSION: OnceLock<String> = OnceLock::new();
    static MINING: Mutex<()> = Mutex::new(());
    let version = VERSION.get_or_init(|| {
        let output = Command::new(program()).arg("-version").output().expect("litecoind can be started");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().next().unwrap_or_default().rsplit(' ').next().unwrap_or_default().to_owned()
    });
    // The number is raised by hand when the recipe below changes.
    let kept = base().join(format!("chain-1-{version}-{}", chain.label()));
    let _one_at_a_time = MINING.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if !kept.exists() {
        let node = Litecoind::start_in(Folder::new("preparation"));
        mine(&node, chain);
        node.stop();
        for stale in ["regtest/debug.log", "regtest/peers.dat", "regtest/.lock", "output.log"] {
            let _ = fs::remove_file(node.folder.path().join(stale));
        }
        // Another process may have been first: either of the two is good.
        if let Err(error) = fs::rename(node.folder.path(), &kept) {
            assert!(kept.exists(), "the chain can't be kept: {error}");
        }
    }
    kept
}

/// The recipe. Coins of the first blocks mature after 100 more: the wallet ends with legacy and segwit ones to spend.
fn mine(node: &Litecoind, chain: Chain) {
    let legacy = node.ask("getnewaddress", json!(["", "legacy"]));
    node.ask("generatetoaddress", json!([110, legacy]));
    node.generate(MWEB_HEIGHT - 3 - 110);
    if chain == Chain::Mweb {
        node.generate(2);
        // Without a peg-in the node can't make the first MWEB block.
        let mweb = node.ask("getnewaddress", json!(["", "mweb"]));
        for _ in 0..5 {
            node.ask("sendtoaddress", json!([mweb, 2]));
        }
        node.generate(440 + 1 - MWEB_HEIGHT);
    }
}
