//! Lets nodes in: checks the one-time token against the replicated state, draws an id, signs the certificate, adds the learner.

use futures_util::{FutureExt, future::BoxFuture};
use tidegate_cluster::{
    EnrollError, EnrollRequest, Enrolled, Enroller, Handle, NodeId, NodeMeta, group, identity::Authority,
};
use tidegate_control::{Store, StoreError};
use tidegate_iam::sigv4::payload_sha256_hex;
use tidegate_proto::{
    document::{Authority as AuthorityRecord, JoinTokenRecord, NodeCounter},
    key,
    limits::COMMIT_ATTEMPTS_MAX,
    transaction::{OutcomeV1, TransactionV1},
};
use tokio::sync::watch;

use crate::{members::epoch_s, store::ConfigStore};

/// What an enrolment needs, once the cluster service runs.
#[derive(Clone)]
pub(crate) struct Desk {
    /// Cluster name.
    pub(crate) cluster: String,
    /// The running service.
    pub(crate) handle: Handle,
    /// The replicated configuration.
    pub(crate) store: ConfigStore,
}

/// Answers joining nodes. The service that carries the requests is built before the store exists, hence the watch.
pub(crate) struct EnrollDesk {
    desk: watch::Receiver<Option<Desk>>,
}

impl EnrollDesk {
    /// A closed desk and the sender that opens it.
    pub(crate) fn new() -> (Self, watch::Sender<Option<Desk>>) {
        let (sender, desk) = watch::channel(None);
        (Self { desk }, sender)
    }
}

impl Enroller for EnrollDesk {
    fn enroll(&self, request: EnrollRequest) -> BoxFuture<'static, Result<Enrolled, EnrollError>> {
        let desk = self.desk.borrow().clone();
        async move {
            match desk {
                Some(desk) => desk.enroll(request).await,
                None => Err(EnrollError::Unavailable("this node is starting".into())),
            }
        }
        .boxed()
    }
}

impl Desk {
    async fn enroll(&self, request: EnrollRequest) -> Result<Enrolled, EnrollError> {
        self.store.barrier().await.map_err(unavailable)?;
        let node = self.spend_token(&request.secret, &payload_sha256_hex(&request.csr_der)).await?;
        let authority = self.authority()?;
        let cert_der =
            authority.issue(&request.csr_der, node).map_err(|e| EnrollError::Request(e.to_string()))?;
        self.handle
            .add_node(group::CONFIG, node, request.meta)
            .await
            .map_err(|e| EnrollError::Unavailable(e.to_string()))?;
        let group = self.handle.status(group::CONFIG).map_err(|e| EnrollError::Unavailable(e.to_string()))?;
        let peers: Vec<(NodeId, NodeMeta)> = group.voters.into_iter().chain(group.learners).collect();
        tracing::info!(node, "node enrolled");
        Ok(Enrolled {
            node,
            cluster: self.cluster.clone(),
            cert_der,
            ca_der: authority.cert_der().to_vec(),
            peers,
            welcome: Vec::new(),
        })
    }

    /// Notes in one transaction for whom the token is spent and which node id that one gets, so that a token admits exactly one node, and
    /// that node may ask again when it got no answer.
    async fn spend_token(&self, secret: &[u8], holder: &str) -> Result<NodeId, EnrollError> {
        let token_key = key::join_token(&payload_sha256_hex(secret));
        for _ in 0..COMMIT_ATTEMPTS_MAX {
            let view = self.store.view();
            let token = view.read::<JoinTokenRecord>(&token_key).ok().flatten().ok_or(EnrollError::Secret)?;
            if let Some(node) = spent(&token.document, holder, epoch_s())? {
                return Ok(node);
            }
            let counter = view.read::<NodeCounter>(key::NODE_COUNTER).ok().flatten();
            let node = counter.as_ref().map_or(1, |c| c.document.last) + 1;
            let mut transaction = TransactionV1::default();
            transaction.compare(token_key.as_str(), token.revision);
            transaction.compare(key::NODE_COUNTER, counter.map_or(0, |c| c.revision));
            let holder = holder.to_owned();
            transaction.put(token_key.as_str(), &JoinTokenRecord { holder, node, ..token.document });
            transaction.put(key::NODE_COUNTER, &NodeCounter { last: node });
            if let OutcomeV1::Committed { .. } = self.store.commit(transaction).await.map_err(unavailable)? {
                return Ok(node);
            }
            self.store.barrier().await.map_err(unavailable)?;
        }
        Err(EnrollError::Unavailable("too many nodes join at once; try again".into()))
    }

    fn authority(&self) -> Result<Authority, EnrollError> {
        let record = self.store.view().read::<AuthorityRecord>(key::AUTHORITY).ok().flatten();
        let record = record.ok_or_else(|| {
            EnrollError::Unavailable("the certificate authority is not replicated yet".into())
        })?;
        Authority::from_pem(&record.document.certificate_pem, &record.document.key_pem)
            .map_err(|e| EnrollError::Unavailable(e.to_string()))
    }
}

/// The node that a token has let in for `holder`; `None` when it is unused.
fn spent(token: &JoinTokenRecord, holder: &str, now_s: i64) -> Result<Option<NodeId>, EnrollError> {
    if token.expires < now_s || !(token.holder.is_empty() || token.holder == holder) {
        return Err(EnrollError::Secret);
    }
    Ok((token.node > 0).then_some(token.node))
}

fn unavailable(error: StoreError) -> EnrollError {
    EnrollError::Unavailable(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_for_one_holder_and_for_a_time() {
        let token = |holder: &str, node| JoinTokenRecord { expires: 100, holder: holder.into(), node };
        for (token, now_s, expected) in [
            (token("", 0), 100, Ok(None)),
            (token("mine", 7), 100, Ok(Some(7))),
            (token("another's", 7), 100, Err(EnrollError::Secret)),
            (token("", 0), 101, Err(EnrollError::Secret)),
            (token("mine", 7), 101, Err(EnrollError::Secret)),
        ] {
            assert_eq!(spent(&token, "mine", now_s), expected, "{token:?} at {now_s}");
        }
    }
}
