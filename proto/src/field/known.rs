//! The header names that some rule of the gateway knows: a name is compared once, rules are then asked by number.

/// A header name, as far as a rule depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// No rule knows it.
    Other,
    /// `Proxy-…`: the one family that goes by its first letters.
    ProxyFamily,
    /// `Accept`
    Accept,
    /// `X-Api-Key`
    ApiKey,
    /// `X-Amz-Apigw-Id`
    ApigwId,
    /// `X-Amzn-Apigateway-Api-Id`
    ApiId,
    /// `Cache-Control`, `Pragma`, `Range` and `If-…`: what asks caches, or for less than the whole
    Conditional,
    /// `Connection`
    Connection,
    /// `Content-Encoding`
    ContentEncoding,
    /// `Content-Length`
    ContentLength,
    /// `Content-MD5`
    ContentMd5,
    /// `Content-Type`
    ContentType,
    /// `Authorization` and `Cookie`: what says who asks
    Credentials,
    /// `Date`
    Date,
    /// `X-Amzn-ErrorType`
    ErrorType,
    /// `Expect`
    Expect,
    /// `X-Forwarded-For`
    ForwardedFor,
    /// `X-Forwarded-Port`
    ForwardedPort,
    /// `X-Forwarded-Proto`
    ForwardedProto,
    /// `Host`
    Host,
    /// `Keep-Alive`
    KeepAlive,
    /// `Max-Forwards`
    MaxForwards,
    /// `X-HTTP-Method-Override`
    MethodOverride,
    /// `X-Amzn-RequestId`
    RequestId,
    /// `Server`
    Server,
    /// `TE`
    Te,
    /// `X-Amzn-Trace-Id`
    TraceId,
    /// `Trailer`
    Trailer,
    /// `Transfer-Encoding`
    TransferEncoding,
    /// `Upgrade`
    Upgrade,
    /// `User-Agent`
    UserAgent,
    /// `Via`
    Via,
    /// `WWW-Authenticate`
    WwwAuthenticate,
}

/// By length, so that few are compared.
const NAMES: [(&str, Known); 40] = [
    ("te", Known::Te),
    ("via", Known::Via),
    ("date", Known::Date),
    ("host", Known::Host),
    ("range", Known::Conditional),
    ("accept", Known::Accept),
    ("cookie", Known::Credentials),
    ("expect", Known::Expect),
    ("pragma", Known::Conditional),
    ("server", Known::Server),
    ("trailer", Known::Trailer),
    ("upgrade", Known::Upgrade),
    ("if-match", Known::Conditional),
    ("if-range", Known::Conditional),
    ("x-api-key", Known::ApiKey),
    ("connection", Known::Connection),
    ("keep-alive", Known::KeepAlive),
    ("user-agent", Known::UserAgent),
    ("content-md5", Known::ContentMd5),
    ("content-type", Known::ContentType),
    ("max-forwards", Known::MaxForwards),
    ("authorization", Known::Credentials),
    ("cache-control", Known::Conditional),
    ("if-none-match", Known::Conditional),
    ("content-length", Known::ContentLength),
    ("x-amz-apigw-id", Known::ApigwId),
    ("x-amzn-trace-id", Known::TraceId),
    ("x-forwarded-for", Known::ForwardedFor),
    ("content-encoding", Known::ContentEncoding),
    ("www-authenticate", Known::WwwAuthenticate),
    ("x-amzn-errortype", Known::ErrorType),
    ("x-amzn-requestid", Known::RequestId),
    ("x-forwarded-port", Known::ForwardedPort),
    ("if-modified-since", Known::Conditional),
    ("transfer-encoding", Known::TransferEncoding),
    ("x-forwarded-proto", Known::ForwardedProto),
    ("if-unmodified-since", Known::Conditional),
    ("x-http-method-override", Known::MethodOverride),
    ("x-tidegate-cache-status", Known::Conditional),
    ("x-amzn-apigateway-api-id", Known::ApiId),
];

/// One more than the length of the longest name.
const LENGTHS: usize = 25;

/// The names of one length.
#[derive(Clone, Copy)]
struct Row {
    /// Their first letters, a bit each: most names are passed over with one look.
    letters: u32,
    start: u8,
    end: u8,
}

