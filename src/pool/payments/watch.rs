//! A signed payment, from the disk to its end: sent, sent again as the same bytes while it is in no block, settled
//! under enough blocks, or proven to be beyond recall. No answer of a wallet ever leads to a second payment by itself.

use std::rc::Rc;

use serde_json::{Value, json};

use crate::base::{Hash32, display_hash, parse_hash};
use crate::coin::params::Network;
use crate::coin::transaction::Transaction;
use crate::pool::node_state::NodeInfo;
use crate::pool::record::{OutPoint, PaymentStatus};

use super::answer::{self, Answer, Found, Header, IN_CHAIN, MISSING_INPUTS, REJECTED, UNKNOWN};
use super::build::check_chain;
use super::{Call, PaymentEvent};

/// The next question.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    /// The wallet is told to leave the inputs alone.
    Lock,
    /// The transaction is sent.
    Send,
    /// The node is asked where it stands.
    Sync,
    /// The wallet is asked for the transaction.
    Find,
    /// The node is asked for its block.
    Header { block: Hash32 },
    /// The node is asked whether input number n is unspent in the chain.
    Coin(usize),
    /// The wallet is asked whether input number n, which is not, ever was.
    Source(usize),
    /// The wallet is asked for rival number n, which may pay the same under another id.
    Rival(usize),
    /// The inputs that are left are the wallet's again.
    Unlock,
    /// All is asked for now.
    Rest,
    /// The payment has come to its end.
    Done,
}

/// What sending came to in this round.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Sent {
    /// The node has it in its memory pool.
    Taken,
    /// The node has it in its chain.
    InChain,
    /// An input is spent otherwise, or may be; in the node's words.
    Contested(String),
    /// Not taken for another reason, in the node's words.
    Refused(String),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Watch {
    txid: Hash32,
    bytes: Rc<[u8]>,
    inputs: Vec<OutPoint>,
    /// Whether a node is known to have taken it.
    is_sent: bool,
    stage: Stage,
    sent: Option<Sent>,
    /// As the wallet last said; `None`: it does not know the transaction.
    confirmations: Option<i64>,
    /// Blocks of the node's chain in this round.
    height: u32,
    /// The first input that this round found to be spent by another.
    spent: Option<OutPoint>,
    /// Since which height an input is spent by another.
    contested_since: Option<u32>,
    word: Option<String>,
    /// Transactions that spend a coin of it, as the wallet last said.
    rivals: Vec<Hash32>,
    /// Why the payment can never confirm, while its rivals are looked at.
    beyond_recall: String,
}

impl Watch {
    /// A payment that is written, and that goes out at once.
    pub fn new(txid: Hash32, bytes: Rc<[u8]>, inputs: Vec<OutPoint>, is_sent: bool) -> Watch {
        Watch {
            txid,
            bytes,
            inputs,
            is_sent,
            stage: Stage::Lock,
            sent: None,
            confirmations: None,
            height: 0,
            spent: None,
            contested_since: None,
            word: None,
            rivals: Vec::new(),
            beyond_recall: String::new(),
        }
    }

    /// Starts another round of questions.
    pub fn wake(&mut self) {
        if self.stage == Stage::Rest {
            self.restart();
        }
    }

    /// Starts the round anew after a call that failed; gives up what does not matter.
    pub fn restart(&mut self) {
        self.sent = None;
        self.spent = None;
        self.stage = if matches!(self.stage, Stage::Unlock | Stage::Done) { Stage::Done } else { Stage::Sync };
    }

    /// Whether all is asked for now.
    pub fn is_resting(&self) -> bool {
        self.stage == Stage::Rest
    }

    /// Whether nothing is left to do.
    pub fn is_done(&self) -> bool {
        self.stage == Stage::Done
    }

    /// Confirmations as the wallet last said; `None`: it does not know the transaction.
    pub fn confirmations(&self) -> Option<i64> {
        self.confirmations
    }

    /// Why the payment does not come forward, in the node's words.
    pub fn word(&self) -> Option<&str> {
        self.word.as_deref()
    }

