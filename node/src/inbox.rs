//! What other nodes may ask this one, beyond consensus.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{FutureExt, future::BoxFuture};
use tidegate_cluster::{Inbox, NodeId};
use tidegate_proto::{
    cache,
    frame::{self, Kind},
    ledger,
    peer::{MessageV1, NodeReportV1, StageCountV1, StageNameV1},
};

use crate::{
    caches::{region::Held, zone::Take},
    limits::Desk,
};

/// Describes this node as it is now.
pub(crate) type Describe = Arc<dyn Fn() -> NodeReportV1 + Send + Sync>;

/// Counts what stages answered, in their order.
pub(crate) type Count = Arc<dyn Fn(&[StageNameV1]) -> Vec<StageCountV1> + Send + Sync>;

/// Answers peers.
pub(crate) struct PeerInbox {
    describe: Describe,
    count: Count,
    limits: Arc<Desk>,
    caches: Take,
    held: Held,
}

impl PeerInbox {
    /// Answers with what `describe` and `count` return at that moment; messages about limits are for `limits`, those of cached answers
    /// for `caches`, and questions about what is stored for `held`.
    pub(crate) fn new(describe: Describe, count: Count, limits: Arc<Desk>, caches: Take, held: Held) -> Self {
        Self { describe, count, limits, caches, held }
    }

    fn answer(&self, message: &[u8]) -> Result<Answer, String> {
        if frame::kind(message) == Some(Kind::LedgerMessage) {
            let message = ledger::MessageV1::decode(message).map_err(|e| e.to_string())?;
            let answer = self.limits.take_message(message)?;
            return answer.encode().map(|bytes| Answer::Now(bytes.into())).map_err(|e| e.to_string());
        }
        let answer = match MessageV1::decode(message).map_err(|e| e.to_string())? {
            MessageV1::Describe => MessageV1::Description((self.describe)()),
            question @ (MessageV1::CacheTop(_) | MessageV1::CacheLook(_)) => {
                return Ok(Answer::Soon((self.held)(question)));
            }
            MessageV1::StageCounts(stages) => MessageV1::StageCounted((self.count)(&stages)),
            MessageV1::Description(_)
            | MessageV1::CacheHeld(_)
            | MessageV1::CacheFound(_)
            | MessageV1::StageCounted(_) => {
                return Err("this answers a question, it is none".into());
            }
        };
        answer.encode().map(|bytes| Answer::Now(bytes.into())).map_err(|e| e.to_string())
    }
}

/// An answer, or what will become one.
enum Answer {
    Now(Bytes),
    Soon(BoxFuture<'static, Option<MessageV1>>),
}

impl Answer {
    async fn bytes(self) -> Result<Bytes, String> {
        let message = match self {
            Self::Now(bytes) => return Ok(bytes),
            Self::Soon(answer) => answer.await.ok_or("there is no answer")?,
        };
        message.encode().map(Bytes::from).map_err(|e| e.to_string())
    }
}

impl Inbox for PeerInbox {
    fn call(&self, from: NodeId, message: Bytes) -> BoxFuture<'static, Result<Bytes, String>> {
        if frame::kind(&message) == Some(Kind::CacheMessage) {
            let take = self.caches.clone();
            return async move {
                let message = cache::MessageV1::decode(&message).map_err(|e| e.to_string())?;
                let reply = take(from, message).await?;
                reply.encode().map(Bytes::from).map_err(|e| e.to_string())
            }
            .boxed();
        }
        let answer = self.answer(&message);
        async move { answer?.bytes().await }.boxed()
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
        let limits = Desk::new(1, "r", folder.path());
        let counted = StageCountV1 { requests: 7, ..StageCountV1::default() };
        let count: Count = Arc::new(move |stages| vec![counted; stages.len()]);
        let empty = || MessageV1::CacheFound(Vec::new());
        let held: Held = Arc::new(move |question| {
            let answer = matches!(question, MessageV1::CacheLook(_)).then(empty);
            async move { answer }.boxed()
        });
        let take: Take = Arc::new(|from, message| {
            let is_known = (from, &message) == (2, &cache::MessageV1::Hello);
            async move { is_known.then_some(cache::MessageV1::Taken).ok_or_else(String::new) }.boxed()
        });
        let inbox = PeerInbox::new(Arc::new(move || copy.clone()), count, limits, take, held);
        let answer = inbox.call(2, cache::MessageV1::Hello.encode().unwrap().into()).await.unwrap();
        assert_eq!(cache::MessageV1::decode(&answer).unwrap(), cache::MessageV1::Taken);
        assert!(inbox.call(2, cache::MessageV1::Busy.encode().unwrap().into()).await.is_err());
        let answer = inbox.call(2, MessageV1::Describe.encode().unwrap().into()).await.unwrap();
        assert_eq!(MessageV1::decode(&answer).unwrap(), MessageV1::Description(report.clone()));
        let question = MessageV1::StageCounts(vec![StageNameV1::default(); 2]);
        let answer = inbox.call(2, question.encode().unwrap().into()).await.unwrap();
        assert_eq!(MessageV1::decode(&answer).unwrap(), MessageV1::StageCounted(vec![counted; 2]));
        let look = MessageV1::CacheLook(Default::default());
        let answer = inbox.call(2, look.encode().unwrap().into()).await.unwrap();
        assert_eq!(MessageV1::decode(&answer).unwrap(), empty());
        for refused in [MessageV1::CacheTop(Default::default()), empty()] {
            assert!(inbox.call(2, refused.encode().unwrap().into()).await.is_err());
        }
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
