use std::time::Instant;

use serde_json::json;

use super::*;
use crate::base::display_hash;
use crate::coin::block::{assemble, header};
use crate::coin::coinbase::{Coinbase, CoinbaseSpec, TxOut};
use crate::coin::merkle;
use crate::coin::params::Algorithm;
use crate::coin::script::Script;
use crate::coin::template::Template;
use crate::shell::demo::chain::ChainSpec;
use crate::wire::http::{HttpResponse, ResponseReader, request};
use crate::wire::jsonrpc::{AnswerError, answer, call};

const COOKIE: &str = "__cookie__:c0ffee";

fn node() -> EmbeddedNode {
    node_of(ChainSpec::litecoin())
}

fn node_of(spec: ChainSpec) -> EmbeddedNode {
    let now_s = (Clock::start().now().wall_ms / 1_000) as u32;
    let spec = ChainSpec { block_interval_s: 5, start_hashes: 4, ..spec };
    EmbeddedNode::start(Chain::new(spec, now_s - 30), COOKIE).unwrap()
}

/// A connection as the pool's.
struct Client {
    stream: TcpStream,
    authority: String,
    reader: ResponseReader,
}

impl Client {
    fn connect(node: &EmbeddedNode) -> Client {
        let stream = TcpStream::connect(node.addr()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Client { stream, authority: node.addr().to_string(), reader: ResponseReader::new(1 << 20) }
    }

    fn post(&mut self, cookie: Option<&str>, body: &str) -> HttpResponse {
        let authorization = cookie.map(|cookie| format!("Basic {}", STANDARD.encode(cookie)));
        let bytes = request(&self.authority, "/", authorization.as_deref(), body.as_bytes());
        self.stream.write_all(&bytes).unwrap();
        let mut piece = [0; 4_096];
        loop {
            if let Some(response) = self.reader.next() {
                return response.unwrap();
            }
            let count = self.stream.read(&mut piece).unwrap();
            assert!(count > 0, "the node closed the connection");
            self.reader.push(&piece[..count]);
        }
    }

    fn call(&mut self, method: &str, params: Value) -> Result<Value, AnswerError> {
        let response = self.post(Some(COOKIE), &call(7, method, &params.to_string()));
        answer(&response.body, 7).map(|result| serde_json::from_str(result.get()).unwrap())
    }

    fn template(&mut self, long_poll_id: Option<&str>) -> Template {
        let mut asked = json!([{"rules": ["mweb", "segwit"]}]);
        if let Some(id) = long_poll_id {
            asked[0]["longpollid"] = id.into();
        }
        let result = self.call("getblocktemplate", asked).unwrap().to_string();
        Template::parse(result.as_bytes(), ChainSpec::litecoin().coin).unwrap()
    }
}

/// The hexadecimal of a block of everything in the template.
fn mine(template: &Template) -> String {
    let coinbase = Coinbase::build(&CoinbaseSpec {
        version: 2,
        height: template.height,
        aux: &[],
        tag: &[],
        extranonce_len: 8,
        outputs: &[TxOut { value: template.value, script: Script::p2pkh(&[3; 20]) }],
        commitment: template.commitment(),
    })
    .unwrap();
    let root = merkle::root(coinbase.txid(&[0; 4], &[0; 4]), &template.branch());
    let header = (0..100_000)
        .map(|nonce| header(template.version, &template.prev_hash, &root, template.curtime, template.bits, nonce))
        .find(|header| template.target.is_met_by(&Algorithm::Scrypt.pow_hash(header)))
        .unwrap();
    hex::encode(assemble(&header, &coinbase.for_block(&[0; 4], &[0; 4]), &template.transactions, None))
}

#[test]
fn a_block_from_a_template_is_taken_and_can_be_looked_at() {
    let node = node();
    let mut client = Client::connect(&node);
    let template = client.template(None);
    assert!(!template.transactions.is_empty());
    let block = mine(&template);
    assert_eq!(client.call("submitblock", json!([block])), Ok(Value::Null));
    assert_eq!(client.call("submitblock", json!([block])), Ok("duplicate".into()));

    let hash = display_hash(&node.chain.lock().unwrap().best_hash());
    assert_eq!(client.call("getblockcount", json!([])), Ok(1.into()));
    assert_eq!(client.call("getblockhash", json!([1])), Ok(hash.clone().into()));
    assert_eq!(client.call("getbestblockhash", json!([])), Ok(hash.clone().into()));
    assert_eq!(client.call("getconnectioncount", json!([])), Ok(8.into()));
    let info = client.call("getblockchaininfo", json!([])).unwrap();
    assert_eq!((&info["chain"], &info["blocks"]), (&json!("regtest"), &json!(1)));
    assert_eq!(client.call("getblock", json!([hash, 0])), Ok(block.into()));
    assert_eq!(client.call("getblockheader", json!([hash])).unwrap()["height"], 1);
    let block = client.call("getblock", json!([hash, 2])).unwrap();
    let address = &block["tx"][0]["vout"][0]["scriptPubKey"]["addresses"][0];
    assert_eq!((&block["height"], &block["nTx"]), (&json!(1), &json!(template.transactions.len() + 1)));
    assert!(address.as_str().unwrap().starts_with(['m', 'n']), "{address}");
}

#[test]
fn a_long_poll_is_answered_when_a_block_comes_and_not_before() {
    let node = node();
    let mut client = Client::connect(&node);
    let template = client.template(None);
    let mut waiting = Client::connect(&node);
    let id = template.long_poll_id.clone();
    let poll = thread::spawn(move || {
        let next = waiting.template(Some(&id));
        (next.height, next.prev_hash)
    });
    thread::sleep(Duration::from_millis(300));
    assert!(!poll.is_finished(), "there is nothing new");
    client.call("submitblock", json!([mine(&template)])).unwrap();
    assert_eq!(poll.join().unwrap(), (2, node.chain.lock().unwrap().best_hash()));
    // The id is old now.
    assert_eq!(client.template(Some(&template.long_poll_id)).height, 2);
}

#[test]
fn whoever_has_no_cookie_learns_nothing() {
    let node = node();
    let mut client = Client::connect(&node);
    for cookie in [None, Some("__cookie__:wrong"), Some("")] {
        let response = client.post(cookie, &call(7, "getblockcount", "[]"));
        assert_eq!((response.status, response.body.as_slice()), (401, &b""[..]));
    }
    assert_eq!(client.call("getblockcount", json!([])), Ok(0.into()));
}

#[test]
fn faults_have_litecoinds_codes() {
    let node = node();
    let mut client = Client::connect(&node);
    let cases = [
        ("nosuchmethod", json!([]), -32601),
        ("getblockhash", json!([1]), -8),
        ("getblockhash", json!([-1]), -8),
        ("getblockhash", json!(["1"]), -1),
        ("getblock", json!(["00".repeat(32)]), -5),
        ("getblock", json!(["00"]), -8),
        ("submitblock", json!(["00"]), -22),
        ("submitblock", json!(["x"]), -22),
        ("submitblock", json!([]), -1),
        ("getblocktemplate", json!([]), -8),
        ("getblocktemplate", json!([{"rules": ["segwit"]}]), -8),
        ("getblocktemplate", json!([{"rules": ["mweb", "segwit"], "longpollid": "é"}]), -8),
    ];
    for (method, params, expected) in cases {
        match client.call(method, params.clone()) {
            Err(AnswerError::Rpc { code, .. }) => assert_eq!(code, expected, "{method} {params}"),
            other => panic!("{method} {params}: {other:?}"),
        }
    }
    let response = client.post(Some(COOKIE), &call(7, "nosuchmethod", "[]"));
    assert_eq!(response.status, 404);
}

#[test]
fn a_merge_mined_coins_node_has_dogecoinds_calls_and_codes() {
    let node = node_of(ChainSpec::dogecoin());
    let mut client = Client::connect(&node);
    let payee = "mh5CE8Nbj38iND267s4XnvhSmhDW7yWc6Q";
    let created = client.call("createauxblock", json!([payee])).unwrap();
    assert_eq!((&created["chainid"], &created["height"]), (&json!(98), &json!(20)));
    let template = client.call("getblocktemplate", json!([{}])).unwrap();
    assert_eq!((&template["bits"], &template["height"]), (&created["bits"], &created["height"]));

    let cases = [
        ("createauxblock", json!([]), -1),
        ("createauxblock", json!(["nobody"]), -8),
        ("submitauxblock", json!([created["hash"]]), -1),
        ("submitauxblock", json!([created["hash"], "00"]), -22),
        ("submitauxblock", json!([created["hash"], "x"]), -22),
        ("submitauxblock", json!(["00".repeat(32), "00"]), -8),
        ("submitauxblock", json!(["00", "00"]), -8),
    ];
    for (method, params, expected) in cases {
        match client.call(method, params.clone()) {
            Err(AnswerError::Rpc { code, .. }) => assert_eq!(code, expected, "{method} {params}"),
            other => panic!("{method} {params}: {other:?}"),
        }
    }
    let litecoin = self::node();
    match Client::connect(&litecoin).call("createauxblock", json!([payee])) {
        Err(AnswerError::Rpc { code, .. }) => assert_eq!(code, -32601, "litecoind makes no such blocks"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_dropped_node_is_gone_soon_even_while_it_is_asked() {
    let node = node();
    let addr = node.addr();
    let mut client = Client::connect(&node);
    let id = client.template(None).long_poll_id;
    let asked = json!([{"rules": ["mweb", "segwit"], "longpollid": id}]).to_string();
    let body = call(8, "getblocktemplate", &asked);
    let authorization = format!("Basic {}", STANDARD.encode(COOKIE));
    let bytes = request(&client.authority, "/", Some(&authorization), body.as_bytes());
    client.stream.write_all(&bytes).unwrap();
    let before = Instant::now();
    drop(node);
    assert!(before.elapsed() < Duration::from_secs(5));
    assert!(TcpStream::connect(addr).is_err(), "nothing listens any more");
}
