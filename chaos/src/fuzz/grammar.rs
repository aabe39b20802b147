//! Cases made of parts that are each plausible, and now and then odd. Only the generator that is handed in decides.

use rand::{Rng, rngs::StdRng, seq::IndexedRandom};

use super::case::{Case, Manner, PLAIN_ANSWER, Script};

const HOST: &str = "Host: a.execute-api";
const VERBS: [&str; 7] = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"];
const ODD_VERBS: [&str; 7] = ["get", "TRACE", "CONNECT", "PURGE", "GE(T", "", "PRI"];
const PATHS: [&str; 12] = [
    "/s/p",
    "/s/p?a=1",
    "/s/only",
    "/s/q?x",
    "/s/g/1/2",
    "/s/g/%2e%2e",
    "/s/x/1/y",
    "/s/get",
    "/s/post",
    "/s/mock",
    "/s/mapped",
    "/s/none",
];
const ODD_PATHS: [&str; 16] = [
    "*",
    "/",
    "//s/p",
    "/s/p#x",
    "/s/g/a b",
    "/s/g/%zz",
    "/s/g/{x}",
    "/s/g/\"",
    "/s/g/^",
    "/s/g/|",
    "/s/g/a//b",
    "/s/p?{}",
    "http://a.execute-api/s/p",
    "http://b/s/p",
    "/s/locked",
    "s/p",
];
const VERSIONS: [&str; 6] = ["HTTP/1.0", "HTTP/2.0", "HTTP/1.2", "http/1.1", "HTTP/1.1 ", ""];
const LINES: [&str; 24] = [
    "Accept: */*",
    "User-Agent: x/1",
    "Content-Type: application/json",
    "Content-Type: text/plain",
    "Connection: close",
    "Connection: keep-alive",
    "X-A: 1",
    "x-a: 2",
    "X-Forwarded-For: 192.0.2.1",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Port: 1",
    "X-Amzn-Trace-Id: Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1",
    "X-Amzn-Trace-Id: nonsense",
    "X-Api-Key: caf\u{e9}",
    "Authorization: Bearer x",
    "Cookie: a=b",
    "TE: trailers",
    "Keep-Alive: timeout=5",
    "Proxy-Authorization: x",
    "Content-Encoding: gzip",
    "Via: 1.1 x",
    "Server: x",
    "X-Empty:",
    "X-B: \t caf\u{e9} ",
];
const ODD_LINES: [&str; 22] = [
    "Connection: x-a",
    "Connection: X-A, close",
    "Connection: ,",
    "Connection: keep-alive, authorization",
    "Expect: 100-continue",
    "Expect: x",
    "Upgrade: websocket",
    "Host: b.execute-api",
    "Content-Length: 3",
    "Content-Length: 03",
    "Content-Length: +3",
    "Content_Length: 3",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: gzip, chunked",
    "Transfer_Encoding: chunked",
    "X-HTTP-Method-Override: POST",
    "X-HTTP-Method-Override: HEAD",
    "X-C : 1",
    " folded",
    "X-D",
    "X-E: a\rb",
    "X-F: a\nb",
];
const ENDS: [&str; 4] = ["\n", "\r", "\r\r\n", ""];
const SIZES: [&str; 10] =
    ["0x3", "+3", " 3", "3 ", "g", "", "03", "3;a=b", "ffffffffffffffff1", "00000000000000003"];
const TRAILERS: [&str; 4] = ["X-T: 1\r\n", "Content-Length: 9\r\n", "X T: 1\r\n", "X-T: 1\n"];

const STATUSES: [&str; 8] = [
    "200 OK",
    "201 Created",
    "204 No Content",
    "304 Not Modified",
    "404 Not Found",
    "500 Oops",
    "205 Reset",
    "299",
];
const ODD_STATUSES: [&str; 6] =
    ["099 Odd", "999 Odd", "101 Switching Protocols", "20 OK", "2000 OK", "600 Odd"];
const FIELDS: [&str; 12] = [
    "Content-Type: text/plain",
    "Server: up",
    "Date: then",
    "Connection: keep-alive",
    "Connection: x-up",
    "Connection: close",
    "X-Up: 1",
    "x-up: 2",
    "Set-Cookie: a=b",
    "x-amzn-RequestId: evil",
    "Via: 1.0 x",
    "X-Odd: \t caf\u{e9} ",
];
const ODD_FIELDS: [&str; 8] = [
    "X-C : 1",
    " folded",
    "X-D",
    "X-E: a\nb",
    "Content-Length: 4",
    "Transfer-Encoding: chunked",
    "Transfer-Encoding: x",
    "X-Z: \0",
];

/// How a body is framed.
#[derive(Clone, Copy)]
enum Body {
    None,
    Length(usize),
    Chunked(usize),
}

/// A case of one to four requests.
pub(crate) fn case(random: &mut StdRng) -> Case {
    // How odd the whole case is: none of it, or about one part in ten, or one in three.
    let oddity = *[0, 0, 10, 10, 35].choose(random).unwrap_or(&0);
    let mut bytes = Vec::new();
    for _ in 0..*[1, 1, 1, 2, 2, 3, 4].choose(random).unwrap_or(&1) {
        request(random, oddity, &mut bytes);
    }
    let scripts = (0..random.random_range(0..3)).map(|_| script(random)).collect();
    Case { bytes, cuts: Vec::new(), scripts }
}

