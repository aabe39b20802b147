//! Signatures on the data plane: who may have stored answers replaced. Owns what such a signature is held against; must never log a
//! secret.

use http::request::Parts;
use tidegate_edge::Callers;
use tidegate_iam::sigv4::{self, PathRules, PayloadHash, RequestView, Rules};

use crate::replica::Replica;

/// The service that calls to APIs are signed for.
const SERVICE: &str = "execute-api";
/// Allowed difference of clocks, in seconds, as for every call with a JSON answer.
const SKEW_S_MAX: i64 = 300;

/// The access keys of the configuration.
pub(crate) struct AccessKeys {
    replica: Replica,
    region: String,
}

impl AccessKeys {
    pub(crate) fn new(replica: Replica, region: &str) -> Self {
        Self { replica, region: region.to_owned() }
    }
}

impl Callers for AccessKeys {
    fn is_signed(&self, head: &Parts, now_s: i64) -> bool {
        let mut headers: Vec<(&str, &[u8])> =
            head.headers.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        if !head.headers.contains_key(http::header::HOST)
            && let Some(authority) = head.uri.authority()
        {
            headers.push(("host", authority.as_str().as_bytes()));
        }
        let request = RequestView {
            method: head.method.as_str(),
            path: head.uri.path(),
            query: head.uri.query().unwrap_or_default(),
            headers: &headers,
        };
        let Ok(presented) = sigv4::parse(&request) else { return false };
        if presented.session_token.is_some() {
            return false;
        }
        let found = self.replica.load().state.credential(&presented.access_key_id).ok().flatten();
        let Some(credential) = found else { return false };
        let rules = Rules {
            skew_s_max: SKEW_S_MAX,
            expected_region: Some(&self.region),
            expected_services: &[SERVICE],
            path: PathRules::for_service(SERVICE),
            unsigned_payload: false,
        };
        let hash = sigv4::payload_sha256_hex(&[]);
        let payload = PayloadHash::Computed(&hash);
        let secret = &credential.document.secret_access_key;
        sigv4::verify(&presented, &request, secret, payload, now_s, &rules).is_ok()
    }
}
