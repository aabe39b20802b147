//! The fast reading of heads against the strict one, on random heads with random damage: what the fast one takes, the strict one
//! takes with the same end and the same framing; while the fast one waits for more, so does the guard.

use proptest::{collection::vec, prelude::*, sample::select, strategy::ValueTree};

use super::{Fields, Parsed, Reading, parse, read, read_lines, read_request_line};
use crate::guard::end_of_head;
use crate::head::inspect;

const HEADERS_MAX: usize = 100;
/// A part, mostly a plain one.
fn part(plain: &'static [&'static str], odd: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    prop_oneof![12 => select(plain), 1 => select(odd)]
}

const VERBS: [&str; 4] = ["GET", "POST", "HEAD", "PUT"];
const ODD_VERBS: [&str; 5] = ["get", "CONNECT", "PURGE", "", "G T"];
const TARGETS: [&str; 4] = ["/", "/a/b?c=d", "/%2f", "//a"];
const ODD_TARGETS: [&str; 9] =
    ["*", "a:1", "http://a/", "http://b/x", "/a#b", "/a\\b", "/a b", "/\u{e9}", "/{a}"];
const VERSIONS: [&str; 4] = ["HTTP/1.0", "HTTP/2.0", "http/1.1", ""];
const LINES: [&str; 12] = [
    "Accept: */*",
    "X-A: 1",
    "X-A:",
    "X-A: \t1 ",
    "X-F: caf\u{e9}",
    "Content-Length: 3",
    "Content-Length: 0",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: Chunked",
    "Connection: close",
    "Connection: keep-alive",
    "User-Agent: x",
];
const ODD_LINES: [&str; 26] = [
    "Host: a",
    "Host: a b",
    "Host:",
    "Content-Length: 03",
    "Content-Length: +3",
    "Content-Length: 3, 3",
    "Content-Length: 9223372036854775808",
    "Content_Length: 3",
    "Content-Length : 3",
    "Transfer-Encoding: gzip, chunked",
    "Transfer-Encoding:",
    "Transfer_Encoding: chunked",
    "Connection: x-a",
    "Connection: close, x-a",
    "Expect: 100-continue",
    "Expect: x",
    "Upgrade: websocket",
    "X-HTTP-Method-Override: PUT",
    "X-B : 1",
    " folded",
    "X-C",
    ": 1",
    "X-D: a\rb",
    "X-E: \0",
    "X(G: 1",
    "",
];
const CRLF: &[&str] = &["\r\n"];
const ENDS: &[&str] = &["\n", "\r", "\r\r\n", ""];

/// A head that is mostly good, and some bytes behind it.
fn heads() -> impl Strategy<Value = Vec<u8>> {
    let line = (part(&LINES, &ODD_LINES), part(CRLF, ENDS));
    let good = part(&["Host: a\r\n", "hOST:a:80\r\n"], &["", "Host: a,b\r\n"]);
    let request_line = (
        part(&VERBS, &ODD_VERBS),
        part(&TARGETS, &ODD_TARGETS),
        part(&["HTTP/1.1"], &VERSIONS),
        part(CRLF, ENDS),
    );
    let damage = (any::<prop::sample::Index>(), any::<u8>(), 0..3_u8);
    let damage = prop_oneof![1 => Just(Vec::new()), 1 => vec(damage, 1..3)];
    let tail = select(&["\r\n", "\r\n", "\r\n\r\n", "\r\nabc", "\n", ""][..]);
    (request_line, good, vec(line, 0..5), tail, damage).prop_map(|(first, good, lines, tail, damage)| {
        let (verb, target, version, end) = first;
        let mut text = format!("{verb} {target} {version}{end}{good}");
        lines.iter().for_each(|(line, end)| text.extend([*line, *end]));
        text.push_str(tail);
        let mut bytes = text.into_bytes();
        for (place, byte, kind) in damage {
            if !bytes.is_empty() {
                let at = place.index(bytes.len());
                match kind {
                    0 => bytes[at] = byte,
                    1 => bytes.insert(at, byte),
                    _ => _ = bytes.remove(at),
                }
            }
        }
        bytes
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_plain_head_is_read_as_it_is_parsed(bytes in heads()) {
        let mut fields = Fields::new();
        if let Some((line, at)) = read_request_line(&bytes)
            && let Some(end) = read_lines(&bytes, at, HEADERS_MAX, &mut fields)
        {
            let mut parsed = Fields::new();
            match parse(&bytes, HEADERS_MAX, &mut parsed) {
                Parsed::Complete(other, length) => prop_assert_eq!((line, end, &fields), (other, length, &parsed)),
                Parsed::Partial | Parsed::Other => prop_assert!(false, "the parser declines what was read"),
            }
        }
    }

    #[test]
    fn what_the_fast_path_takes_the_guard_takes(bytes in heads()) {
        match read(&bytes, HEADERS_MAX, &mut Fields::new()) {
            Reading::Complete(head) => {
                prop_assert_eq!(end_of_head(&bytes, 0), Some(head.raw.len()), "another end");
                let judged = inspect(head.raw, HEADERS_MAX);
                prop_assert!(judged.is_ok(), "refused: {:?}", judged);
                if let Ok(judged) = judged {
                    prop_assert_eq!(judged.framing, head.framing);
                    prop_assert!(!judged.upgrade && judged.version == http::Version::HTTP_11);
                }
                for length in 0..head.raw.len() {
                    let mut room = Fields::new();
                    let early = read(&bytes[..length], HEADERS_MAX, &mut room);
                    prop_assert!(!matches!(early, Reading::Complete(_)), "complete after {} bytes", length);
                }
            }
            Reading::Partial => prop_assert_eq!(end_of_head(&bytes, 0), None, "waits for what is there"),
            Reading::Other => {}
        }
    }
}

/// The property above is worth something only if heads of each kind come.
#[test]
fn heads_of_each_kind_come() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut counts = [0; 3];
    for _ in 0..2_000 {
        let bytes = heads().new_tree(&mut runner).unwrap().current();
        counts[match read(&bytes, HEADERS_MAX, &mut Fields::new()) {
            Reading::Complete(_) => 0,
            Reading::Partial => 1,
            Reading::Other => 2,
        }] += 1;
    }
    assert!(counts.iter().all(|count| *count > 50), "{counts:?}");
}