fn chance(random: &mut StdRng, percent: u32) -> bool {
    random.random_range(0..100) < percent
}

fn pick<'t>(random: &mut StdRng, plain: &[&'t str], odd: &[&'t str], oddity: u32) -> &'t str {
    let from = if chance(random, oddity) { odd } else { plain };
    from.choose(random).copied().unwrap_or_default()
}

fn push(out: &mut Vec<u8>, text: &str) {
    // One byte per character, so that the tables can hold bytes beyond ASCII.
    out.extend(text.chars().map(|letter| u8::try_from(u32::from(letter)).unwrap_or(b'?')));
}

fn push_line(random: &mut StdRng, oddity: u32, out: &mut Vec<u8>, text: &str) {
    push(out, text);
    push(out, pick(random, &["\r\n"], &ENDS, oddity / 4));
}

fn request(random: &mut StdRng, oddity: u32, out: &mut Vec<u8>) {
    let verb = pick(random, &VERBS, &ODD_VERBS, oddity / 3);
    let path = pick(random, &PATHS, &ODD_PATHS, oddity);
    let version = pick(random, &["HTTP/1.1"], &VERSIONS, oddity / 3);
    if chance(random, oddity / 5) {
        push(out, "\r\n");
    }
    push_line(random, oddity, out, &format!("{verb} {path} {version}"));
    let sends_body = chance(random, if matches!(verb, "POST" | "PUT" | "PATCH") { 85 } else { 15 });
    let size = *[0, 1, 3, 40, 5_000, 20_000].choose(random).unwrap_or(&0);
    let body = match sends_body {
        false => Body::None,
        true if chance(random, 50) => Body::Length(size),
        true => Body::Chunked(size),
    };
    let mut lines = vec![
        pick(random, &[HOST], &["Host: b", "Host: a.execute-api:80", "X: y", "Host: a b"], oddity / 4)
            .to_owned(),
    ];
    for _ in 0..random.random_range(0..6) {
        lines.push(pick(random, &LINES, &ODD_LINES, oddity).to_owned());
    }
    match body {
        Body::None => {}
        Body::Length(size) => {
            let shift = if chance(random, oddity / 4) { random.random_range(0..3) } else { 0 };
            lines.push(format!("Content-Length: {}", size + shift));
        }
        Body::Chunked(_) => lines.push("Transfer-Encoding: chunked".into()),
    }
    let last = lines.len() - 1;
    lines.swap(last, random.random_range(0..=last));
    for line in lines {
        push_line(random, oddity, out, &line);
    }
    push_line(random, oddity, out, "");
    push_body(random, oddity, body, out);
}

fn push_body(random: &mut StdRng, oddity: u32, body: Body, out: &mut Vec<u8>) {
    match body {
        Body::None => {}
        Body::Length(size) => out.extend(std::iter::repeat_n(b'x', size)),
        Body::Chunked(size) => {
            let (mut left, mut letters) = (size, (b'a'..=b'z').cycle());
            while left > 0 {
                let part = random.random_range(1..=left).min(7_000);
                let odd =
                    chance(random, oddity / 4).then(|| SIZES.choose(random).copied().unwrap_or_default());
                match odd {
                    Some(odd) => push(out, odd),
                    None => push(out, &format!("{part:x}")),
                }
                push_line(random, oddity / 2, out, "");
                out.extend(std::iter::repeat_n(letters.next().unwrap_or(b'x'), part));
                push_line(random, oddity / 2, out, "");
                left -= part;
            }
            push_line(random, oddity / 2, out, "0");
            if chance(random, 10 + oddity) {
                push(out, pick(random, &TRAILERS[..2], &TRAILERS, oddity));
            }
            push_line(random, oddity / 2, out, "");
        }
    }
}

/// What an upstream says.
fn script(random: &mut StdRng) -> Script {
    let oddity = *[0, 0, 0, 10, 30].choose(random).unwrap_or(&0);
    if chance(random, 30) {
        return Script { answer: PLAIN_ANSWER.to_vec(), manner: Manner::Usual };
    }
    let mut out = Vec::new();
    if chance(random, 10) {
        push(&mut out, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
    }
    let version = pick(
        random,
        &["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0"],
        &["HTTP/2", "HTTP/1.2", ""],
        oddity / 3,
    );
    let status = pick(random, &STATUSES, &ODD_STATUSES, oddity / 2);
    push_line(random, oddity, &mut out, &format!("{version} {status}"));
    for _ in 0..random.random_range(0..4) {
        let line = pick(random, &FIELDS, &ODD_FIELDS, oddity);
        push_line(random, oddity, &mut out, line);
    }
    let size = *[0, 2, 300, 6_000, 30_000].choose(random).unwrap_or(&0);
    let body = match random.random_range(0..4) {
        0 | 1 => Body::Length(size),
        2 => Body::Chunked(size),
        _ => Body::None,
    };
    match body {
        Body::None => {}
        Body::Length(size) => push_line(random, oddity, &mut out, &format!("Content-Length: {size}")),
        Body::Chunked(_) => push_line(random, oddity, &mut out, "Transfer-Encoding: chunked"),
    }
    push_line(random, oddity, &mut out, "");
    push_body(random, oddity, body, &mut out);
    Script { answer: out, manner: Manner::Usual }
}
