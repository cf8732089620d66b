//! Usernames as rigs are configured with them: `ADDRESS[.worker]` or `ADDRESS_worker`, and for merged mining
//! `ADDRESS,CHILDADDRESS.worker` or `ADDRESS/98:CHILDADDRESS.worker`, with the child's AuxPoW chain id. Never looks at a
//! password.

use std::fmt;

use crate::base::limits::USERNAME;
use crate::coin::address::{self, AddressError};
use crate::coin::script::Script;

use super::identity::Identity;
use super::spec::ChainSpec;

/// Where Avalon's controllers cut usernames off, in bytes.
const AVALON_CUT: usize = 63;

/// A username that can be paid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Username {
    /// Where its work is paid.
    pub identity: Identity,
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
    /// Its address can't be paid on the parent chain.
    Address(AddressError),
    /// The address that it names for this merge-mined chain can't be paid there.
    ChildAddress(String, AddressError),
    /// It names an address for a merge-mined chain and none for the parent, which has this name.
    NoParentAddress(String),
    /// More addresses than chains are mined.
    TooManyAddresses(usize),
    /// No chain that is merge-mined here has this id.
    NoSuchChain(String),
}

impl fmt::Display for UsernameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UsernameError::TooLong => write!(f, "username is longer than {USERNAME} bytes"),
            UsernameError::Cut(length) => {
                write!(f, "address cut off: this rig sends {length} characters at most; use a shorter address")
            }
            UsernameError::Address(AddressError::Empty) => AddressError::Empty.fmt(f),
            UsernameError::Address(AddressError::Unknown) => {
                f.write_str("username is not an address: mine as ADDRESS.WORKER, with the address to be paid")
            }
            UsernameError::Address(error) => write!(f, "address {error}"),
            UsernameError::ChildAddress(chain, error) => write!(f, "{chain} address {error}"),
            UsernameError::NoParentAddress(chain) => write!(f, "no {chain} address: give that one first"),
            UsernameError::TooManyAddresses(1) => f.write_str("one address only: nothing is merge-mined here"),
            UsernameError::TooManyAddresses(chains) => write!(f, "{chains} addresses at most: one for each chain"),
            UsernameError::NoSuchChain(id) => write!(f, "no chain of the id {id} is mined here"),
        }
    }
}

impl Username {
    /// Reads a username; each address must belong to a coin and network of `chains`, of which the parent comes first.
    /// Addresses in another order are told apart where they can be.
    pub fn parse(text: &str, chains: &[ChainSpec]) -> Result<Username, UsernameError> {
        if text.len() > USERNAME {
            return Err(UsernameError::TooLong);
        }
        let (head, worker) = text.split_once(['.', '_']).unwrap_or((text, ""));
        let is_cut = text.len() == AVALON_CUT && head.len() == text.len();
        let identity = identity(head, chains).map_err(|error| match error {
            UsernameError::Address(_) | UsernameError::ChildAddress(..) if is_cut => UsernameError::Cut(AVALON_CUT),
            error => error,
        })?;
        let worker = worker.chars().filter(|c| !c.is_control()).collect();
        Ok(Username { identity, worker })
    }
}

