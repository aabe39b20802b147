//! Owns the syntax of cache directives (RFC 9111 §5.2): a name and an argument. Must never decide what one means for an answer.

mod request;
mod response;
mod targeted;

use http::{HeaderMap, HeaderName};
use tidegate_proto::limits::CACHE_FIELD_NAMES_MAX;

use crate::list::{Escapes, is_token_byte, members, trim};

pub use request::RequestDirectives;
pub use response::{ResponseDirectives, Scope};

/// What a number of seconds becomes that is larger (RFC 9111 §1.2.2). Sums of a few of them cannot overflow.
pub const DELTA_S_MAX: u64 = 1 << 31;

/// One directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Directive<'a> {
    name: &'a [u8],
    argument: Argument<'a>,
}

/// What follows the name of a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Argument<'a> {
    /// Nothing.
    Absent,
    /// A token, or what is between quotes: recipients take both forms (RFC 9111 §5.2).
    Text(&'a [u8]),
    /// Something that the grammar does not allow.
    Broken,
}

/// Directives of all lines of a header.
fn directives<'a>(headers: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = Directive<'a>> {
    let lines = headers.get_all(name).iter();
    lines.flat_map(|line| members(line.as_bytes(), Escapes::Backslash)).filter_map(directive)
}

/// What a list member says; `None` if it does not begin with a name.
fn directive(member: &[u8]) -> Option<Directive<'_>> {
    let end = member.iter().position(|byte| !is_token_byte(*byte)).unwrap_or(member.len());
    let (name, rest) = member.split_at_checked(end)?;
    let argument = match rest {
        [] => Argument::Absent,
        [b'=', value @ ..] => argument(value),
        _ => Argument::Broken,
    };
    (!name.is_empty()).then_some(Directive { name, argument })
}

fn argument(value: &[u8]) -> Argument<'_> {
    match value {
        [b'"', text @ .., b'"'] if !text.iter().any(|byte| matches!(byte, b'"' | b'\\')) => {
            Argument::Text(text)
        }
        [_, ..] if value.iter().all(|byte| is_token_byte(*byte)) => Argument::Text(value),
        _ => Argument::Broken,
    }
}

impl Directive<'_> {
    fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

impl Argument<'_> {
    /// The argument as a number of seconds.
    fn delta_s(self) -> Option<u64> {
        match self {
            Self::Text(text) => delta_s(text),
            Self::Absent | Self::Broken => None,
        }
    }
}

/// A number of seconds (RFC 9111 §1.2.2), at most [`DELTA_S_MAX`].
pub(crate) fn delta_s(text: &[u8]) -> Option<u64> {
    let all_digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let add = |sum: u64, byte: &u8| (sum * 10 + u64::from(byte - b'0')).min(DELTA_S_MAX);
    all_digits.then(|| text.iter().fold(0, add))
}

/// Header names between the quotes of a `private` or `no-cache`; `None` if they are too many or one is not a name.
fn field_names(text: &[u8]) -> Option<Vec<HeaderName>> {
    let mut names = Vec::new();
    for name in text.split(|byte| *byte == b',').map(trim).filter(|name| !name.is_empty()) {
        if names.len() == CACHE_FIELD_NAMES_MAX {
            return None;
        }
        names.push(HeaderName::from_bytes(name).ok()?);
    }
    (!names.is_empty()).then_some(names)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_member_is_a_name_and_an_argument() {
        let text = |text: &'static str| Argument::Text(text.as_bytes());
        for (member, expect) in [
            ("no-store", Some(("no-store", Argument::Absent))),
            ("max-age=60", Some(("max-age", text("60")))),
            (r#"max-age="60""#, Some(("max-age", text("60")))),
            ("max-age='60'", Some(("max-age", text("'60'")))),
            (r#"no-cache="a, b""#, Some(("no-cache", text("a, b")))),
            (r#"no-cache="""#, Some(("no-cache", text("")))),
            ("max-age=", Some(("max-age", Argument::Broken))),
            ("max-age =60", Some(("max-age", Argument::Broken))),
            ("max-age= 60", Some(("max-age", Argument::Broken))),
            (r#"max-age="6\0""#, Some(("max-age", Argument::Broken))),
            (r#"max-age="60"#, Some(("max-age", Argument::Broken))),
            ("no-store;x", Some(("no-store", Argument::Broken))),
            ("=60", None),
        ] {
            let expect = expect.map(|(name, argument)| Directive { name: name.as_bytes(), argument });
            assert_eq!(directive(member.as_bytes()), expect, "{member}");
        }
    }

    #[test]
    fn seconds_saturate() {
        for (text, expect) in [
            ("0", Some(0)),
            ("003600", Some(3_600)),
            ("2147483647", Some(2_147_483_647)),
            ("2147483648", Some(DELTA_S_MAX)),
            ("2147483649", Some(DELTA_S_MAX)),
            ("99999999999", Some(DELTA_S_MAX)),
            ("99999999999999999999999999999999999999999999", Some(DELTA_S_MAX)),
            ("-1", None),
            ("1.0", None),
            ("a1", None),
            ("1a", None),
            ("", None),
        ] {
            assert_eq!(delta_s(text.as_bytes()), expect, "{text}");
        }
    }

    #[test]
    fn names_are_bounded() {
        let many = vec!["a"; CACHE_FIELD_NAMES_MAX + 1].join(",");
        for (text, expect) in [
            ("a, B ,,c", Some(vec!["a", "b", "c"])),
            ("", None),
            ("a b", None),
            (&many, None),
            (&many[2..], Some(vec!["a"; CACHE_FIELD_NAMES_MAX])),
        ] {
            let found = field_names(text.as_bytes());
            let found = found.map(|names| names.iter().map(|name| name.as_str().to_owned()).collect());
            let expect = expect.map(|names| names.into_iter().map(str::to_owned).collect::<Vec<_>>());
            assert_eq!(found, expect, "{text}");
        }
    }

    proptest! {
        #[test]
        fn nothing_panics(line in proptest::collection::vec(any::<u8>(), 0..100)) {
            for member in members(&line, Escapes::Backslash) {
                let found = directive(member);
                prop_assert!(found.is_none_or(|found| found.argument.delta_s().unwrap_or(0) <= DELTA_S_MAX));
                field_names(member);
            }
        }
    }
}
