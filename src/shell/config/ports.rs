//! Reads `stratum.listen`: addresses, or objects that also say what the rigs of that port are sent.

use std::net::SocketAddr;

use serde_json::{Map, Value};

use crate::base::limits::LISTENERS;
use crate::pool::firmware::CoinbaseClass;
use crate::pool::spec::PortSpec;

use super::json::{kind, text};
use super::socket;

/// One port for rigs.
pub(super) type StratumPort = (SocketAddr, PortSpec);

/// One port, or a list of them.
pub(super) fn ports(value: &Value) -> Result<Vec<StratumPort>, String> {
    match value {
        Value::Array(list) if (1..=LISTENERS).contains(&list.len()) => list.iter().map(port).collect(),
        Value::Array(list) => Err(format!("must be a list of 1 to {LISTENERS}, not of {}", list.len())),
        one => Ok(vec![port(one)?]),
    }
}

fn port(value: &Value) -> Result<StratumPort, String> {
    match value {
        Value::String(text) => Ok((socket(text)?, PortSpec::default())),
        Value::Object(map) => described(map),
        other => Err(format!("must be an address, an object, or a list of these, not {}", kind(other))),
    }
}

fn described(map: &Map<String, Value>) -> Result<StratumPort, String> {
    if let Some(stranger) = map.keys().find(|key| !["address", "coinbase_bytes"].contains(&key.as_str())) {
        return Err(format!("\"{stranger}\" is unknown; known here are address, coinbase_bytes"));
    }
    let address = socket(text(map.get("address").ok_or("an object needs an address")?)?)?;
    let class = map.get("coinbase_bytes").map(class).transpose()?;
    Ok((address, PortSpec { class }))
}

fn class(value: &Value) -> Result<CoinbaseClass, String> {
    let bytes = value.as_u64().and_then(|bytes| u32::try_from(bytes).ok());
    bytes.and_then(CoinbaseClass::of_bytes).ok_or_else(|| {
        let known: Vec<String> = CoinbaseClass::all().map(|class| class.to_string()).collect();
        format!("coinbase_bytes must be one of {}, not {value}", known.join(", "))
    })
}
