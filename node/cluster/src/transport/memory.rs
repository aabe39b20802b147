//! A network in memory for tests and simulation: delay, loss, duplication and partitions, all from one seed. Frames go
//! through the real encoding.

use super::{Frames, Lane, Link, SendError, Serve, Target, Transport};
use crate::{
    NodeId, limits,
    runtime::{
        self, Task,
        clock::{Clock, pass},
    },
    wire::{Frame, Kind, frame::Header},
};
use bytes::Bytes;
use futures_util::{StreamExt, future::BoxFuture, stream::BoxStream};
use std::{
    collections::{BTreeMap, BTreeSet},
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Poll,
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// A broken stream or push is noticed after this time, like a connection's idle timeout.
const IDLE: Duration = Duration::from_secs(2);

/// A lost part of a stream is sent again after this time.
const RESEND: Duration = Duration::from_millis(10);

/// The network all nodes of a test share.
#[derive(Clone)]
pub struct Switch(Arc<Mutex<Wires>>);

struct Wires {
    serving: BTreeMap<NodeId, (u64, Arc<OnOwnClock>)>,
    lives: BTreeMap<NodeId, u64>,
    cut: BTreeSet<(NodeId, NodeId)>,
    weather: Weather,
    /// What a way takes longer than the others.
    far: BTreeMap<(NodeId, NodeId), Duration>,
    random: u64,
    digest: u64,
}

/// How the network behaves.
#[derive(Debug, Clone, Copy, Default)]
pub struct Weather {
    /// Shortest and longest time of one way.
    pub delay: (Duration, Duration),
    /// Messages lost, of a thousand.
    pub loss_permille: u64,
    /// Messages delivered twice, of a thousand.
    pub duplicate_permille: u64,
    /// Messages held up for longer than the others, of a thousand: those after them overtake them.
    pub late_permille: u64,
    /// By how much those are late.
    pub late: Duration,
}

/// A service that answers on the clock of its node, whoever asks.
struct OnOwnClock {
    clock: Clock,
    service: Arc<dyn Serve>,
}

impl OnOwnClock {
    async fn call(&self, request: Frame) -> Frame {
        self.clock.run(async { self.service.call(request).await }).await
    }

    fn stream(&self, requests: BoxStream<'static, Frame>) -> BoxStream<'static, Frame> {
        let (clock, mut answers) = (self.clock.clone(), self.clock.with(|| self.service.stream(requests)));
        futures_util::stream::poll_fn(move |task| clock.with(|| answers.poll_next_unpin(task))).boxed()
    }

    async fn push(&self, head: Frame, body: Bytes) -> Frame {
        self.clock.run(async { self.service.push(head, body).await }).await
    }

    fn push_bytes(&self, head: &Frame) -> Option<u64> {
        self.service.push_bytes(head)
    }
}

/// One node's end of the network; dead once the node is attached again or detached.
pub(crate) struct MemoryTransport {
    switch: Switch,
    me: NodeId,
    life: u64,
}

impl Switch {
    /// A perfect network; faults come from `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Wires {
            serving: BTreeMap::new(),
            lives: BTreeMap::new(),
            cut: BTreeSet::new(),
            weather: Weather::default(),
            far: BTreeMap::new(),
            random: seed,
            digest: 0,
        })))
    }

    /// A node's new end; earlier ends of the same node are dead from now on.
    pub(crate) fn attach(&self, me: NodeId) -> MemoryTransport {
        let mut wires = self.lock();
        wires.serving.remove(&me);
        let life = wires.lives.entry(me).or_insert(0);
        *life += 1;
        MemoryTransport { switch: self.clone(), me, life: *life }
    }

    /// Kills a node's end without goodbye.
    pub(crate) fn detach(&self, node: NodeId) {
        drop(self.attach(node));
    }

    /// Sets delay, loss and duplication.
    pub fn weather(&self, weather: Weather) {
        self.lock().weather = weather;
    }

    /// Puts two nodes further apart than others, one way.
    pub fn apart(&self, from: NodeId, to: NodeId, longer: Duration) {
        self.lock().far.insert((from, to), longer);
    }

    /// Stops messages from `from` to `to`.
    pub fn cut(&self, from: NodeId, to: NodeId) {
        self.lock().cut.insert((from, to));
    }

    /// Repairs all cuts.
    pub fn heal(&self) {
        self.lock().cut.clear();
    }

    /// A hash of everything sent so far; equal in equal runs.
    pub fn digest(&self) -> u64 {
        self.lock().digest
    }

    fn lock(&self) -> MutexGuard<'_, Wires> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws the fate of one message: its delay, and whether it is lost or doubled.
    fn fate(&self, from: NodeId, to: NodeId, bytes: usize) -> (Duration, bool, bool) {
        let mut wires = self.lock();
        let (shortest, longest) = wires.weather.delay;
        let span = u64::try_from((longest - shortest).as_micros()).unwrap_or(0) + 1;
        let mut delay = shortest + Duration::from_micros(draw(&mut wires.random) % span);
        if wires.weather.late_permille > 0 && draw(&mut wires.random) % 1000 < wires.weather.late_permille {
            delay += wires.weather.late;
        }
        delay += wires.far.get(&(from, to)).copied().unwrap_or_default();
        let lost = draw(&mut wires.random) % 1000 < wires.weather.loss_permille;
        let doubled = draw(&mut wires.random) % 1000 < wires.weather.duplicate_permille;
        let line = from << 40 ^ to << 32 ^ bytes as u64 ^ (delay.as_micros() as u64) << 8;
        wires.digest = (wires.digest ^ line).wrapping_mul(0x0100_0000_01b3);
        (delay, lost || wires.cut.contains(&(from, to)), doubled)
    }

    fn is_alive(&self, node: NodeId, life: u64) -> bool {
        self.lock().lives.get(&node) == Some(&life)
    }

    /// What a node does for a peer, for as long as it lives: without power nothing goes on.
    async fn powered<T>(&self, (node, life): (NodeId, u64), work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|task| match self.is_alive(node, life) {
            true => work.as_mut().poll(task).map(Some),
            false => Poll::Ready(None),
        })
        .await
    }

    fn is_cut(&self, from: NodeId, to: NodeId) -> bool {
        self.lock().cut.contains(&(from, to))
    }

    fn serving(&self, node: NodeId) -> Option<(u64, Arc<OnOwnClock>)> {
        self.lock().serving.get(&node).cloned()
    }

    /// One way of one message. A lost message is silence.
    async fn travel(&self, from: NodeId, to: NodeId, bytes: usize) -> bool {
        let (delay, lost, doubled) = self.fate(from, to, bytes);
        if !delay.is_zero() {
            pass(delay).await;
        }
        if lost || self.is_cut(from, to) {
            std::future::pending::<()>().await;
        }
        doubled
    }

    /// One way of something large, as on a connection: what is lost is sent again, and a cut is noticed.
    async fn convey(
        &self,
        (from, to): (NodeId, NodeId),
        (peer, life): (NodeId, u64),
        bytes: usize,
    ) -> Result<(), SendError> {
        loop {
            let (delay, lost, _) = self.fate(from, to, bytes);
            pass(delay).await;
            if self.is_cut(from, to) || !self.is_alive(peer, life) {
                pass(IDLE).await;
                return Err(SendError::Unanswered("the connection broke".to_owned()));
            }
            if !lost {
                return Ok(());
            }
            pass(RESEND).await;
        }
    }
}

