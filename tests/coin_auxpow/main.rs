//! Merged mining on the coin floor: against what real nodes gave and accepted, against every way in which a proof can be
//! wrong, and with a coin that is in no table.

mod made_up;
mod parent;
mod proofs;
mod vectors;

use edgepool::{
    base::Hash32,
    coin::params::{AuxPow, Coin, coin},
};
use serde_json::Value;
use std::{fs, path::PathBuf};

fn text(name: &str) -> String {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "vectors", name].iter().collect();
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())).trim().to_string()
}

fn vector(name: &str) -> Value {
    serde_json::from_str(&text(name)).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(value.as_str().expect("a string of hexadecimal digits")).unwrap()
}

fn hashes(value: &Value) -> Vec<Hash32> {
    value.as_array().unwrap().iter().map(|hash| bytes(hash).try_into().unwrap()).collect()
}

fn dogecoin() -> (&'static Coin, AuxPow) {
    let dogecoin = coin("dogecoin").unwrap();
    (dogecoin, dogecoin.auxpow.unwrap())
}
