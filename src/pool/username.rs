//! Usernames as rigs are configured with them: `ADDRESS[.worker]` or `ADDRESS_worker`. Never looks at a password.

use std::fmt;

use crate::base::limits::USERNAME;
use crate::coin::address::{self, AddressError};
use crate::coin::script::Script;

use super::spec::ChainSpec;

/// Where Avalon's controllers cut usernames off, in bytes.
const AVALON_CUT: usize = 63;

/// A username that can be paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username {
    /// Where its work is paid.
    pub script: Script,
    /// The worker's name; may be empty.
    pub worker: String,
}

/// Why a username was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsernameError {
    /// Above [`USERNAME`] bytes.
    TooLong,
    /// The rig sends no more than so many bytes, and its address is longer.
    Cut(usize),
    /// Its address can't be paid on this chain.
    Address(AddressError),
}

impl fmt::Display for UsernameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UsernameError::TooLong => write!(f, "username is longer than {USERNAME} bytes"),
            UsernameError::Cut(length) => {
                write!(f, "address cut off: this rig sends {length} characters at most; use a shorter address")
            }
            UsernameError::Address(AddressError::Empty) => AddressError::Empty.fmt(f),
            UsernameError::Address(error) => write!(f, "address {error}"),
        }
    }
}

impl Username {
    /// Reads a username; the address must belong to the chain's coin and network.
    pub fn parse(text: &str, chain: &ChainSpec) -> Result<Username, UsernameError> {
        if text.len() > USERNAME {
            return Err(UsernameError::TooLong);
        }
        let (address, worker) = text.split_once(['.', '_']).unwrap_or((text, ""));
        let is_cut = text.len() == AVALON_CUT && address.len() == text.len();
        let address = address::parse(address.trim(), chain.coin, chain.network).map_err(|error| match error {
            _ if is_cut => UsernameError::Cut(AVALON_CUT),
            error => UsernameError::Address(error),
        })?;
        let worker = worker.chars().filter(|c| !c.is_control()).collect();
        Ok(Username { script: address.script, worker })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coin::address::encode;
    use crate::coin::params::coin;
    use crate::pool::spec::Terms;

    fn chain() -> ChainSpec {
        let litecoin = coin("litecoin").unwrap();
        ChainSpec {
            name: "ltc".into(),
            coin: litecoin,
            network: litecoin.network("regtest").unwrap(),
            nodes: Vec::new(),
            terms: Terms { pool_script: Script::p2pkh(&[1; 20]), fee_ppm: 0, min_payout: 0, max_outputs: 2 },
            coinbase_tag: Vec::new(),
            payments: None,
        }
    }

    #[test]
    fn the_worker_follows_the_address_after_a_dot_or_an_underscore() {
        let chain = chain();
        let script = Script::p2pkh(&[7; 20]);
        let address = encode(&script, chain.coin, chain.network).unwrap();
        for (rest, worker) in
            [("", ""), (".rig1", "rig1"), ("_rig1", "rig1"), (".a_b", "a_b"), ("_a.b", "a.b"), (".", "")]
        {
            let username = Username::parse(&format!("{address}{rest}"), &chain).unwrap();
            assert_eq!((username.script, username.worker.as_str()), (script.clone(), worker));
        }
    }

    #[test]
    fn an_address_that_a_rig_cuts_off_is_told_from_a_typing_error() {
        let chain = chain();
        let taproot = Script::witness(1, &[7; 32]).unwrap();
        let address = encode(&taproot, chain.coin, chain.network).unwrap();
        assert_eq!(address.len(), 64, "one more than such a rig sends");
        let refused = |text: &str| Username::parse(text, &chain).unwrap_err();
        assert_eq!(refused(&address[..63]), UsernameError::Cut(63));
        assert_eq!(refused(&address[..62]), UsernameError::Address(AddressError::Checksum));
        assert!(refused(&address[..63]).to_string().starts_with("address cut off"));
        assert!(Username::parse(&format!("{address}.rig"), &chain).is_ok());
        // A worker's name that is cut does no harm.
        let short = encode(&Script::p2pkh(&[7; 20]), chain.coin, chain.network).unwrap();
        assert!(Username::parse(&format!("{short}.{}", "w".repeat(62 - short.len())), &chain).is_ok());
    }
}
