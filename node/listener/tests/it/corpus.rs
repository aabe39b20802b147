//! Raw requests and what must become of them. Each is sent with a probe request behind it: the probe is answered exactly when
//! everybody agreed where the request before it ended.

/// One line of the corpus.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) bytes: Vec<u8>,
    /// Statuses in order, without the probe's.
    pub(crate) statuses: Vec<u16>,
    /// How many requests reached the handler, without the probe.
    pub(crate) entered: usize,
    /// Whether the connection lives on, that is: whether the probe is served.
    pub(crate) lives: bool,
}

fn case(name: &'static str, bytes: &str, statuses: &[u16], entered: usize, lives: bool) -> Case {
    Case { name, bytes: bytes.as_bytes().to_vec(), statuses: statuses.to_vec(), entered, lives }
}

/// Served, and the connection lives on.
fn good(name: &'static str, bytes: &str) -> Case {
    case(name, bytes, &[200], 1, true)
}

/// Refused before any handler saw it.
fn bad(name: &'static str, bytes: &str) -> Case {
    case(name, bytes, &[400], 0, false)
}

/// The head passed, the body broke.
fn broken(name: &'static str, bytes: &str) -> Case {
    case(name, bytes, &[400], 1, false)
}

const SMUGGLED: &str = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";

/// The whole corpus.
pub(crate) fn cases() -> Vec<Case> {
    let mut cases = accepted();
    cases.extend(request_lines());
    cases.extend(hosts_and_fields());
    cases.extend(framings());
    cases.extend(bodies());
    cases.extend(pipelines());
    cases.extend(sizes());
    cases
}

