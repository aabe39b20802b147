//! Tables of heads and their verdicts.

use super::*;

fn verdict(head: &str) -> Result<Framing, HeadError> {
    inspect(head.as_bytes(), 8).map(|verdict| verdict.framing)
}

#[test]
fn framing_is_read_from_plain_heads() {
    for (head, expected) in [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Framing::Empty),
        ("GET / HTTP/1.0\r\n\r\n", Framing::Empty),
        ("POST / HTTP/1.1\r\nHost: a:80\r\nContent-Length: 0\r\n\r\n", Framing::Length(0)),
        ("POST / HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length:  42 \r\n\r\n", Framing::Length(42)),
        ("POST / HTTP/1.1\r\nhOST: a\r\ntransfer-ENCODING: Chunked\r\n\r\n", Framing::Chunked),
        ("GET http://a/x?y HTTP/1.1\r\nHost: A\r\n\r\n", Framing::Empty),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Framing::Empty),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: caf\u{e9}\r\nY:\r\n\r\n", Framing::Empty),
    ] {
        assert_eq!(verdict(head), Ok(expected), "{head:?}");
    }
}

#[test]
fn each_rule_refuses() {
    for (head, expected) in [
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", HeadError::LineEnd),
        ("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", HeadError::LineEnd),
        ("GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n", HeadError::Control),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::RequestLine),
        ("GET /\r\n\r\n", HeadError::RequestLine),
        ("GET / http/1.1\r\nHost: a\r\n\r\n", HeadError::RequestLine),
        ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::Method),
        (" GET / HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::RequestLine),
        ("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", HeadError::Connect),
        ("GET /#f HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::Target),
        ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::Target),
        ("GET * HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::Target),
        ("GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", HeadError::Target),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", HeadError::Version),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", HeadError::Field),
        ("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", HeadError::Field),
        ("GET / HTTP/1.1\r\nHost: a\r\n: empty\r\n\r\n", HeadError::Field),
        (
            "GET / HTTP/1.1\r\nHost: a\r\n1: \r\n2: \r\n3: \r\n4: \r\n5: \r\n6: \r\n7: \r\n8: \r\n\r\n",
            HeadError::FieldCount,
        ),
        ("GET / HTTP/1.1\r\n\r\n", HeadError::HostMissing),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", HeadError::HostRepeated),
        ("GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", HeadError::Host),
        ("GET / HTTP/1.1\r\nHost: a:\r\n\r\n", HeadError::Host),
        ("GET / HTTP/1.1\r\nHost: a:99999\r\n\r\n", HeadError::Host),
        ("GET / HTTP/1.1\r\nHost: [a\r\n\r\n", HeadError::Host),
        ("GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n", HeadError::HostMismatch),
        ("GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", HeadError::Expectation),
        ("GET / HTTP/1.1\r\nHost: a\r\nContent_Length: 3\r\n\r\n", HeadError::FramingLookalike),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            HeadError::FramingConflict,
        ),
        ("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", HeadError::TransferEncoding),
    ] {
        assert_eq!(verdict(head), Err(expected), "{head:?}");
    }
}

#[test]
fn only_one_spelling_of_a_length_is_accepted() {
    for value in ["", "+1", "-1", "1,1", "1, 1", "0x1", "01", "1 1", "1.0", "99999999999999999999", "\u{661}"]
    {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {value}\r\n\r\n");
        assert_eq!(verdict(&head), Err(HeadError::ContentLength), "{value:?}");
    }
}

#[test]
fn only_one_spelling_of_chunked_is_accepted() {
    for value in [
        "",
        "xchunked",
        "gzip, chunked",
        "chunked, chunked",
        "chunked, identity",
        "\"chunked\"",
        "chunked;q=1",
    ] {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: {value}\r\n\r\n");
        assert_eq!(verdict(&head), Err(HeadError::TransferEncoding), "{value:?}");
    }
}

#[test]
fn an_upgrade_line_is_noticed() {
    let head = b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n";
    assert!(inspect(head, 8).unwrap().upgrade);
}

#[test]
fn multiplexed_heads_follow_the_same_rules() {
    let build = |uri: &str, headers: &[(&str, &str)]| {
        let mut request = http::Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        inspect_multiplexed(&request.body(()).unwrap().into_parts().0, 8)
    };
    assert_eq!(build("http://a/x", &[]), Ok(()));
    assert_eq!(build("http://a/x", &[("host", "A")]), Ok(()));
    assert_eq!(build("http://a/x", &[("host", "b")]), Err(HeadError::HostMismatch));
    assert_eq!(build("/x", &[]), Err(HeadError::HostMissing));
    assert_eq!(build("http://u@a/x", &[]), Err(HeadError::Host));
    assert_eq!(
        build("http://a/x", &[("content-length", "1"), ("content-length", "1")]),
        Err(HeadError::ContentLength)
    );
    assert_eq!(build("http://a/x", &[("transfer-encoding", "chunked")]), Err(HeadError::TransferEncoding));
    assert_eq!(build("http://a/x", &[("content_length", "1")]), Err(HeadError::FramingLookalike));
}

#[test]
fn token_characters_are_those_of_the_rfc() {
    for byte in 0..=u8::MAX {
        let expected = byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        assert_eq!(is_token(byte), expected, "{byte}");
    }
}
