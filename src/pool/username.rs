//! Usernames as rigs are configured with them: `ADDRESS[.worker]` or `ADDRESS_worker`. Never looks at a password.

use std::fmt;

use crate::base::limits::USERNAME;
use crate::coin::address::{self, AddressError};
use crate::coin::script::Script;

use super::spec::ChainSpec;

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
    /// Its address can't be paid on this chain.
    Address(AddressError),
}

impl fmt::Display for UsernameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UsernameError::TooLong => write!(f, "username is longer than {USERNAME} bytes"),
            UsernameError::Address(error) => error.fmt(f),
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
        let address = address::parse(address.trim(), chain.coin, chain.network).map_err(UsernameError::Address)?;
        let worker = worker.chars().filter(|c| !c.is_control()).collect();
        Ok(Username { script: address.script, worker })
    }
}
