//! Time and randomness of one control call, brought in from outside. Owns the sequences of ids and of secrets; must never read a clock
//! or an entropy source.

use std::cell::{Cell, RefCell};

use rand::{RngCore, SeedableRng, rngs::StdRng};

use crate::error::ApiError;

/// Draws before an id generator is declared exhausted; the id spaces are so large that the second draw is already a surprise.
const DRAWS_MAX: usize = 64;

/// What a pure operation needs from the world.
pub(crate) struct Stamps {
    /// Seconds since the Unix epoch.
    pub now_s: i64,
    state: Cell<u64>,
    secrets: RefCell<StdRng>,
}

impl std::fmt::Debug for Stamps {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stamps").field("now_s", &self.now_s).finish_non_exhaustive()
    }
}

impl Stamps {
    /// Stamps whose ids follow from `seed` and whose secrets follow from `secret`, 32 bytes that nobody can guess and that no
    /// other stamps had.
    pub(crate) fn new(now_s: i64, seed: u64, secret: [u8; 32]) -> Self {
        let secrets = RefCell::new(StdRng::from_seed(secret));
        Self { now_s, state: Cell::new(seed), secrets }
    }

    /// The first id of the sequence that is not taken.
    ///
    /// # Errors
    /// 500 when every draw was taken.
    pub(crate) fn id(
        &self,
        make: impl Fn(u64) -> String,
        taken: impl Fn(&str) -> bool,
    ) -> Result<String, ApiError> {
        let mut draws = (0..DRAWS_MAX).map(|_| make(self.random()));
        draws.find(|id| !taken(id)).ok_or_else(|| ApiError::internal("no free identifier was drawn"))
    }

    /// The next bytes that nobody can guess, from a cryptographic generator.
    pub(crate) fn secret<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.secrets.borrow_mut().fill_bytes(&mut bytes);
        bytes
    }

    /// SplitMix64: a full-period sequence, so ids of one call never repeat.
    fn random(&self) -> u64 {
        let state = self.state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.state.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidegate_proto::id::short_id;

    #[test]
    fn ids_follow_the_seed_and_skip_what_is_taken() {
        let first = Stamps::new(0, 7, [0; 32]).id(short_id, |_| false).unwrap();
        let second = Stamps::new(0, 7, [0; 32]).id(short_id, |id| id == first).unwrap();
        assert_ne!(first, second);
        assert_eq!(Stamps::new(0, 7, [0; 32]).id(short_id, |_| false).unwrap(), first);
        assert_eq!(Stamps::new(0, 7, [0; 32]).id(short_id, |_| true).unwrap_err().status, 500);
    }

    #[test]
    fn secrets_follow_their_own_seed_and_never_repeat() {
        let (one, other) = (Stamps::new(0, 7, [1; 32]), Stamps::new(0, 7, [2; 32]));
        let first: [u8; 12] = one.secret();
        assert_ne!(first, one.secret());
        assert_ne!(first, other.secret());
        assert_eq!(first, Stamps::new(9, 8, [1; 32]).secret());
    }
}
