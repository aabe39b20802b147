//! An upstream that records whole requests in canonical form and answers as the case at hand says.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::{
    case::{Manner, PLAIN_ANSWER, Script},
    message::{self, Kind, Message, Reading},
};

/// How the path of a probe begins behind the gateway.
pub(crate) const PROBE: &str = "GET /probe ";
/// How long an odd answer stands before its connection ends.
const ODD_WAIT: Duration = Duration::from_millis(300);
/// Largest request that is read.
const REQUEST_BYTES_MAX: usize = 1 << 20;

/// An upstream in this process; runs as long as the runtime it was started on.
#[derive(Clone)]
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    desk: Arc<Mutex<Desk>>,
}

/// The case at hand.
#[derive(Default)]
struct Desk {
    scripts: Vec<Script>,
    seen: Vec<Message>,
}

impl Upstream {
    /// Listens on a port of its own.
    pub(crate) async fn start() -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let upstream = Self { address: listener.local_addr()?, desk: Arc::default() };
        let serving = upstream.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serving.clone().serve(stream));
            }
        });
        Ok(upstream)
    }

    /// Answers by `scripts` from now on.
    pub(crate) fn begin(&self, scripts: &[Script]) {
        *self.desk() = Desk { scripts: scripts.to_vec(), seen: Vec::new() };
    }

    /// What was recorded since.
    pub(crate) fn take(&self) -> Vec<Message> {
        std::mem::take(&mut self.desk().seen)
    }

    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a request; tells what to do with it.
    fn record(&self, mut request: Message) -> Script {
        let own = self.address.to_string();
        request.mask("host", "UPSTREAM", |host| host == own);
        let mut desk = self.desk();
        desk.seen.push(request);
        self.script(&desk, desk.seen.len() - 1)
    }

    fn script(&self, desk: &Desk, place: usize) -> Script {
        let is_probe = desk.seen.get(place).is_some_and(|request| request.line.starts_with(PROBE));
        let of_case = desk.scripts.get(place % desk.scripts.len().max(1)).filter(|_| !is_probe);
        of_case.cloned().unwrap_or_else(|| Script { answer: PLAIN_ANSWER.to_vec(), manner: Manner::Usual })
    }

    /// What would be done with the next request.
    fn next_manner(&self) -> Manner {
        let desk = self.desk();
        self.script(&desk, desk.seen.len()).manner
    }

    async fn serve(self, mut stream: TcpStream) {
        let (mut bytes, mut is_answered) = (Vec::new(), false);
        loop {
            let (request, used) = match message::read(&bytes, Kind::Request, false) {
                Reading::Whole(request, used) => (request, used),
                Reading::Partial(head) => {
                    if let Some(head) = head.filter(|_| !is_answered && self.next_manner() == Manner::Early) {
                        let script = self.record(Message { body: Vec::new(), is_whole: false, ..head });
                        if stream.write_all(&script.answer).await.is_err() {
                            return;
                        }
                        is_answered = true;
                    }
                    let is_over = bytes.len() > REQUEST_BYTES_MAX;
                    if is_over || !stream.read_buf(&mut bytes).await.is_ok_and(|count| count > 0) {
                        return;
                    }
                    continue;
                }
                Reading::Broken(reason) => {
                    let line = format!("BROKEN {reason}");
                    self.record(Message { line, fields: Vec::new(), body: Vec::new(), is_whole: false });
                    return;
                }
            };
            bytes.drain(..used);
            if std::mem::take(&mut is_answered) {
                continue;
            }
            let to_head = request.line.starts_with("HEAD ");
            // How much of a body has come when the answer goes out early is a matter of time.
            let is_early = self.next_manner() == Manner::Early;
            let request =
                if is_early { Message { body: Vec::new(), is_whole: false, ..request } } else { request };
            let script = self.record(request);
            match script.manner {
                Manner::Usual | Manner::Early => {
                    let is_written = stream.write_all(&script.answer).await.is_ok();
                    match standing(&script.answer, to_head) {
                        Standing::One if is_written => {}
                        // Whether the gateway takes it for an answer is for the gateway to say: it closes, or asks again.
                        Standing::Odd if is_written => {
                            let next = timeout(ODD_WAIT, stream.read_buf(&mut bytes)).await;
                            if !next.is_ok_and(|read| read.is_ok_and(|count| count > 0)) {
                                return;
                            }
                        }
                        Standing::One | Standing::Odd | Standing::Cut => return,
                    }
                }
                // Until the gateway gives up.
                Manner::Silent => while stream.read_buf(&mut bytes).await.is_ok_and(|count| count > 0) {},
            }
        }
    }
}

/// What some bytes are.
enum Standing {
    /// One final answer: the connection may serve again.
    One,
    /// An answer that does not end: only the end of the connection ends it.
    Cut,
    /// Something else.
    Odd,
}

fn standing(bytes: &[u8], to_head: bool) -> Standing {
    let mut rest = bytes;
    loop {
        match message::read(rest, Kind::Answer { to_head }, false) {
            Reading::Whole(answer, used) => {
                rest = rest.get(used..).unwrap_or_default();
                if !(100..=199).contains(&answer.status()) {
                    return if rest.is_empty() { Standing::One } else { Standing::Odd };
                }
            }
            Reading::Partial(_) => return Standing::Cut,
            Reading::Broken(_) => return Standing::Odd,
        }
    }
}
