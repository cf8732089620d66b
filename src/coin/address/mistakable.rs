//! Addresses that two coins print alike and mean otherwise: what is a key's on one is a script's on the other, where
//! nobody could spend what it is paid.

use super::{Address, AddressError, AddressType, parse};
use crate::coin::params::{COINS, Coin, Network};

/// As [`parse`], for an address that somebody gave to be paid. One that stands for a script here and, on the network of the
/// same name of another coin, for a key is refused: far more people have such keys than such scripts.
pub fn parse_to_pay(text: &str, coin: &'static Coin, network: &'static Network) -> Result<Address, AddressError> {
    let address = parse(text, coin, network)?;
    if address.kind == AddressType::P2sh {
        let others = COINS.iter().filter(|other| other.name != coin.name);
        let mut others = others.filter_map(|other| Some((other, other.network(network.name)?)));
        let is_key = |(other, network): &(&'static Coin, &'static Network)| {
            parse(text, other, network).is_ok_and(|address| address.kind == AddressType::P2pkh)
        };
        if let Some((other, _)) = others.find(is_key) {
            return Err(AddressError::Mistakable { of: other.name });
        }
    }
    Ok(address)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coin::address::encode;
    use crate::coin::params::coin;
    use crate::coin::script::Script;

    #[test]
    fn an_address_that_is_a_key_of_another_coin_is_not_taken_for_a_script() {
        let on = |name: &str| (coin(name).unwrap(), coin(name).unwrap().network("mainnet").unwrap());
        let ((doge, doge_main), (bells, bells_main)) = (on("dogecoin"), on("bellscoin"));
        let key = encode(&Script::p2pkh(&[7; 20]), doge, doge_main).unwrap();
        assert_eq!(parse(&key, bells, bells_main).map(|address| address.kind), Ok(AddressType::P2sh));
        let refused = parse_to_pay(&key, bells, bells_main);
        assert_eq!(refused, Err(AddressError::Mistakable { of: "dogecoin" }));
        assert_eq!(parse_to_pay(&key, doge, doge_main).map(|address| address.kind), Ok(AddressType::P2pkh));
        // Scripts that are scripts wherever they can be read are taken.
        for name in ["litecoin", "bitcoin", "dogecoin", "pepecoin", "junkcoin"] {
            let (coin, network) = on(name);
            let script = Script::p2sh(&[7; 20]);
            let address = parse_to_pay(&encode(&script, coin, network).unwrap(), coin, network);
            assert_eq!(address.map(|address| address.script), Ok(script), "{name}");
        }
    }
}
