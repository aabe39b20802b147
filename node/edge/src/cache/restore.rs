//! Answers that come back from disk. Owns that nothing comes back that was made invalid on the way; who asks must know of every flush.

use std::sync::Arc;

use super::{
    Cache, Store,
    store::{Kept, Variants},
};

/// Brings the answer under a key back to memory, or that of its variant under the key that `variant` names; `false` if there is none.
pub(super) async fn restore(
    cache: &Cache,
    store: &Store,
    primary: &[u8],
    variant: impl Fn(&Variants) -> Option<Vec<u8>>,
) -> bool {
    let Some(tier) = store.tier() else { return false };
    let hash = cache.seed().hash(primary);
    let known = match store.find(hash, primary) {
        Some(Kept::Variants(variants)) if !variants.is_gone() => Some(variants),
        _ => None,
    };
    let Some(found) = tier.find(primary, known, variant).await else { return false };
    // Though the variant itself is not there, the others stay valid.
    if let Some(variants) = &found.variants {
        store.put(hash, Kept::Variants(Arc::clone(variants)));
    }
    if let Some(entry) = &found.entry {
        store.put(cache.seed().hash(&entry.key), Kept::Answer(Arc::clone(entry)));
    }
    let holds = tier.holds(&found);
    if !holds {
        // It was replaced or made invalid meanwhile; what views have of it is not served any more.
        found.entry.iter().for_each(|entry| entry.let_go());
        found.variants.iter().for_each(|variants| variants.let_go());
    }
    holds && found.entry.is_some()
}