    /// The call that is next.
    pub fn call(&self) -> Option<Call> {
        let (method, params) = match &self.stage {
            Stage::Lock => ("lockunspent", json!([false, self.coins()])),
            Stage::Send => ("sendrawtransaction", json!([hex::encode(&self.bytes)])),
            Stage::Sync => ("getblockchaininfo", json!([])),
            Stage::Find => ("gettransaction", json!([display_hash(&self.txid)])),
            Stage::Header { block } => ("getblockheader", json!([display_hash(block)])),
            Stage::Coin(input) => {
                let coin = self.inputs.get(*input)?;
                ("gettxout", json!([display_hash(&coin.txid), coin.vout, false]))
            }
            Stage::Source(input) => ("gettransaction", json!([display_hash(&self.inputs.get(*input)?.txid)])),
            Stage::Rival(rival) => ("gettransaction", json!([display_hash(self.rivals.get(*rival)?)])),
            Stage::Unlock => ("lockunspent", json!([true, self.coins()])),
            Stage::Rest | Stage::Done => return None,
        };
        Some(Call { method, params: params.to_string() })
    }

    /// Takes in the answer to [`Watch::call`]. `confirmations` settle the payment, or a conflict with it. The error
    /// says why the round can't be ended.
    pub fn take(
        &mut self,
        answer: Answer,
        call: &Call,
        confirmations: u32,
        network: &Network,
    ) -> Result<Option<PaymentEvent>, String> {
        let method = call.method;
        let known = |answer: Answer| answer.map_err(|fault| fault.describe(method));
        match self.stage.clone() {
            // Locks are a courtesy: a wallet that can't set them still sends.
            Stage::Lock => self.stage = Stage::Send,
            Stage::Send => return self.take_sent(answer, method),
            Stage::Sync => {
                let mut info = NodeInfo::default();
                info.take_chain_info(&known(answer)?);
                check_chain(&info, network)?;
                self.height = info.height.ok_or_else(|| format!("{method}: the answer has no height"))?;
                self.stage = Stage::Find;
            }
            Stage::Find => {
                let found: Option<Found> = match answer {
                    Err(fault) if fault.code == UNKNOWN => None,
                    answer => Some(answer::read(method, &known(answer)?)?),
                };
                self.confirmations = found.as_ref().map(|found| found.confirmations);
                self.rivals = found.as_ref().map_or(Vec::new(), Found::rivals);
                let depth = self.confirmations.unwrap_or(0);
                self.stage = match (found.and_then(|found| found.block()), &self.sent) {
                    (Some(block), _) if depth >= i64::from(confirmations) => Stage::Header { block },
                    _ if depth > 0 => return Ok(self.rest()),
                    (_, None) => Stage::Lock,
                    // In the memory pool it waits for a block: its inputs are free for it.
                    (_, Some(Sent::Taken)) => return Ok(self.rest()),
                    (_, Some(Sent::InChain)) => {
                        self.word =
                            Some("it is in the chain, and the wallet does not know: is it the same wallet?".into());
                        return Ok(self.rest());
                    }
                    (_, Some(_)) => return Ok(self.next_coin(0, confirmations)),
                };
            }
            Stage::Header { block } => {
                let header: Header = answer::read(method, &known(answer)?)?;
                if header.confirmations < i64::from(confirmations) {
                    return Ok(self.rest());
                }
                self.stage = Stage::Done;
                let settled = PaymentStatus::Settled { height: header.height, block };
                return Ok(Some(PaymentEvent::Judged(settled)));
            }
            Stage::Coin(input) => {
                let coin: Option<Value> = answer::read(method, &known(answer)?)?;
                if coin.is_none() {
                    self.stage = Stage::Source(input);
                } else {
                    return Ok(self.next_coin(input + 1, confirmations));
                }
            }
            Stage::Source(input) => {
                let depth = match answer {
                    Err(fault) if fault.code == UNKNOWN => 0,
                    answer => answer::read::<Found>(method, &known(answer)?)?.confirmations,
                };
                if depth > 0 && self.spent.is_none() {
                    self.spent = self.inputs.get(input).copied();
                }
                return Ok(self.next_coin(input + 1, confirmations));
            }
            Stage::Rival(rival) => return self.take_rival(rival, answer, method),
            Stage::Unlock => self.stage = Stage::Done,
            // Nothing is asked in these.
            Stage::Rest | Stage::Done => {}
        }
        Ok(None)
    }

    fn coins(&self) -> Value {
        self.inputs.iter().map(|coin| json!({ "txid": display_hash(&coin.txid), "vout": coin.vout })).collect()
    }

