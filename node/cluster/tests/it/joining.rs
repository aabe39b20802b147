//! Joining with a token, and everyone who must not get in.

use crate::cluster::{Cluster, SOON, eventually};
use futures_util::future::BoxFuture;
use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
};
use tidegate_cluster::{
    EnrollError, EnrollRequest, Enrolled, Enroller, NodeMeta, group,
    identity::{Applicant, Authority, Identity, IdentityError, JoinToken, Joined},
};

/// Each secret is good for one node.
struct Desk {
    authority: Arc<Authority>,
    secrets: Mutex<BTreeSet<Vec<u8>>>,
    /// How many are turned away for now.
    busy: AtomicU32,
}

impl Enroller for Desk {
    fn enroll(&self, request: EnrollRequest) -> BoxFuture<'static, Result<Enrolled, EnrollError>> {
        if self.busy.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Box::pin(async { Err(EnrollError::Unavailable("no quorum yet".into())) });
        }
        let known = self.secrets.lock().unwrap().remove(&request.secret);
        let signed = self.authority.issue(&request.csr_der, 2);
        let ca_der = self.authority.cert_der().to_vec();
        Box::pin(async move {
            if !known {
                return Err(EnrollError::Secret);
            }
            let cert_der = signed.map_err(|e| EnrollError::Request(e.to_string()))?;
            let peers = vec![(1, NodeMeta::default())];
            let welcome = b"welcome".to_vec();
            Ok(Enrolled { node: 2, cluster: "toy".into(), cert_der, ca_der, peers, welcome })
        })
    }
}

async fn enroll(token: &JoinToken, meta: NodeMeta) -> Result<Joined, IdentityError> {
    Applicant::new()?.enroll(token, &meta).await
}

async fn door(busy: u32) -> (Cluster, JoinToken) {
    let mut cluster = Cluster::new();
    let secret = vec![9; 32];
    let desk = Desk {
        authority: cluster.authority.clone(),
        secrets: Mutex::new([secret.clone()].into()),
        busy: busy.into(),
    };
    cluster.start_with(1, Some(Arc::new(desk))).await.unwrap();
    cluster.node(1).handle.bootstrap(group::CONFIG).await.unwrap();
    let addresses = vec!["127.0.0.1:1".into(), cluster.node(1).handle.meta().address.clone()];
    let token =
        JoinToken { cluster: "toy".into(), ca_sha256: cluster.authority.fingerprint(), secret, addresses };
    (cluster, token)
}

fn here() -> NodeMeta {
    NodeMeta { address: "127.0.0.1:0".into(), region: "r".into(), az: "z2".into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_lets_one_node_in() {
    let (mut cluster, token) = door(0).await;
    let token = JoinToken { addresses: token.addresses[1..].to_vec(), ..token };
    let token: JoinToken = token.to_string().parse().unwrap();
    let joined = enroll(&token, here()).await.unwrap();
    assert_eq!((joined.identity.node, joined.identity.cluster.as_str()), (2, "toy"));
    assert_eq!((joined.welcome.as_slice(), joined.peers[0].0), (b"welcome".as_slice(), 1));
    let dir = cluster.dir.path().join("identity");
    joined.identity.save(&dir).unwrap();
    cluster.start_as(Identity::load(&dir).unwrap(), None).await.unwrap();
    let meta = cluster.node(2).handle.meta().clone();
    cluster.node(1).handle.add_node(group::CONFIG, 2, meta).await.unwrap();
    cluster.propose(2, group::CONFIG, "hello").await.unwrap();
    eventually("learning", || async { cluster.node(2).toys[&group::CONFIG].contains(b"hello") }).await;
    let again = enroll(&token, here()).await;
    assert_eq!(again, Err(IdentityError::Refused(EnrollError::Secret)), "a token is good once");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_turned_away_for_now_may_ask_again() {
    let (_cluster, token) = door(1).await;
    let applicant = Applicant::new().unwrap();
    let turned_away = applicant.enroll(&token, &here()).await;
    assert!(
        matches!(&turned_away, Err(IdentityError::Unreachable(text)) if text.contains("no quorum yet")),
        "{turned_away:?}"
    );
    assert_eq!(applicant.enroll(&token, &here()).await.unwrap().identity.node, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_tokens_are_refused() {
    let (_cluster, token) = door(0).await;
    let token = JoinToken { addresses: token.addresses[1..].to_vec(), ..token };
    let wrong_secret = JoinToken { secret: vec![8; 32], ..token.clone() };
    assert_eq!(enroll(&wrong_secret, here()).await, Err(IdentityError::Refused(EnrollError::Secret)));
    let wrong_authority = JoinToken { ca_sha256: [1; 32], ..token.clone() };
    let refused = enroll(&wrong_authority, here()).await;
    assert!(
        matches!(&refused, Err(IdentityError::Unreachable(text)) if text.contains("does not belong")),
        "{refused:?}"
    );
    let wrong_cluster = JoinToken { cluster: "other".into(), ..token.clone() };
    assert!(matches!(enroll(&wrong_cluster, here()).await, Err(IdentityError::Unreachable(_))));
    assert!(enroll(&token, here()).await.is_ok(), "refused attempts do not use up the token");
}

#[tokio::test(flavor = "multi_thread")]
async fn another_authority_is_a_stranger() {
    let mut cluster = Cluster::three().await;
    let stranger = Authority::generate("toy").unwrap().identity(4).unwrap();
    cluster.start_as(stranger, None).await.unwrap();
    let meta = cluster.node(4).handle.meta().clone();
    cluster.node(1).handle.add_node(group::CONFIG, 4, meta).await.unwrap();
    cluster.propose(1, group::CONFIG, "secret").await.unwrap();
    let status = cluster.node(1).handle.status(group::CONFIG).unwrap();
    assert_eq!(status.voters.len(), 3);
    let peer = cluster.node(1).handle.call(4, "hi".into(), SOON).await;
    assert!(peer.is_err());
    assert!(!cluster.node(4).toys[&group::CONFIG].contains(b"secret"));
}
