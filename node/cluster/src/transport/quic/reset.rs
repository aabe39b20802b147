//! Lets the peers of a node that was killed and started again learn at once that its old connections are gone: a stateless
//! reset (RFC 9000 §10.3) is believed when its token comes from the same key, so the key must outlive the process.
//! Without it peers wait for the idle timeout.

use std::{sync::Arc, time::Duration};

use aws_lc_rs::hmac;
use quinn::{ConnectionId, ConnectionIdGenerator, EndpointConfig};
use rand::RngCore;

use crate::identity::Identity;

/// Length of our connection ids, in bytes; unguessable and within the 20 that QUIC allows.
const CONNECTION_ID_BYTES: usize = 12;

/// Endpoint settings whose reset tokens survive a restart of the process.
pub(super) fn endpoint_config(identity: &Identity) -> EndpointConfig {
    let master = hmac::Key::new(hmac::HMAC_SHA256, &identity.key);
    let derived = hmac::sign(&master, b"tidegate stateless reset v1");
    let mut config = EndpointConfig::new(Arc::new(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref())));
    config.cid_generator(|| Box::new(RandomIds));
    config
}

/// Plain random ids. The default generator checks ids against a key of the process and drops packets for older ones
/// silently, which would suppress exactly the resets wanted here.
struct RandomIds;

impl ConnectionIdGenerator for RandomIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut bytes = [0; CONNECTION_ID_BYTES];
        rand::rng().fill_bytes(&mut bytes);
        ConnectionId::new(&bytes)
    }

    fn cid_len(&self) -> usize {
        CONNECTION_ID_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}
