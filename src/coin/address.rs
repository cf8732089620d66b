//! Addresses to output scripts and back. Never accepts an address of another network, nor one that a coinbase can't
//! pay; an error says which and what to do.

mod derive;
mod mistakable;

pub use derive::{Derived, carry_over, derive, is_exposed, rederive};
pub use mistakable::parse_to_pay;

use super::{
    params::{COINS, Coin, Network},
    script::Script,
};
use bech32::{
    Bech32, Bech32m, Fe32, Hrp,
    primitives::decode::{CharError, UncheckedHrpstring, UncheckedHrpstringError},
};
use std::fmt;

/// A hash of 20 bytes, with its version and checksum, takes so many characters of base58 at least.
const SHORTEST: usize = 26;
/// Longest address that can be paid: BIP 173's bound.
const LONGEST: usize = 90;
/// Witness versions that Litecoin's consensus gives a meaning of their own (LIP 2, LIP 3): the HogEx output and
/// peg-ins. A coinbase that carried one would make the block invalid.
const MWEB_VERSIONS: [u8; 2] = [8, 9];
/// Networks that an error names.
const NAMED: usize = 3;

/// The kind of an output script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AddressType {
    /// Pay to public key hash.
    P2pkh,
    /// Pay to script hash.
    P2sh,
    /// Segwit version 0, key hash.
    P2wpkh,
    /// Segwit version 0, script hash.
    P2wsh,
    /// Taproot.
    P2tr,
    /// A witness program that has no meaning yet.
    WitnessFuture,
}

impl AddressType {
    /// The kind of `script`, if an address can say it.
    pub fn of(script: &Script) -> Option<AddressType> {
        if script.p2pkh_hash().is_some() {
            return Some(AddressType::P2pkh);
        }
        if script.p2sh_hash().is_some() {
            return Some(AddressType::P2sh);
        }
        script.witness_program().map(|(version, program)| match (version, program.len()) {
            (0, 20) => AddressType::P2wpkh,
            (0, _) => AddressType::P2wsh,
            (1, 32) => AddressType::P2tr,
            _ => AddressType::WitnessFuture,
        })
    }
}

impl fmt::Display for AddressType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AddressType::P2pkh => "p2pkh",
            AddressType::P2sh => "p2sh",
            AddressType::P2wpkh => "p2wpkh",
            AddressType::P2wsh => "p2wsh",
            AddressType::P2tr => "p2tr",
            AddressType::WitnessFuture => "witness_unknown",
        })
    }
}

/// An address that a coinbase can pay.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// Its kind.
    pub kind: AddressType,
    /// The output script it stands for.
    pub script: Script,
}

/// Why an address was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressError {
    /// No text at all.
    Empty,
    /// Longer than any address that can be paid.
    TooLong,
    /// An address inside Litecoin's extension block.
    Mweb,
    /// A taproot address of a coin without taproot.
    NoTaproot,
    /// Right, but elsewhere.
    WrongNetwork {
        /// The coins and networks it may belong to, as `litecoin mainnet or …`.
        found: String,
    },
    /// The checksum doesn't match: a typing error.
    Checksum,
    /// Upper and lower case in one segwit address.
    MixedCase,
    /// bech32 where BIP 350 demands bech32m, or the reverse.
    WrongEncoding,
    /// A witness version above 16, in a segwit address.
    WitnessVersion(u8),
    /// The checksum is right, but what it protects has no valid length.
    Length,
    /// A script's here, and a key's of this other coin.
    Mistakable {
        /// The other coin.
        of: &'static str,
    },
    /// Not an address of any coin in the table.
    Unknown,
}

impl fmt::Display for AddressError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AddressError::Empty => f.write_str("there is no address: give the one to be paid"),
            AddressError::TooLong => write!(f, "is longer than {LONGEST} characters: give one address only"),
            AddressError::Mweb => f.write_str(
                "is an MWEB address, which a coinbase can't pay: give a legacy or segwit address (L…, M…, ltc1…)",
            ),
            AddressError::NoTaproot => f.write_str(
                "is a taproot address, from which anybody could take coins of this chain: give a legacy or segwit address",
            ),
            AddressError::WrongNetwork { found } => {
                write!(f, "belongs to {found}: give an address of the coin and network that is mined")
            }
            AddressError::Checksum => f.write_str("has a wrong checksum: copy it again"),
            AddressError::MixedCase => f.write_str("mixes upper and lower case: copy it again"),
            AddressError::WrongEncoding => {
                f.write_str("has the checksum of another witness version (BIP 350): make a new one in your wallet")
            }
            AddressError::WitnessVersion(version) => {
                write!(f, "has witness version {version}, above 16: make a new one in your wallet")
            }
            AddressError::Length => f.write_str("holds a hash of a wrong length: make a new one in your wallet"),
            AddressError::Mistakable { of } => {
                write!(f, "is a key's address of {of} and only a script's here: give one of another kind")
            }
            AddressError::Unknown => f.write_str("is not an address: give one of your wallet"),
        }
    }
}

