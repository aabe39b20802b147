//! Hashes of keys: seeded per process, so that nobody can choose keys that collide. A hash finds a place; whether it is the key's is
//! seen by comparing keys.

use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

/// The seed of a process.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seed(foldhash::quality::RandomState);

impl Seed {
    /// The hash of a key.
    #[inline]
    pub(crate) fn hash(&self, key: &[u8]) -> u64 {
        let mut hasher = self.0.build_hasher();
        hasher.write(key);
        hasher.finish()
    }
}

/// Takes hashes for what they are.
pub(crate) type Plain = BuildHasherDefault<Same>;

/// Hands out the number that was put in.
#[derive(Debug, Default)]
pub(crate) struct Same(u64);

impl Hasher for Same {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
