//! What other nodes may ask this one, beyond consensus.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use tidegate_cluster::{Inbox, NodeId};
use tidegate_proto::{
    frame::{self, Kind},
    ledger,
    peer::{MessageV1, NodeReportV1},
};

use crate::limits::Desk;

/// Describes this node as it is now.
pub(crate) type Describe = Arc<dyn Fn() -> NodeReportV1 + Send + Sync>;

/// Answers peers.
pub(crate) struct PeerInbox {
    describe: Describe,
    limits: Arc<Desk>,
}

impl PeerInbox {
    /// Answers with what `describe` returns at that moment; messages about limits are for `limits`.
    pub(crate) fn new(describe: Describe, limits: Arc<Desk>) -> Self {
        Self { describe, limits }
    }

    fn answer(&self, message: &[u8]) -> Result<Bytes, String> {
        if frame::kind(message) == Some(Kind::LedgerMessage) {
            let message = ledger::MessageV1::decode(message).map_err(|e| e.to_string())?;
            let answer = self.limits.take_message(message)?;
            return answer.encode().map(Bytes::from).map_err(|e| e.to_string());
        }
        let answer = match MessageV1::decode(message).map_err(|e| e.to_string())? {
            MessageV1::Describe => MessageV1::Description((self.describe)()),
            MessageV1::Description(_) => return Err("a description answers a question, it is none".into()),
        };
        answer.encode().map(Bytes::from).map_err(|e| e.to_string())
    }
}

impl Inbox for PeerInbox {
    fn call(&self, _from: NodeId, message: Bytes) -> BoxFuture<'static, Result<Bytes, String>> {
        let answer = self.answer(&message);
        async move { answer }.boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn questions_are_answered_and_the_rest_refused() {
        let report = NodeReportV1 { serving_revision: 3, ..Default::default() };
        let copy = report.clone();
        let folder = tempfile::tempdir().unwrap();
        let limits = Desk::new(1, "r", folder.path()).unwrap();
        let inbox = PeerInbox::new(Arc::new(move || copy.clone()), limits);
        let answer = inbox.call(2, MessageV1::Describe.encode().unwrap().into()).await.unwrap();
        assert_eq!(MessageV1::decode(&answer).unwrap(), MessageV1::Description(report.clone()));
        let grant = ledger::MessageV1::Grant {
            group: tidegate_cluster::group::ledger("r", 0),
            grant: Default::default(),
        };
        let answer = inbox.call(2, grant.encode().unwrap().into()).await.unwrap();
        assert_eq!(ledger::MessageV1::decode(&answer).unwrap(), ledger::MessageV1::Taken);
        let elsewhere = ledger::MessageV1::Grant { group: 7, grant: Default::default() };
        assert!(inbox.call(2, elsewhere.encode().unwrap().into()).await.is_err());
        assert!(inbox.call(2, Bytes::from_static(b"x")).await.is_err());
        assert!(inbox.call(2, MessageV1::Description(report).encode().unwrap().into()).await.is_err());
    }
}
