//! What rigs ask. A line becomes a [`Message`] whose parts are already numbers and bytes, or a refusal
//! that can be answered as it is. Lenient where real rigs differ, strict where a share is counted.

use super::envelope::{Envelope, Params, Unreadable};
use super::json::Json;
use super::{ErrorCode, Id};
use crate::base::limits::USERNAME;
use crate::base::{Hash32, parse_hash};
use std::borrow::Cow;
use std::fmt;

/// One line of a rig.
#[derive(Clone, Debug, PartialEq)]
pub struct Message<'a> {
    /// The reply carries it as it came. minerd sends 4 with every submit.
    pub id: Id,
    /// What is asked.
    pub request: Request<'a>,
}

/// A line that can't be a request.
#[derive(Clone, Debug, PartialEq)]
pub struct Refused {
    /// The id to reply to; null where it can't be known.
    pub id: Id,
    /// Always [`ErrorCode::Other`] so far.
    pub code: ErrorCode,
    /// What was wrong, naming the parameter; short, since rigs show about 28 characters.
    pub reason: String,
}

/// Everything that rigs are known to send.
#[derive(Clone, Debug, PartialEq)]
pub enum Request<'a> {
    /// `mining.configure` (BIP310).
    Configure(Configure),
    /// `mining.subscribe [agent, session]`.
    Subscribe {
        /// The program's name and version.
        agent: Option<String>,
        /// The session that the rig would like to resume.
        session: Option<String>,
    },
    /// `mining.authorize [username, password]`.
    Authorize {
        /// Address and worker, not yet looked at; never empty, at most [`USERNAME`] bytes.
        username: String,
        /// Options such as `d=512`; empty where none was sent.
        password: String,
    },
    /// `mining.submit`.
    Submit(Submit<'a>),
    /// `mining.suggest_difficulty [number]`: finite and above 0.
    SuggestDifficulty(f64),
    /// `mining.suggest_target [64 digits]`, in internal byte order.
    SuggestTarget(Hash32),
    /// `mining.extranonce.subscribe`. bmminer (S9) leaves a pool that answers it with an error.
    ExtranonceSubscribe,
    /// `mining.multi_version [n]`, sent by bmminer after it is authorised.
    MultiVersion,
    /// `mining.get_transactions [job]`.
    GetTransactions,
    /// `mining.capabilities`, sent by bfgminer before it subscribes.
    Capabilities,
    /// `mining.ping`.
    Ping,
    /// `client.get_version` or `mining.get_version`, asked of the pool.
    GetVersion,
    /// Not a request but an answer to something the pool sent: nothing is to be replied. ESP-Miner answers a ping
    /// with a request named `pong`.
    Reply,
    /// A method that is not known here.
    Unknown(String),
}

impl Request<'_> {
    /// Whether nobody waits for the answer when the id is null. bfgminer suggests a target like this before it
    /// subscribes, and would take an answer for that of its subscription. What a rig can't go on without is
    /// answered in any case.
    pub fn may_be_a_notice(&self) -> bool {
        match self {
            Request::Configure(_) | Request::Subscribe { .. } | Request::Authorize { .. } | Request::Submit(_) => false,
            Request::SuggestDifficulty(_)
            | Request::SuggestTarget(_)
            | Request::ExtranonceSubscribe
            | Request::MultiVersion
            | Request::GetTransactions
            | Request::Capabilities
            | Request::Ping
            | Request::GetVersion
            | Request::Reply
            | Request::Unknown(_) => true,
        }
    }
}

/// The extensions that a rig asks for (BIP310). What is absent was not asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Configure {
    /// The version bits that the rig would like to roll; all of them where it names none.
    pub version_rolling: Option<u32>,
    /// The lowest difficulty that the rig wants to work at.
    pub minimum_difficulty: Option<f64>,
    /// Whether the rig takes a new extranonce1 while connected.
    pub subscribe_extranonce: bool,
    /// Extensions that are not known here or lack their value: answered with false.
    pub unknown: Vec<String>,
}

