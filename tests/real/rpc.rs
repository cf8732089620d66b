//! edgepool's status port, as a test asks it: JSON-RPC and the pages, of the whole daemon or of one of its pools.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::http::{self, Reply};
use crate::place::wait_for;

/// An error of edgepool's JSON-RPC: code and text.
pub type RpcError = (i64, String);

/// Methods that take no pool.
pub const OF_THE_DAEMON: [&str; 5] = ["getinfo", "listpools", "uptime", "help", "stop"];

pub struct Rpc {
    pub rpc_port: u16,
    pub data_dir: PathBuf,
    /// The pool that is asked, by name; `None` where there is only one.
    pub pool: Option<&'static str>,
}

impl Rpc {
    /// One pool of the daemon.
    pub fn of(&self, pool: &'static str) -> Rpc {
        Rpc { rpc_port: self.rpc_port, data_dir: self.data_dir.clone(), pool: Some(pool) }
    }

    #[track_caller]
    pub fn wait_until_ready(&self) {
        wait_for("/health answers 200", 60, || (self.health().ok()? == 200).then_some(()));
    }

    /// The status code of `GET /health`.
    pub fn health(&self) -> io::Result<u16> {
        self.get("/health").map(|reply| reply.status)
    }

    /// One of the pages.
    pub fn get(&self, path: &str) -> io::Result<Reply> {
        http::request("GET", self.rpc_port, path, None, b"", Duration::from_secs(10))
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
        let params = self.with_pool(method, params);
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

    /// The pool's part of what `getinfo` answers; the first one's where none is named.
    pub fn part_of<'a>(&self, info: &'a Value) -> &'a Value {
        let mut pools = info["pools"].as_array().expect("getinfo shows pools").iter();
        pools.find(|part| self.pool.is_none_or(|name| part["name"] == name)).expect("getinfo shows the pool")
    }

    /// Names the pool in the parameters, where one is named and the method has several to choose from.
    fn with_pool(&self, method: &str, mut params: Value) -> Value {
        let Some(name) = self.pool.filter(|_| !OF_THE_DAEMON.contains(&method)) else { return params };
        match &mut params {
            Value::Object(members) => _ = members.insert("pool".to_owned(), json!(name)),
            Value::Array(items) => items.push(json!({"pool": name})),
            other => panic!("parameters are a list or an object: {other}"),
        }
        params
    }

    /// Waits until `getinfo` shows node number `index` in a state that is wanted.
    #[track_caller]
    pub fn wait_for_node_state(&self, index: usize, description: &str, wanted: impl Fn(&str) -> bool) {
        wait_for(&format!("node {index} is {description}"), 60, || {
            let info = self.ask("getinfo", json!([]));
            let nodes = &self.part_of(&info)["chains"][0]["nodes"];
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

    pub fn token_file(&self) -> PathBuf {
        self.data_dir.join("admin.token")
    }
}
