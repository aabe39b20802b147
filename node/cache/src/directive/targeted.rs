//! Owns CDN-Cache-Control (RFC 9213): the directives that are meant for a gateway and not for browsers. Must never fall back to
//! Cache-Control by itself.

use std::borrow::Cow;
use std::convert::Infallible;

use http::{HeaderMap, HeaderName};
use sfv::visitor::{
    DictionaryVisitor, EntryVisitor, Ignored, InnerListVisitor, ItemVisitor, ParameterVisitor,
};
use sfv::{BareItemFromInput, KeyRef, Parser, Version};

use super::{Argument, DELTA_S_MAX, ResponseDirectives, Scope};

/// Headers that take the place of Cache-Control, first one first (RFC 9213 §2.2).
const TARGETS: [HeaderName; 1] = [HeaderName::from_static("cdn-cache-control")];

/// Directives of the first such header that is a dictionary (RFC 8941 §3.2) and not empty.
pub(super) fn read(headers: &HeaderMap) -> Option<ResponseDirectives> {
    TARGETS.iter().find_map(|name| {
        let value = joined(headers, name)?;
        let directives = ResponseDirectives { is_targeted: true, ..ResponseDirectives::default() };
        let members = Members { directives, count: 0 };
        let parser = Parser::new(value.as_ref()).with_version(Version::Rfc8941);
        parser.parse_dictionary_with_visitor(members).ok().flatten()
    })
}

/// All lines of a header as one.
fn joined<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Cow<'a, [u8]>> {
    let mut lines = headers.get_all(name).iter();
    let mut value = Cow::Borrowed(lines.next()?.as_bytes());
    for line in lines {
        let value = value.to_mut();
        value.extend_from_slice(b", ");
        value.extend_from_slice(line.as_bytes());
    }
    Some(value)
}

/// What a directive can be (RFC 9213 §2.1).
enum Value<'a> {
    Flag(bool),
    Seconds(u64),
    Text(&'a str),
    /// None of these: a restriction holds all the same, a number of seconds is 0.
    Odd,
}

impl ResponseDirectives {
    /// Of two members with one name the later one counts (RFC 8941 §4.2.2).
    fn set(&mut self, key: &KeyRef, value: &Value<'_>) {
        let name = key.as_str();
        if let Some(flag) = self.flag(name.as_bytes()) {
            *flag = !matches!(value, Value::Flag(false));
        } else if let Some(seconds) = self.seconds(name.as_bytes()) {
            *seconds = match value {
                Value::Seconds(seconds) => Some(*seconds),
                Value::Flag(_) | Value::Text(_) | Value::Odd => Some(0),
            };
        } else if let Some(scope) = self.scope(name.as_bytes()) {
            *scope = match value {
                Value::Flag(false) => Scope::Nothing,
                Value::Text(text) => Scope::of(Argument::Text(text.as_bytes())),
                Value::Flag(true) | Value::Seconds(_) | Value::Odd => Scope::Everything,
            };
        } else if name == "public" {
            self.public = matches!(value, Value::Flag(true));
        }
    }
}

fn value<'a>(item: &'a BareItemFromInput<'_>) -> Value<'a> {
    match item {
        BareItemFromInput::Boolean(flag) => Value::Flag(*flag),
        BareItemFromInput::Integer(number) => u64::try_from(i64::from(*number))
            .map_or(Value::Odd, |seconds| Value::Seconds(seconds.min(DELTA_S_MAX))),
        BareItemFromInput::String(text) => Value::Text(text.as_str()),
        BareItemFromInput::Token(text) => Value::Text(text.as_str()),
        BareItemFromInput::Decimal(_)
        | BareItemFromInput::ByteSequence(_)
        | BareItemFromInput::Date(_)
        | BareItemFromInput::DisplayString(_) => Value::Odd,
    }
}

/// The dictionary.
struct Members {
    directives: ResponseDirectives,
    count: usize,
}