/// A share, as it was sent; its texts are borrowed from the line.
#[derive(Clone, Debug, PartialEq)]
pub struct Submit<'a> {
    /// The worker that found it; at most [`USERNAME`] bytes.
    pub username: Cow<'a, str>,
    /// The job it was found for.
    pub job_id: Cow<'a, str>,
    /// The rig's part of the extranonce. Its length is not yet judged.
    pub extranonce2: Extranonce2,
    /// The header's time, seconds since 1970.
    pub ntime: u32,
    /// The header's nonce.
    pub nonce: u32,
    /// The version bits that the rig rolled (BIP310), where it rolls them.
    pub version_bits: Option<u32>,
}

/// Up to 16 bytes: no pool gives more room (cgminer takes 2 to 16), and a share needs no allocation for it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Extranonce2 {
    bytes: [u8; Extranonce2::MAX],
    len: u8,
}

impl Extranonce2 {
    /// Most bytes that are carried.
    pub const MAX: usize = 16;

    /// `None` above [`Extranonce2::MAX`] bytes.
    pub fn new(bytes: &[u8]) -> Option<Extranonce2> {
        let mut padded = [0; Extranonce2::MAX];
        padded.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(Extranonce2 { bytes: padded, len: bytes.len() as u8 })
    }

    fn from_hex(text: &str) -> Option<Extranonce2> {
        let mut padded = [0; Extranonce2::MAX];
        let len = text.len() / 2;
        hex::decode_to_slice(text, padded.get_mut(..len)?).ok()?;
        Some(Extranonce2 { bytes: padded, len: len as u8 })
    }

    /// The bytes as they go into the coinbase.
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Debug for Extranonce2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Extranonce2({})", hex::encode(self.as_slice()))
    }
}

/// Reads one line.
pub fn parse(line: &[u8]) -> Result<Message<'_>, Refused> {
    let refused = |id, reason: String| Refused { id, code: ErrorCode::Other, reason };
    let envelope = Envelope::parse(line).map_err(|unreadable| {
        let reason = match unreadable {
            Unreadable::NotJson => "not JSON",
            Unreadable::NotObject => "not a JSON object",
        };
        refused(Id::NULL, reason.into())
    })?;
    let Some(id) = envelope.id.map_or(Some(Id::NULL), Id::read) else {
        return Err(refused(Id::NULL, "id must be a string, a number or null".into()));
    };
    match request(envelope) {
        Ok(request) => Ok(Message { id, request }),
        Err(reason) => Err(refused(id, reason)),
    }
}

fn request(envelope: Envelope<'_>) -> Result<Request<'_>, String> {
    let method = match &envelope.method {
        Json::Text(method) => method.as_ref(),
        Json::Null if envelope.is_reply => return Ok(Request::Reply),
        Json::Null => return Err("method is missing".into()),
        _ => return Err("method must be a string".into()),
    };
    let params = envelope.params;
    match method {
        "mining.submit" => return submit(listed(params)?).map(Request::Submit),
        "mining.configure" => return configure(&listed(params)?).map(Request::Configure),
        "mining.authorize" => return authorize(&listed(params)?),
        "mining.suggest_difficulty" => return suggest_difficulty(&listed(params)?),
        "mining.suggest_target" => return suggest_target(&listed(params)?),
        _ => {}
    }
    // The rest have no parameter that matters: whatever stands there is let through.
    Ok(match method {
        "mining.subscribe" => {
            let text = |index| params.item(index).text().filter(|text| !text.is_empty()).map(str::to_owned);
            Request::Subscribe { agent: text(0), session: text(1) }
        }
        "mining.extranonce.subscribe" => Request::ExtranonceSubscribe,
        "mining.multi_version" => Request::MultiVersion,
        "mining.get_transactions" => Request::GetTransactions,
        "mining.capabilities" => Request::Capabilities,
        "mining.ping" => Request::Ping,
        "client.get_version" | "mining.get_version" => Request::GetVersion,
        "pong" | "mining.pong" => Request::Reply,
        unknown => Request::Unknown(unknown.to_owned()),
    })
}

fn listed(params: Params<'_>) -> Result<Params<'_>, String> {
    if params.is_not_list { Err("params must be an array".into()) } else { Ok(params) }
}

fn submit(mut params: Params<'_>) -> Result<Submit<'_>, String> {
    let version_bits = match params.item(5) {
        Json::Null => None,
        // BIP310 says eight digits, but cgminer prints masks without leading zeros.
        bits => Some(bits.text().and_then(short_hex).ok_or("version bits must be up to 8 hexadecimal digits")?),
    };
    username(params.item(0))?;
    text(params.item(1), "job_id")?;
    Ok(Submit {
        extranonce2: Extranonce2::from_hex(text(params.item(2), "extranonce2")?)
            .ok_or("extranonce2 must be hexadecimal, at most 16 bytes")?,
        ntime: eight_digits(params.item(3), "ntime")?,
        nonce: eight_digits(params.item(4), "nonce")?,
        version_bits,
        username: params.take_text(0),
        job_id: params.take_text(1),
    })
}

fn authorize<'a>(params: &Params<'_>) -> Result<Request<'a>, String> {
    let password = match params.item(1) {
        Json::Text(password) => password.to_string(),
        Json::Number(number) => number.to_string(),
        _ => String::new(),
    };
    let username = username(params.item(0))?;
    if username.is_empty() {
        return Err("username is empty".into());
    }
    Ok(Request::Authorize { username: username.to_owned(), password })
}

fn suggest_difficulty<'a>(params: &Params<'_>) -> Result<Request<'a>, String> {
    positive(params.item(0)).map(Request::SuggestDifficulty).ok_or("difficulty must be a number above 0".into())
}

