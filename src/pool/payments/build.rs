//! Building one payment with the wallet, call by call, up to the signed transaction; and the check that this
//! pays exactly what was planned. Never sends: that comes after the transaction is written.

use serde_json::json;

use crate::base::amount::format_amount;
use crate::coin::params::{Coin, Network};
use crate::coin::transaction::{Transaction, TransactionError};
use crate::pool::node_state::NodeInfo;
use crate::pool::record::{OutPoint, PaymentOutput, PaymentStatus};
use crate::pool::spec::{FeeFrom, PaymentsSpec};

use super::answer::{self, Answer, DEPRECATED, Fault, Funded, SignedHex, UNKNOWN_METHOD};
use super::plan::{Plan, Planned};
use super::{Call, PaymentEvent, Transfer};

/// The names of the method that signs, up to Bitcoin Core 0.16 and since.
const SIGN_METHODS: [&str; 2] = ["signrawtransaction", "signrawtransactionwithwallet"];

/// Where the building is.
#[derive(Debug)]
enum Stage {
    /// The node is asked where it stands.
    Sync,
    /// The wallet is asked what it has.
    Balance,
    /// Whom to pay is decided by who knows the ledger.
    Plan,
    /// The outputs are made into a transaction.
    Create,
    /// The wallet adds inputs and change.
    Fund { unfunded: String },
    /// The wallet signs, by this method.
    Sign { funded: Funded, expected: Transaction, method: &'static str },
    /// The transaction is being written.
    Written,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Build {
    stage: Stage,
    outputs: Vec<Planned>,
    /// What the wallet said when it found less money than its balance.
    shortage: Option<String>,
}

impl Build {
    /// Starts with the first question.
    pub fn new() -> Build {
        Build { stage: Stage::Sync, outputs: Vec::new(), shortage: None }
    }

    /// What it is doing, in words.
    pub fn describe(&self) -> &'static str {
        match self.stage {
            Stage::Sync => "asks the wallet's node where it stands",
            Stage::Balance => "asks for the wallet's balance",
            Stage::Plan => "is planned",
            Stage::Create | Stage::Fund { .. } => "is built by the wallet",
            Stage::Sign { .. } => "is signed by the wallet",
            Stage::Written => "is signed and waits for the disk",
        }
    }

    /// The call that is next; none while others have to act.
    pub fn call(&self, spec: &PaymentsSpec, coin: &Coin) -> Option<Call> {
        let (method, params) = match &self.stage {
            Stage::Sync => ("getblockchaininfo", "[]".to_string()),
            Stage::Balance => ("getbalance", "[]".to_string()),
            Stage::Create => {
                // Written by hand: the order of the keys is the order of the outputs.
                let output = |out: &Planned| format!("\"{}\":\"{}\"", out.address, format_amount(out.amount));
                let outputs: Vec<String> = self.outputs.iter().map(output).collect();
                ("createrawtransaction", format!("[[],{{{}}}]", outputs.join(",")))
            }
            Stage::Fund { unfunded } => {
                ("fundrawtransaction", json!([unfunded, fund_options(self.outputs.len(), spec, coin)]).to_string())
            }
            Stage::Sign { funded, method, .. } => (*method, json!([funded.hex]).to_string()),
            Stage::Plan | Stage::Written => return None,
        };
        Some(Call { method, params })
    }

    /// Takes in the answer to [`Build::call`]. The error says why the payment can't be built now.
    pub fn take(
        &mut self,
        answer: Answer,
        call: &Call,
        spec: &PaymentsSpec,
        (coin, network): (&Coin, &Network),
    ) -> Result<Option<PaymentEvent>, String> {
        let method = call.method;
        // A coin's node may move to a newer base between two versions: the other name is asked for before giving up.
        if let (Stage::Sign { method, .. }, Err(Fault { code: UNKNOWN_METHOD | DEPRECATED, .. })) =
            (&mut self.stage, &answer)
            && *method == coin.sign_method
        {
            *method = SIGN_METHODS[usize::from(*method == SIGN_METHODS[0])];
            return Ok(None);
        }
        let result = match answer {
            Ok(result) => result,
            // One output too small for its part of the fee must not hold back the others.
            Err(fault) if fault.message.contains("too small") && self.outputs.len() > 1 => {
                self.outputs.pop();
                self.stage = Stage::Create;
                return Ok(None);
            }
            // A balance counts coins that can't be chosen (locked ones, Litecoin's MWEB): fewer are paid then.
            Err(fault) if matches!(self.stage, Stage::Fund { .. }) && fault.message.contains("Insufficient funds") => {
                self.shortage = Some(fault.describe(method));
                self.stage = Stage::Plan;
                let total: u64 = self.outputs.iter().map(|output| output.amount).sum();
                return Ok(Some(PaymentEvent::PlanWanted { funds: total / 2 }));
            }
            Err(fault) => return Err(fault.describe(method)),
        };
        match &self.stage {
            Stage::Sync => {
                let mut info = NodeInfo::default();
                info.take_chain_info(&result);
                check_chain(&info, network)?;
                self.stage = Stage::Balance;
            }
            Stage::Balance => {
                let balance = answer::amount(method, &result)?;
                let reserve = if spec.fee_from == FeeFrom::Pool { spec.max_fee } else { 0 };
                self.stage = Stage::Plan;
                return Ok(Some(PaymentEvent::PlanWanted { funds: balance.saturating_sub(reserve) }));
            }
            Stage::Create => self.stage = Stage::Fund { unfunded: answer::read(method, &result)? },
            Stage::Fund { .. } => {
                let funded: Funded = answer::read(method, &result)?;
                let expected = parse(method, &funded.hex, coin)?;
                check(&expected, &self.outputs, &funded, spec)?;
                self.stage = Stage::Sign { funded, expected, method: coin.sign_method };
            }
            Stage::Sign { funded, expected, .. } => {
                let signed: SignedHex = answer::read(method, &result)?;
                if !signed.complete {
                    return Err(format!("{method}: the wallet lacks keys for some of the coins that it chose"));
                }
                let transaction = parse(method, &signed.hex, coin)?;
                if transaction.inputs != expected.inputs || transaction.outputs != expected.outputs {
                    return Err(format!("{method}: what came back is not what was to be signed"));
                }
                let transfer = Transfer {
                    txid: transaction.txid,
                    bytes: answer::bytes(method, &signed.hex)?,
                    inputs: transaction
                        .inputs
                        .iter()
                        .map(|coin| OutPoint { txid: coin.txid, vout: coin.vout })
                        .collect(),
                    outputs: paid(&transaction, &self.outputs),
                    fee: funded.fee()?,
                };
                self.stage = Stage::Written;
                return Ok(Some(PaymentEvent::Signed(transfer)));
            }
            // Nothing is asked in these.
            Stage::Plan | Stage::Written => {}
        }
        Ok(None)
    }

    /// Takes in whom to pay. The error says why nobody can be paid now.
    pub fn take_plan(&mut self, plan: Plan, coin: &Coin) -> Result<Option<PaymentEvent>, String> {
        if plan.outputs.is_empty() && plan.lacks_funds() {
            return Err(match self.shortage.take() {
                Some(words) => format!("{words}{}", mweb_advice(coin)),
                None => "the wallet has not enough to pay anybody: it must hold a sum and the fee".into(),
            });
        }
        if plan.outputs.is_empty() {
            let dropped = PaymentStatus::Dropped("nobody is owed enough to be paid".into());
            return Ok(Some(PaymentEvent::Judged(dropped)));
        }
        self.outputs = plan.outputs;
        self.stage = Stage::Create;
        Ok(None)
    }

    /// Whether the plan is waited for.
    pub fn wants_plan(&self) -> bool {
        matches!(self.stage, Stage::Plan)
    }

    /// Whether the signed transaction is to be written.
    pub fn wants_writing(&self) -> bool {
        matches!(self.stage, Stage::Written)
    }
}

/// A node that is elsewhere, or has yet to catch up, is not believed.
pub(super) fn check_chain(info: &NodeInfo, network: &Network) -> Result<(), String> {
    if let Some(chain) = info.chain.as_deref().filter(|chain| *chain != network.chain_name()) {
        return Err(format!("the wallet's node is on {chain}, this pool on {}", network.name));
    }
    if !info.is_synced() {
        let (height, headers) = (info.height.unwrap_or(0), info.headers.unwrap_or(0));
        return Err(format!("the wallet's node is catching up: block {height} of {headers}"));
    }
    Ok(())
}

fn fund_options(outputs: usize, spec: &PaymentsSpec, coin: &Coin) -> serde_json::Value {
    let mut options = json!({ "changePosition": outputs, "lockUnspents": false });
    if coin.replaceable_option {
        options["replaceable"] = false.into();
    }
    if spec.fee_from == FeeFrom::Receivers {
        options["subtractFeeFromOutputs"] = (0..outputs).collect();
    }
    if let Some(rate) = spec.fee_rate {
        options["feeRate"] = format_amount(rate).into();
    }
    options
}

fn parse(method: &str, hex: &str, coin: &Coin) -> Result<Transaction, String> {
    Transaction::parse(&answer::bytes(method, hex)?).map_err(|error| match error {
        TransactionError::NoInputs => format!("{method}: {error}{}", mweb_advice(coin)),
        _ => format!("{method}: {error}"),
    })
}

/// What to do where a wallet that has money has none for a payment.
fn mweb_advice(coin: &Coin) -> &'static str {
    if coin.mweb { "; MWEB coins are not used: send them to a legacy or segwit address of the wallet" } else { "" }
}