    fn take_sent(&mut self, answer: Answer, method: &str) -> Result<Option<PaymentEvent>, String> {
        let sent = match answer {
            Ok(result) => {
                let txid: String = answer::read(method, &result)?;
                if parse_hash(&txid) != Some(self.txid) {
                    return Err(format!("{method}: the node gives the transaction another id"));
                }
                Sent::Taken
            }
            Err(fault) if fault.code == IN_CHAIN => Sent::InChain,
            Err(fault) if matches!(fault.code, MISSING_INPUTS | REJECTED) => Sent::Contested(fault.describe(method)),
            Err(fault) => Sent::Refused(fault.describe(method)),
        };
        let is_taken = matches!(sent, Sent::Taken | Sent::InChain);
        if is_taken {
            self.contested_since = None;
        }
        let is_news = is_taken && !self.is_sent;
        self.is_sent |= is_news;
        self.word = match &sent {
            Sent::Taken | Sent::InChain => None,
            Sent::Contested(word) | Sent::Refused(word) => Some(word.clone()),
        };
        self.sent = Some(sent);
        // The node may have moved on since this round began: what is judged is asked for after the sending.
        self.stage = Stage::Sync;
        Ok(is_news.then_some(PaymentEvent::Judged(PaymentStatus::Sent)))
    }

    /// Goes on to an input; after the last one the round is judged.
    fn next_coin(&mut self, input: usize, confirmations: u32) -> Option<PaymentEvent> {
        if input < self.inputs.len() {
            self.stage = Stage::Coin(input);
            return None;
        }
        let is_contested = matches!(self.sent, Some(Sent::Contested(_)));
        let excluded = self.confirmations.filter(|depth| *depth <= -i64::from(confirmations));
        if let Some(depth) = excluded.filter(|_| is_contested) {
            let depth = depth.unsigned_abs();
            return self.conflict(format!("the wallet says that a transaction {depth} blocks deep excludes it"));
        }
        let Some(coin) = self.spent.filter(|_| is_contested) else {
            self.contested_since = None;
            return self.rest();
        };
        let since = *self.contested_since.get_or_insert(self.height);
        if self.height >= since.saturating_add(confirmations) {
            let coin = format!("{}:{}", display_hash(&coin.txid), coin.vout);
            return self.conflict(format!("{coin}, which it spends, is spent by another since block {since}"));
        }
        let left = since.saturating_add(confirmations) - self.height;
        let word = self.word.take().unwrap_or_default();
        self.word = Some(format!("{word}; a coin of it is spent by another: given up in {left} blocks"));
        self.keep_resting()
    }

    /// The transaction can never confirm. That is the end of the payment only if none of its rivals has paid the same:
    /// whoever mines a block may give a transaction another id, and an operator may have sent it again by hand.
    fn conflict(&mut self, reason: String) -> Option<PaymentEvent> {
        self.beyond_recall = reason;
        self.next_rival(0)
    }

    fn next_rival(&mut self, rival: usize) -> Option<PaymentEvent> {
        if rival < self.rivals.len() {
            self.stage = Stage::Rival(rival);
            return None;
        }
        self.stage = Stage::Unlock;
        Some(PaymentEvent::Judged(PaymentStatus::Conflicted(std::mem::take(&mut self.beyond_recall))))
    }

    fn take_rival(&mut self, rival: usize, answer: Answer, method: &str) -> Result<Option<PaymentEvent>, String> {
        let found: Found = match answer {
            Err(fault) if fault.code == UNKNOWN => return Ok(self.next_rival(rival + 1)),
            answer => answer::read(method, &answer.map_err(|fault| fault.describe(method))?)?,
        };
        let Some(block) = found.block().filter(|_| found.confirmations > 0) else {
            return Ok(self.next_rival(rival + 1));
        };
        let ours = Transaction::parse(&self.bytes).map_err(|error| error.to_string())?;
        let theirs = found.transaction(method)?;
        if theirs.outputs == ours.outputs {
            self.stage = Stage::Header { block };
            return Ok(None);
        }
        if theirs.outputs.iter().any(|output| ours.outputs.iter().any(|other| other.script == output.script)) {
            let id = display_hash(&theirs.txid);
            self.word =
                Some(format!("transaction {id} is in its place and pays some of the same: it is not paid again"));
            return Ok(self.keep_resting());
        }
        Ok(self.next_rival(rival + 1))
    }

    /// Ends the round with nothing new to fear.
    fn rest(&mut self) -> Option<PaymentEvent> {
        if self.confirmations.is_some_and(|depth| depth > 0) {
            self.contested_since = None;
            self.word = None;
        }
        self.keep_resting()
    }

    fn keep_resting(&mut self) -> Option<PaymentEvent> {
        self.sent = None;
        self.spent = None;
        self.stage = Stage::Rest;
        None
    }
}
