//! What is derived from the secret of a node: names of answers that say nothing about them, and the key of each file. Owns that no two
//! uses share a key.

use std::hash::{Hash, Hasher};

use aws_lc_rs::{
    aead::{AES_256_GCM, LessSafeKey, UnboundKey},
    error::Unspecified,
    hkdf::{HKDF_SHA256, Prk, Salt},
    hmac,
};

const SALT: &[u8] = b"tidegate answers on disk, 1";
pub(super) const FILE_SALT_BYTES: usize = 32;
pub(super) const CHECK_BYTES: usize = 16;

/// The name of a key, which says nothing about it to who does not have the secret. Two keys have one name by chance only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Name(pub(super) u64, pub(super) u64);

impl Hash for Name {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        // It is as good as random already.
        hasher.write_u64(self.0);
    }
}

/// What is derived from a secret.
pub(super) struct Keys {
    root: Prk,
    names: hmac::Key,
    variants: hmac::Key,
    scopes: hmac::Key,
}

/// The key of one file, which is written once and never changed: the place of a record is its nonce.
#[derive(Debug)]
pub(super) struct FileKey {
    pub(super) seal: LessSafeKey,
    /// Shows that a file was written with the same secret.
    pub(super) check: [u8; CHECK_BYTES],
}

impl Keys {
    /// # Errors
    /// Only when the cryptography library refuses to work.
    pub(super) fn new(secret: &[u8; 32]) -> Result<Self, Unspecified> {
        let root = Salt::new(HKDF_SHA256, SALT).extract(secret);
        let names = root.expand(&[b"names"], hmac::HMAC_SHA256)?.into();
        let variants = root.expand(&[b"variants"], hmac::HMAC_SHA256)?.into();
        let scopes = root.expand(&[b"scopes"], hmac::HMAC_SHA256)?.into();
        Ok(Self { root, names, variants, scopes })
    }

    /// The name of a key of the cache.
    pub(super) fn name(&self, key: &[u8]) -> Name {
        let (first, second) = halves(&hmac::sign(&self.names, key));
        Name(first, second)
    }

    /// The name of a key that is one of several variants, which is another one once these were made invalid together.
    pub(super) fn variant(&self, key: &[u8], birth: u64) -> Name {
        let mut signing = hmac::Context::with_key(&self.variants);
        signing.update(&birth.to_le_bytes());
        signing.update(key);
        let (first, second) = halves(&signing.sign());
        Name(first, second)
    }

    /// The name of what makes the cache of a stage another cache.
    pub(super) fn scope(&self, scope: &[u8]) -> u64 {
        halves(&hmac::sign(&self.scopes, scope)).0
    }

    /// The key of the file with this salt.
    ///
    /// # Errors
    /// Only when the cryptography library refuses to work.
    pub(super) fn file(&self, salt: &[u8; FILE_SALT_BYTES]) -> Result<FileKey, Unspecified> {
        let seal = UnboundKey::from(self.root.expand(&[b"file", salt], &AES_256_GCM)?);
        let mut check = [0; 32];
        self.root.expand(&[b"check", salt], HKDF_SHA256)?.fill(&mut check)?;
        let (check, _) = check.split_first_chunk().ok_or(Unspecified)?;
        Ok(FileKey { seal: LessSafeKey::new(seal), check: *check })
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").finish_non_exhaustive()
    }
}

fn halves(tag: &hmac::Tag) -> (u64, u64) {
    let half = |bytes: Option<&[u8; 8]>| bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let rest = tag.as_ref().get(8..).unwrap_or_default();
    (half(tag.as_ref().first_chunk()), half(rest.first_chunk()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_use_has_a_key_of_its_own() {
        let (keys, same, other) = (Keys::new(&[1; 32]), Keys::new(&[1; 32]), Keys::new(&[2; 32]));
        let (keys, same, other) = (keys.unwrap(), same.unwrap(), other.unwrap());
        assert_eq!(keys.name(b"a"), same.name(b"a"));
        assert_ne!(keys.name(b"a"), keys.name(b"b"));
        assert_ne!(keys.name(b"a"), other.name(b"a"));
        assert_ne!(keys.name(b"a").0, keys.scope(b"a"));
        assert_eq!(keys.variant(b"a", 1), same.variant(b"a", 1));
        let all = [keys.name(b"a"), keys.variant(b"a", 0), keys.variant(b"a", 1), keys.variant(b"b", 1)];
        for (at, one) in all.iter().enumerate() {
            assert!(all.iter().skip(at + 1).all(|other| other != one), "{at}");
        }
        let check = |keys: &Keys, salt| keys.file(&[salt; FILE_SALT_BYTES]).unwrap().check;
        assert_eq!(check(&keys, 1), check(&same, 1));
        assert_ne!(check(&keys, 1), check(&keys, 2));
        assert_ne!(check(&keys, 1), check(&other, 1));
    }
}
