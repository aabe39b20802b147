//! openraft's outgoing calls as frames. One instance per (group, peer, purpose); the connection below is shared.

use super::{
    log::Log,
    types::{LogId, Snapshot, Types, Vote},
};
use crate::{
    GroupId, NodeId, NodeMeta,
    addresses::Addresses,
    limits, runtime,
    transport::{Frames, Lane, SendError, Target, Transport},
    wire::{Frame, Message, convert::*, v1::*},
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use openraft::{
    AnyError, OptionalSend, RaftNetworkFactory, RaftNetworkV2,
    base::{BoxFuture, BoxStream},
    errors::{NetworkError, RPCError, ReplicationClosed, StreamingError, Unreachable},
    network::RPCOption,
    raft::{
        AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, StreamAppendError, StreamAppendResult,
        TransferLeaderError, TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
    },
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

/// First and longest pause before an append stream that could not be opened is tried again.
const REOPEN_PAUSE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(320));

/// Makes clients for one group.
#[derive(Clone)]
pub(crate) struct Network {
    pub(crate) from: NodeId,
    pub(crate) group: GroupId,
    pub(crate) log: Log,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) addresses: Addresses,
}

/// Calls one peer for one purpose.
pub(crate) struct Client {
    network: Network,
    to: NodeId,
    lane: Lane,
    /// Pause after the next failure to open the append stream.
    pause: Duration,
}

impl RaftNetworkFactory<Types> for Network {
    type Network = Client;

    async fn new_client(&mut self, to: NodeId, meta: &NodeMeta) -> Client {
        self.client(to, meta, Lane::Append)
    }

    async fn new_heartbeat_client(&mut self, to: NodeId, meta: &NodeMeta) -> Client {
        self.client(to, meta, Lane::Heartbeat)
    }

    async fn new_snapshot_client(&mut self, to: NodeId, meta: &NodeMeta) -> Client {
        self.client(to, meta, Lane::Checkpoint)
    }
}

impl Network {
    fn client(&self, to: NodeId, meta: &NodeMeta, lane: Lane) -> Client {
        self.addresses.learn_from(self.group, [(to, meta.clone())]);
        Client { network: self.clone(), to, lane, pause: REOPEN_PAUSE.0 }
    }
}

impl Client {
    fn target(&self) -> Result<Target, SendError> {
        self.network.addresses.target(self.to).ok_or_else(|| SendError::NotSent("no address".to_owned()))
    }

    fn frame<M: Message>(&self, message: &M) -> Frame {
        Frame::new(self.network.from, self.network.group, message)
    }

    async fn rpc<Q: Message, A: Message>(
        &self,
        lane: Lane,
        request: &Q,
        time: Duration,
    ) -> Result<A, RPCError<Types>> {
        let target = self.target().map_err(unreachable)?;
        let answer = self.network.transport.call(target, lane, self.frame(request));
        match runtime::timeout(time, answer).await {
            None => Err(unreachable(SendError::Unanswered("timeout".to_owned()))),
            Some(Err(error)) => Err(unreachable(error)),
            Some(Ok(frame)) => read(&frame),
        }
    }

    async fn ask_vote(
        &self,
        request: VoteRequest<Types>,
        preview: bool,
        option: &RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        let message = VoteRequestV1 {
            vote: vote_out(&request.vote),
            last: request.last_log_id.as_ref().map(log_id_out),
            transfer: request.leadership_transfer,
            preview,
        };
        let answer: VotedV1 = self.rpc(Lane::Vote, &message, option.soft_ttl()).await?;
        Ok(VoteResponse::new(vote_in(&answer.vote), answer.last.as_ref().map(log_id_in), answer.granted))
    }

    /// Opens the long-lived stream of appends and turns its answers into openraft's.
    async fn open_stream(
        &self,
        requests: futures_util::stream::BoxStream<'static, Frame>,
        time: Duration,
    ) -> Result<Frames, RPCError<Types>> {
        let target = self.target().map_err(unreachable)?;
        match runtime::timeout(time, self.network.transport.stream(target, requests)).await {
            None => Err(unreachable(SendError::NotSent("timeout".to_owned()))),
            Some(opened) => opened.map_err(unreachable),
        }
    }