impl MemoryTransport {
    fn peer(&self, to: NodeId) -> Result<(u64, Arc<OnOwnClock>), SendError> {
        if !self.switch.is_alive(self.me, self.life) {
            return Err(SendError::NotSent("this end is dead".to_owned()));
        }
        self.switch.serving(to).ok_or_else(|| SendError::NotSent("refused".to_owned()))
    }
}

impl Transport for MemoryTransport {
    fn call(&self, to: Target, _lane: Lane, request: Frame) -> BoxFuture<'static, Result<Frame, SendError>> {
        let peer = self.peer(to.node);
        let begun = to.begun.clone();
        let (switch, me, life, to) = (self.switch.clone(), self.me, self.life, to.node);
        Box::pin(async move {
            let (their_life, serve) = peer?;
            begun.mark();
            let doubled = switch.travel(me, to, request.body.len()).await;
            if !switch.is_alive(to, their_life) {
                return Err(SendError::Unanswered("the peer died".to_owned()));
            }
            let peer = (to, their_life);
            if doubled && matches!(request.kind, Kind::Append | Kind::Vote) {
                let (switch, serve, copy) = (switch.clone(), serve.clone(), through_wire(&request)?);
                runtime::spawn(async move { drop(switch.powered(peer, serve.call(copy)).await) });
            }
            let (answer, answered) = oneshot::channel();
            let request = through_wire(&request)?;
            // The peer finishes its work even when the caller stops waiting.
            let power = switch.clone();
            runtime::spawn(async move {
                if let Some(answered) = power.powered(peer, serve.call(request)).await {
                    drop(answer.send(answered));
                }
            });
            let answer = answered.await.map_err(|_| SendError::Unanswered("the peer died".to_owned()))?;
            switch.travel(to, me, answer.body.len()).await;
            if !switch.is_alive(to, their_life) || !switch.is_alive(me, life) {
                return Err(SendError::Unanswered("the peer died".to_owned()));
            }
            through_wire(&answer)
        })
    }

    fn stream(
        &self,
        to: Target,
        requests: BoxStream<'static, Frame>,
    ) -> BoxFuture<'static, Result<Frames, SendError>> {
        let peer = self.peer(to.node);
        let (switch, me, to) = (self.switch.clone(), self.me, to.node);
        Box::pin(async move {
            let (their_life, serve) = peer?;
            let peer = (to, their_life);
            let (out, there) = pipe(switch.clone(), (me, to), peer, requests.boxed());
            let inward = futures_util::stream::unfold(there, |mut there| async move {
                let frame = there.recv().await??;
                Some((frame, there))
            });
            let answers = serve.stream(inward.boxed());
            let (back, here) = pipe(switch, (to, me), peer, answers);
            let answers =
                futures_util::stream::unfold((here, Some((out, back))), |(mut here, pumps)| async move {
                    let pumps = pumps?;
                    match here.recv().await {
                        Some(Some(frame)) => return Some((Ok(frame), (here, Some(pumps)))),
                        Some(None) => return None,
                        None => {}
                    }
                    pass(IDLE).await;
                    Some((Err(SendError::Unanswered("the stream broke".to_owned())), (here, None)))
                });
            Ok(answers.boxed())
        })
    }

    fn push(&self, to: Target, head: Frame, body: Bytes) -> BoxFuture<'static, Result<Frame, SendError>> {
        let peer = self.peer(to.node);
        let (switch, me, to) = (self.switch.clone(), self.me, to.node);
        Box::pin(async move {
            let (their_life, serve) = peer?;
            switch.convey((me, to), (to, their_life), body.len()).await?;
            if serve.push_bytes(&head) != Some(body.len() as u64) {
                return Err(SendError::Unanswered("refused".to_owned()));
            }
            let (answer, answered) = oneshot::channel();
            let power = switch.clone();
            runtime::spawn(async move {
                if let Some(answered) = power.powered((to, their_life), serve.push(head, body)).await {
                    drop(answer.send(answered));
                }
            });
            let answer = answered.await.map_err(|_| SendError::Unanswered("the peer died".to_owned()))?;
            switch.convey((to, me), (to, their_life), answer.body.len()).await?;
            through_wire(&answer)
        })
    }

    /// Nobody waits for a connection here.
    fn reach(&self, _to: Target) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }

    fn serve(&self, service: Arc<dyn Serve>) -> BoxFuture<'static, ()> {
        let mut wires = self.switch.lock();
        if wires.lives.get(&self.me) == Some(&self.life) {
            let served = OnOwnClock { clock: Clock::current(), service };
            wires.serving.insert(self.me, (self.life, Arc::new(served)));
        }
        Box::pin(std::future::pending())
    }

    fn links(&self) -> Vec<Link> {
        let wires = self.switch.lock();
        let others = wires.serving.keys().filter(|id| **id != self.me);
        others
            .map(|id| Link {
                node: *id,
                connected: !wires.cut.contains(&(self.me, *id)),
                rtt: Some(wires.weather.delay.0 * 2),
            })
            .collect()
    }

    fn close(&self) -> BoxFuture<'static, ()> {
        if self.switch.is_alive(self.me, self.life) {
            self.switch.detach(self.me);
        }
        Box::pin(std::future::ready(()))
    }
}

