//! How bytes, hashes and wide numbers are written: compact in the ledger's file, as people and other programs
//! read them in JSON. Each module is for `#[serde(with = "…")]`.

/// Bytes: hexadecimal where people read.
pub mod bytes {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    /// Writes them.
    pub fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() { to.serialize_str(&hex::encode(bytes)) } else { bytes.serialize(to) }
    }

    /// Reads them back.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        if !from.is_human_readable() {
            return Vec::deserialize(from);
        }
        hex::decode(String::deserialize(from)?).map_err(de::Error::custom)
    }
}

/// A hash: as nodes and explorers print it, where people read.
pub mod hash {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    use crate::base::{Hash32, display_hash, parse_hash};

    /// Writes it.
    pub fn serialize<S: Serializer>(hash: &Hash32, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() { to.serialize_str(&display_hash(hash)) } else { hash.serialize(to) }
    }

    /// Reads it back.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Hash32, D::Error> {
        if !from.is_human_readable() {
            return Hash32::deserialize(from);
        }
        parse_hash(&String::deserialize(from)?).ok_or_else(|| de::Error::custom("not 64 hexadecimal digits"))
    }
}

/// A number that may be wider than JSON's are trusted to be: a decimal string where people read.
pub mod wide {
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

    /// Writes it.
    pub fn serialize<S: Serializer>(number: &u128, to: S) -> Result<S::Ok, S::Error> {
        if to.is_human_readable() { to.serialize_str(&number.to_string()) } else { number.serialize(to) }
    }

    /// Reads it back.
    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u128, D::Error> {
        if !from.is_human_readable() {
            return u128::deserialize(from);
        }
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}
