//! Session tickets that any listener with the same secret and region accepts, also after a restart. Keys follow from secret,
//! region and time; nothing is exchanged or stored.
//!
//! A ticket is: epoch (4 bytes, big-endian), nonce (12), AES-256-GCM ciphertext and tag. The epoch is authenticated.
//! Nonces are random, which is sound for the tickets of one region and epoch: 2^32 of them are 100,000 each second.

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use arc_swap::{ArcSwap, Guard};
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, Prk, Salt};
use rustls::server::ProducesTickets;

use crate::limits::TICKET_BYTES_MAX;

/// How long one key seals tickets, in seconds. It opens them for one epoch more.
pub const TICKET_EPOCH_S: u64 = 12 * 3_600;

const SALT: &[u8] = b"tidegate session tickets";
const EPOCH_BYTES: usize = 4;
/// Keys of the epoch before, this one, and the one that nodes with a faster clock are in.
const KEYS: usize = 3;

/// The ticket keys of a region, shared by its listeners. Readers take no lock.
#[derive(Clone)]
pub struct Tickets(Arc<ArcSwap<Keys>>);

/// The keys around one epoch.
struct Keys {
    secret: Prk,
    region: Box<str>,
    epoch: u32,
    keys: [Option<RandomizedNonceKey>; KEYS],
}

impl Tickets {
    /// Keys from a cluster's secret for one region.
    pub fn new(secret: &[u8; 32], region: &str) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(Keys::new(secret, region, epoch(now_s())))))
    }

    /// Continues with another secret; tickets made with the old one are refused, which costs their holders one full handshake.
    pub fn replace(&self, secret: &[u8; 32]) {
        self.0.rcu(|keys| Keys::new(secret, &keys.region, keys.epoch));
    }

    /// The keys for this moment.
    fn at(&self, now_s: u64) -> Guard<Arc<Keys>> {
        let epoch = epoch(now_s);
        let keys = self.0.load();
        if keys.epoch == epoch {
            return keys;
        }
        self.0.rcu(|keys| keys.in_epoch(epoch));
        self.0.load()
    }
}

impl ProducesTickets for Tickets {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        TICKET_EPOCH_S as u32
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.at(now_s()).seal(plain).ok()
    }

    fn decrypt(&self, cipher: &[u8]) -> Option<Vec<u8>> {
        self.at(now_s()).open(cipher)
    }
}

impl fmt::Debug for Tickets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tickets").finish_non_exhaustive()
    }
}

impl Keys {
    fn new(secret: &[u8; 32], region: &str, epoch: u32) -> Self {
        Self::derive(Salt::new(HKDF_SHA256, SALT).extract(secret), region.into(), epoch)
    }

    fn in_epoch(&self, epoch: u32) -> Self {
        Self::derive(self.secret.clone(), self.region.clone(), epoch)
    }

    fn derive(secret: Prk, region: Box<str>, epoch: u32) -> Self {
        let key = |offset: usize| -> Result<RandomizedNonceKey, Unspecified> {
            let epoch = epoch.wrapping_add(offset as u32).wrapping_sub(1).to_be_bytes();
            let info = [region.as_bytes(), &epoch];
            let mut bytes = [0; 32];
            secret.expand(&info, HKDF_SHA256)?.fill(&mut bytes)?;
            RandomizedNonceKey::new(&AES_256_GCM, &bytes)
        };
        let keys = std::array::from_fn(|offset| key(offset).ok());
        Self { secret, region, epoch, keys }
    }

    fn seal(&self, plain: &[u8]) -> Result<Vec<u8>, Unspecified> {
        let [_, Some(key), _] = &self.keys else { return Err(Unspecified) };
        let epoch = self.epoch.to_be_bytes();
        let mut sealed = plain.to_vec();
        let nonce = key.seal_in_place_append_tag(Aad::from(epoch), &mut sealed)?;
        Ok([&epoch, nonce.as_ref().as_slice(), &sealed].concat())
    }