fn suggest_target<'a>(params: &Params<'_>) -> Result<Request<'a>, String> {
    let target = params.item(0).text().and_then(parse_hash);
    target.map(Request::SuggestTarget).ok_or("target must be 64 hexadecimal digits".into())
}

fn configure(params: &Params<'_>) -> Result<Configure, String> {
    let options = params.item(1);
    let mut configure = Configure::default();
    let Json::List(extensions) = params.item(0) else {
        return Err("extensions must be an array of strings".into());
    };
    for extension in extensions {
        let name = extension.text().ok_or("extensions must be an array of strings")?;
        match name {
            "version-rolling" => {
                let mask = match options.field("version-rolling.mask") {
                    Json::Null => u32::MAX,
                    mask => mask
                        .text()
                        .and_then(short_hex)
                        .ok_or("version-rolling.mask must be up to 8 hexadecimal digits")?,
                };
                configure.version_rolling = Some(mask);
            }
            "subscribe-extranonce" => configure.subscribe_extranonce = true,
            "minimum-difficulty" => configure.minimum_difficulty = positive(options.field("minimum-difficulty.value")),
            _ => {}
        }
        let understood = match name {
            "version-rolling" | "subscribe-extranonce" => true,
            "minimum-difficulty" => configure.minimum_difficulty.is_some(),
            _ => false,
        };
        if !understood && !configure.unknown.iter().any(|unknown| unknown == name) {
            configure.unknown.push(name.to_owned());
        }
    }
    Ok(configure)
}

fn text<'j>(param: &'j Json<'_>, name: &str) -> Result<&'j str, String> {
    match param {
        Json::Text(text) => Ok(text),
        Json::Null => Err(format!("{name} is missing")),
        _ => Err(format!("{name} must be a string")),
    }
}

fn username<'j>(param: &'j Json<'_>) -> Result<&'j str, String> {
    match text(param, "username")? {
        name if name.len() > USERNAME => Err(format!("username is longer than {USERNAME} bytes")),
        name => Ok(name),
    }
}

fn eight_digits(param: &Json<'_>, name: &str) -> Result<u32, String> {
    let mut bytes = [0; 4];
    hex::decode_to_slice(text(param, name)?, &mut bytes).map_err(|_| format!("{name} must be 8 hexadecimal digits"))?;
    Ok(u32::from_be_bytes(bytes))
}

/// One to eight digits; unlike `from_str_radix`, no sign.
fn short_hex(text: &str) -> Option<u32> {
    let all_digits = (1..=8).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    all_digits.then(|| u32::from_str_radix(text, 16).ok()).flatten()
}

/// A number above 0, also where a rig sends it as a string.
fn positive(json: &Json<'_>) -> Option<f64> {
    let number = match json {
        Json::Number(number) => number.as_f64(),
        Json::Text(text) => text.parse().ok(),
        _ => None,
    };
    number.filter(|number: &f64| number.is_finite() && *number > 0.0)
}

#[cfg(test)]
mod tests;