/// Carries frames in order with delay; a lost one is sent again. `None` marks the end of the frames; without it the link
/// was cut or the peer died.
fn pipe(
    switch: Switch,
    (from, to): (NodeId, NodeId),
    (peer, life): (NodeId, u64),
    mut frames: BoxStream<'static, Frame>,
) -> (Task, mpsc::Receiver<Option<Frame>>) {
    let (sender, receiver) = mpsc::channel(limits::STREAMS_PER_PEER as usize);
    let pump = runtime::spawn_scoped(async move {
        while let Some(frame) = frames.next().await {
            loop {
                let (delay, lost, _) = switch.fate(from, to, frame.body.len());
                pass(delay).await;
                if switch.is_cut(from, to) || !switch.is_alive(peer, life) {
                    return;
                }
                if !lost {
                    break;
                }
                pass(RESEND).await;
            }
            let Ok(frame) = through_wire(&frame) else { return };
            if sender.send(Some(frame)).await.is_err() {
                return;
            }
        }
        let _reader_left = sender.send(None).await;
    });
    (pump, receiver)
}

/// Encodes and decodes, as the network would.
fn through_wire(frame: &Frame) -> Result<Frame, SendError> {
    let header = Header::parse(&frame.header(), limits::FRAME_BYTES_MAX);
    header.and_then(|h| h.with_body(frame.body.clone())).map_err(|e| SendError::Unanswered(e.to_string()))
}

/// splitmix64.
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
