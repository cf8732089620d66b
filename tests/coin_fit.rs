//! Properties of fitting a template under a block's limits.

use edgepool::{
    base::Hash32,
    coin::{
        difficulty::Target,
        template::{Template, TemplateTx},
    },
};
use proptest::prelude::*;

const SUBSIDY: u64 = 5_000_000_000;

fn id(place: u32) -> Hash32 {
    let mut id = [0; 32];
    id[..4].copy_from_slice(&place.to_le_bytes());
    id
}

fn transaction() -> impl Strategy<Value = (TemplateTx, Vec<prop::sample::Index>)> {
    let needs = prop::collection::vec(any::<prop::sample::Index>(), 0..3);
    (60..2_000usize, 0..100_000u64, 0..40u64, any::<bool>(), needs, prop::bool::weighted(0.1)).prop_map(
        |(size, fee, sigops, witness, needs, pinned)| {
            let weight = size as u64 * if witness { 3 } else { 4 };
            let data = vec![0; size].into();
            let transaction =
                TemplateTx { data, txid: [0; 32], wtxid: [0; 32], fee, weight, sigops, depends: vec![], pinned };
            (transaction, needs)
        },
    )
}

prop_compose! {
    fn any_template()(
        drawn in prop::collection::vec(transaction(), 0..40),
        weight_limit in prop::option::of(0..200_000u64),
        size_limit in prop::option::of(0..50_000u64),
        sigop_limit in prop::option::of(0..1_000u64),
        has_commitment in any::<bool>(),
    ) -> Template {
        let mut transactions = Vec::new();
        for (place, (mut transaction, needs)) in (1u32..).zip(drawn) {
            (transaction.txid, transaction.wtxid) = (id(place), id(place));
            if place > 1 && place % 3 == 0 {
                transaction.depends = needs.iter().map(|need| need.index(place as usize - 1) as u32 + 1).collect();
            }
            transactions.push(transaction);
        }
        let fees: u64 = transactions.iter().map(|transaction| transaction.fee).sum();
        Template {
            version: 0x2000_0000,
            prev_hash: [0; 32],
            height: 1,
            bits: 0x207f_ffff,
            target: Target::from_compact(0x207f_ffff).unwrap(),
            curtime: 0,
            mintime: 0,
            value: SUBSIDY + fees,
            transactions,
            has_commitment,
            mweb: None,
            weight_limit,
            size_limit,
            sigop_limit,
            node_block: None,
            long_poll_id: String::new(),
        }
    }
}

/// The ids of what a template's transaction needs.
fn needs(template: &Template, transaction: &TemplateTx) -> Vec<Hash32> {
    transaction.depends.iter().map(|place| template.transactions[*place as usize - 1].txid).collect()
}

/// Whether `pinned` transactions reach this one through what they need.
fn is_needed(template: &Template, txid: &Hash32) -> bool {
    template.transactions.iter().any(|transaction| {
        (transaction.pinned && transaction.txid == *txid)
            || (needs(template, transaction).contains(txid) && is_needed(template, &transaction.txid))
    })
}

fn within_limits(template: &Template, (weight, size, sigops): (u64, u64, u64)) -> bool {
    let count = template.transactions.len();
    let frame = 80 + if count + 1 < 0xfd { 1 } else { 3 };
    let sum = |of: fn(&TemplateTx) -> u64| template.transactions.iter().map(of).sum::<u64>();
    let scale = if template.has_commitment { 4 } else { 1 };
    template.weight_limit.is_none_or(|limit| sum(|t| t.weight) + weight + 4 * frame <= limit)
        && template.size_limit.is_none_or(|limit| sum(|t| t.data.len() as u64) + size + frame <= limit)
        && template.sigop_limit.is_none_or(|limit| sum(|t| t.sigops) + scale * sigops <= limit)
}

proptest! {
    #[test]
    fn a_fitted_template_is_valid_and_drops_no_more_than_it_must(
        before in any_template(),
        size in 100..5_000u64,
        sigops in 0..50u64,
    ) {
        let coinbase = (4 * size, size, sigops);
        let after = before.clone().fit(coinbase.0, coinbase.1, coinbase.2);
        if within_limits(&before, coinbase) {
            prop_assert_eq!(&after, &before);
        }
        let ids: Vec<Hash32> = after.transactions.iter().map(|transaction| transaction.txid).collect();
        prop_assert!(ids.is_sorted_by_key(|id| u32::from_le_bytes([id[0], id[1], id[2], id[3]])), "order is kept");
        let (kept, dropped): (Vec<&TemplateTx>, Vec<&TemplateTx>) =
            before.transactions.iter().partition(|transaction| ids.contains(&transaction.txid));
        prop_assert_eq!(kept.len(), ids.len());
        for (old, new) in kept.iter().zip(&after.transactions) {
            prop_assert_eq!(needs(&before, old), needs(&after, new), "what is kept needs what it needed");
        }
        for transaction in &dropped {
            prop_assert!(!is_needed(&before, &transaction.txid));
        }
        prop_assert_eq!(after.value, before.value - dropped.iter().map(|transaction| transaction.fee).sum::<u64>());
        let only_needed = after.transactions.iter().all(|transaction| is_needed(&before, &transaction.txid));
        prop_assert!(within_limits(&after, coinbase) || only_needed);
        // One more would have been too many: the first that was dropped, put back, breaks a limit.
        if let Some(first) = dropped.first() {
            let mut more = after.clone();
            more.transactions.push((*first).clone());
            prop_assert!(!within_limits(&more, coinbase));
        }
    }
}
