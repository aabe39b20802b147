//! Request targets and authorities: which forms are served and which characters they may hold.
//! It never decodes or normalises a path; that is the router's business.

use http::Uri;

use super::HeadError;
use crate::limits::HOST_BYTES_MAX;

/// Judges an HTTP/1 request target (RFC 9112 §3.2) and returns the authority of an absolute one.
pub(super) fn judge<'a>(method: &[u8], target: &'a [u8]) -> Result<Option<&'a [u8]>, HeadError> {
    if !target.iter().all(|&byte| is_served(byte)) {
        return Err(HeadError::Target);
    }
    let authority = match target {
        [b'/', ..] => None,
        b"*" if method == b"OPTIONS" => None,
        _ => Some(absolute(target)?),
    };
    // What the request type cannot hold is refused here, so that no second parser gives its own answer.
    match Uri::try_from(target) {
        Ok(_) => Ok(authority),
        Err(_) => Err(HeadError::Target),
    }
}

/// Checks `host[:port]`. Percent-encoding and user information are legal in the grammar and never legitimate here.
pub(crate) fn is_host(value: &[u8]) -> bool {
    if value.is_empty() || value.len() > HOST_BYTES_MAX {
        return false;
    }
    let (name_is_good, rest) = match value.strip_prefix(b"[") {
        Some(literal) => match literal.iter().position(|&byte| byte == b']') {
            Some(end) => {
                let (inside, after) = literal.split_at(end);
                let good = inside.len() > 1
                    && inside.iter().all(|&byte| byte.is_ascii_hexdigit() || byte == b':' || byte == b'.');
                (good, after.get(1..).unwrap_or_default())
            }
            None => (false, &[][..]),
        },
        None => {
            let end = value.iter().position(|&byte| !is_host_byte(byte)).unwrap_or(value.len());
            (end > 0, value.get(end..).unwrap_or_default())
        }
    };
    name_is_good && is_port(rest)
}

fn is_host_byte(byte: u8) -> bool {
    const HOST: [bool; 256] = {
        let mut host = [false; 256];
        let mut byte = 0u8;
        while byte < 0x7f {
            host[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
            byte += 1;
        }
        host
    };
    HOST.get(usize::from(byte)).copied().unwrap_or_default()
}

/// Nothing, or a colon and a port; an empty port is legal but two readers already differ on it.
fn is_port(rest: &[u8]) -> bool {
    match rest.split_first() {
        None => true,
        Some((b':', digits)) => {
            (1..=5).contains(&digits.len())
                && digits.iter().all(u8::is_ascii_digit)
                && std::str::from_utf8(digits).is_ok_and(|text| text.parse::<u16>().is_ok())
        }
        Some(_) => false,
    }
}

fn absolute(target: &[u8]) -> Result<&[u8], HeadError> {
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| {
            let (head, rest) = target.split_at_checked(scheme.len())?;
            head.eq_ignore_ascii_case(scheme.as_bytes()).then_some(rest)
        })
        .ok_or(HeadError::Target)?;
    let end = rest.iter().position(|&byte| byte == b'/' || byte == b'?').unwrap_or(rest.len());
    let authority = rest.get(..end).unwrap_or_default();
    if is_host(authority) { Ok(authority) } else { Err(HeadError::Target) }
}

/// Visible ASCII without the characters that different readers cut or convert: fragment, backslash, angle brackets.
pub(super) fn is_served(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'#' | b'\\' | b'<' | b'>')
}
