//! What a script that was given for one chain is on another one, under the same keys. Never asks whether its owner has
//! a wallet there: an exchange that was given as the address has the keys, and may not look for the coins.

use super::{AddressType, encode};
use crate::coin::{
    params::{Coin, Network},
    script::Script,
};

/// The script on another chain that the same key or script controls: key hashes and script hashes carry over, and a
/// segwit key hash becomes a plain one where there is no segwit. `None` where nothing carries over.
///
/// A script hash is not always as safe there: see [`is_exposed`].
pub fn rederive(script: &Script, to: (&Coin, &Network)) -> Option<Script> {
    match AddressType::of(script)? {
        AddressType::P2pkh | AddressType::P2sh => Some(script.clone()),
        AddressType::P2wpkh if to.0.segwit => Some(script.clone()),
        AddressType::P2wpkh => Some(Script::p2pkh(script.witness_program()?.1.try_into().ok()?)),
        AddressType::P2wsh | AddressType::P2tr | AddressType::WitnessFuture => None,
    }
}

/// Whether a script of `from` may be one that anybody can spend on `to`.
///
/// A script hash of a chain with segwit is very often that of a witness program (P2SH-P2WPKH, what wallets call
/// nested or compatible segwit: Litecoin's `M…`, Bitcoin's `3…`). A chain without segwit asks for the program alone and
/// for no signature, and everybody learns the program when its owner first spends from that address on `from`. From
/// then on whoever is first takes what was paid to the same hash on `to`. Which hashes are of that kind can't be told.
pub fn is_exposed(script: &Script, from: &Coin, to: &Coin) -> bool {
    from.segwit && !to.segwit && script.p2sh_hash().is_some()
}

/// The script on another chain that is paid there for work that named `script` alone: as [`rederive`], but nothing that
/// may be [exposed](is_exposed). `None`: it has to be told.
pub fn carry_over(script: &Script, from: &Coin, to: (&Coin, &Network)) -> Option<Script> {
    rederive(script, to).filter(|_| !is_exposed(script, from, to.0))
}

/// What a script is on another chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Derived {
    /// The script there.
    pub script: Script,
    /// Its address there.
    pub address: String,
    /// Whether anybody may be able to spend from it: see [`is_exposed`].
    pub exposed: bool,
}

/// What a script of `from` is on another chain; `None` where nothing carries over.
pub fn derive(script: &Script, from: &Coin, to: (&Coin, &Network)) -> Option<Derived> {
    let derived = rederive(script, to)?;
    let address = encode(&derived, to.0, to.1)?;
    Some(Derived { script: derived, address, exposed: is_exposed(script, from, to.0) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coin::address::parse;
    use crate::coin::params::{COINS, coin};

    fn on(coin_name: &str) -> (&'static Coin, &'static Network) {
        let coin = coin(coin_name).unwrap();
        (coin, &coin.networks[0])
    }

    #[test]
    fn scripts_carry_over_to_another_chain_where_the_key_can_spend_them() {
        let (litecoin, dogecoin) = (on("litecoin"), on("dogecoin"));
        let hash = [5; 20];
        let wpkh = Script::witness(0, &hash).unwrap();
        assert_eq!(rederive(&Script::p2pkh(&hash), dogecoin), Some(Script::p2pkh(&hash)));
        assert_eq!(rederive(&Script::p2sh(&hash), dogecoin), Some(Script::p2sh(&hash)));
        assert_eq!(rederive(&wpkh, dogecoin), Some(Script::p2pkh(&hash)));
        assert_eq!(rederive(&wpkh, litecoin), Some(wpkh));
        for (version, length) in [(0, 32), (1, 32), (2, 20)] {
            assert_eq!(rederive(&Script::witness(version, &vec![5; length]).unwrap(), dogecoin), None);
        }
        assert_eq!(rederive(&Script::from_bytes(vec![]), dogecoin), None);
    }

    #[test]
    fn only_script_hashes_are_exposed_and_only_where_segwit_ends() {
        let hash = [5; 20];
        let scripts = [Script::p2sh(&hash), Script::p2pkh(&hash), Script::witness(0, &hash).unwrap()];
        let exposed =
            |from: &str, to: &str| scripts.each_ref().map(|script| derive(script, on(from).0, on(to)).unwrap().exposed);
        assert_eq!(exposed("litecoin", "dogecoin"), [true, false, false]);
        assert_eq!(exposed("litecoin", "junkcoin"), [true, false, false]);
        assert_eq!(exposed("litecoin", "bellscoin"), [false; 3]);
        assert_eq!(exposed("bitcoin", "namecoin"), [false; 3]);
        assert_eq!(exposed("dogecoin", "litecoin"), [false; 3]);
    }

    #[test]
    fn a_derived_address_is_one_of_its_chain_and_stands_for_the_derived_script() {
        let address = parse("ltc1qqypqxpq9qcrsszg2pvxq6rs0zqg3yyc5dyg36p", on("litecoin").0, on("litecoin").1).unwrap();
        let derived = |to: &str| derive(&address.script, on("litecoin").0, on(to)).unwrap();
        assert_eq!(derived("dogecoin").address, "D5ERdEN1gsouFSs7zsq7VYJxyWP6dP28H1");
        assert_eq!(derived("bitcoin").address, "bc1qqypqxpq9qcrsszg2pvxq6rs0zqg3yyc5fcj4z3");
        for coin in COINS {
            let network = &coin.networks[0];
            let derived = derived(coin.name);
            assert_eq!(parse(&derived.address, coin, network).unwrap().script, derived.script);
        }
    }
}
