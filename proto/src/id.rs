//! AWS-shaped identifiers from randomness that the caller brings.

const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// A 10-character lower-case alphanumeric id, the shape of REST API, stage-less resource and deployment ids.
///
/// 36^10 is about 2^51.7, so 64 random bits fill it without visible bias.
pub fn api_id(random: u64) -> String {
    digits(random, 10)
}

/// A 6-character id, the shape of deployment, resource and model ids inside one REST API.
pub fn short_id(random: u64) -> String {
    digits(random, 6)
}

/// Whether `id` may be pinned by the tags `_custom_id_` or `tidegate:id`: 1 to 64 of `a-z 0-9 - _`, starting alphanumeric.
///
/// The id becomes a host label, so what a label cannot hold is refused.
pub fn is_pinnable(id: &str) -> bool {
    let mut bytes = id.bytes();
    let first = bytes.next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    first
        && id.len() <= 63
        && bytes.all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
}

fn digits(mut random: u64, length: usize) -> String {
    let mut id = String::with_capacity(length);
    for _ in 0..length {
        id.push(ALPHABET[(random % 36) as usize] as char);
        random /= 36;
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shape() {
        assert_eq!(api_id(0), "aaaaaaaaaa");
        assert_eq!(api_id(u64::MAX).len(), 10);
        assert_ne!(short_id(1), short_id(2));
    }

    #[test]
    fn pins() {
        for (id, ok) in [
            ("petstore", true),
            ("a", true),
            ("0-b_c", true),
            ("", false),
            ("-a", false),
            ("Pets", false),
            ("a.b", false),
            ("a/b", false),
        ] {
            assert_eq!(is_pinnable(id), ok, "{id}");
        }
        assert!(!is_pinnable(&"a".repeat(64)));
    }
}
