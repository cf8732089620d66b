//! Jobs as they are handed over. Templates that follow each other have most of their transactions in common, and a
//! transaction may be large: each is written once. What follows from a template is computed again.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use crate::base::Hash32;
use crate::base::time::Now;
use crate::coin::difficulty::Target;
use crate::coin::template::{Template, TemplateTx};
use crate::pool::child::{ChildBlock, Children, Own};
use crate::pool::job::{Job, Jobs, Kept};
use crate::pool::miners::Miners;
use crate::pool::spec::{ChainSpec, Terms};
use crate::pool::split::Split;

use super::HandoverError;

/// Every job, with what they share.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Works {
    transactions: Vec<Transaction>,
    templates: Vec<Frame>,
    /// Oldest first.
    jobs: Vec<KeptJob>,
}

/// A job, and the child blocks that it worked for.
#[derive(Debug, Serialize, Deserialize)]
struct KeptJob {
    /// Index of its template.
    template: u32,
    kept: Kept,
    children: Vec<KeptChild>,
}

/// A child block; its id follows from the rest.
#[derive(Debug, Serialize, Deserialize)]
struct KeptChild {
    chain: u8,
    /// Index of its template.
    template: u32,
    split: Split,
    terms: Terms,
    /// Header and coinbase, unless the node keeps the block.
    own: Option<(Vec<u8>, Vec<u8>)>,
}

/// What a transaction is in every template.
#[derive(Debug, Serialize, Deserialize)]
struct Transaction {
    data: Vec<u8>,
    txid: Hash32,
    wtxid: Hash32,
    fee: u64,
    weight: u64,
    sigops: u64,
}

/// A template around its transactions.
#[derive(Debug, Serialize, Deserialize)]
struct Frame {
    version: u32,
    prev_hash: Hash32,
    height: u32,
    node_block: Option<Hash32>,
    bits: u32,
    curtime: u32,
    mintime: u32,
    value: u64,
    has_commitment: bool,
    mweb: Option<Vec<u8>>,
    weight_limit: Option<u64>,
    size_limit: Option<u64>,
    sigop_limit: Option<u64>,
    long_poll_id: String,
    places: Vec<Place>,
}

/// A transaction in a template: which one, what it needs, and whether it has to stay.
#[derive(Debug, Serialize, Deserialize)]
struct Place {
    transaction: u32,
    depends: Vec<u32>,
    pinned: bool,
}

impl Works {
    pub(super) fn of(jobs: &Jobs, now: Now) -> Works {
        let mut works = Works { transactions: Vec::new(), templates: Vec::new(), jobs: Vec::new() };
        let (mut known, mut templates) = (BTreeMap::new(), Vec::<Rc<Template>>::new());
        for job in jobs.iter() {
            let mut index =
                |template: &Rc<Template>| match templates.iter().position(|known| Rc::ptr_eq(known, template)) {
                    Some(index) => index as u32,
                    None => {
                        let frame = works.frame(template, &mut known);
                        works.templates.push(frame);
                        templates.push(Rc::clone(template));
                        templates.len() as u32 - 1
                    }
                };
            let child = |child: &ChildBlock| KeptChild {
                chain: child.chain as u8,
                template: index(&child.template),
                split: child.split.clone(),
                terms: child.terms.clone(),
                own: child.own().map(|own| (own.header.to_vec(), own.coinbase.clone())),
            };
            let children = job.children.blocks().iter().map(child).collect();
            let template = index(&job.template);
            works.jobs.push(KeptJob { template, kept: job.kept(now.mono_ms), children });
        }
        works
    }

    fn frame(&mut self, template: &Template, known: &mut BTreeMap<Hash32, u32>) -> Frame {
        let mut place = |transaction: &TemplateTx| Place {
            transaction: *known.entry(transaction.wtxid).or_insert_with(|| {
                self.transactions.push(Transaction {
                    data: transaction.data.to_vec(),
                    txid: transaction.txid,
                    wtxid: transaction.wtxid,
                    fee: transaction.fee,
                    weight: transaction.weight,
                    sigops: transaction.sigops,
                });
                self.transactions.len() as u32 - 1
            }),
            depends: transaction.depends.clone(),
            pinned: transaction.pinned,
        };
        Frame {
            version: template.version,
            prev_hash: template.prev_hash,
            height: template.height,
            node_block: template.node_block,
            bits: template.bits,
            curtime: template.curtime,
            mintime: template.mintime,
            value: template.value,
            has_commitment: template.has_commitment,
            mweb: template.mweb.clone(),
            weight_limit: template.weight_limit,
            size_limit: template.size_limit,
            sigop_limit: template.sigop_limit,
            long_poll_id: template.long_poll_id.clone(),
            places: template.transactions.iter().map(&mut place).collect(),
        }
    }

