//! Block templates of nodes.

use edgepool::coin::params::COINS;
use edgepool::coin::template::Template;

/// A template that is taken can be mined with any coinbase: what is dropped takes its fees along, and whatever stays
/// has what it needs before it.
pub fn template(bytes: &[u8]) {
    for coin in COINS {
        let Ok(whole) = Template::parse(bytes, coin) else { continue };
        for (weight, size, sigops) in [(1_000, 250, 4), (400_000, 100_000, 0), (u64::MAX, u64::MAX, u64::MAX)] {
            let fitted = whole.clone().fit(weight, size, sigops);
            let fees = |template: &Template| -> u64 { template.transactions.iter().map(|one| one.fee).sum() };
            assert_eq!(whole.value - fees(&whole), fitted.value - fees(&fitted), "the subsidy stays");
            let pinned = |template: &Template| template.transactions.iter().filter(|one| one.pinned).count();
            assert_eq!(pinned(&whole), pinned(&fitted), "what is pinned stays");
            for (index, transaction) in fitted.transactions.iter().enumerate() {
                assert!(transaction.depends.iter().all(|needed| (1..=index).contains(&(*needed as usize))));
            }
            let _ = (fitted.branch(), fitted.commitment());
        }
    }
}
