//! One address as JSON: what it is on its chain, and what it stands for on the others of a pool.

use serde_json::{Map, Value, json};

use crate::coin::address;
use crate::coin::script::Script;
use crate::pool::chain::Chain;

/// `validateaddress`: by the rules of one of the chains.
pub fn validity(chains: &[Chain], chain: usize, text: &str) -> Value {
    let spec = &chains[chain].spec;
    let address = match address::parse(text, spec.coin, spec.network) {
        Ok(address) => address,
        Err(reason) => return json!({ "isvalid": false, "address": text, "error": reason.to_string() }),
    };
    let others = || chains.iter().enumerate().filter(|(index, _)| *index != chain).map(|(_, other)| other);
    let (mut derived, mut not_derived) = (Map::new(), Map::new());
    for other in others() {
        let (paid, why_not) = counterpart(&address.script, &chains[chain], other);
        derived.insert(other.spec.name.clone(), paid.into());
        not_derived.extend(why_not.map(|reason| (other.spec.name.clone(), reason.into())));
    }
    json!({
        "isvalid": true,
        "address": spec.address_text(&address.script),
        "type": address.kind.to_string(),
        "script": hex::encode(address.script.as_bytes()),
        "derived": derived,
        "not_derived": not_derived,
    })
}

/// The address on another chain that is paid there for work under this one; or why there is none.
fn counterpart(script: &Script, from: &Chain, to: &Chain) -> (Option<String>, Option<String>) {
    let (from, to) = (&from.spec, &to.spec);
    match address::derive(script, from.coin, (to.coin, to.network)) {
        Some(derived) if derived.exposed => {
            let reason = format!(
                "{} would be its script hash, but without segwit there anybody may be able to spend from it: name an \
                 address of {}",
                derived.address, to.coin.name
            );
            (None, Some(reason))
        }
        Some(derived) => (Some(derived.address), None),
        None => {
            (None, Some(format!("this type of address has no counterpart there: name an address of {}", to.coin.name)))
        }
    }
}