    /// The jobs as they were, `pause_ms` older; every miner they pay has to be in the registry.
    pub(super) fn restore(
        self,
        chains: &[ChainSpec],
        miners: &Miners,
        pause_ms: u64,
        now: Now,
    ) -> Result<Vec<Job>, HandoverError> {
        let wrong = HandoverError::Contradiction;
        let data: Vec<Rc<[u8]>> =
            self.transactions.iter().map(|transaction| transaction.data.as_slice().into()).collect();
        let templates = self.templates.iter().map(|frame| frame.template(&self.transactions, &data).map(Rc::new));
        let templates: Vec<Rc<Template>> =
            templates.collect::<Option<_>>().ok_or(wrong("a template lacks a transaction"))?;
        let mut jobs: Vec<Job> = Vec::with_capacity(self.jobs.len());
        let rolling_mask = chains[0].coin.version_rolling_mask;
        for KeptJob { template, kept, children } in self.jobs {
            let template = templates.get(template as usize).ok_or(wrong("a job lacks its template"))?;
            let children = children.into_iter().map(|child| child.restore(chains, &templates));
            let children: Option<Vec<ChildBlock>> = children.collect();
            let children = children.and_then(|blocks| Children::new(blocks).ok());
            let children = children.ok_or(wrong("a job's blocks of merge-mined chains can't be"))?;
            let job = Job::restore(kept, Rc::clone(template), children, rolling_mask, pause_ms, now.mono_ms);
            if jobs.last().is_some_and(|last| last.seq >= job.seq || (job.stale && !last.stale)) {
                return Err(wrong("its jobs are out of order"));
            }
            if !job.coinbases.are_whole() {
                return Err(wrong("a job lacks a coinbase"));
            }
            let of_children = job.children.blocks().iter().map(|child| &child.split);
            let splits = job.coinbases.variants().iter().map(|variant| &variant.split).chain(of_children);
            let mut paid = splits.flat_map(|split| &split.parts);
            if paid.any(|part| miners.script(part.miner).is_none()) {
                return Err(wrong("a job pays a miner that the ledger does not know"));
            }
            jobs.push(job);
        }
        Ok(jobs)
    }
}

impl KeptChild {
    fn restore(self, chains: &[ChainSpec], templates: &[Rc<Template>]) -> Option<ChildBlock> {
        let own = |(header, coinbase): (Vec<u8>, Vec<u8>)| Some(Own { header: header.try_into().ok()?, coinbase });
        let own = match self.own {
            Some(kept) => Some(own(kept)?),
            None => None,
        };
        let chain = usize::from(self.chain);
        let is_child = (1..chains.len()).contains(&chain);
        let template = Rc::clone(templates.get(self.template as usize).filter(|_| is_child)?);
        ChildBlock::restore(chain, chains[chain].coin.auxpow?, template, self.split, self.terms, own)
    }
}

impl Frame {
    /// `data` holds the bytes of each transaction.
    fn template(&self, transactions: &[Transaction], data: &[Rc<[u8]>]) -> Option<Template> {
        let transaction = |(index, place): (usize, &Place)| {
            let transaction = transactions.get(place.transaction as usize)?;
            let data = data.get(place.transaction as usize)?;
            place.depends.iter().all(|needed| (1..=index).contains(&(*needed as usize))).then(|| TemplateTx {
                data: Rc::clone(data),
                txid: transaction.txid,
                wtxid: transaction.wtxid,
                fee: transaction.fee,
                weight: transaction.weight,
                sigops: transaction.sigops,
                depends: place.depends.clone(),
                pinned: place.pinned,
            })
        };
        Some(Template {
            version: self.version,
            prev_hash: self.prev_hash,
            height: self.height,
            node_block: self.node_block,
            bits: self.bits,
            target: Target::from_compact(self.bits)?,
            curtime: self.curtime,
            mintime: self.mintime,
            value: self.value,
            transactions: self.places.iter().enumerate().map(transaction).collect::<Option<_>>()?,
            has_commitment: self.has_commitment,
            mweb: self.mweb.clone(),
            weight_limit: self.weight_limit,
            size_limit: self.size_limit,
            sigop_limit: self.sigop_limit,
            long_poll_id: self.long_poll_id.clone(),
        })
    }
}