fn accepted() -> Vec<Case> {
    vec![
        good("plain", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        good("one empty line before", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        good("host with port", "GET / HTTP/1.1\r\nHost: example.test:8443\r\n\r\n"),
        good("host is an address", "GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n"),
        good("absolute target", "GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n"),
        good("options of the server", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"),
        good("unknown method", "PURGE / HTTP/1.1\r\nHost: a\r\n\r\n"),
        good("two slashes", "GET //x//y HTTP/1.1\r\nHost: a\r\n\r\n"),
        good("length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"),
        good("length zero", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
        good("padded length", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: \t 3 \t\r\n\r\nabc"),
        good(
            "chunked",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        ),
        good(
            "chunked in capitals",
            "POST / HTTP/1.1\r\nHost: a\r\nTRANSFER-ENCODING: CHUNKED\r\n\r\n0\r\n\r\n",
        ),
        good(
            "chunk extension and trailer",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;a=b\r\nx\r\n0\r\nX: y\r\n\r\n",
        ),
        good("get with body", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"),
        good("empty value", "GET / HTTP/1.1\r\nHost: a\r\nX-Empty:\r\n\r\n"),
        good("high bytes in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: caf\u{e9}\r\n\r\n"),
        good("version 1.0 kept alive", "GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n"),
        case("version 1.0 closes", "GET / HTTP/1.0\r\n\r\n", &[200], 1, false),
        case("asked to close", "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", &[200], 1, false),
    ]
}

fn request_lines() -> Vec<Case> {
    let version =
        |name, version| case(name, &format!("GET / {version}\r\nHost: a\r\n\r\n"), &[505], 0, false);
    vec![
        bad("two empty lines before", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
        bad("version 0.9", "GET /\r\n\r\n"),
        version("version 1.2", "HTTP/1.2"),
        version("version 2.0", "HTTP/2.0"),
        version("version 0.9 spelled out", "HTTP/0.9"),
        bad("version in small letters", "GET / http/1.1\r\nHost: a\r\n\r\n"),
        bad("version of two digits", "GET / HTTP/1.10\r\nHost: a\r\n\r\n"),
        bad("half a preface", "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"),
        bad("two spaces", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n"),
        bad("tab for a space", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        bad("space at the end", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n"),
        bad("space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n"),
        bad("fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n"),
        bad("backslash", "GET /a\\..\\b HTTP/1.1\r\nHost: a\r\n\r\n"),
        bad("high bytes in the target", "GET /caf\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n"),
        bad("target without slash", "GET index HTTP/1.1\r\nHost: a\r\n\r\n"),
        bad("star for GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n"),
        bad("foreign scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        bad("user information", "GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n"),
        bad("connect", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"),
        bad("method with a bracket", "GE(T / HTTP/1.1\r\nHost: a\r\n\r\n"),
        bad("no method", " / HTTP/1.1\r\nHost: a\r\n\r\n"),
        bad("endless method", &format!("{} / HTTP/1.1\r\nHost: a\r\n\r\n", "A".repeat(40))),
        bad("tls hello", "\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}"),
    ]
}

fn hosts_and_fields() -> Vec<Case> {
    let with = |name, lines: &str| bad(name, &format!("GET / HTTP/1.1\r\n{lines}\r\n"));
    vec![
        with("no host", "Accept: */*\r\n"),
        with("two hosts", "Host: a\r\nHost: b\r\n"),
        with("the same host twice", "Host: a\r\nHost: a\r\n"),
        with("empty host", "Host:\r\n"),
        with("list of hosts", "Host: a, b\r\n"),
        with("host with user", "Host: u@a\r\n"),
        with("host with path", "Host: a/b\r\n"),
        with("host with bad port", "Host: a:8o\r\n"),
        with("host with a space", "Host: a b\r\n"),
        bad("target and host differ", "GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n"),
        bad("target and port differ", "GET http://a:81/ HTTP/1.1\r\nHost: a:82\r\n\r\n"),
        with("space before colon", "Host: a\r\nX : y\r\n"),
        with("folded line", "Host: a\r\nX: y\r\n z\r\n"),
        with("folded first line", " X: y\r\nHost: a\r\n"),
        with("no colon", "Host: a\r\nX\r\n"),
        with("no name", "Host: a\r\n: y\r\n"),
        with("bracket in a name", "Host: a\r\nX(y): z\r\n"),
        with("NUL in a value", "Host: a\r\nX: y\0z\r\n"),
        with("bell in a value", "Host: a\r\nX: y\u{7}z\r\n"),
        with("delete in a value", "Host: a\r\nX: y\u{7f}z\r\n"),
        with("CR in a value", "Host: a\r\nX: y\rZ: 1\r\n"),
        with("LF ends a line", "Host: a\nX: y\r\n"),
        bad("LF ends every line", "GET / HTTP/1.1\nHost: a\n\n"),
        bad("LF ends the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n"),
        bad("LF for the empty line", "GET / HTTP/1.1\r\nHost: a\r\n\n"),
        case("unknown expectation", "GET / HTTP/1.1\r\nHost: a\r\nExpect: miracle\r\n\r\n", &[417], 0, false),
    ]
}

fn framings() -> Vec<Case> {
    let post = |name, lines: &str| {
        bad(name, &format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n0\r\n\r\n{SMUGGLED}"))
    };
    vec![
        post("length and chunked", "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
        post("chunked and length", "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n"),
        post("length zero and chunked", "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"),
        post("length and identity", "Content-Length: 5\r\nTransfer-Encoding: identity\r\n"),
        post("two lengths", "Content-Length: 5\r\nContent-Length: 6\r\n"),
        post("the same length twice", "Content-Length: 5\r\nContent-Length: 5\r\n"),
        post("list of lengths", "Content-Length: 5, 5\r\n"),
        post("signed length", "Content-Length: +5\r\n"),
        post("negative length", "Content-Length: -5\r\n"),
        post("hexadecimal length", "Content-Length: 0x5\r\n"),
        post("octal length", "Content-Length: 05\r\n"),
        post("empty length", "Content-Length:\r\n"),
        post("length with a space", "Content-Length: 1 0\r\n"),
        post("length beyond counting", "Content-Length: 99999999999999999999\r\n"),
        post("length in disguise", "Content_Length: 5\r\n"),
        post("length before its colon", "Content-Length : 5\r\n"),
        post("xchunked", "Transfer-Encoding: xchunked\r\n"),
        post("gzip, chunked", "Transfer-Encoding: gzip, chunked\r\n"),
        post("chunked, identity", "Transfer-Encoding: chunked, identity\r\n"),
        post("chunked, chunked", "Transfer-Encoding: chunked, chunked\r\n"),
        post("chunked on two lines", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
        post("gzip then chunked", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n"),
        post("quoted chunked", "Transfer-Encoding: \"chunked\"\r\n"),
        post("chunked with a parameter", "Transfer-Encoding: chunked;x=y\r\n"),
        post("chunked after a vertical tab", "Transfer-Encoding: \u{b}chunked\r\n"),
        post("folded chunked", "Transfer-Encoding:\r\n chunked\r\n"),
        post("chunked before its colon", "Transfer-Encoding : chunked\r\n"),
        post("chunked before a tab and colon", "Transfer-Encoding\t: chunked\r\n"),
        post("chunked in disguise", "Transfer_Encoding: chunked\r\n"),
        post("empty coding", "Transfer-Encoding:\r\n"),
        post("hidden behind CR", "X: y\rTransfer-Encoding: chunked\r\n"),
        post("hidden behind LF", "X: y\nTransfer-Encoding: chunked\r\n"),
        bad(
            "chunked in version 1.0",
            "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
    ]
}

fn bodies() -> Vec<Case> {
    let chunked = |name, body: &str| {
        broken(
            name,
            &format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}{SMUGGLED}"),
        )
    };
    vec![
        chunked("chunk size with a prefix", "0x3\r\nabc\r\n0\r\n\r\n"),
        chunked("signed chunk size", "+3\r\nabc\r\n0\r\n\r\n"),
        chunked("chunk size with a space", "3 \r\nabc\r\n0\r\n\r\n"),
        chunked("chunk size ends in LF", "3\nabc\r\n0\r\n\r\n"),
        chunked("chunk ends in LF", "3\r\nabc\n0\r\n\r\n"),
        chunked("chunk longer than its size", "2\r\nabc\r\n0\r\n\r\n"),
        chunked("chunk size overflows", "ffffffffffffffff1\r\nabc\r\n0\r\n\r\n"),
        chunked("LF inside an extension", "3;x\ny\r\nabc\r\n0\r\n\r\n"),
        chunked("NUL inside an extension", "3;x\0y\r\nabc\r\n0\r\n\r\n"),
        chunked("space inside a trailer name", "0\r\nX Y: z\r\n\r\n"),
        chunked("trailer ends in LF", "0\r\nX: z\n\r\n"),
        chunked("no chunk at all", "\r\n"),
    ]
}

fn pipelines() -> Vec<Case> {
    let get = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let post = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    let chunked = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    let double =
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    vec![
        case("three at once", &format!("{get}{post}{chunked}"), &[200, 200, 200], 3, true),
        case("empty line between", &format!("{post}\r\n{get}"), &[200, 200], 2, true),
        case("second is ambiguous", &format!("{get}{double}"), &[200, 400], 1, false),
        case("ambiguous after a body", &format!("{post}{double}"), &[200, 400], 1, false),
        case("ambiguous after chunks", &format!("{chunked}{double}"), &[200, 400], 1, false),
        case("nothing after a refusal", &format!("{double}{get}{post}"), &[400], 0, false),
        case("garbage after a body", &format!("{post}garbage\r\n\r\n"), &[200, 400], 1, false),
        case("body longer than its length", &format!("{post}\0"), &[200, 400], 1, false),
        case(
            "a request inside a body",
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 31\r\n\r\nGET /x HTTP/1.1\r\nHost: evil\r\n\r\n",
            &[200],
            1,
            true,
        ),
        case(
            "a request inside chunks",
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1f\r\nGET /x HTTP/1.1\r\nHost: evil\r\n\r\n\r\n0\r\n\r\n",
            &[200],
            1,
            true,
        ),
        case(
            "nothing after asking to close",
            &format!("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n{get}"),
            &[200],
            1,
            false,
        ),
    ]
}

fn sizes() -> Vec<Case> {
    let head = |padding: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(padding));
    let empty = head(0).len();
    let lines = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(count));
    vec![
        good("head of exactly 10,240 bytes", &head(10_240 - empty)),
        case("head of 10,241 bytes", &head(10_241 - empty), &[431], 0, false),
        case(
            "head that never ends",
            &"GET / HTTP/1.1\r\nX: ".chars().chain("x".repeat(12_000).chars()).collect::<String>(),
            &[431],
            0,
            false,
        ),
        case("target that never ends", &format!("GET /{}", "x".repeat(12_000)), &[431], 0, false),
        good("one hundred lines", &lines(99)),
        case("one hundred and one lines", &lines(100), &[431], 0, false),
    ]
}