fn identity(head: &str, chains: &[ChainSpec]) -> Result<Identity, UsernameError> {
    let read = |chain: usize, text: &str| {
        let spec = &chains[chain];
        address::parse_to_pay(text, spec.coin, spec.network).map(|address| address.script)
    };
    let mut scripts: Vec<Option<Script>> = vec![None; chains.len()];
    let mut open: Vec<&str> = Vec::new();
    for text in head.split([',', '/']).map(str::trim) {
        let Some((id, text)) = text.split_once(':') else {
            open.push(text);
            continue;
        };
        let of = |chain: &ChainSpec| chain.coin.auxpow.as_ref().is_some_and(|auxpow| auxpow.chain_id.to_string() == id);
        let chain = chains.iter().skip(1).position(of).ok_or_else(|| UsernameError::NoSuchChain(id.to_string()))? + 1;
        let script =
            read(chain, text).map_err(|error| UsernameError::ChildAddress(chains[chain].name.clone(), error))?;
        scripts[chain].get_or_insert(script);
    }
    if open.len() > chains.len() {
        return Err(UsernameError::TooManyAddresses(chains.len()));
    }
    // Each in its place first: an address may be one of several chains, as on test networks.
    let mut misplaced = Vec::new();
    for (place, text) in open.iter().enumerate() {
        match read(place, text) {
            Ok(script) if scripts[place].is_none() => scripts[place] = Some(script),
            _ => misplaced.push((place, *text)),
        }
    }
    for (place, text) in misplaced {
        let found = (0..chains.len()).filter(|chain| scripts[*chain].is_none()).find_map(|chain| {
            let script = read(chain, text).ok()?;
            Some((chain, script))
        });
        match (found, read(place, text)) {
            (Some((chain, script)), _) => scripts[chain] = Some(script),
            (None, Err(error)) if place == 0 => return Err(UsernameError::Address(error)),
            (None, Err(error)) => return Err(UsernameError::ChildAddress(chains[place].name.clone(), error)),
            (None, Ok(_)) => return Err(UsernameError::TooManyAddresses(chains.len())),
        }
    }
    let mut scripts = scripts.into_iter();
    let parent = scripts.next().flatten().ok_or_else(|| UsernameError::NoParentAddress(chains[0].name.clone()))?;
    let children = (1u8..).zip(&chains[1..]).zip(scripts);
    // What would be derived anyway is not named: the same people are one identity.
    let named = children.filter_map(|((index, chain), script)| {
        let script = script?;
        let carried_over = address::carry_over(&parent, chains[0].coin, (chain.coin, chain.network));
        (carried_over.as_ref() != Some(&script)).then_some((index, script))
    });
    let named = named.collect();
    Ok(Identity::new(parent, named))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coin::address::encode;
    use crate::coin::params::coin;
    use crate::pool::spec::Terms;

    fn chain(name: &str, network: &str) -> ChainSpec {
        let coin = coin(name).unwrap();
        ChainSpec {
            name: coin.ticker.to_lowercase(),
            coin,
            network: coin.network(network).unwrap(),
            nodes: Vec::new(),
            terms: Terms { pool_script: Script::p2pkh(&[1; 20]), fee_ppm: 0, min_payout: 0, max_outputs: 2 },
            coinbase_tag: Vec::new(),
            payments: None,
            mine: true,
        }
    }

    fn alone() -> [ChainSpec; 1] {
        [chain("litecoin", "regtest")]
    }

    fn merged(network: &str) -> [ChainSpec; 2] {
        [chain("litecoin", network), chain("dogecoin", network)]
    }

    fn text(script: &Script, chain: &ChainSpec) -> String {
        encode(script, chain.coin, chain.network).unwrap()
    }

    #[test]
    fn the_worker_follows_the_address_after_a_dot_or_an_underscore() {
        let chains = alone();
        let script = Script::p2pkh(&[7; 20]);
        let address = text(&script, &chains[0]);
        for (rest, worker) in
            [("", ""), (".rig1", "rig1"), ("_rig1", "rig1"), (".a_b", "a_b"), ("_a.b", "a.b"), (".", "")]
        {
            let username = Username::parse(&format!("{address}{rest}"), &chains).unwrap();
            assert_eq!((username.identity, username.worker.as_str()), (script.clone().into(), worker));
        }
    }

    #[test]
    fn an_address_that_a_rig_cuts_off_is_told_from_a_typing_error() {
        let chains = alone();
        let taproot = Script::witness(1, &[7; 32]).unwrap();
        let address = text(&taproot, &chains[0]);
        assert_eq!(address.len(), 64, "one more than such a rig sends");
        let refused = |text: &str| Username::parse(text, &chains).unwrap_err();
        assert_eq!(refused(&address[..63]), UsernameError::Cut(63));
        assert_eq!(refused(&address[..62]), UsernameError::Address(AddressError::Checksum));
        assert!(refused(&address[..63]).to_string().starts_with("address cut off"));
        assert!(Username::parse(&format!("{address}.rig"), &chains).is_ok());
        // A worker's name that is cut does no harm.
        let short = text(&Script::p2pkh(&[7; 20]), &chains[0]);
        assert!(Username::parse(&format!("{short}.{}", "w".repeat(62 - short.len())), &chains).is_ok());
    }

    #[test]
    fn each_chain_may_be_given_an_address_of_its_own_in_any_order() {
        let chains = merged("mainnet");
        let (parent, child) = (Script::witness(0, &[7; 20]).unwrap(), Script::p2pkh(&[8; 20]));
        let (ltc, doge) = (text(&parent, &chains[0]), text(&child, &chains[1]));
        let named = Identity::new(parent.clone(), vec![(1, child)]);
        for username in [
            format!("{ltc},{doge}.rig"),
            format!("{doge},{ltc}.rig"),
            format!("{ltc}/98:{doge}.rig"),
            format!("98:{doge}/{ltc}_rig"),
            format!("{ltc}, {doge}.rig"),
        ] {
            let read = Username::parse(&username, &chains).map(|read| (read.identity, read.worker));
            assert_eq!(read, Ok((named.clone(), "rig".to_string())), "{username}");
        }
        let plain = Username::parse(&format!("{ltc}.rig"), &chains).unwrap().identity;
        assert_eq!(plain, parent.into());
        // The same key on both chains is what is derived where nothing is named.
        let derived = text(&Script::p2pkh(&[7; 20]), &chains[1]);
        assert_eq!(Username::parse(&format!("{ltc},{derived}"), &chains).unwrap().identity, plain);
    }

    #[test]
    fn a_dogecoin_address_is_not_taken_for_a_script_of_a_chain_that_prints_it_alike() {
        let chains = [chain("litecoin", "mainnet"), chain("bellscoin", "mainnet"), chain("dogecoin", "mainnet")];
        let (parent, child) = (Script::p2pkh(&[7; 20]), Script::p2pkh(&[8; 20]));
        let username = format!("{},{}", text(&parent, &chains[0]), text(&child, &chains[2]));
        assert_eq!(Username::parse(&username, &chains).unwrap().identity, Identity::new(parent, vec![(2, child)]));
        let refused = Username::parse(&username, &chains[..2]).unwrap_err();
        assert_eq!(
            refused,
            UsernameError::ChildAddress("bells".to_string(), AddressError::Mistakable { of: "dogecoin" })
        );
    }

    #[test]
    fn where_an_address_is_one_of_both_chains_its_place_decides() {
        let chains = merged("regtest");
        let (one, other) = (Script::p2pkh(&[7; 20]), Script::p2pkh(&[8; 20]));
        let username = format!("{},{}", text(&one, &chains[0]), text(&other, &chains[1]));
        assert_eq!(Username::parse(&username, &chains).unwrap().identity, Identity::new(one, vec![(1, other)]));
    }

    #[test]
    fn an_address_that_no_chain_can_pay_is_refused_with_the_chain_it_was_for() {
        let chains = merged("mainnet");
        let ltc = text(&Script::p2pkh(&[7; 20]), &chains[0]);
        let doge = text(&Script::p2pkh(&[8; 20]), &chains[1]);
        let wrong = format!("{}x", &doge[..doge.len() - 1]);
        let cases = [
            (format!("{ltc},{wrong}"), "doge address has a wrong checksum: copy it again"),
            (format!("{ltc}/98:{wrong}"), "doge address has a wrong checksum: copy it again"),
            (format!("{ltc}/99:{doge}"), "no chain of the id 99 is mined here"),
            (format!("{ltc},{doge},{doge}"), "2 addresses at most: one for each chain"),
            (format!("{ltc},{doge}/98:{doge}"), "2 addresses at most: one for each chain"),
        ];
        for (username, expected) in cases {
            assert_eq!(Username::parse(&username, &chains).unwrap_err().to_string(), expected, "{username}");
        }
        for orphan in [format!("98:{doge}"), doge.clone()] {
            let refused = Username::parse(&orphan, &chains).unwrap_err();
            assert_eq!(refused.to_string(), "no ltc address: give that one first");
        }
        let refused = Username::parse(&doge, &chains[..1]).unwrap_err().to_string();
        assert!(refused.contains("dogecoin mainnet"), "{refused}");
        let alone = Username::parse(&format!("{ltc},{doge}"), &chains[..1]).unwrap_err();
        assert_eq!(alone.to_string(), "one address only: nothing is merge-mined here");
    }
}