/// Whether the transaction pays exactly what was planned, in order, and at most one output of change after it.
fn check(transaction: &Transaction, planned: &[Planned], funded: &Funded, spec: &PaymentsSpec) -> Result<(), String> {
    let wrong = |what: String| Err(format!("the wallet's transaction is not sent: {what}"));
    let fee = funded.fee()?;
    if fee > spec.max_fee {
        let (fee, most) = (format_amount(fee), format_amount(spec.max_fee));
        return wrong(format!("its fee of {fee} is above max_fee, {most}"));
    }
    let (paying, change) = transaction.outputs.split_at(planned.len().min(transaction.outputs.len()));
    let has_change = i64::try_from(planned.len()) == Ok(funded.changepos);
    if paying.len() != planned.len()
        || change.len() != usize::from(has_change)
        || (!has_change && funded.changepos != -1)
    {
        return wrong("it has other outputs than those planned".into());
    }
    // Each bears an equal part, and the first what can't be parted.
    let count = planned.len() as u64;
    let most_borne = match spec.fee_from {
        FeeFrom::Pool => 0,
        FeeFrom::Receivers => fee / count + fee % count,
    };
    for (output, planned) in paying.iter().zip(planned) {
        let least = planned.amount.saturating_sub(most_borne).max(1);
        if output.script != planned.script || !(least..=planned.amount).contains(&output.value) {
            let (address, planned) = (&planned.address, format_amount(planned.amount));
            return wrong(format!("it does not pay {planned} to {address}"));
        }
    }
    Ok(())
}

/// What each miner gets, of a transaction that was checked.
fn paid(transaction: &Transaction, planned: &[Planned]) -> Vec<PaymentOutput> {
    let output = |(planned, output): (&Planned, &crate::coin::coinbase::TxOut)| PaymentOutput {
        miner: planned.miner,
        amount: planned.amount,
        received: output.value,
    };
    planned.iter().zip(&transaction.outputs).map(output).collect()
}
