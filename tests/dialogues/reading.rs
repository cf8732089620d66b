//! How clients read what they are told. Most descend from cgminer: while they wait for one answer they act on the
//! methods that they know, and whatever else comes is taken for that answer.

use edgepool::base::slots::Key;
use serde_json::Value;

use crate::job::{Job, Want};
use crate::table::Table;

/// What a client knows after its subscription, and the work that it was sent since.
pub struct Client {
    pub rig: Key,
    /// Methods that it acts on.
    methods: &'static [&'static str],
    pub session: String,
    pub extranonce1: Vec<u8>,
    pub extranonce2_len: usize,
    pub difficulty: f64,
    pub jobs: Vec<Job>,
    pub mask: u32,
    /// Texts that it was to show.
    pub messages: Vec<String>,
    extranonce2: u64,
}

/// Methods of cgminer 4.11 and all that came of it.
pub const CGMINER: &[&str] = &[
    "mining.notify",
    "mining.set_difficulty",
    "client.reconnect",
    "client.get_version",
    "client.show_message",
    "mining.ping",
    "mining.set_version_mask",
];
/// Of those before it, the Antminers' included: another extranonce instead of a mask.
pub const BMMINER: &[&str] = &[
    "mining.multi_version",
    "mining.notify",
    "mining.set_difficulty",
    "mining.set_extranonce",
    "client.reconnect",
    "client.get_version",
    "client.show_message",
    "mining.ping",
];

