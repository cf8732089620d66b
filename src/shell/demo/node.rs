//! The demo's chain behind the HTTP JSON-RPC of a coin node, on a loopback port: the pool talks to it as to any
//! litecoind. A thread for each connection, which suits a demo; the pool itself has one thread.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::base::limits::{HTTP_HEAD, NODE_RESPONSE};
use crate::base::{display_hash, parse_hash};
use crate::wire::http::{HttpRequest, RequestReader, response};
use crate::wire::jsonrpc::{self, Call, METHOD_NOT_FOUND, RpcError};

use super::chain::Chain;

/// A long poll is answered at the latest after this.
const LONG_POLL: Duration = Duration::from_secs(60);

/// The chain as threads share it.
struct Shared {
    chain: Mutex<Chain>,
    /// Woken when the chain changes, or at the end.
    changed: Condvar,
    stopped: AtomicBool,
    authorization: String,
}

/// A running node; it ends when this is dropped.
pub struct EmbeddedNode {
    shared: Arc<Shared>,
    address: SocketAddr,
}

impl EmbeddedNode {
    /// Serves `chain` on a free loopback port to whoever shows `credentials` (`user:password`).
    pub fn start(chain: Chain, credentials: &str) -> io::Result<EmbeddedNode> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            chain: Mutex::new(chain),
            changed: Condvar::new(),
            stopped: AtomicBool::new(false),
            authorization: format!("Basic {}", BASE64_STANDARD.encode(credentials)),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if accepting.stopped.load(Ordering::Relaxed) {
                    return;
                }
                let shared = Arc::clone(&accepting);
                // A connection that breaks is the client's to open again.
                thread::spawn(move || shared.serve(stream));
            }
        });
        Ok(EmbeddedNode { shared, address })
    }

    /// Where it answers.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The chain, to look at.
    pub fn chain(&self) -> MutexGuard<'_, Chain> {
        self.shared.lock()
    }
}

impl Drop for EmbeddedNode {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        self.shared.changed.notify_all();
        // Wakes the accepting thread, so that it sees the end.
        let _ = TcpStream::connect(self.address);
    }
}

impl Shared {
    /// A thread that panicked left the chain as it was: blocks are put on it whole.
    fn lock(&self) -> MutexGuard<'_, Chain> {
        self.chain.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let mut reader = RequestReader::new(HTTP_HEAD, NODE_RESPONSE);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let count = stream.read(&mut buffer)?;
            if count == 0 || self.stopped.load(Ordering::Relaxed) {
                return Ok(());
            }
            reader.push(&buffer[..count]);
            while let Some(request) = reader.next() {
                let request = request.map_err(|_| io::ErrorKind::InvalidData)?;
                stream.write_all(&self.answer(&request))?;
            }
        }
    }

    fn answer(&self, request: &HttpRequest) -> Vec<u8> {
        if request.authorization.as_deref() != Some(&self.authorization) {
            return response(401, "text/html", b"", true, &[("WWW-Authenticate", "Basic realm=\"jsonrpc\"")]);
        }
        let served = jsonrpc::serve(&request.body, |call| self.call(call));
        response(served.status, "application/json", &served.body, request.keep_alive, &[])
    }

    fn call(&self, call: &Call) -> Result<Value, RpcError> {
        let param = |index: usize| call.params.get(index);
        match call.method.as_str() {
            "getblocktemplate" => {
                let known = param(0).and_then(|request| request.get("longpollid")).and_then(Value::as_str);
                if let Some(known) = known {
                    self.wait_for_change(known);
                }
                Ok(self.lock().template(now_ms()))
            }
            "submitblock" => {
                let text = param(0).and_then(Value::as_str).unwrap_or_default();
                let bytes = hex::decode(text).map_err(|_| RpcError::new(-22, "Block decode failed"))?;
                let outcome = self.lock().submit(&bytes, now_ms());
                self.changed.notify_all();
                match outcome {
                    Ok(()) => Ok(Value::Null),
                    Err("decode") => Err(RpcError::new(-22, "Block decode failed")),
                    Err(reason) => Ok(reason.into()),
                }
            }
            "getblockhash" => {
                let height = param(0).and_then(Value::as_u64).unwrap_or(u64::MAX);
                let chain = self.lock();
                let link = usize::try_from(height).ok().and_then(|height| chain.links().get(height));
                link.map(|link| display_hash(&link.hash).into())
                    .ok_or_else(|| RpcError::new(-8, "Block height out of range"))
            }
            "getblock" => {
                let hash = param(0).and_then(Value::as_str).and_then(parse_hash);
                let chain = self.lock();
                let height = chain.links().iter().position(|link| Some(link.hash) == hash);
                let height = height.ok_or_else(|| RpcError::new(-5, "Block not found"))?;
                let link = &chain.links()[height];
                let outputs: Vec<Value> = link
                    .outputs
                    .iter()
                    .map(|(amount, script)| json!({ "value": amount, "script": hex::encode(script.as_bytes()) }))
                    .collect();
                Ok(json!({ "hash": display_hash(&link.hash), "height": height, "coinbase": outputs }))
            }
            "getbestblockhash" => Ok(display_hash(&self.lock().tip().hash).into()),
            "getblockcount" => Ok(self.lock().height().into()),
            "getconnectioncount" => Ok(1.into()),
            "getblockchaininfo" => {
                let height = self.lock().height();
                Ok(json!({ "chain": "regtest", "blocks": height, "headers": height, "verificationprogress": 1.0 }))
            }
            _ => Err(RpcError::new(METHOD_NOT_FOUND, "Method not found")),
        }
    }

    fn wait_for_change(&self, known: &str) {
        let unchanged = |chain: &mut Chain| chain.long_poll_id() == known && !self.stopped.load(Ordering::Relaxed);
        // Whatever woke it, the answer is the template as it is now.
        drop(self.changed.wait_timeout_while(self.lock(), LONG_POLL, unchanged));
    }
}

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64)
}