    /// The appends as frames. Ends, and says so, at one that begins below what the log still has: openraft repeats an old
    /// order when a stream broke, although it is sending a checkpoint to the follower meanwhile.
    fn requests(
        &self,
        input: impl Stream<Item = AppendEntriesRequest<Types>> + OptionalSend + 'static,
        stale: Arc<AtomicBool>,
    ) -> futures_util::stream::BoxStream<'static, Frame> {
        let Network { from, group, log, .. } = self.network.clone();
        let frames = input.scan((), move |(), request| {
            let next = request.prev_log_id.as_ref().map_or(0, |id| id.index + 1);
            let is_stale = log.has_purged(next);
            stale.store(is_stale, Ordering::Relaxed);
            std::future::ready((!is_stale).then(|| Frame::new(from, group, &append_out(&request))))
        });
        frames.boxed()
    }

    /// A heartbeat is one request with one answer: it needs no stream, and goes ahead of appends.
    async fn heartbeat(
        &mut self,
        mut input: impl Stream<Item = AppendEntriesRequest<Types>> + OptionalSend + Unpin,
        option: RPCOption,
    ) -> Result<Option<StreamAppendResult<Types>>, RPCError<Types>> {
        let Some(request) = input.next().await else { return Ok(None) };
        let previous = request.prev_log_id;
        Ok(Some(match self.append_entries(request, option).await? {
            AppendEntriesResponse::Success => Ok(previous),
            AppendEntriesResponse::PartialSuccess(at) => Ok(at),
            AppendEntriesResponse::HigherVote(vote) => Err(StreamAppendError::HigherVote(vote)),
            AppendEntriesResponse::Conflict => {
                let at = previous.ok_or_else(|| garbled("a conflict with nothing"))?;
                Err(StreamAppendError::Conflict(at))
            }
        }))
    }

    async fn push_checkpoint(&self, vote: Vote, snapshot: Snapshot) -> Result<Vote, SendError> {
        let head =
            InstallV1 { vote: vote_out(&vote), head: checkpoint_out(&snapshot.meta, &snapshot.snapshot) };
        let push = self.network.transport.push(self.target()?, self.frame(&head), snapshot.snapshot);
        let frame = push.await?;
        match frame.decode::<InstalledV1>() {
            Ok(installed) => Ok(vote_in(&installed.vote)),
            Err(error) => Err(SendError::Unanswered(refusal(&frame).unwrap_or_else(|| error.to_string()))),
        }
    }
}

impl RaftNetworkV2<Types> for Client {
    type SnapshotData = Bytes;

    async fn append_entries(
        &mut self,
        request: AppendEntriesRequest<Types>,
        option: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        let answer: AppendedV1 = self.rpc(self.lane, &append_out(&request), option.soft_ttl()).await?;
        Ok(match answer.result {
            AppendResultV1::Success => AppendEntriesResponse::Success,
            AppendResultV1::Matching(id) => AppendEntriesResponse::PartialSuccess(id.as_ref().map(log_id_in)),
            AppendResultV1::Conflict(_) => AppendEntriesResponse::Conflict,
            AppendResultV1::HigherVote(vote) => AppendEntriesResponse::HigherVote(vote_in(&vote)),
        })
    }

