//! The coinbases of one job: the same template shared out by the same rule, with as many outputs as each class
//! of firmware takes. Each is a whole split of its own; a block settles by the one that it was found with.

use serde::{Deserialize, Serialize};

use crate::base::limits::{EXTRANONCE1, JOB_STAMP};
use crate::coin::coinbase::{Coinbase, CoinbaseError, CoinbaseSpec, TxOut, output_size};
use crate::coin::script::Script;
use crate::coin::template::Template;

use super::firmware::CoinbaseClass;
use super::job::{JobError, JobParts};
use super::spec::Terms;
use super::split::{Split, split};

/// The count of outputs takes two bytes more from 253 outputs on.
const COUNT_GROWTH: usize = 2;

/// One coinbase, and who it pays.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Variant {
    /// The coinbase around the extranonce.
    pub coinbase: Coinbase,
    /// Who it pays.
    pub split: Split,
    /// Outputs that pay somebody, at most: the terms', or fewer where firmware takes no more.
    pub max_outputs: u32,
}

/// See the module.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Coinbases {
    variants: Vec<Variant>,
    /// The variant of each class.
    by_class: [u8; CoinbaseClass::COUNT],
}

impl Coinbases {
    /// Shares out the value of `template`, and builds a coinbase for each class that needs one of its own.
    pub fn build(parts: &JobParts, template: &Template) -> Result<Coinbases, JobError> {
        // Who comes first does not depend on how many outputs there are.
        let widest = split(template.value, parts.terms, parts.claims);
        let ranked: Vec<&Script> = widest.paid.iter().map(|(_, script, _)| script).collect();
        let pool_alone = coinbase(parts, template, &[], template.value)?;
        let frame = pool_alone.stripped_size(extranonce_len(parts)) as usize;
        let mut coinbases = Coinbases { variants: Vec::new(), by_class: [0; CoinbaseClass::COUNT] };
        for class in CoinbaseClass::all() {
            let fitting = fitting(&ranked, (class.bytes() as usize).saturating_sub(frame + COUNT_GROWTH));
            let max_outputs = if fitting == ranked.len() { parts.terms.max_outputs } else { fitting as u32 + 1 };
            let known = coinbases.variants.iter().position(|variant| variant.max_outputs == max_outputs);
            let index = match known {
                Some(index) => index,
                None => {
                    coinbases.variants.push(Variant::build(parts, template, max_outputs)?);
                    coinbases.variants.len() - 1
                }
            };
            coinbases.by_class[class.index()] = index as u8;
        }
        Ok(coinbases)
    }

    /// Whether each class has a coinbase, as it always has when they were built.
    pub fn are_whole(&self) -> bool {
        self.by_class.iter().all(|index| usize::from(*index) < self.variants.len())
    }

    /// The coinbase for rigs of a class.
    pub fn of(&self, class: CoinbaseClass) -> &Variant {
        &self.variants[self.index(class)]
    }

    /// Names the variant of a class: classes that share one have the same number.
    pub fn index(&self, class: CoinbaseClass) -> usize {
        usize::from(self.by_class[class.index()])
    }

    /// The one with the most outputs.
    pub fn widest(&self) -> &Variant {
        self.of(CoinbaseClass::WIDEST)
    }

    /// Each of the different coinbases, the smallest first.
    pub fn variants(&self) -> &[Variant] {
        &self.variants
    }
}

impl Variant {
    fn build(parts: &JobParts, template: &Template, max_outputs: u32) -> Result<Variant, JobError> {
        let terms = Terms { max_outputs, ..parts.terms.clone() };
        let split = split(template.value, &terms, parts.claims);
        split.check(&terms).map_err(JobError::Split)?;
        let outputs: Vec<TxOut> =
            split.paid.iter().map(|(_, script, amount)| TxOut { value: *amount, script: script.clone() }).collect();
        let coinbase = coinbase(parts, template, &outputs, split.pool_amount)?;
        Ok(Variant { coinbase, split, max_outputs })
    }
}

/// How many of the scripts, in their order, have room for their outputs.
fn fitting(ranked: &[&Script], room: usize) -> usize {
    let mut used = 0;
    let fits = |script: &&&Script| {
        used += output_size(script);
        used <= room
    };
    ranked.iter().take_while(fits).count()
}

/// The pool's output follows those of the miners, unless it is 0.
fn coinbase(parts: &JobParts, template: &Template, miners: &[TxOut], pool_amount: u64) -> Result<Coinbase, JobError> {
    let pool = TxOut { value: pool_amount, script: parts.terms.pool_script.clone() };
    let outputs = [miners, if pool_amount > 0 { std::slice::from_ref(&pool) } else { &[] }].concat();
    Coinbase::build(&CoinbaseSpec {
        version: parts.chain.coin.coinbase_version,
        height: template.height,
        aux: parts.aux,
        tag: &parts.chain.coinbase_tag,
        extranonce_len: extranonce_len(parts),
        outputs: &outputs,
        commitment: template.commitment(),
    })
    .map_err(|error: CoinbaseError| JobError::Coinbase(error))
}

/// Bytes between the halves of a coinbase.
pub(super) fn extranonce_len(parts: &JobParts) -> usize {
    JOB_STAMP + EXTRANONCE1 + parts.extranonce2_len
}

#[cfg(test)]
mod tests;