const ROWS: [Row; LENGTHS] = {
    let mut rows = [Row { letters: 0, start: 0, end: 0 }; LENGTHS];
    let mut at = 0;
    while at < NAMES.len() {
        let name = NAMES[at].0.as_bytes();
        assert!(at == 0 || NAMES[at - 1].0.len() <= name.len(), "names are ordered by length");
        let row = &mut rows[name.len()];
        if row.letters == 0 {
            row.start = at as u8;
        }
        row.letters |= letter(name[0]);
        row.end = at as u8 + 1;
        at += 1;
    }
    rows
};

const fn letter(byte: u8) -> u32 {
    1 << (byte & 31)
}

impl Known {
    /// What `name`, in any case, is known as.
    pub fn of(name: &[u8]) -> Self {
        let first = name.first().copied().unwrap_or_default();
        if let Some(row) = ROWS.get(name.len())
            && row.letters & letter(first) != 0
        {
            let rows = NAMES.get(usize::from(row.start)..usize::from(row.end)).unwrap_or_default();
            if let Some((_, known)) = rows.iter().find(|(known, _)| is_name(name, known.as_bytes())) {
                return *known;
            }
        }
        let is_family =
            first | 0x20 == b'p' && name.get(..6).is_some_and(|start| start.eq_ignore_ascii_case(b"proxy-"));
        if is_family { Self::ProxyFamily } else { Self::Other }
    }
}

/// Whether the name of a header line is `lower`, which is in lower case. Eight letters are compared at once: of the bytes that a name
/// may hold, only the two cases of a letter differ in nothing but the sixth bit.
pub fn is_name(name: &[u8], lower: &[u8]) -> bool {
    const CASE: u64 = 0x2020_2020_2020_2020;
    if name.len() != lower.len() {
        return false;
    }
    let same = |(one, other): (&[u8; 8], &[u8; 8])| {
        u64::from_ne_bytes(*one) | CASE == u64::from_ne_bytes(*other) | CASE
    };
    let ((eights, rest), (lower_eights, lower_rest)) = (name.as_chunks(), lower.as_chunks());
    eights.iter().zip(lower_eights).all(same)
        && match (name.last_chunk(), lower.last_chunk()) {
            (Some(last), Some(lower_last)) => same((last, lower_last)),
            _ => rest.iter().zip(lower_rest).all(|(one, other)| one | 0x20 == other | 0x20),
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_case_and_nothing_else_is() {
        for (name, known) in NAMES {
            for spelling in [name.to_owned(), name.to_ascii_uppercase()] {
                assert_eq!(Known::of(spelling.as_bytes()), known, "{spelling}");
            }
            for other in [format!("{name}x"), name.replacen(|_: char| true, "q", 1), name[1..].to_owned()] {
                assert_eq!(Known::of(other.as_bytes()), Known::Other, "{other}");
            }
        }
        for (name, known) in [
            ("Proxy-Connection", Known::ProxyFamily),
            ("proxy-authenticate", Known::ProxyFamily),
            ("PROXY-A-Very-Long-Header-Name-Indeed", Known::ProxyFamily),
            ("proxy-", Known::ProxyFamily),
            ("proxy", Known::Other),
            ("proxyx-y", Known::Other),
            ("", Known::Other),
        ] {
            assert_eq!(Known::of(name.as_bytes()), known, "{name}");
        }
    }

    #[test]
    fn names_are_the_same_in_any_case() {
        for name in
            ["te", "host", "trailer", "content-length", "transfer-encoding", "x-amzn-apigateway-api-id"]
        {
            assert!(
                is_name(name.as_bytes(), name.as_bytes())
                    && is_name(name.to_ascii_uppercase().as_bytes(), name.as_bytes()),
                "{name}"
            );
            for at in 0..name.len() {
                let mut other = name.to_owned().into_bytes();
                other[at] = b'7';
                assert!(!is_name(&other, name.as_bytes()), "{name} {at}");
            }
            assert!(!is_name(&name.as_bytes()[1..], name.as_bytes()));
        }
    }
}