    fn stream_append<'s, S>(
        &'s mut self,
        input: S,
        option: RPCOption,
    ) -> BoxFuture<
        's,
        Result<BoxStream<'s, Result<StreamAppendResult<Types>, RPCError<Types>>>, RPCError<Types>>,
    >
    where
        S: Stream<Item = AppendEntriesRequest<Types>> + OptionalSend + Unpin + 'static,
    {
        Box::pin(async move {
            if self.lane == Lane::Heartbeat {
                let answer = self.heartbeat(input, option).await?;
                return Ok(Box::pin(futures_util::stream::iter(answer.map(Ok))) as BoxStream<'s, _>);
            }
            let stale = Arc::new(AtomicBool::new(false));
            let requests = self.requests(input, stale.clone());
            let answers = match self.open_stream(requests, option.soft_ttl()).await {
                Ok(answers) => answers,
                Err(error) => {
                    // openraft waits only inside the request stream, which nobody has polled; it would retry at once.
                    runtime::sleep(self.pause).await;
                    self.pause = (self.pause * 2).min(REOPEN_PAUSE.1);
                    return Err(error);
                }
            };
            self.pause = REOPEN_PAUSE.0;
            let results = futures_util::stream::unfold(Some(answers), move |answers| {
                let stale = stale.clone();
                async move {
                    let mut answers = answers?;
                    let result = match answers.next().await {
                        Some(answer) => streamed(answer),
                        // An error makes openraft wait for its next order instead of repeating this one.
                        None if stale.load(Ordering::Relaxed) => {
                            Err(garbled("the log no longer goes back that far"))
                        }
                        None => return None,
                    };
                    let goes_on = matches!(result, Ok(Ok(_)));
                    Some((result, goes_on.then_some(answers)))
                }
            });
            Ok(Box::pin(results) as BoxStream<'s, _>)
        })
    }

    async fn vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.ask_vote(request, false, &option).await
    }

    async fn pre_vote(
        &mut self,
        request: VoteRequest<Types>,
        option: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.ask_vote(request, true, &option).await
    }

    async fn full_snapshot(
        &mut self,
        vote: Vote,
        snapshot: Snapshot,
        cancel: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        option: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let push = std::pin::pin!(async {
            let pushed = runtime::timeout(option.soft_ttl(), self.push_checkpoint(vote, snapshot)).await;
            pushed.unwrap_or_else(|| Err(SendError::Unanswered("the checkpoint took too long".to_owned())))
        });
        let cancel = std::pin::pin!(cancel);
        match futures_util::future::select(cancel, push).await {
            futures_util::future::Either::Left((closed, _)) => Err(StreamingError::Closed(closed)),
            futures_util::future::Either::Right((Ok(vote), _)) => Ok(SnapshotResponse { vote }),
            futures_util::future::Either::Right((Err(error), _)) => {
                Err(StreamingError::Unreachable(Unreachable::new(&AnyError::new(&error))))
            }
        }
    }

    async fn transfer_leader(
        &mut self,
        request: TransferLeaderRequest<Types>,
        option: RPCOption,
    ) -> Result<TransferLeaderResponse<Types>, RPCError<Types>> {
        let message = TransferV1 {
            from: vote_out(request.from_leader()),
            to: *request.to_node_id(),
            last: request.last_log_id().map(log_id_out),
        };
        let answer: TransferredV1 = self.rpc(Lane::Vote, &message, option.soft_ttl()).await?;
        let refused =
            TransferLeaderError::LogNotFlushed { expected: request.last_log_id().copied(), actual: None };
        Ok(if answer.accepted { Ok(()) } else { Err(refused) })
    }
}

/// An append as it goes out.
pub(crate) fn append_out(request: &AppendEntriesRequest<Types>) -> AppendV1 {
    AppendV1 {
        vote: vote_out(&request.vote),
        previous: request.prev_log_id.as_ref().map(log_id_out),
        committed: request.leader_commit.as_ref().map(log_id_out),
        entries: request.entries.iter().map(entry_out).collect(),
    }
}

/// One answer of the append stream.
fn streamed(answer: Result<Frame, SendError>) -> Result<StreamAppendResult<Types>, RPCError<Types>> {
    let answer: AppendedV1 = read(&answer.map_err(unreachable)?)?;
    let id = |id: &Option<LogIdV1>| -> Option<LogId> { id.as_ref().map(log_id_in) };
    match &answer.result {
        AppendResultV1::Matching(at) => Ok(Ok(id(at))),
        AppendResultV1::Conflict(Some(at)) => Ok(Err(StreamAppendError::Conflict(log_id_in(at)))),
        AppendResultV1::HigherVote(vote) => Ok(Err(StreamAppendError::HigherVote(vote_in(vote)))),
        AppendResultV1::Success | AppendResultV1::Conflict(None) => {
            Err(garbled("an answer without a position"))
        }
    }
}

fn read<A: Message>(frame: &Frame) -> Result<A, RPCError<Types>> {
    frame.decode().map_err(|error| garbled(&refusal(frame).unwrap_or_else(|| error.to_string())))
}

/// The reason in a refusal frame.
pub(crate) fn refusal(frame: &Frame) -> Option<String> {
    frame.decode::<RefusalV1>().ok().map(|refusal| refusal.reason)
}

fn garbled(text: &str) -> RPCError<Types> {
    RPCError::Network(NetworkError::new(&AnyError::error(text)))
}

fn unreachable(error: SendError) -> RPCError<Types> {
    RPCError::Unreachable(Unreachable::new(&AnyError::new(&error)))
}

/// The longest a checkpoint may take.
pub(crate) fn install_timeout() -> Duration {
    limits::ADMIN_TIMEOUT * 6
}
