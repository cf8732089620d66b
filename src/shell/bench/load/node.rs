//! The node of the measured pool: answers JSON-RPC on a loopback port with one synthetic template, and a long poll
//! when the benchmark says that there is a block. A thread for each connection, which sleeps but for its calls.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use super::template::Templates;
use crate::base::limits::HTTP_HEAD;
use crate::wire::http::{HttpRequest, RequestReader, response};

/// Longest body of a request: no block is ever submitted.
const BODY: usize = 64 * 1024;

struct Tip {
    height: u32,
    prev_hash: String,
    template: Arc<str>,
    sent: Option<Instant>,
}

struct Shared {
    tip: Mutex<Tip>,
    changed: Condvar,
}

/// See the module. Its threads end with the process, or with the pool's connections.
pub(super) struct Node {
    pub(super) address: SocketAddr,
    templates: Templates,
    shared: Arc<Shared>,
}

impl Node {
    /// Serves templates of so many transactions.
    pub(super) fn start(transactions: usize) -> io::Result<Node> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?;
        let templates = Templates::new(transactions);
        let (prev_hash, template) = templates.at(1);
        let tip = Tip { height: 1, prev_hash, template, sent: None };
        let shared = Arc::new(Shared { tip: Mutex::new(tip), changed: Condvar::new() });
        thread::Builder::new().name("bench-node".into()).spawn({
            let shared = shared.clone();
            move || {
                for stream in listener.incoming().flatten() {
                    let shared = shared.clone();
                    // Without a thread the pool finds its connection closed, and tries again.
                    let _ = thread::Builder::new().name("bench-call".into()).spawn(move || {
                        // The pool closes when it likes.
                        let _ = converse(stream, &shared);
                    });
                }
            }
        })?;
        Ok(Node { address, templates, shared })
    }

    /// There is a block: answers the long poll with the next template.
    pub(super) fn announce(&self) {
        let height = self.shared.lock().height + 1;
        let (prev_hash, template) = self.templates.at(height);
        *self.shared.lock() = Tip { height, prev_hash, template, sent: None };
        self.shared.changed.notify_all();
    }

    /// When the first byte of the newest template was first about to be sent.
    pub(super) fn sent(&self) -> Option<Instant> {
        self.shared.lock().sent
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Tip> {
        self.tip.lock().expect("nothing panics while it holds the tip")
    }
}

fn converse(mut stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = RequestReader::new(HTTP_HEAD, BODY);
    let mut piece = [0; 16 * 1024];
    loop {
        while let Some(request) = reader.next() {
            let request = request.map_err(|error| io::Error::other(error.to_string()))?;
            answer(&request, shared, &mut stream)?;
        }
        match stream.read(&mut piece)? {
            0 => return Ok(()),
            count => reader.push(&piece[..count]),
        }
    }
}

fn answer(request: &HttpRequest, shared: &Shared, stream: &mut TcpStream) -> io::Result<()> {
    let call: Value = serde_json::from_slice(&request.body)?;
    let result = match call["method"].as_str().unwrap_or_default() {
        "getblocktemplate" => return send_template(&call, shared, stream),
        "getbestblockhash" => Value::from(shared.lock().prev_hash.as_str()),
        "getconnectioncount" => json!(8),
        "getblockchaininfo" => {
            let height = shared.lock().height - 1;
            json!({"chain": "regtest", "blocks": height, "headers": height, "initialblockdownload": false})
        }
        _ => Value::Null,
    };
    let body = json!({"result": result, "error": null, "id": call["id"]}).to_string();
    stream.write_all(&response(200, "application/json", body.as_bytes(), true, &[]))
}

/// Answers a long poll when the tip is another than it knows, and any other call at once.
fn send_template(call: &Value, shared: &Shared, stream: &mut TcpStream) -> io::Result<()> {
    let known = call["params"][0]["longpollid"].as_str().unwrap_or_default();
    let mut tip = shared.lock();
    while tip.prev_hash == known {
        tip = shared.changed.wait(tip).expect("nothing panics while it holds the tip");
    }
    let (height, template) = (tip.height, tip.template.clone());
    drop(tip);
    let body = format!("{{\"result\":{template},\"error\":null,\"id\":{}}}", call["id"]);
    let bytes = response(200, "application/json", body.as_bytes(), true, &[]);
    let mut tip = shared.lock();
    if tip.height == height {
        tip.sent.get_or_insert(Instant::now());
    }
    drop(tip);
    stream.write_all(&bytes)
}