impl Client {
    /// A client that has just connected.
    pub fn new(table: &mut Table, methods: &'static [&'static str]) -> Client {
        let rig = table.connect();
        table.hears_nothing(rig);
        Client {
            rig,
            methods,
            session: String::new(),
            extranonce1: Vec::new(),
            extranonce2_len: 0,
            difficulty: 0.0,
            jobs: Vec::new(),
            mask: 0,
            messages: Vec::new(),
            extranonce2: 0,
        }
    }

    /// Reads exactly one line for the answer to `mining.configure`; the mask is what cgminer and ESP-Miner need.
    #[track_caller]
    pub fn read_configure(&mut self, table: &mut Table, id: Value) {
        let reply = table.json(self.rig);
        assert_eq!(reply["id"], id);
        assert!(reply["error"].is_null());
        assert_eq!(reply["result"]["version-rolling"], true);
        let mask = reply["result"]["version-rolling.mask"].as_str().unwrap();
        assert_eq!(mask.len(), 8);
        self.mask = u32::from_str_radix(mask, 16).unwrap();
        assert!(self.mask != 0 && self.mask & !0x1fff_e000 == 0);
    }

    /// Reads the answer to `mining.subscribe`: nothing may come before it.
    #[track_caller]
    pub fn read_subscribe(&mut self, table: &mut Table, id: Value) {
        let reply = table.json(self.rig);
        assert_eq!(reply["id"], id, "{reply}");
        assert!(reply["error"].is_null() && reply.get("method").is_none());
        let result = reply["result"].as_array().expect("three parts");
        assert_eq!(result.len(), 3);
        let of_notify = result[0].as_array().unwrap().iter().find(|pair| pair[0] == "mining.notify").unwrap();
        self.session = of_notify[1].as_str().unwrap().to_string();
        assert!(!self.session.is_empty());
        let digits = result[1].as_str().unwrap();
        // ckpool's and cgminer's size; odd digits would be cut off.
        assert_eq!(digits.len(), 8);
        self.extranonce1 = hex::decode(digits).unwrap();
        self.extranonce2_len = result[2].as_u64().unwrap() as usize;
        // cgminer: 2 to 16 and none above 8 is ever submitted; Avalon: 3 or more; NiceHash: 4 or more.
        assert!((4..=8).contains(&self.extranonce2_len));
    }

    /// Reads on until something comes that it doesn't know as a method: the answer to `mining.authorize`.
    #[track_caller]
    pub fn read_authorize(&mut self, table: &mut Table, id: Value) -> Result<(), Value> {
        let reply = self.read_until_answer(table);
        assert_eq!(reply["id"], id, "taken for the answer: {reply}");
        let is_refused = reply["result"].is_null() || reply["result"] == false || !reply["error"].is_null();
        if is_refused { Err(reply["error"].clone()) } else { Ok(()) }
    }

    #[track_caller]
    fn read_until_answer(&mut self, table: &mut Table) -> Value {
        loop {
            let line = table.json(self.rig);
            let known = line["method"].as_str().is_some_and(|method| self.methods.contains(&method));
            if !known {
                return line;
            }
            self.act(&line);
        }
    }

    /// Reads everything that waits; all of it must be methods that it knows.
    #[track_caller]
    pub fn read_work(&mut self, table: &mut Table) {
        while table.has_line(self.rig) {
            let line = table.json(self.rig);
            let method = line["method"].as_str().unwrap_or_else(|| panic!("not a method: {line}"));
            assert!(self.methods.contains(&method), "it does not know {method}");
            self.act(&line);
        }
        assert!(!self.jobs.is_empty(), "there is work");
    }

    fn act(&mut self, line: &Value) {
        let params = &line["params"];
        assert!(line["id"].is_null() && params.is_array(), "{line}");
        match line["method"].as_str().unwrap() {
            "mining.notify" => {
                assert!(self.difficulty > 0.0, "the difficulty comes before the first job");
                let job = Job::read(params);
                assert!(self.jobs.iter().all(|known| known.id != job.id), "staleness is told by names");
                self.jobs.push(job);
            }
            "mining.set_difficulty" => {
                self.difficulty = params[0].as_f64().unwrap();
                assert!(self.difficulty > 0.0);
            }
            "mining.set_version_mask" => {
                let mask = params[0].as_str().unwrap();
                assert_eq!((mask.len(), u32::from_str_radix(mask, 16).unwrap()), (8, self.mask));
            }
            "mining.set_extranonce" => {
                self.extranonce1 = hex::decode(params[0].as_str().unwrap()).unwrap();
                assert_eq!(params[1].as_u64().unwrap() as usize, self.extranonce2_len);
            }
            "client.show_message" => self.messages.push(params[0].as_str().unwrap().to_string()),
            other => panic!("{other} is not expected here"),
        }
    }

    #[track_caller]
    pub fn job(&self) -> &Job {
        self.jobs.last().expect("there is work")
    }

    /// Mines the latest job: extranonce2 and nonce, as cgminer and most others print them. cgminer counts its
    /// extranonce2 with the low byte first.
    pub fn mine(&mut self, coin: &str, rolled: u32, want: Want) -> (String, String) {
        let extranonce2 = self.extranonce2.to_le_bytes()[..self.extranonce2_len].to_vec();
        self.extranonce2 += 1;
        let extranonce = [&self.extranonce1[..], &extranonce2].concat();
        let nonce = self.job().mine(coin, &extranonce, self.difficulty, rolled, want);
        (hex::encode(extranonce2), format!("{nonce:08x}"))
    }

    /// Reads the answer to a share as cgminer does: accepted only by a JSON `true`; else the reason that it shows.
    /// New work may come before it.
    #[track_caller]
    pub fn read_verdict(&mut self, table: &mut Table, id: Value) -> Result<(), (u64, String)> {
        let reply = self.read_until_answer(table);
        assert_eq!(reply["id"], id, "{reply}");
        if reply["result"] == true {
            assert!(reply["error"].is_null());
            return Ok(());
        }
        assert!(reply["result"].is_null());
        let error = reply["error"].as_array().expect("a list of three");
        assert!(error.len() == 3 && error[2].is_null());
        let reason = reply["reject-reason"].as_str().expect("cgminer's own member");
        assert_eq!(error[1], reason, "others look here");
        assert!(reason.len() <= 31, "cut on a screen: {reason}");
        Err((error[0].as_u64().unwrap(), reason.to_string()))
    }
}

/// What a share that was sent twice is answered.
pub fn duplicate() -> Result<(), (u64, String)> {
    Err((22, "Duplicate share".into()))
}

/// What a share below its difficulty is answered.
pub fn too_easy() -> Result<(), (u64, String)> {
    Err((23, "Low difficulty share".into()))
}
