//! Golden bytes: every shape of version 1, encoded from a fixed value, compared with `golden/v1.txt`. A difference means
//! that two neighbouring versions of this program could no longer talk: add a new version instead.

use super::{frame::Message, record, v1::*};
use std::fmt::Write;

const GOLDEN: &str = include_str!("golden/v1.txt");

fn id(index: u64) -> LogIdV1 {
    LogIdV1 { term: 3, node: 2, index }
}

fn ballot() -> VoteV1 {
    VoteV1 { term: 4, node: 1, committed: true }
}

fn node() -> NodeV1 {
    NodeV1 { id: 7, address: "10.0.0.7:7000".into(), region: "eu-west-1".into(), az: "eu-west-1a".into() }
}

fn membership() -> MembershipV1 {
    MembershipV1 { configs: vec![vec![1, 2, 3], vec![2, 3, 4]], nodes: vec![node()] }
}

fn head() -> CheckpointV1 {
    CheckpointV1 {
        last: Some(id(9)),
        membership_at: Some(id(1)),
        membership: membership(),
        bytes: 1234,
        crc: 0xdead_beef,
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

/// One line per message, as `name kind body`; also proves that the body decodes to the same value.
fn line<M: Message + PartialEq + std::fmt::Debug>(label: &str, message: &M) -> String {
    let frame = super::Frame::new(5, 6, message);
    assert_eq!(&frame.decode::<M>().unwrap(), message);
    format!("{}{label} {} {}\n", M::NAME, hex(&frame.header()), hex(&frame.body))
}

fn requests() -> String {
    let entries = vec![
        EntryV1 { id: id(5), payload: PayloadV1::Blank },
        EntryV1 { id: id(6), payload: PayloadV1::Command(b"command".to_vec()) },
        EntryV1 { id: id(7), payload: PayloadV1::Membership(membership()) },
    ];
    [
        line("", &AppendV1 { vote: ballot(), previous: Some(id(4)), committed: None, entries }),
        line("", &VoteRequestV1 { vote: ballot(), last: Some(id(4)), transfer: false, preview: true }),
        line("", &InstallV1 { vote: ballot(), head: head() }),
        line("", &TransferV1 { from: ballot(), to: 3, last: None }),
        line("", &ProposeV1 { command: b"command".to_vec(), deadline_ms: 500 }),
        line("", &BarrierV1 { deadline_ms: 500 }),
        line("", &CallV1 { message: b"hello".to_vec() }),
        line(".add", &ChangeV1 { change: ChangeKindV1::Add(node()), deadline_ms: 1 }),
        line(".remove", &ChangeV1 { change: ChangeKindV1::Remove { node: 7, force: true }, deadline_ms: 1 }),
        line(".transfer", &ChangeV1 { change: ChangeKindV1::Transfer { to: Some(2) }, deadline_ms: 1 }),
        line(
            "",
            &EnrollV1 {
                secret: vec![1, 2],
                csr: vec![3, 4],
                address: "a:1".into(),
                region: "r".into(),
                az: "z".into(),
            },
        ),
    ]
    .concat()
}

fn answers() -> String {
    let append = |result| AppendedV1 { result };
    let propose = |result| ProposedV1 { result };
    let barrier = |result| BarrierAtV1 { result };
    let change = |result| ChangedV1 { result };
    let reason = || "because".to_owned();
    [
        line(".success", &append(AppendResultV1::Success)),
        line(".matching", &append(AppendResultV1::Matching(Some(id(8))))),
        line(".conflict", &append(AppendResultV1::Conflict(None))),
        line(".higher", &append(AppendResultV1::HigherVote(ballot()))),
        line("", &VotedV1 { vote: ballot(), granted: true, last: Some(id(4)) }),
        line("", &InstalledV1 { vote: ballot() }),
        line("", &TransferredV1 { accepted: true }),
        line(".applied", &propose(ProposeResultV1::Applied { index: 8, outcome: b"ok".to_vec() })),
        line(".leader", &propose(ProposeResultV1::NotLeader { leader: Some(2) })),
        line(".uncertain", &propose(ProposeResultV1::Uncertain { reason: reason() })),
        line(".fenced", &propose(ProposeResultV1::Fenced)),
        line(".at", &barrier(BarrierResultV1::At(8))),
        line(".leader", &barrier(BarrierResultV1::NotLeader { leader: None })),
        line(".retry", &barrier(BarrierResultV1::Retry { reason: reason() })),
        line(".fenced", &barrier(BarrierResultV1::Fenced)),
        line("", &AnswerV1 { message: b"hello".to_vec(), error: Some(reason()) }),
        line(".done", &change(ChangeResultV1::Done { node: 7 })),
        line(".leader", &change(ChangeResultV1::NotLeader { leader: Some(2) })),
        line(".quorum", &change(ChangeResultV1::QuorumLoss { node: 7, live: 1, voters: 3 })),
        line(".refused", &change(ChangeResultV1::Refused { reason: reason() })),
        line(".fenced", &change(ChangeResultV1::Fenced)),
        line("", &RefusalV1 { reason: reason() }),
    ]
    .concat()
}

fn joining() -> String {
    let enrolled = |result| EnrolledV1 { result };
    let welcome = EnrollResultV1::Welcome {
        node: 7,
        cluster: "prod".into(),
        cert: vec![1],
        ca: vec![2],
        peers: vec![node()],
        welcome: vec![3],
    };
    [
        line(".welcome", &enrolled(welcome)),
        line(".secret", &enrolled(EnrollResultV1::Secret)),
        line(".request", &enrolled(EnrollResultV1::Request { reason: "r".into() })),
        line(".unavailable", &enrolled(EnrollResultV1::Unavailable { reason: "r".into() })),
    ]
    .concat()
}

fn records() -> String {
    let command = EntryV1 { id: id(6), payload: PayloadV1::Command(b"command".to_vec()) };
    let named = |name: &str, bytes: Vec<u8>| format!("record.{name} {}\n", hex(&bytes));
    [
        named("entry", record::encode(&command)),
        named("vote", record::encode(&ballot())),
        named("position", record::encode(&id(6))),
        named("checkpoint", record::encode(&head())),
    ]
    .concat()
}

#[test]
fn version_1_is_frozen() {
    let now = [requests(), answers(), joining(), records()].concat();
    for (line, golden) in now.lines().zip(GOLDEN.lines()) {
        assert_eq!(line, golden, "a shape of version 1 has changed; all shapes now:\n{now}");
    }
    assert_eq!(now.lines().count(), GOLDEN.lines().count(), "all shapes now:\n{now}");
}