impl std::error::Error for AddressError {}

/// Reads an address of `network`, whichever of its forms it has.
pub fn parse(text: &str, coin: &'static Coin, network: &'static Network) -> Result<Address, AddressError> {
    if text.is_empty() {
        return Err(AddressError::Empty);
    }
    let prefix = segwit_prefix(text, network);
    // These are longer than others, and their owner should hear the true reason.
    if prefix.is_some_and(|prefix| prefix.mweb) {
        return Err(AddressError::Mweb);
    }
    if text.len() > LONGEST {
        return Err(AddressError::TooLong);
    }
    let script = match prefix {
        // Namecoin's short parts also start legacy addresses by chance, whose checksum then tells.
        Some(prefix) if base58ck::decode_check(text).is_err() => parse_segwit(text, prefix.hrp, coin, network)?,
        _ => parse_base58(text, network)?,
    };
    let kind = AddressType::of(&script).expect("an address stands for a script of a known kind");
    Ok(Address { kind, script })
}

/// The address of `script` as this network's node prints it; `None` where there is none.
pub fn encode(script: &Script, coin: &Coin, network: &Network) -> Option<String> {
    if let Some(hash) = script.p2pkh_hash() {
        return Some(encode_base58(network.p2pkh, &hash));
    }
    if let Some(hash) = script.p2sh_hash() {
        return Some(encode_base58(*network.p2sh.first()?, &hash));
    }
    let (version, program) = script.witness_program()?;
    check_version(version, coin).ok()?;
    let hrp = Hrp::parse(network.hrp?).ok()?;
    bech32::segwit::encode(hrp, Fe32::try_from(version).ok()?, program).ok()
}

/// A human-readable part from the table.
#[derive(Clone, Copy)]
struct Prefix {
    hrp: &'static str,
    mweb: bool,
}

/// The known human-readable part that `text` starts with, in any case: what stands before its last `1`.
fn segwit_prefix(text: &str, network: &'static Network) -> Option<Prefix> {
    let (found, _) = text.rsplit_once('1')?;
    let of = |network: &'static Network| {
        let plain = network.hrp.map(|hrp| Prefix { hrp, mweb: false });
        let mweb = network.mweb_hrp.map(|hrp| Prefix { hrp, mweb: true });
        plain.into_iter().chain(mweb)
    };
    let all = std::iter::once(network).chain(COINS.iter().flat_map(|coin| coin.networks));
    all.flat_map(of).find(|prefix| prefix.hrp.eq_ignore_ascii_case(found))
}

fn parse_segwit(
    text: &str,
    hrp: &'static str,
    coin: &'static Coin,
    network: &'static Network,
) -> Result<Script, AddressError> {
    let unchecked = UncheckedHrpstring::new(text).map_err(|error| match error {
        UncheckedHrpstringError::Char(CharError::MixedCase) => AddressError::MixedCase,
        _ => AddressError::Unknown,
    })?;
    let version = unchecked.data_part_ascii().first().and_then(|first| Fe32::from_char(char::from(*first)).ok());
    let version = version.ok_or(AddressError::Unknown)?;
    let (bech32, bech32m) = (unchecked.has_valid_checksum::<Bech32>(), unchecked.has_valid_checksum::<Bech32m>());
    let expected = if version == Fe32::Q { bech32 } else { bech32m };
    if !expected {
        return Err(if bech32 || bech32m { AddressError::WrongEncoding } else { AddressError::Checksum });
    }
    if network.hrp != Some(hrp) {
        return Err(elsewhere(|network| network.hrp == Some(hrp)));
    }
    if version.to_u8() > 16 {
        return Err(AddressError::WitnessVersion(version.to_u8()));
    }
    check_version(version.to_u8(), coin)?;
    let segwit = unchecked.remove_checksum::<Bech32>().validate_segwit().map_err(|_| AddressError::Length)?;
    let program: Vec<u8> = segwit.byte_iter().collect();
    Script::witness(version.to_u8(), &program).ok_or(AddressError::Length)
}

/// Whether a witness program of this version can be paid on `coin`.
fn check_version(version: u8, coin: &Coin) -> Result<(), AddressError> {
    match version {
        1 if !coin.taproot => Err(AddressError::NoTaproot),
        version if coin.mweb && MWEB_VERSIONS.contains(&version) => Err(AddressError::Mweb),
        _ => Ok(()),
    }
}