impl<'de> DictionaryVisitor<'de> for Members {
    type Out = Option<ResponseDirectives>;
    type Error = Infallible;

    fn entry(&mut self, key: &'de KeyRef) -> Result<impl EntryVisitor<'de>, Infallible> {
        self.count += 1;
        Ok(Member { key, directives: &mut self.directives })
    }

    fn finish(self) -> Result<Self::Out, Infallible> {
        Ok((self.count > 0).then_some(self.directives))
    }
}

/// One member of it.
struct Member<'de, 'a> {
    key: &'de KeyRef,
    directives: &'a mut ResponseDirectives,
}

impl<'de> EntryVisitor<'de> for Member<'de, '_> {
    type Error = Infallible;

    fn item(self) -> Result<impl ItemVisitor<'de>, Infallible> {
        Ok(self)
    }

    fn inner_list(self) -> Result<impl InnerListVisitor<'de>, Infallible> {
        self.directives.set(self.key, &Value::Odd);
        Ok(Ignored)
    }
}

impl<'de> ItemVisitor<'de> for Member<'de, '_> {
    type Out = ();
    type Error = Infallible;

    fn bare_item(
        self,
        item: BareItemFromInput<'de>,
    ) -> Result<impl ParameterVisitor<'de, Out = ()>, Infallible> {
        self.directives.set(self.key, &value(&item));
        Ok(Ignored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rig::headers;

    #[test]
    fn a_valid_dictionary_takes_the_place_of_cache_control() {
        let none = ResponseDirectives { is_targeted: true, ..ResponseDirectives::default() };
        let max_age = |max_age| Some(ResponseDirectives { max_age: Some(max_age), ..none.clone() });
        for (values, expect) in [
            (&["max-age=60"][..], max_age(60)),
            (&["max-age=60;foo=bar"], max_age(60)),
            (&["max-age=60, max-age=5"], max_age(5)),
            (&["max-age=60", "max-age=7"], max_age(7)),
            (&["max-age=999999999999999"], max_age(DELTA_S_MAX)),
            (&["max-age=60.5"], max_age(0)),
            (&["max-age=-1"], max_age(0)),
            (&[r#"max-age="60""#], max_age(0)),
            (&["max-age"], max_age(0)),
            (&["max-age=(1 2)"], max_age(0)),
            (&["no-store"], Some(ResponseDirectives { no_store: true, ..none.clone() })),
            (&["no-store=1"], Some(ResponseDirectives { no_store: true, ..none.clone() })),
            (&["no-store=?0"], Some(none.clone())),
            (
                &[r#"no-cache="set-cookie", private"#],
                Some(ResponseDirectives {
                    no_cache: Scope::Fields(vec![HeaderName::from_static("set-cookie")]),
                    private: Scope::Everything,
                    ..none.clone()
                }),
            ),
            (&["public, stale-if-error=9"], {
                Some(ResponseDirectives { public: true, stale_if_error: Some(9), ..none.clone() })
            }),
            (&["unknown"], Some(none.clone())),
            (&[""], None),
            (&["Max-Age=60"], None),
            (&["max-age=60,"], None),
            (&["max-age =60"], None),
            (&["max-age=60", "\"x"], None),
        ] {
            let lines: Vec<_> = values.iter().map(|value| ("CDN-Cache-Control", *value)).collect();
            assert_eq!(read(&headers(&lines)), expect, "{values:?}");
        }
    }

    #[test]
    fn an_invalid_one_is_not_there() {
        let read = |cdn| {
            let lines = [("cache-control", "no-store"), ("cdn-cache-control", cdn)];
            let read = ResponseDirectives::read(&headers(&lines));
            (read.is_targeted, read.no_store, read.max_age)
        };
        assert_eq!(read("max-age=60"), (true, false, Some(60)));
        assert_eq!(read("max-age=60,"), (false, true, None));
    }
}
