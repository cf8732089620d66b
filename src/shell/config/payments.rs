//! The object `payments` of a chain: how balances are paid from a node's wallet. Where it is absent, no wallet is
//! ever asked for anything.

use serde_json::Value;

use super::json::{Object, integer, size, text};
use super::{decimal, node, unknown};
use crate::base::amount::parse_amount;
use crate::base::limits;
use crate::base::time::HOUR;
use crate::coin::params::{Coin, Network};
use crate::pool::spec::{FeeFrom, NodeSpec, PaymentsSpec};
use crate::shell::secrets::Secret;

/// Miners paid by one transaction, where the file does not say.
const MAX_OUTPUTS: usize = 100;
/// Confirmations that settle a payment, where the file does not say.
const CONFIRMATIONS: u64 = 6;
/// Who bears the network's fee, by the names in the file.
const FEE_FROM: [(&str, FeeFrom); 2] = [("pool", FeeFrom::Pool), ("receivers", FeeFrom::Receivers)];

/// What of a chain's `payments` was read: all but what the rest of the chain gives.
pub(super) struct Read {
    /// The wallet's own entry; the chain's first node where it is absent.
    wallet: Option<(NodeSpec, Secret)>,
    /// In base units; the chain's minimum payout where it is absent.
    threshold: Option<u64>,
    every_ms: Option<u64>,
    max_outputs: usize,
    confirmations: u32,
    fee_from: FeeFrom,
    fee_rate: Option<u64>,
    max_fee: u64,
}

/// Reads the object; the coin is missing where that mistake is told already.
pub(super) fn payments(
    object: &mut Object<'_>,
    coin: Option<&'static Coin>,
    network: Option<&'static Network>,
) -> Option<Read> {
    let wallet = object.optional_section("wallet", |wallet| node::node(wallet, network));
    let every_hours = object.optional("every_hours", integer(limits::PAYMENT_HOURS));
    let threshold = object.optional("threshold", decimal(parse_amount));
    let max_outputs = object.or("max_outputs", MAX_OUTPUTS, size(1..=limits::PAYMENT_OUTPUTS));
    let confirmations = object.or("confirmations", CONFIRMATIONS, integer(limits::PAYMENT_CONFIRMATIONS));
    let fee_from = object.or("fee_from", FeeFrom::Pool, |value| {
        let name = text(value)?;
        let known = FEE_FROM.iter().find(|(known, _)| *known == name).map(|(_, from)| *from);
        known.ok_or_else(|| unknown(name, "a bearer of fees", FEE_FROM.iter().map(|(name, _)| *name)))
    });
    let fee_rate = object.optional("fee_rate", positive);
    let max_fee = object.or("max_fee", coin.map_or(0, |coin| coin.default_max_fee), positive);
    Some(Read {
        wallet: wallet?,
        threshold: threshold?,
        every_ms: every_hours?.map(|hours| hours * HOUR),
        max_outputs: max_outputs?,
        confirmations: confirmations? as u32,
        fee_from: fee_from?,
        fee_rate: fee_rate?,
        max_fee: max_fee?,
    })
}

impl Read {
    /// The whole, given the chain's first node and its minimum payout.
    pub(super) fn complete(self, first_node: (NodeSpec, Secret), min_payout: u64) -> (PaymentsSpec, Secret) {
        let (wallet, secret) = self.wallet.unwrap_or(first_node);
        let spec = PaymentsSpec {
            wallet,
            every_ms: self.every_ms,
            threshold: self.threshold.unwrap_or(min_payout),
            max_outputs: self.max_outputs,
            confirmations: self.confirmations,
            fee_from: self.fee_from,
            fee_rate: self.fee_rate,
            max_fee: self.max_fee,
        };
        (spec, secret)
    }
}

/// The name in the file.
pub(super) fn fee_from_name(from: FeeFrom) -> &'static str {
    FEE_FROM.iter().find(|(_, known)| *known == from).map_or("", |(name, _)| name)
}

fn positive(value: &Value) -> Result<u64, String> {
    match decimal(parse_amount)(value)? {
        0 => Err("must be above 0; leave it out for the default".into()),
        amount => Ok(amount),
    }
}