    fn open(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        if ticket.len() > TICKET_BYTES_MAX {
            return None;
        }
        let (epoch, rest) = ticket.split_first_chunk::<EPOCH_BYTES>()?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>()?;
        let place = u32::from_be_bytes(*epoch).wrapping_sub(self.epoch.wrapping_sub(1));
        let key = self.keys.get(usize::try_from(place).ok()?)?.as_ref()?;
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = key.open_in_place(nonce, Aad::from(*epoch), &mut sealed).ok()?.len();
        sealed.truncate(length);
        Some(sealed)
    }
}

fn epoch(now_s: u64) -> u32 {
    (now_s / TICKET_EPOCH_S) as u32
}

fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: [u8; 32] = [7; 32];

    fn node(secret: [u8; 32], region: &str, now_s: u64) -> Keys {
        Keys::new(&secret, region, epoch(now_s))
    }

    #[test]
    fn nodes_of_a_region_accept_each_others_tickets_for_two_epochs() {
        let start = 40_000 * TICKET_EPOCH_S;
        let ticket = node(SECRET, "eu-west-1", start + TICKET_EPOCH_S - 1).seal(b"session").unwrap();
        let opened = |secret, region, now_s| node(secret, region, now_s).open(&ticket);
        for (case, secret, region, now_s, accepted) in [
            ("the same node", SECRET, "eu-west-1", start, true),
            ("one second later, another epoch", SECRET, "eu-west-1", start + TICKET_EPOCH_S, true),
            ("the last second it is accepted", SECRET, "eu-west-1", start + 2 * TICKET_EPOCH_S - 1, true),
            ("two epochs later", SECRET, "eu-west-1", start + 2 * TICKET_EPOCH_S, false),
            ("a node whose clock is behind", SECRET, "eu-west-1", start - 1, true),
            ("a clock that is far behind", SECRET, "eu-west-1", start - TICKET_EPOCH_S - 1, false),
            ("another region", SECRET, "eu-west-2", start, false),
            ("a region that only begins the same", SECRET, "eu-west-", start, false),
            ("another secret", [8; 32], "eu-west-1", start, false),
            ("no time at all", SECRET, "eu-west-1", 0, false),
        ] {
            let expect = accepted.then(|| b"session".to_vec());
            assert_eq!(opened(secret, region, now_s), expect, "{case}");
        }
    }

    #[test]
    fn a_damaged_ticket_is_none() {
        let keys = node(SECRET, "r", 40_000 * TICKET_EPOCH_S);
        let ticket = keys.seal(b"session").unwrap();
        for at in 0..ticket.len() {
            let mut damaged = ticket.clone();
            damaged[at] ^= 1;
            assert_eq!(keys.open(&damaged), None, "byte {at}");
        }
        for length in 0..ticket.len() {
            assert_eq!(keys.open(&ticket[..length]), None, "cut at {length}");
        }
        assert_eq!(keys.open(&vec![0; TICKET_BYTES_MAX + 1]), None);
        assert_ne!(keys.seal(b"session").unwrap(), ticket, "nonces differ");
    }

    #[test]
    fn keys_move_on_with_time_and_with_the_secret() {
        let tickets = Tickets::new(&SECRET, "r");
        let at = epoch(now_s());
        let old = tickets.at(now_s()).seal(b"s").unwrap();
        for later in [1, 0, 2, 0] {
            let keys = tickets.at(now_s() + later * TICKET_EPOCH_S);
            assert_eq!(keys.epoch, at + later as u32);
            assert_eq!(keys.open(&old).is_some(), later < 2);
        }
        tickets.replace(&[9; 32]);
        assert_eq!(tickets.decrypt(&old), None);
        let new = tickets.encrypt(b"s").unwrap();
        assert_eq!(tickets.decrypt(&new), Some(b"s".to_vec()));
    }
}
