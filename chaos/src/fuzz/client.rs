//! A client that sends the bytes of a case and reads whatever comes until the gateway closes.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout, timeout_at},
};

use super::{
    case::{Case, Manners, Then},
    message::{self, Kind, Message, Reading},
};

/// A request whose answer shows that both sides agree on where the one before it ended.
pub(crate) const PROBE: &[u8] = b"GET /s/probe HTTP/1.1\r\nHost: a.execute-api\r\nConnection: close\r\n\r\n";
/// Between two pieces, so that the gateway reads them apart.
const PAUSE: Duration = Duration::from_millis(1);
/// Largest answer that is read.
const ANSWER_BYTES_MAX: usize = 4 << 20;

/// What a client got.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Talk {
    /// Answers in order, interim ones included.
    pub(crate) answers: Vec<Message>,
    /// What is wrong with the bytes that are no answer; empty when there are none.
    pub(crate) rest: String,
    /// The probe was sent.
    pub(crate) is_probed: bool,
    /// The gateway had neither answered nor closed when patience ended.
    pub(crate) is_hung: bool,
}

/// Sends a case and reads until the end. `patience` bounds the wait for the answers, and again that for the end.
pub(crate) async fn talk(address: SocketAddr, case: &Case, manners: &Manners, patience: Duration) -> Talk {
    let mut talk = Talk::default();
    let Ok(mut stream) = TcpStream::connect(address).await else { return talk };
    let _ = stream.set_nodelay(true);
    // A gateway that has said no need not read on.
    let _ = timeout(patience, send(&mut stream, case)).await;
    let mut bytes = Vec::new();
    let mut is_ended = false;
    let wanted = manners.heads.len();
    let deadline = Instant::now() + patience;
    while !is_ended && (manners.then == Then::Wait || finals(&bytes, &manners.heads) < wanted) {
        match timeout_at(deadline, receive(&mut stream, &mut bytes)).await {
            Ok(goes_on) => is_ended = !goes_on,
            Err(_) => {
                talk.is_hung = true;
                break;
            }
        }
    }
    if !is_ended {
        if manners.then == Then::Probe && !talk.is_hung {
            talk.is_probed = stream.write_all(PROBE).await.is_ok();
        } else {
            let _ = stream.shutdown().await;
        }
    }
    let deadline = Instant::now() + patience;
    while !is_ended {
        match timeout_at(deadline, receive(&mut stream, &mut bytes)).await {
            Ok(goes_on) => is_ended = !goes_on,
            Err(_) => {
                talk.is_hung = true;
                break;
            }
        }
    }
    (talk.answers, talk.rest) = cut(&bytes, &manners.heads, is_ended);
    talk
}

async fn send(stream: &mut TcpStream, case: &Case) {
    let mut from = 0;
    for &to in case.cuts.iter().chain([&case.bytes.len()]) {
        let Some(piece) = case.bytes.get(from..to).filter(|piece| !piece.is_empty()) else { continue };
        if from > 0 {
            sleep(PAUSE).await;
        }
        if stream.write_all(piece).await.is_err() {
            return;
        }
        from = to;
    }
}

/// Reads more; false at the end.
async fn receive(stream: &mut TcpStream, bytes: &mut Vec<u8>) -> bool {
    bytes.len() < ANSWER_BYTES_MAX && stream.read_buf(bytes).await.is_ok_and(|count| count > 0)
}

/// How many final answers are there.
fn finals(bytes: &[u8], heads: &[bool]) -> usize {
    cut(bytes, heads, false).0.iter().filter(|answer| is_final(answer)).count()
}

fn is_final(answer: &Message) -> bool {
    answer.is_whole && !(100..=199).contains(&answer.status())
}

/// Cuts bytes into answers.
fn cut(bytes: &[u8], heads: &[bool], ended: bool) -> (Vec<Message>, String) {
    let (mut answers, mut rest) = (Vec::new(), bytes);
    let mut heads = heads.iter().copied();
    let mut to_head = heads.next().unwrap_or_default();
    loop {
        match message::read(rest, Kind::Answer { to_head }, ended) {
            Reading::Whole(answer, used) if used > 0 => {
                rest = rest.get(used..).unwrap_or_default();
                if is_final(&answer) {
                    to_head = heads.next().unwrap_or_default();
                }
                answers.push(answer);
            }
            Reading::Partial(Some(head)) if ended => {
                answers.push(head);
                return (answers, String::new());
            }
            Reading::Broken(reason) => return (answers, reason),
            Reading::Partial(None) if !rest.is_empty() => return (answers, "the start of a head".into()),
            Reading::Partial(_) | Reading::Whole(..) => return (answers, String::new()),
        }
    }
}
