//! What a new answer of the resolver means. Owns the rule that nothing never replaces something; must never ask a resolver.

use std::net::SocketAddr;

use crate::targets::TARGETS_MAX;

/// What to do with an answer of the resolver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolution {
    /// It says what was known.
    Same,
    /// These are the addresses from now on: sorted, each once.
    New(Vec<SocketAddr>),
    /// It says nothing: what was known stays, and is known to be old.
    Stale,
}

/// Judges an answer. An error and an empty answer say nothing: a name whose records were lost keeps its last good addresses.
pub fn adopt(known: &[SocketAddr], found: Option<Vec<SocketAddr>>) -> Resolution {
    let mut found = found.unwrap_or_default();
    found.sort_unstable();
    found.dedup();
    found.truncate(TARGETS_MAX);
    match found.is_empty() {
        true => Resolution::Stale,
        false if found == known => Resolution::Same,
        false => Resolution::New(found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn addresses(last: &[u8]) -> Vec<SocketAddr> {
        last.iter().map(|last| SocketAddr::from(([10, 0, 0, *last], 80))).collect()
    }

    #[test]
    fn nothing_never_replaces_something() {
        let known = addresses(&[1, 2]);
        for (found, expect) in [
            (None, Resolution::Stale),
            (Some(Vec::new()), Resolution::Stale),
            (Some(addresses(&[2, 1, 1])), Resolution::Same),
            (Some(addresses(&[3, 2])), Resolution::New(addresses(&[2, 3]))),
            (Some(addresses(&[1])), Resolution::New(addresses(&[1]))),
        ] {
            assert_eq!(adopt(&known, found.clone()), expect, "{found:?}");
        }
        assert_eq!(adopt(&[], None), Resolution::Stale);
    }

    proptest! {
        #[test]
        fn what_was_adopted_is_the_same_the_next_time(last in proptest::collection::vec(any::<u8>(), 0..200)) {
            let found = addresses(&last);
            match adopt(&[], Some(found.clone())) {
                Resolution::New(known) => {
                    prop_assert!(!known.is_empty() && known.len() <= TARGETS_MAX);
                    prop_assert!(known.is_sorted());
                    let mut again = found;
                    again.reverse();
                    prop_assert_eq!(adopt(&known, Some(again)), Resolution::Same);
                }
                other => prop_assert!(last.is_empty() && other == Resolution::Stale),
            }
        }
    }
}