fn parse_base58(text: &str, network: &'static Network) -> Result<Script, AddressError> {
    let payload = base58ck::decode_check(text).map_err(|error| match error.incorrect_checksum() {
        // Any word may be read as some bytes of base58: not one that is too short for an address with a typing error.
        Some(_) if text.len() >= SHORTEST => AddressError::Checksum,
        _ => AddressError::Unknown,
    })?;
    let (&version, hash) = payload.split_first().ok_or(AddressError::Length)?;
    let hash: &[u8; 20] = hash.try_into().map_err(|_| AddressError::Length)?;
    if version == network.p2pkh {
        Ok(Script::p2pkh(hash))
    } else if network.p2sh.contains(&version) {
        Ok(Script::p2sh(hash))
    } else {
        Err(elsewhere(|network| network.p2pkh == version || network.p2sh.contains(&version)))
    }
}

fn encode_base58(version: u8, hash: &[u8; 20]) -> String {
    let mut payload = [version; 21];
    payload[1..].copy_from_slice(hash);
    base58ck::Base58CkString::encode_unbounded(&payload).to_string()
}

/// Names the networks in the table that an address fits, or the first of them: many share their version bytes.
fn elsewhere(fits: impl Fn(&Network) -> bool) -> AddressError {
    let mut names: Vec<String> = COINS
        .iter()
        .flat_map(|coin| coin.networks.iter().map(move |network| (coin, network)))
        .filter(|(_, network)| fits(network))
        .map(|(coin, network)| format!("{} {}", coin.name, network.name))
        .collect();
    if names.len() > NAMED {
        names.truncate(NAMED);
        names.push("another".to_string());
    }
    if names.is_empty() { AddressError::Unknown } else { AddressError::WrongNetwork { found: names.join(" or ") } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coin::params::coin;
    use proptest::prelude::*;

    fn on(coin_name: &str, network: &str) -> (&'static Coin, &'static Network) {
        let coin = coin(coin_name).unwrap();
        (coin, coin.network(network).unwrap())
    }

    #[track_caller]
    fn refused(text: &str, expected: AddressError) {
        let (coin, network) = on("litecoin", "mainnet");
        assert_eq!(parse(text, coin, network), Err(expected), "{text}");
    }

    fn witness_address(hrp: &str, version: u8, program: &[u8]) -> String {
        bech32::segwit::encode(Hrp::parse(hrp).unwrap(), Fe32::try_from(version).unwrap(), program).unwrap()
    }

    #[test]
    fn what_is_no_payable_address_is_refused_with_its_reason() {
        refused("", AddressError::Empty);
        refused(&"L".repeat(91), AddressError::TooLong);
        refused("not an address", AddressError::Unknown);
        refused("worker1", AddressError::Unknown);
        refused("ltc1", AddressError::Unknown);
        refused("ltc1é", AddressError::Unknown);
        refused("ltc1qqqqqq", AddressError::Checksum);
        refused("LKKHMBjCU89fyFNgSRprDoD8Jb25N8uWve", AddressError::Checksum);
        refused("LKKHMBjCU89fyFNgSRprDoD8Jb25N8uWv0", AddressError::Unknown);
        // A version byte of no coin in the table, and a payload that is no hash160.
        refused(&encode_base58(77, &[1; 20]), AddressError::Unknown);
        refused(base58ck::Base58CkString::encode_unbounded(&[48; 33]).as_str(), AddressError::Length);
        refused(base58ck::Base58CkString::encode_unbounded(&[]).as_str(), AddressError::Length);
    }

    #[test]
    fn nothing_of_the_extension_block_is_paid() {
        for hrp in ["ltcmweb", "tmweb", "LTCMWEB"] {
            refused(&format!("{hrp}1qq{}", "q".repeat(110)), AddressError::Mweb);
        }
        // Consensus gives these witness versions a meaning of their own on Litecoin, and none on Bitcoin.
        for version in MWEB_VERSIONS {
            refused(&witness_address("ltc", version, &[1; 32]), AddressError::Mweb);
            let script = Script::witness(version, &[1; 32]).unwrap();
            let ((litecoin, litecoin_main), (bitcoin, bitcoin_main)) =
                (on("litecoin", "mainnet"), on("bitcoin", "mainnet"));
            assert_eq!(encode(&script, litecoin, litecoin_main), None);
            let address = encode(&script, bitcoin, bitcoin_main).unwrap();
            assert_eq!(parse(&address, bitcoin, bitcoin_main).map(|address| address.script), Ok(script));
        }
    }

    #[test]
    fn segwit_addresses_of_impossible_versions_and_lengths_are_refused() {
        use bech32::primitives::iter::{ByteIterExt, Fe32IterExt};
        let raw = |version: u8, program: &[u8]| -> String {
            let hrp = Hrp::parse("ltc").unwrap();
            let fes = program.iter().copied().bytes_to_fes();
            let version = Fe32::try_from(version).unwrap();
            if version == Fe32::Q {
                fes.with_checksum::<Bech32>(&hrp).with_witness_version(version).chars().collect()
            } else {
                fes.with_checksum::<Bech32m>(&hrp).with_witness_version(version).chars().collect()
            }
        };
        refused(&raw(17, &[1; 32]), AddressError::WitnessVersion(17));
        refused(&raw(31, &[1; 32]), AddressError::WitnessVersion(31));
        refused(&raw(0, &[1; 21]), AddressError::Length);
        refused(&raw(1, &[1; 1]), AddressError::Length);
        refused(&raw(1, &[1; 41]), AddressError::Length);
        refused(&raw(1, &[]), AddressError::Length);
    }

    #[test]
    fn nobody_is_paid_by_taproot_where_it_means_nothing() {
        let (namecoin, mainnet) = on("namecoin", "mainnet");
        let taproot = Script::witness(1, &[1; 32]).unwrap();
        assert_eq!(parse(&witness_address("nc", 1, &[1; 32]), namecoin, mainnet), Err(AddressError::NoTaproot));
        assert_eq!(encode(&taproot, namecoin, mainnet), None);
        let segwit = parse(&witness_address("nc", 0, &[1; 32]), namecoin, mainnet);
        assert_eq!(segwit.map(|address| address.kind), Ok(AddressType::P2wsh));
    }

    #[test]
    fn a_legacy_address_that_starts_like_a_segwit_one_is_read_as_what_it_is() {
        let hash_of =
            |text: &str, (coin, network)| parse(text, coin, network).unwrap().script.p2pkh_hash().map(hex::encode);
        let dogecoin = hash_of("nc12b6TZ8gj22MCz2eBTBMmWsQY2VbRXoh", on("dogecoin", "testnet"));
        assert_eq!(dogecoin.unwrap(), "55a606070b031a0241a10e8803240a0001090e04");
        let namecoin = hash_of("NC13bpJVCD93qMP72Lp35WnB8UP29KoEiD", on("namecoin", "mainnet"));
        assert_eq!(namecoin.unwrap(), "a934c244755c66aebb0d6f9f5687038ffae8f00b");
    }

    #[test]
    fn an_address_that_many_networks_share_names_a_few() {
        let (litecoin, mainnet) = on("litecoin", "mainnet");
        let error = parse(&encode_base58(111, &[1; 20]), litecoin, mainnet).unwrap_err().to_string();
        let expected = "belongs to litecoin testnet or litecoin regtest or bitcoin testnet or another: ";
        assert!(error.starts_with(expected), "{error}");
    }

    fn any_script() -> impl Strategy<Value = Script> {
        let program = (0..=16u8, prop::collection::vec(any::<u8>(), 2..=40));
        prop_oneof![
            any::<[u8; 20]>().prop_map(|hash| Script::p2pkh(&hash)),
            any::<[u8; 20]>().prop_map(|hash| Script::p2sh(&hash)),
            any::<[u8; 20]>().prop_map(|hash| Script::witness(0, &hash).unwrap()),
            any::<[u8; 32]>().prop_map(|hash| Script::witness(0, &hash).unwrap()),
            any::<[u8; 32]>().prop_map(|key| Script::witness(1, &key).unwrap()),
            program.prop_filter_map("version 0 is told above", |(version, program)| Script::witness(version, &program)),
        ]
    }

    proptest! {
        #[test]
        fn every_script_with_an_address_is_read_back_on_every_network(script in any_script()) {
            for (coin, network) in COINS.iter().flat_map(|coin| coin.networks.iter().map(move |network| (coin, network))) {
                let witness = script.witness_program().map(|(version, _)| version);
                let exists = witness.is_none_or(|version| match version {
                    1 => coin.taproot,
                    8 | 9 => coin.segwit && !coin.mweb,
                    _ => coin.segwit,
                });
                let text = encode(&script, coin, network);
                prop_assert_eq!(text.is_some(), exists);
                let Some(text) = text else { continue };
                let kind = AddressType::of(&script).unwrap();
                let expected = Ok(Address { kind, script: script.clone() });
                prop_assert_eq!(parse(&text, coin, network), expected.clone());
                if witness.is_some() {
                    prop_assert_eq!(parse(&text.to_uppercase(), coin, network), expected);
                }
            }
        }

        #[test]
        fn no_text_makes_the_parser_panic(text in "(|ltc1|rltc1|bc1|LTC1|L|3)[ -~é]{0,100}") {
            for (coin, network) in COINS.iter().flat_map(|coin| coin.networks.iter().map(move |network| (coin, network))) {
                if let Ok(address) = parse(&text, coin, network) {
                    prop_assert!(encode(&address.script, coin, network).is_some());
                }
            }
        }
    }
}
